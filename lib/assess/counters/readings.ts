import { RETAIN_IDLE_SECONDS } from '../../observed/page-times.ts'
import type { Seconds } from '../../model/time.ts'
import type { Attribution } from '../ends/attribution.ts'
import type { Probe } from '../probes/probes.ts'
import {
  type Inbound,
  type Outbound,
  type Tls,
  type LabelVerdict,
  classifyInbound,
  classifyOutbound,
} from './classify.ts'
import { type Labels, labelOf, portOf, seriesKey } from './labels.ts'
import { type Moved, addMoved, joinSlices, mostWithin, movedWithin } from './metrics.ts'
import type { CounterReading, ReadingInput, RawSeries } from './reading.ts'
import { NO_SCRAPES } from './reading.ts'
import { probedPods, comparedWithProbes, hasRegularBytes, heldOpen } from './probe-comparison.ts'

/** Labels that tell two series of one subject apart but are not the subject. */
const NOT_SUBJECT = /^(__name__|peer|srv_.+|authz_.+|route_.+|ratelimit_.+)$/

/** Reads what had no mesh TLS, from raw samples. Includes what pods with overridden labels say, whatever they say. */
export function clearReadings(input: ReadingInput): CounterReading[] {
  const { answers, attribute } = input
  const raw = (
    ['clear-inbound', 'clear-outbound', 'clear-authorized', 'clear-requests', 'overridden'] as const
  ).flatMap((name) => answers(name))
  const series = joinSlices(raw).map(({ labels, samples }): RawSeries => ({
    name: labelOf(labels, '__name__'),
    key: seriesKey(labels),
    at: attribute(labels),
    samples,
  }))

  const outbound = series.filter(({ name, at: { labels } }) =>
    name.startsWith('tcp_')
      ? labelOf(labels, 'direction') === 'outbound' && labelOf(labels, 'peer') === 'dst'
      : name === 'request_total' && labelOf(labels, 'direction') === 'outbound',
  )
  const inbound = series.filter(({ name, at: { labels, pod, overridden } }) => {
    if (!name.startsWith('tcp_')) return name.startsWith('inbound_')
    const [direction, peer] = [labelOf(labels, 'direction'), labelOf(labels, 'peer')]
    // Which twin is the proxy's own cannot be told of a pod in no list, so it may not put its connections out of sight by it.
    const isInDoubt = pod === null && overridden && !(direction === 'outbound' && peer === 'dst')
    return isInDoubt || (direction === 'inbound' && peer === 'src')
  })
  return [
    ...[...Map.groupBy(inbound, inboundSubject).values()].flatMap((group) => inboundReadings(group, input)),
    ...[...Map.groupBy(outbound, outboundSubject).values()].flatMap((group) => outboundReading(group, input)),
  ]
}

/** One pod's port and one way of (not) being encrypted: policies and routes of it are the same subject. */
function inboundSubject({ at }: RawSeries): string {
  const { labels } = at
  return JSON.stringify([
    at.instance,
    at.pod?.name ?? labelOf(labels, 'pod'),
    portOf(labels),
    ...Object.values(tlsOf(labels, 'client_id')),
  ])
}

function outboundSubject({ at }: RawSeries): string {
  return seriesKey(Object.fromEntries(Object.entries(at.labels).filter(([name]) => !NOT_SUBJECT.test(name))))
}

/** What the labels of a series say of TLS; empty where they say nothing. */
export function tlsOf(labels: Labels, peerId: 'client_id' | 'server_id'): Tls {
  return {
    tls: labelOf(labels, 'tls'),
    reason: labelOf(labels, 'no_tls_reason'),
    peerId: labelOf(labels, peerId),
    sni: labelOf(labels, 'sni'),
  }
}

/** What the counters of a group did; `is` picks the series. */
function movedOf(group: readonly RawSeries[], input: ReadingInput, is: (series: RawSeries) => boolean): Moved {
  return addMoved(
    group.filter(is).map(({ name, key, at, samples }) => {
      const open =
        name === 'tcp_open_total'
          ? group.find((other) => other.name === 'tcp_open_connections' && other.key === key)?.samples
          : undefined
      const kind = { ...(open === undefined ? {} : { open }), isKept: name.startsWith('inbound_') }
      return movedWithin(samples, input.scrapes.get(at.instance) ?? NO_SCRAPES, input, kind)
    }),
  )
}

function openAtScrape(group: readonly RawSeries[], { start, end }: ReadingInput): number {
  return group
    .filter(({ name }) => name === 'tcp_open_connections')
    .reduce((sum, { samples }) => sum + mostWithin(samples, start, end), 0)
}

/** Whether both byte counters of each connection counter are there: without them, no byte is not known to have flowed. */
function isCounted(group: readonly RawSeries[]): boolean {
  const has = (wanted: string, key: string) => group.some((other) => other.name === wanted && other.key === key)
  return group
    .filter(({ name }) => name === 'tcp_open_total' || name === 'tcp_open_connections')
    .every(({ key }) => has('tcp_read_bytes_total', key) && has('tcp_write_bytes_total', key))
}

const named =
  (...names: readonly string[]) =>
  ({ name }: RawSeries) =>
    names.includes(name)

function inboundReadings(group: readonly RawSeries[], input: ReadingInput): CounterReading[] {
  const [first] = group
  if (first === undefined) return []
  const { at } = first
  const moved = (is: (series: RawSeries) => boolean) => movedOf(group, input, is)
  // Policies have names, too: only Linkerd's own authorisation of probes is of kind `default`.
  const isProbe = ({ at: { labels } }: RawSeries) =>
    labelOf(labels, 'authz_name') === 'probe' && labelOf(labels, 'authz_kind') === 'default'
  const httpProbed = moved((series) => series.name === 'inbound_http_authz_allow_total' && isProbe(series))
  const httpAllowed = moved((series) => series.name === 'inbound_http_authz_allow_total' && !isProbe(series))
  const tcpAllowed = moved(named('inbound_tcp_authz_allow_total', 'inbound_tcp_authz_terminate_total'))
  const opened = moved(named('tcp_open_total'))
  const labels = tlsOf(at.labels, 'client_id')
  const pods = probedPods(at, input)
  const byProbes = (counter: Moved, kinds: readonly Probe['kind'][], isOnlyByRate = true) =>
    comparedWithProbes(counter, pods, (probe) => probe.port === portOf(at.labels) && kinds.includes(probe.kind), {
      at,
      input,
      isOnlyByRate,
    })
  const isOpaque = labels.reason === 'port_skipped'
  const seen: Inbound = {
    opened,
    openAtScrape: openAtScrape(group, input),
    heldOpen: heldOpen(group, input),
    isLikeProbes:
      httpProbed.count > 0 &&
      opened.count <= httpProbed.count + 1 &&
      httpAllowed.count + httpAllowed.recent === 0 &&
      hasRegularBytes(group),
    bytes: moved(named('tcp_read_bytes_total', 'tcp_write_bytes_total')),
    isCounted: isCounted(group),
    httpAllowed,
    httpProbed,
    httpRefused: moved(
      named(
        'inbound_http_authz_deny_total',
        'inbound_http_route_not_found_total',
        'inbound_http_local_ratelimit_total',
      ),
    ),
    tcpAllowed,
    tcpRefused: moved(named('inbound_tcp_authz_deny_total')),
    mayBeNew: [httpAllowed, httpProbed, tcpAllowed].some(({ undatedAt }) => mayBeNew(undatedAt, group, input)),
    probes:
      pods.length === 0
        ? null
        : {
            httpProbed: byProbes(httpProbed, ['http'], false),
            // Where routes are attached to the port, Linkerd makes none for probes, and counts them as other requests.
            httpAllowed: byProbes(httpAllowed, httpProbed.count > 0 ? ['grpc'] : ['grpc', 'http']),
            // TLS by address names no server, so that it is passed on as it is; and an opaque port is not looked into.
            tcpAllowed: byProbes(tcpAllowed, isOpaque ? ['http', 'https', 'grpc', 'tcp'] : ['https']),
          },
  }
  return classifyInbound(labels, seen, standingOf(at)).map((verdict, index): CounterReading => {
    // Connections and bytes are not told apart by what became of them: the first verdict has them.
    const refusedOnly = verdict.outcome === 'refused' && seen.opened.count === 0
    return {
      side: 'inbound',
      at,
      port: portOf(at.labels) ?? 0,
      verdict,
      peerId: labels.peerId,
      opens: index > 0 ? 0 : refusedOnly ? seen.tcpRefused.count : seen.opened.count,
      sinceUnknown: verdict.state !== 'exempt' && !isBegun(verdict, seen, group, input),
      openAtScrape: index > 0 ? 0 : seen.openAtScrape,
      bytes: index > 0 ? 0 : seen.bytes.count,
    }
  })
}

/** Whether what a verdict tells was seen to begin in the window. */
function isBegun(
  { outcome, reason }: LabelVerdict,
  seen: Inbound,
  group: readonly RawSeries[],
  input: ReadingInput,
): boolean {
  const deciding =
    outcome === 'refused'
      ? [seen.httpRefused, seen.tcpRefused]
      : [seen.httpAllowed, seen.tcpAllowed, ...(reason.startsWith('probe') ? [seen.httpProbed] : [])]
  const isFirst = deciding.every(({ undated, justBefore }) => undated === 0 && !justBefore)
  // Beside probes, what is open at the start is likely to be one of them.
  const wasOpen = outcome === 'allowed' && !seen.httpProbed.ever && isOpenAtStart(group, input)
  return isFirst && !wasOpen && deciding.some(({ count }) => count > 0)
}

function isOpenAtStart(group: readonly RawSeries[], { start }: ReadingInput): boolean {
  return group.some(
    ({ name, samples }) =>
      name === 'tcp_open_connections' && (samples.findLast(({ time }) => time <= start)?.value ?? 0) > 0,
  )
}

/**
 * Whether what a counter showed when it was first seen may be of the window. Linkerd drops a series of connections ten minutes after their last
 * use, so that where the first page lacks it there was none in that time.
 */
function mayBeNew(undatedAt: Seconds | null, group: readonly RawSeries[], { start }: ReadingInput): boolean {
  if (undatedAt === null) return false
  const isShown = group.some(
    ({ name, samples }) => name === 'tcp_open_total' && samples.some(({ time }) => time === undatedAt),
  )
  return isShown || undatedAt - start > RETAIN_IDLE_SECONDS
}

function outboundReading(group: readonly RawSeries[], input: ReadingInput): CounterReading[] {
  const [first] = group
  if (first === undefined) return []
  const { at } = first
  const seen: Outbound = {
    opened: movedOf(group, input, named('tcp_open_total')),
    openAtScrape: openAtScrape(group, input),
    bytes: movedOf(group, input, named('tcp_read_bytes_total', 'tcp_write_bytes_total')),
    isCounted: isCounted(group),
    requests: movedOf(group, input, named('request_total')),
  }
  const labels = tlsOf(at.labels, 'server_id')
  const isBegunHere =
    seen.opened.count > 0 && seen.opened.undated === 0 && !seen.opened.justBefore && !isOpenAtStart(group, input)
  const verdict = classifyOutbound(labels, seen, standingOf(at))
  if (verdict === null) return []
  return [
    {
      side: 'outbound',
      at,
      port: portOf(at.labels) ?? 0,
      verdict,
      peerId: labels.peerId,
      opens: seen.opened.count,
      sinceUnknown: verdict.state !== 'exempt' && !isBegunHere,
      openAtScrape: seen.openAtScrape,
      bytes: seen.bytes.count,
    },
  ]
}

/** Whether the labels of a series name a pod that they may not be of. */
export function standingOf(at: Attribution): { overridden: boolean; impostor: boolean } {
  return { overridden: at.overridden, impostor: at.standing === 'impostor' }
}

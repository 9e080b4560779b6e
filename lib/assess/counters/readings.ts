import { RETAIN_IDLE_SECONDS } from '../../observed/page-times.ts'
import type { Seconds } from '../../model/time.ts'
import type { Attribution } from '../ends/attribution.ts'
import type { Probe } from '../probes/declared-probes.ts'
import {
  type Inbound,
  type Outbound,
  type Tls,
  type LabelVerdict,
  classifyInbound,
  classifyOutbound,
} from './classify.ts'
import { type Labels, labelOf, portOf, seriesKey } from './labels.ts'
import { type Moved, addMoved, joinSlices, mostWithin, movedWithin } from './counter-movement.ts'
import type { CounterReading, ReadingInput, RawSeries } from './reading.ts'
import { NO_SCRAPES } from './reading.ts'
import { probedPods, comparedWithProbes, hasRegularBytes, heldOpen } from '../probes/counts-as-probe.ts'

/** Labels that distinguish series of the same subject. */
const NOT_SUBJECT = /^(__name__|peer|srv_.+|authz_.+|route_.+|ratelimit_.+)$/

/** Reads traffic without mesh TLS from raw samples. Includes all series of pods with overridden labels. */
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
    // For an unlisted pod, which label is the proxy's own is unknown, so its labels must not hide its connections.
    const isInDoubt = pod === null && overridden && !(direction === 'outbound' && peer === 'dst')
    return isInDoubt || (direction === 'inbound' && peer === 'src')
  })
  return [
    ...[...Map.groupBy(inbound, inboundSubject).values()].flatMap((group) => inboundReadings(group, input)),
    ...[...Map.groupBy(outbound, outboundSubject).values()].flatMap((group) => outboundReading(group, input)),
  ]
}

/** Key of one pod's port and one kind of encryption; policies and routes belong to the same subject. */
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

/** Returns the TLS labels of a series; empty if absent. */
export function tlsOf(labels: Labels, peerId: 'client_id' | 'server_id'): Tls {
  return {
    tls: labelOf(labels, 'tls'),
    reason: labelOf(labels, 'no_tls_reason'),
    peerId: labelOf(labels, peerId),
    sni: labelOf(labels, 'sni'),
  }
}

/** Returns how the counters of a group moved; `is` selects the series. */
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

/** Whether each connection counter has both byte counters: without them, zero bytes cannot be known. */
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
  // A user's policy may be named `probe`, too; only Linkerd's own authorization of probes has kind `default`.
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
            // If routes are attached to the port, Linkerd creates none for probes and counts probes as other requests.
            httpAllowed: byProbes(httpAllowed, httpProbed.count > 0 ? ['grpc'] : ['grpc', 'http']),
            // TLS to an address has no SNI, so it is forwarded unread; an opaque port is never parsed.
            tcpAllowed: byProbes(tcpAllowed, isOpaque ? ['http', 'https', 'grpc', 'tcp'] : ['https']),
          },
  }
  return classifyInbound(labels, seen, labelTrustOf(at)).map((verdict, index): CounterReading => {
    // Connections and bytes are not counted by outcome, so the first verdict gets them.
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

/** Whether the start of a verdict's traffic was observed in the window. */
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
  // If there are probes, a connection open at the start is likely one of them.
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
 * Whether a counter's first value may belong to the window. Linkerd drops a connection series after ten idle minutes, so if the first page does not have it,
 * there was no connection in that time.
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
  const verdict = classifyOutbound(labels, seen, labelTrustOf(at))
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

/** Whether a series may belong to another pod than its labels name. */
export function labelTrustOf(at: Attribution): { overridden: boolean; impostor: boolean } {
  return { overridden: at.overridden, impostor: at.standing === 'impostor' }
}

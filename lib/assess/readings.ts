import type { Series } from '../collect/answers.ts'
import { LEFT_OUT, type QueryName } from '../collect/queries.ts'
import type { Seconds } from '../model.ts'
import type { Attribution } from './attribution.ts'
import {
  type Inbound,
  type Outbound,
  type Tls,
  type Verdict,
  classifyInbound,
  classifyOutbound,
  lowered,
  stateOfLabels,
} from './classify.ts'
import { type Labels, labelOf, portOf, seriesKey } from './labels.ts'
import {
  type Answers,
  type Moved,
  type ProxyScrapes,
  addMoved,
  joinSlices,
  lastUntil,
  mostWithin,
  movedWithin,
} from './metrics.ts'

/** What one proxy saw of one other end in a window, judged. */
export type Reading = {
  readonly side: 'outbound' | 'inbound'
  readonly at: Attribution
  readonly port: number
  readonly verdict: Verdict
  /** The identity of the other side, as it was on the wire; empty where there was none. */
  readonly peerId: string
  readonly opens: number
  readonly sinceUnknown: boolean
  readonly openAtScrape: number
  readonly bytes: number
}

/** A window `(start, end]` and what is needed to read its counters. */
export type ReadingInput = {
  readonly start: Seconds
  readonly end: Seconds
  readonly answers: Answers
  readonly scrapes: ReadonlyMap<string, ProxyScrapes>
  readonly attribute: (series: Labels) => Attribution
}

const NO_SCRAPES: ProxyScrapes = { times: [], failed: [], interval: 0, processStarts: [] }

/** Labels that tell two series of one subject apart but are not the subject. */
const NOT_SUBJECT = /^(__name__|peer|srv_.+|authz_.+|route_.+|ratelimit_.+)$/

type RawSeries = {
  readonly name: string
  readonly key: string
  readonly at: Attribution
  readonly samples: Series['samples']
}

/** Reads what had no mesh TLS, from raw samples. Includes what pods with overridden labels say, whatever they say. */
export function clearReadings(input: ReadingInput): Reading[] {
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

function tlsOf(labels: Labels, peerId: 'client_id' | 'server_id'): Tls {
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
          ? group.find((other) => other.name === 'tcp_open_connections' && other.key === key)
          : undefined
      return movedWithin(samples, input.scrapes.get(at.instance) ?? NO_SCRAPES, input, open?.samples)
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

function inboundReadings(group: readonly RawSeries[], input: ReadingInput): Reading[] {
  const [first] = group
  if (first === undefined) return []
  const { at } = first
  const moved = (is: (series: RawSeries) => boolean) => movedOf(group, input, is)
  // Policies have names, too: only Linkerd's own authorisation of probes is of kind `default`.
  const isProbe = ({ at: { labels } }: RawSeries) =>
    labelOf(labels, 'authz_name') === 'probe' && labelOf(labels, 'authz_kind') === 'default'
  const seen: Omit<Inbound, 'probesExpected'> = {
    opened: moved(named('tcp_open_total')),
    openAtScrape: openAtScrape(group, input),
    isHeldOpen: group.some(({ name, samples }) => name === 'tcp_open_connections' && isHeldOpen(samples, input)),
    bytes: moved(named('tcp_read_bytes_total', 'tcp_write_bytes_total')),
    isCounted: isCounted(group),
    httpAllowed: moved((series) => series.name === 'inbound_http_authz_allow_total' && !isProbe(series)),
    httpProbed: moved((series) => series.name === 'inbound_http_authz_allow_total' && isProbe(series)),
    httpRefused: moved(
      named(
        'inbound_http_authz_deny_total',
        'inbound_http_route_not_found_total',
        'inbound_http_local_ratelimit_total',
      ),
    ),
    tcpAllowed: moved(named('inbound_tcp_authz_allow_total', 'inbound_tcp_authz_terminate_total')),
    tcpRefused: moved(named('inbound_tcp_authz_deny_total')),
  }
  const labels = tlsOf(at.labels, 'client_id')
  const probesExpected = expectedProbes(at, portOf(at.labels), seen.httpProbed, input)
  return classifyInbound(labels, { ...seen, probesExpected }, standingOf(at)).map((verdict, index): Reading => {
    // Connections and bytes are not told apart by what became of them: the first verdict has them.
    const refusedOnly = verdict.outcome === 'refused' && seen.opened.count === 0
    return {
      side: 'inbound',
      at,
      port: portOf(at.labels) ?? 0,
      verdict,
      peerId: labels.peerId,
      opens: index > 0 ? 0 : refusedOnly ? seen.tcpRefused.count : seen.opened.count,
      sinceUnknown: seen.opened.sinceUnknown && verdict.state !== 'exempt',
      openAtScrape: index > 0 ? 0 : seen.openAtScrape,
      bytes: index > 0 ? 0 : seen.bytes.count,
    }
  })
}

function outboundReading(group: readonly RawSeries[], input: ReadingInput): Reading[] {
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
      sinceUnknown: seen.opened.sinceUnknown && verdict.state !== 'exempt',
      openAtScrape: seen.openAtScrape,
      bytes: seen.bytes.count,
    },
  ]
}

/** For how long after its start a container that is ready may have been starting. */
const STARTUP_SECONDS = 600

/**
 * How many requests the pod's own httpGet probes of a port can have made since the scrape before the window's first (one extra each),
 * or in the pod's life where the requests cannot be dated. Null where the pod is in no list: its probes are not known.
 */
function expectedProbes(
  at: Attribution,
  port: number | null,
  probed: Moved,
  { start, end, scrapes }: ReadingInput,
): number | null {
  if (at.pod === null) return null
  const times = scrapes.get(at.instance)?.times ?? []
  const { from: begun } = at.pod.life
  const from = probed.sinceUnknown ? begun : Math.max(lastUntil(times, start) ?? start, begun)
  const seconds = Math.max(0, (lastUntil(times, end) ?? end) - from)
  // A startup probe runs until its container has started, and never again: its allowance is not there for others to use.
  const isStarting = at.pod.lastStart > from - STARTUP_SECONDS
  return at.pod.probes
    .filter((probe) => probe.port === port && (isStarting || !probe.isStartup))
    .reduce((sum, { periodSeconds }) => sum + Math.floor(seconds / periodSeconds) + 1, 0)
}

/** Whether a gauge was above 0 at two samples in a row, the later one in `(start, end]`. */
function isHeldOpen(samples: Series['samples'], { start, end }: ReadingInput): boolean {
  return samples.some(
    ({ time, value }, index) => time > start && time <= end && value > 0 && (samples[index - 1]?.value ?? 0) > 0,
  )
}

function standingOf(at: Attribution): { overridden: boolean; impostor: boolean } {
  return { overridden: at.overridden, impostor: at.standing === 'impostor' }
}

/**
 * Reads what had mesh TLS, from what Prometheus reduced. Absence only ever becomes `not-observed`: a series that may be older than the window
 * (its proxy was not scraped just before it, and its process is not younger) is not taken for a connection of the window.
 */
export function encryptedReadings(input: ReadingInput): Reading[] {
  const { answers, attribute } = input
  const subjects = new Map<string, { readonly series: Labels; opens: number; openAtScrape: number; bytes: number }>()
  const subjectOf = (labels: Labels) => {
    const key = seriesKey(labels, LEFT_OUT)
    const known = subjects.get(key) ?? { series: labels, opens: 0, openAtScrape: 0, bytes: 0 }
    subjects.set(key, known)
    return known
  }
  const each = (name: QueryName, use: (labels: Labels, value: number) => void) => {
    for (const { labels, samples } of answers(name)) use(labels, samples[0]?.value ?? 0)
  }
  const valuesOf = (name: QueryName) => {
    const values = new Map<string, number>()
    each(name, (labels, value) => values.set(seriesKey(labels), value))
    return values
  }
  each('encrypted-open', (labels, value) => {
    subjectOf(labels).openAtScrape += value
  })
  // After a restart the counter is lower, and how many were opened before it is lost: at least one was, after.
  each('encrypted-moved', (labels, value) => {
    subjectOf(labels).opens += value > 0 ? value : 1
  })
  const first = valuesOf('encrypted-new-first')
  const count = valuesOf('encrypted-new-count')
  each('encrypted-new-last', (labels, value) => {
    const key = seriesKey(labels)
    const isDated = isBornWithin(labelOf(labels, 'instance'), count.get(key) ?? 0, input)
    subjectOf(labels).opens += isDated ? value : Math.max(0, value - (first.get(key) ?? value))
  })
  // Bytes alone make no connection present: these may have flowed before the window, in a time without scrapes.
  for (const { labels, samples } of answers('encrypted-bytes')) {
    const subject = subjects.get(seriesKey(labels, LEFT_OUT))
    if (subject !== undefined) subject.bytes += Math.max(0, samples[0]?.value ?? 0)
  }

  return [...subjects.values()].flatMap(({ series, opens, openAtScrape, bytes }): Reading[] => {
    // These come as raw samples, with what the proxy itself said of them.
    if (RAW_TWINS.some((name) => name in series) || (opens <= 0 && openAtScrape === 0)) return []
    const at = attribute(series)
    const side = labelOf(series, 'direction') === 'outbound' ? 'outbound' : 'inbound'
    const labels = tlsOf(at.labels, side === 'outbound' ? 'server_id' : 'client_id')
    const { state, reason } = stateOfLabels(side, labels)
    return [
      {
        side,
        at,
        port: portOf(at.labels) ?? 0,
        verdict: {
          ...lowered(state, reason, standingOf(at)),
          outcome: 'allowed',
          source: side === 'outbound' ? 'named' : 'unmeshed',
        },
        peerId: labels.peerId,
        opens,
        sinceUnknown: false,
        openAtScrape,
        bytes,
      },
    ]
  })
}

/** What the queries for pods with overridden labels ask for. */
const RAW_TWINS = ['exported_tls', 'exported_direction', 'exported_peer', 'exported_target_port']

/** Whether a series that had no value at the window's start surely began inside the window. */
function isBornWithin(instance: string, sampleCount: number, { start, end, scrapes }: ReadingInput): boolean {
  const { times, interval, processStarts } = scrapes.get(instance) ?? NO_SCRAPES
  const before = lastUntil(times, start)
  const within = times.filter((time) => time > start && time <= end)
  const [firstWithin] = within
  if (firstWithin === undefined || sampleCount === 0) return false
  if (processStarts.some((started) => started <= end && started > (before ?? start - 2 * interval))) return true
  // Scraped without a pause from before the window: some scrape lacked the series, whenever in the window it began.
  const seen = before === undefined ? [] : [before, ...within]
  return seen.length > 0 && seen.slice(1).every((time, index) => time - (seen[index] ?? time) <= 2 * interval)
}

/** Connections to the proxies' own ports that Prometheus reduced: listed, never scored. */
export function adminReadings({ answers, attribute }: ReadingInput): Reading[] {
  const subject = (labels: Labels) =>
    JSON.stringify([
      labelOf(labels, 'instance'),
      portOf(labels),
      labelOf(labels, 'tls'),
      labelOf(labels, 'no_tls_reason'),
    ])
  const served = new Set(
    answers('admin-requests')
      .filter(({ samples }) => samples[0]?.value !== 0)
      .map(({ labels }) => subject(labels)),
  )
  return answers('admin-opened').flatMap(({ labels: series, samples }): Reading[] => {
    if ('exported_tls' in series || 'exported_target_port' in series) return []
    const at = attribute(series)
    const value = samples[0]?.value ?? 0
    if (value === 0) return []
    const { state, reason } = stateOfLabels('inbound', tlsOf(at.labels, 'client_id'))
    const proved = state === 'no-mesh-tls' && served.has(subject(series)) ? 'plaintext' : state
    return [
      {
        side: 'inbound',
        at,
        port: portOf(at.labels) ?? 0,
        verdict: { ...lowered(proved, reason, standingOf(at)), outcome: 'allowed', source: 'unmeshed' },
        peerId: '',
        opens: Math.max(1, value),
        sinceUnknown: false,
        openAtScrape: 0,
        bytes: 0,
      },
    ]
  })
}

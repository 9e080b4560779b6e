import type { Series } from '../collect/answers.ts'
import { LEFT_OUT, type QueryName } from '../collect/queries.ts'
import { RETAIN_IDLE_SECONDS } from '../collect/page-times.ts'
import type { Seconds } from '../model.ts'
import type { Attribution } from './attribution.ts'
import { type Allowance, type ProbedPod, fewestProbes, probesWithin, regularProbes } from './probe-allowance.ts'
import type { Probe } from './probes.ts'
import {
  type ByProbes,
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
  /** Connections that surely were opened after the scrape before the sample that shows them. */
  readonly opens: number
  /** It was not seen to begin in the window: it was there when first looked at, or just before the window. */
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
  /** What the probes of a pod in no list may be, from its template or its siblings; absent or empty: not known. */
  readonly unlistedProbes?: (at: Attribution) => readonly (readonly Probe[])[]
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

function inboundReadings(group: readonly RawSeries[], input: ReadingInput): Reading[] {
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
  return classifyInbound(labels, seen, standingOf(at)).map((verdict, index): Reading => {
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
  { outcome, reason }: Verdict,
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

/** A pod that ends is probed less, for as long as its containers may take to. */
const ENDING_SECONDS = 90

/** The pod of a series, or what it may have been where it is in no list; empty where its probes are not known. */
function probedPods(at: Attribution, { scrapes, unlistedProbes }: ReadingInput): readonly ProbedPod[] {
  if (at.pod !== null) return [at.pod]
  const { processStarts, times } = scrapes.get(at.instance) ?? NO_SCRAPES
  const from = Math.min(...processStarts, ...times)
  return (unlistedProbes?.(at) ?? []).map((probes): ProbedPod => {
    const containers = [...new Set(probes.map(({ container }) => container))].map((name) => ({
      name,
      isReady: true,
      isStarted: null,
      startedAt: from,
      restarts: 0,
    }))
    return { probes, life: { from }, looks: [{ takenAt: Infinity, isReady: true, since: null, containers }] }
  })
}

/**
 * Whether a counter shows more than the kubelet can have sent: since the scrape before the window's first, and, of what cannot be dated, in the
 * pod's life until then. Where it is as much as the schedule leaves room for, but more than its regular beat, the look back is counted, too: one
 * request too many in each window is many in a longer time. What nothing but its rate makes a probe must also be as many as the kubelet sends:
 * fewer than half of them are not the kubelet's.
 */
function comparedWithProbes(
  { count, undated, undatedAt, recent, lastAt }: Moved,
  pods: readonly ProbedPod[],
  of: (probe: Probe) => boolean,
  {
    at,
    input: { start, end, scrapes },
    isOnlyByRate,
  }: { readonly at: Attribution; readonly input: ReadingInput; readonly isOnlyByRate: boolean },
): ByProbes {
  const { times, interval, processStarts } = scrapes.get(at.instance) ?? NO_SCRAPES
  // Samples may come later than those of `up`.
  const to = Math.min(lastUntil(times, end) ?? end, lastAt ?? Infinity)
  const allowed = (from: Seconds | null, until = to): Allowance => {
    const all = pods.map((pod) =>
      probesWithin(pod, { from: Math.max(from ?? pod.life.from, pod.life.from), to: until }, of),
    )
    return { usual: Math.min(...all.map(({ usual }) => usual)), most: Math.max(...all.map(({ most }) => most)) }
  }
  // The first page of a young process tells all since it began, also what was before the window.
  const begun = processStarts.findLast((started) => started <= (times[0] ?? end))
  const from = Math.max(lastUntil(times, start) ?? begun ?? start, undatedAt ?? -Infinity)
  if (pods.every(({ probes }) => !probes.some(of))) return 'none'
  const { usual, most } = allowed(from)
  if (count > most) return 'more'
  const isEnding = to < end - 2 * interval || at.pod?.isGone === true || typeof at.pod?.life.to === 'number'
  const until = isEnding ? to - ENDING_SECONDS : to
  const fewest = isOnlyByRate
    ? Math.min(
        ...pods.map((pod) =>
          countedSpans({ from: Math.max(from, pod.life.from), to: until }, scrapes.get(at.instance) ?? NO_SCRAPES)
            .map((span) => fewestProbes(pod, span, of))
            .reduce((sum, count) => sum + count, 0),
        ),
      )
    : 0
  if (count > 0 && count < fewest) return count < fewest / 2 ? 'more' : 'perhaps'
  if (count > usual || undated > allowed(null, undatedAt ?? to).most) return 'perhaps'
  const isRegular = pods.some((pod) => count <= regularProbes(pod, { from: Math.max(from, pod.life.from), to }, of))
  return isRegular || recent + count <= allowed(times[0] ?? from).usual ? 'within' : 'perhaps'
}

/** What of a span is in the counters of a proxy: what a process counted after its last scrape was lost with it. */
function countedSpans(
  { from, to }: { readonly from: Seconds; readonly to: Seconds },
  { times, processStarts }: ProxyScrapes,
): { from: Seconds; to: Seconds }[] {
  const starts = processStarts.filter((start) => start > from && start <= to)
  return [from, ...starts].map((begun, index) => {
    const next = starts[index]
    return { from: begun, to: next === undefined ? to : Math.max(begun, lastUntil(times, next) ?? begun) }
  })
}

/** Whether a connection was open at two samples of a gauge in a row, the later one in `(start, end]`. */
function heldOpen(group: readonly RawSeries[], { start, end }: ReadingInput): Inbound['heldOpen'] {
  const pairs = group.flatMap(({ name, key, samples }) => {
    if (name !== 'tcp_open_connections') return []
    const opened = group.find((other) => other.name === 'tcp_open_total' && other.key === key)?.samples ?? []
    const totals = new Map(opened.map(({ time, value }) => [time, value]))
    return samples.flatMap(({ time, value }, index) => {
      const previous = samples[index - 1]
      if (time <= start || time > end || value === 0 || (previous?.value ?? 0) === 0) return []
      const [now, then] = [totals.get(time), totals.get(previous?.time ?? time)]
      // Fewer were opened in between than are open now: one of them was open before.
      return now === undefined || then === undefined || (now >= then && now - then < value) ? ['surely'] : ['perhaps']
    })
  })
  return pairs.includes('surely') ? 'surely' : pairs.length > 0 ? 'perhaps' : 'no'
}

/** Whether as many connections always had as many bytes, from one sample to the next: a stream beside probes has its own beat. */
function hasRegularBytes(group: readonly RawSeries[]): boolean {
  return group
    .filter(({ name }) => name === 'tcp_open_total')
    .every(({ key, samples }) => {
      const bytes = ['tcp_read_bytes_total', 'tcp_write_bytes_total'].map(
        (name) =>
          new Map(
            group.find((one) => one.name === name && one.key === key)?.samples.map(({ time, value }) => [time, value]),
          ),
      )
      const byOpened = new Map<number, string>()
      return samples.slice(1).every(({ time, value }, index) => {
        const previous = samples[index]
        const opened = value - (previous?.value ?? 0)
        const moved = JSON.stringify(bytes.map((of) => (of.get(time) ?? 0) - (of.get(previous?.time ?? time) ?? 0)))
        const known = byOpened.get(opened) ?? moved
        byOpened.set(opened, known)
        return known === moved
      })
    })
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

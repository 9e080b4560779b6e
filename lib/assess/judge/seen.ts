/** How much of the life of a path, port, workload or cluster was seen in a period (docs/decisions/0069-seen-is-an-axis-of-its-own.md). */
import type { ClusterPeriod, ObservedPeriod, ObservedWorkload } from '../../model/period.ts'
import type { Destination, Endpoint, Source, State } from '../../model/path.ts'
import type { Seen } from '../../model/judgement.ts'
import { isTold } from './seen-as.ts'
import { lengthOf } from '../../time/windows.ts'
import { workloadKey } from '../pods/facts.ts'
import { includesPort, parsePorts } from '../pods/ports.ts'

/** The judged time, RFC 3339. For a period that is not over, it ends with the last expected window. */
export type JudgedPeriod = { readonly from: string; readonly to: string }

/** Which end of a path must have been read: either, both, or the one that accepts connections. */
type SeenBy = 'either-end' | 'both-ends' | 'destination'

/** A window of the period. `index` is its place in {@link ObservedPeriod}; -1 if it has no result. */
type SeenWindow = {
  readonly start: string
  readonly seconds: number
  readonly index: number
  readonly collected: boolean
}

/** The windows of a cluster's period, prepared once for all rules. */
export type SeenWindows = {
  readonly windows: readonly SeenWindow[]
  readonly observed: ObservedPeriod
  /** Seconds of the period in which no window was expected, for example before the cluster was registered. */
  readonly outsideSeconds: number
}

const NOTHING: ObservedPeriod = { windows: [], workloads: new Map() }

/** Kinds of ends that are not workloads of this cluster, so that nothing is read from them. */
export const NO_WORKLOAD: ReadonlySet<string> = new Set(['external', 'service', 'serviceaccount', 'unmeshed', 'probe'])

/** Prepares the windows of a cluster in a period. */
export function seenWindows({ windows, facts }: ClusterPeriod, period: JudgedPeriod): SeenWindows {
  const observed = facts?.observed ?? NOTHING
  const indexes = new Map(observed.windows.map(({ start }, index) => [start, index]))
  const expected = windows.map(({ start, end, collected }) => ({
    start,
    seconds: lengthOf({ start, end }),
    index: indexes.get(start) ?? -1,
    collected,
  }))
  const length = (Date.parse(period.to) - Date.parse(period.from)) / 1000
  const outsideSeconds = Math.max(0, length - expected.reduce((sum, { seconds }) => sum + seconds, 0))
  return { observed, windows: expected, outsideSeconds }
}

/** A path's ends and port, and its state in each window of the period. */
export type SeenPath = {
  readonly source: Source
  readonly destination: Destination
  readonly port: number
  readonly strip: readonly (State | null)[]
}

/**
 * Returns how much of a path's life was seen. A path lives unless lists show an end without a pod. Each window counts with the share of pod time that was
 * read at the ends that can show this path. It counts nothing if its state is unknown or it was not collected.
 */
export function seenOfPath({ source, destination, port, strip }: SeenPath, by: SeenBy, period: SeenWindows): Seen {
  const from = by === 'destination' ? null : endOf(source, period)
  const to = destination.cluster === null ? endOf(destination, period) : null
  return sumOf(period, ({ index, collected }, place) => {
    const state = strip[place] ?? null
    const isKnown = state === 'exempt' || (state !== null && isTold(state))
    if (!isKnown && state !== 'unknown' && [from, to].some((end) => end !== null && isAbsent(end, index, period)))
      return null
    if (!collected || index < 0 || state === 'unknown') return 0
    if (period.observed.windows[index]?.isPartial === true && !isKnown) return 0
    const sent = from === null ? 0 : shareAt(from, index, (kind) => kind !== 'skip-inbound')
    const received = to === null ? 0 : shareAt(to, index, (kind, of) => kind !== 'skip-outbound' && isOf(of, port))
    return by === 'both-ends' ? Math.min(sent, received) : Math.max(sent, received)
  })
}

/**
 * Whether a window says nothing of a path only because Prometheus was down: neither end could be read for a time. That is time that nobody saw, as in a window
 * that was not collected, and no ambiguous reading.
 *
 * @param place of the window in the period
 */
export function isOutage(
  { source, destination }: Pick<SeenPath, 'source' | 'destination'>,
  place: number,
  period: SeenWindows,
): boolean {
  const index = period.windows[place]?.index ?? -1
  return [source, destination].every((end) => endOf(end, period)?.outages.has(index) === true)
}

/** Returns how much of the life of a workload's port its own proxies saw. */
export function seenOfPort(
  { workload, port }: { readonly workload: Endpoint; readonly port: number },
  period: SeenWindows,
): Seen {
  const source = { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null }
  return seenOfPath(
    { source, destination: { ...workload, serviceAccount: null, cluster: null }, port, strip: [] },
    'destination',
    period,
  )
}

/** Returns for how much of a workload's life agreeing lists, or cAdvisor, show whether its pods had proxies. */
export function seenOfWorkload(workload: Endpoint, period: SeenWindows): Seen {
  const end = endOf(workload, period)
  return sumOf(period, ({ index }) => {
    if (end !== null && isAbsent(end, index, period)) return null
    return end?.told[index] ?? 0
  })
}

/**
 * Returns for how much of the period a fact about a whole cluster was seen.
 *
 * @param seen the windows in which it was seen
 */
export function seenOfCluster(seen: readonly { readonly start: string }[], period: SeenWindows): Seen {
  const starts = new Set(seen.map(({ start }) => start))
  return sumOf(period, ({ start }) => (starts.has(start) ? 1 : 0))
}

/**
 * Lowers the seen share by the windows with traffic that do not answer a rule's question. They count as not collected, so that losing a window never helps.
 *
 * @param told windows with traffic that answer it
 * @param untold windows with traffic that do not
 */
export function withUnknownWindows(seen: Seen, told: number, untold: number): Seen {
  if (told + untold === 0) return seen
  const kept = seen.seenWindows === 0 ? 0 : Math.max(0, 1 - untold / seen.seenWindows)
  return {
    ...seen,
    share: seen.share === null ? null : seen.share * kept,
    told: Math.min(seen.told ?? 1, told / (told + untold)),
  }
}

const UNREAD: ObservedWorkload = {
  hadPods: new Uint8Array(),
  told: new Uint8Array(),
  shares: new Float64Array(),
  around: new Map(),
  outages: new Set(),
}

/** Returns the observed workload of an end; null if it is not a workload of this cluster, so that it neither shows anything nor bounds a life. */
function endOf(end: Endpoint, { observed }: SeenWindows): ObservedWorkload | null {
  return NO_WORKLOAD.has(end.kind) ? null : (observed.workloads.get(workloadKey(end)) ?? UNREAD)
}

/** Whether complete lists show that a workload had no pod. */
function isAbsent({ hadPods }: ObservedWorkload, index: number, { observed }: SeenWindows): boolean {
  return observed.windows[index]?.isListed === true && hadPods[index] !== 1
}

/**
 * Returns the share of an end's time that was read in a window; 0 if connections of the path may bypass its proxies. A client skips a Service's port, which
 * may differ from the pod's, so a client's skipped ports count whatever the port.
 */
function shareAt(
  { shares, around }: ObservedWorkload,
  index: number,
  isAround: (kind: string, port: string | null) => boolean,
): number {
  const spots = around.get(index)
  return spots?.some(({ kind, port }) => isAround(kind, port)) === true ? 0 : (shares[index] ?? 0)
}

function isOf(ports: string | null, port: number): boolean {
  return ports === null || includesPort(parsePorts(ports), port)
}

/** @param seenIn seen share of a window, 0 to 1; null if the subject did not live in it */
function sumOf(
  { windows, outsideSeconds }: SeenWindows,
  seenIn: (window: SeenWindow, place: number) => number | null,
): Seen {
  let [life, seen, lived, seenCount, partCount, uncollected] = [0, 0, 0, 0, 0, 0]
  windows.forEach((window, place) => {
    const share = seenIn(window, place)
    if (share === null) return
    lived += 1
    life += window.seconds
    seen += share * window.seconds
    if (share > 0) seenCount += 1
    if (share > 0 && share < 1) partCount += 1
    if (!window.collected) uncollected += 1
  })
  // A subject that lived in no window is not known to have lived outside of them.
  const whole = life === 0 ? 0 : life + outsideSeconds
  return {
    share: whole === 0 ? null : seen / whole,
    told: null,
    windows: lived,
    seenWindows: seenCount,
    partWindows: partCount,
    uncollected,
    unseenSeconds: whole - seen,
    outsideSeconds: life === 0 ? 0 : outsideSeconds,
  }
}

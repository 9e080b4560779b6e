import type { Corroborated, PathEnds, Source } from '../model/path.ts'
import type { Activity, Interval, Episode, TimelineMonth } from '../model/history.ts'
import { workloadKey } from '../assess/pods/facts.ts'
import type { WindowResult, Coverage } from '../model/window.ts'
import { compareText } from '../text/order.ts'
import type { DraftPath, Fold } from './timeline-draft.ts'

/**
 * Kinds of which a complete Kubernetes list shows every one that exists, so that absence means gone. Any other kind is never
 * called gone: an owner of a kind nobody listed would vanish with each list.
 */
const LISTED_KINDS: ReadonlySet<string> = new Set([
  'deployment',
  'statefulset',
  'daemonset',
  'replicaset',
  'job',
  'cronjob',
  'pod',
])

/** Worst first. */
const CORROBORATION: readonly Corroborated[] = ['no', 'ambiguous', 'yes']

/** What a path is in one window. */
export type WindowReading = Omit<
  Interval,
  | 'cluster'
  | 'pathId'
  | 'port'
  | 'from'
  | 'to'
  | 'episode'
  | 'windows'
  | 'quiet'
  | 'total'
  | 'activity'
  | 'source'
  | 'destination'
>

/** What a path did where nothing was seen of it. */
export const NOTHING_SEEN: Activity = { opens: 0, openAtScrape: 0, bytes: 0, clearBytes: 0 }

/** What a path without a measurement of its own is said to be. */
const SILENT = {
  outcome: 'allowed',
  cause: null,
  enforcement: 'unknown',
  corroborated: 'no',
  candidates: [],
  clientId: null,
  serverId: null,
} as const

/** What a path is in windows that were collected and in which nothing was seen of it. */
export const QUIET: WindowReading = { ...SILENT, state: 'not-observed', reason: 'quiet' }

/** What a path is in windows for which there is no evidence. */
export const MISSING: WindowReading = { ...SILENT, state: 'not-collected', reason: 'window-missing' }

/** What a path is in windows whose evidence cannot be read. */
export const UNREADABLE: WindowReading = { ...SILENT, state: 'not-collected', reason: 'source-unreadable' }

/** What a path is in windows in which the labels of an end may hide what was seen of it. */
export const OVERRIDDEN: WindowReading = {
  ...SILENT,
  state: 'unknown',
  reason: 'labels-overridden',
  cause: 'labels-overridden',
}

/** The keys of the ends of a path that this cluster's lists can show. */
export function endsOf({ source: from, destination }: PathEnds): string[] {
  // What lies behind a gateway is in another cluster's list.
  return (destination.cluster === null ? [from, destination] : [from]).map(workloadKey)
}

/**
 * The workloads that joined or left the mesh or changed their ServiceAccount, in this window or in one before it that no list told of. Remembers how
 * the ends of known paths stand. A workload of which the lists around the window disagree changed in it; one that they do not show tells nothing.
 */
export function changedEnds({ ends, paths }: Fold, { inputs, workloads }: WindowResult): ReadonlySet<string> {
  const known = new Set([...paths.values()].flatMap(endsOf))
  const hasLists = inputs.before !== null && inputs.after !== null
  const changed = new Set<string>()
  for (const workload of workloads) {
    const key = workloadKey(workload)
    const { meshed, serviceAccount, pods } = workload
    if (!known.has(key) || pods === 0) continue
    if (meshed === 'unknown') {
      if (hasLists) changed.add(key)
      continue
    }
    const [wasMeshed, wasServiceAccount] = ends.get(key) ?? [meshed, serviceAccount]
    const isOther = wasServiceAccount !== null && serviceAccount !== null && wasServiceAccount !== serviceAccount
    if (wasMeshed !== meshed || isOther) changed.add(key)
    ends.set(key, [meshed, serviceAccount ?? wasServiceAccount])
  }
  return changed
}

/** Workloads with proxies of which none was read in the window, and the reason of their first gap. */
export function unreadWorkloads(coverage: readonly Coverage[]): Map<string, string | undefined> {
  const unread = coverage.filter(({ expectedSeconds, observedSeconds }) => expectedSeconds > 0 && observedSeconds === 0)
  return new Map(unread.map(({ workload, gaps }) => [workloadKey(workload), gaps[0]?.reason]))
}

/** The end whose proxy tells of a path: its source, where that has a name. */
export function witnessOf({ source: from, destination }: PathEnds): string {
  return workloadKey(
    from.kind === 'unmeshed' || from.kind === 'probe' || from.kind === 'serviceaccount' ? destination : from,
  )
}

/** Whether a reading goes on with the last interval of its path. `episode` is the id of its episode, null without one. */
export function isSame(
  last: WindowReading & { readonly episode: Episode | null },
  reading: WindowReading,
  episode: string | null,
): boolean {
  return (
    last.state === reading.state &&
    last.outcome === reading.outcome &&
    last.reason === reading.reason &&
    last.cause === reading.cause &&
    last.enforcement === reading.enforcement &&
    (last.episode?.id ?? null) === episode
  )
}

/** Whether a complete list shows that an end of a path exists no more; false where there is none (`existing` is null). */
export function isGone({ source: from, destination }: DraftPath, existing: ReadonlySet<string> | null): boolean {
  if (existing === null) return false
  // What lies behind a gateway is in another cluster's list.
  const ends = destination.cluster === null ? [from, destination] : [from]
  return ends.some((end) => LISTED_KINDS.has(end.kind) && !existing.has(workloadKey(end)))
}

/** The cluster's coverage, its seconds to the millisecond: sum over sum; null if nothing was expected. */
export function secondsOf(
  coverage: readonly Coverage[],
): Pick<TimelineMonth['windows'][number], 'expectedSeconds' | 'observedSeconds' | 'ratio'> {
  const seconds = (of: 'expectedSeconds' | 'observedSeconds'): number =>
    Math.round(coverage.reduce((sum, row) => sum + row[of], 0) * 1000) / 1000
  const [expected, observed] = [seconds('expectedSeconds'), seconds('observedSeconds')]
  return { expectedSeconds: expected, observedSeconds: observed, ratio: expected > 0 ? observed / expected : null }
}

/** What two stretches come to together. A hostile proxy may show any number: what is kept is whole and can be told exactly. */
export function addActivity(a: Activity, b: Activity): Activity {
  return {
    opens: whole(a.opens + b.opens),
    openAtScrape: whole(Math.max(a.openAtScrape, b.openAtScrape)),
    bytes: whole(a.bytes + b.bytes),
    clearBytes: whole(a.clearBytes + b.clearBytes),
  }
}

/** What a path did in a window, as it is kept. */
export function activityOf(seen: Activity): Activity {
  return addActivity(NOTHING_SEEN, seen)
}

function whole(count: number): number {
  return Math.min(Math.round(count), Number.MAX_SAFE_INTEGER)
}

/** The one that says less. */
export function worstCorroboration(a: Corroborated, b: Corroborated): Corroborated {
  return CORROBORATION.indexOf(a) < CORROBORATION.indexOf(b) ? a : b
}

/** Sorted and each once, so that the order of input changes nothing. */
export function uniteCandidates(a: readonly Source[], b: readonly Source[]): readonly Source[] {
  if (a.length + b.length === 0) return a
  const byKey = new Map(
    [...a, ...b].map((candidate) => [JSON.stringify([workloadKey(candidate), candidate.serviceAccount]), candidate]),
  )
  return [...byKey].toSorted(([left], [right]) => compareText(left, right)).map(([, candidate]) => candidate)
}

import type { Corroborated, PathEnds, Source } from '../../model/path.ts'
import type { Activity, Interval, Episode, TimelineMonth } from '../../model/history.ts'
import { workloadKey } from '../../assess/pods/facts.ts'
import type { WindowResult, Coverage } from '../../model/window.ts'
import { compareText } from '../../text/order.ts'
import type { DraftPath, Fold } from '../timeline-draft.ts'

/** Kinds that a complete Kubernetes list shows completely, so that absence means gone. Other kinds are never gone, because they are not listed. */
const LISTED_KINDS: ReadonlySet<string> = new Set([
  'deployment',
  'statefulset',
  'daemonset',
  'replicaset',
  'job',
  'cronjob',
  'pod',
])

/** Weakest first. */
const CORROBORATION: readonly Corroborated[] = ['no', 'ambiguous', 'yes']

/** A path's reading in one window. */
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

/** Activity of a path that was not seen. */
export const NOTHING_SEEN: Activity = { opens: 0, openAtScrape: 0, bytes: 0, clearBytes: 0 }

/** Fields of a path without a measurement. */
const SILENT = {
  outcome: 'allowed',
  cause: null,
  enforcement: 'unknown',
  corroborated: 'no',
  candidates: [],
  clientId: null,
  serverId: null,
} as const

/** Reading of a path that was not seen in a collected window. */
export const QUIET: WindowReading = { ...SILENT, state: 'not-observed', reason: 'quiet' }

/** Reading of a path in a window without evidence. */
export const MISSING: WindowReading = { ...SILENT, state: 'not-collected', reason: 'window-missing' }

/** Reading of a path in a window with unreadable evidence. */
export const UNREADABLE: WindowReading = { ...SILENT, state: 'not-collected', reason: 'source-unreadable' }

/** Reading of a path in a window in which the labels of an end may hide its traffic. */
export const OVERRIDDEN: WindowReading = {
  ...SILENT,
  state: 'unknown',
  reason: 'labels-overridden',
  cause: 'labels-overridden',
}

/** Returns the keys of the ends of a path that this cluster's lists can show. */
export function endsOf({ source: from, destination }: PathEnds): string[] {
  // An end behind a gateway is in another cluster's list.
  return (destination.cluster === null ? [from, destination] : [from]).map(workloadKey)
}

/**
 * Returns the workloads that joined or left the mesh or changed their ServiceAccount, in this window or in earlier ones without a list. Remembers the ends of
 * known paths. A workload on which the lists around the window disagree changed in it; one that they do not show is ignored.
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

/** Returns workloads whose proxies were all unread in the window, with the reason of their first gap. */
export function unreadWorkloads(coverage: readonly Coverage[]): Map<string, string | undefined> {
  const unread = coverage.filter(({ expectedSeconds, observedSeconds }) => expectedSeconds > 0 && observedSeconds === 0)
  return new Map(unread.map(({ workload, gaps }) => [workloadKey(workload), gaps[0]?.reason]))
}

/** Returns the end whose proxy shows a path: its source, if it has a name. */
export function witnessOf({ source: from, destination }: PathEnds): string {
  return workloadKey(
    from.kind === 'unmeshed' || from.kind === 'probe' || from.kind === 'serviceaccount' ? destination : from,
  )
}

/** Whether a reading continues the last interval of its path. `episode` is the id of its episode, null without one. */
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

/** Whether a complete list shows that an end of a path no longer exists; false without a list (`existing` is null). */
export function isGone({ source: from, destination }: DraftPath, existing: ReadonlySet<string> | null): boolean {
  if (existing === null) return false
  // An end behind a gateway is in another cluster's list.
  const ends = destination.cluster === null ? [from, destination] : [from]
  return ends.some((end) => LISTED_KINDS.has(end.kind) && !existing.has(workloadKey(end)))
}

/** Sums the cluster's coverage, in seconds rounded to milliseconds. The ratio is null if nothing was expected. */
export function secondsOf(
  coverage: readonly Coverage[],
): Pick<TimelineMonth['windows'][number], 'expectedSeconds' | 'observedSeconds' | 'ratio'> {
  const seconds = (of: 'expectedSeconds' | 'observedSeconds'): number =>
    Math.round(coverage.reduce((sum, row) => sum + row[of], 0) * 1000) / 1000
  const [expected, observed] = [seconds('expectedSeconds'), seconds('observedSeconds')]
  return { expectedSeconds: expected, observedSeconds: observed, ratio: expected > 0 ? observed / expected : null }
}

/** Adds the activity of two stretches. A hostile proxy may report any number, so stored numbers are exact integers. */
export function addActivity(a: Activity, b: Activity): Activity {
  return {
    opens: whole(a.opens + b.opens),
    openAtScrape: whole(Math.max(a.openAtScrape, b.openAtScrape)),
    bytes: whole(a.bytes + b.bytes),
    clearBytes: whole(a.clearBytes + b.clearBytes),
  }
}

/** Returns a path's activity in a window in its stored form. */
export function activityOf(seen: Activity): Activity {
  return addActivity(NOTHING_SEEN, seen)
}

function whole(count: number): number {
  return Math.min(Math.round(count), Number.MAX_SAFE_INTEGER)
}

/** Returns the weaker corroboration. */
export function worstCorroboration(a: Corroborated, b: Corroborated): Corroborated {
  return CORROBORATION.indexOf(a) < CORROBORATION.indexOf(b) ? a : b
}

/** Unites candidates, sorted and distinct, so that the order of input does not matter. */
export function uniteCandidates(a: readonly Source[], b: readonly Source[]): readonly Source[] {
  if (a.length + b.length === 0) return a
  const byKey = new Map(
    [...a, ...b].map((candidate) => [JSON.stringify([workloadKey(candidate), candidate.serviceAccount]), candidate]),
  )
  return [...byKey].toSorted(([left], [right]) => compareText(left, right)).map(([, candidate]) => candidate)
}

import { toSeconds } from '../../time/windows.ts'
import { UNENCRYPTED_STATES } from '../../model/path.ts'
import type { Cluster } from '../../model/registry.ts'
import type { PathRow, TimelineMonth } from '../../model/history.ts'
import { readPresentOrProblem } from '../../history/history-problem.ts'
import type { KeptHistories } from '../../history/kept-histories.ts'
import { type HistoryQuery, rows, within } from '../../history/rows/path-history.ts'
import { toldWindows } from '../../history/rows/told-windows.ts'
import { durationWords } from '../../time/dates.ts'
import type { Objects } from '../../store/objects/objects.ts'

/** How many clusters are read at once: each holds some window results and its months. */
export const CLUSTERS_AT_ONCE = 2

/** The same where histories are kept: each holds the bytes of its months until they are decoded, of which few rows are wanted. */
const KEPT_AT_ONCE = 6

/** What is known of a cluster in a period. */
export type ClusterAnswer = {
  readonly id: string
  /** The end of the latest window of the period that was collected; null where none was. */
  readonly collectedUntil: string | null
  /** The begin of the first window of the period that was expected or collected; null where there is none. Of what lies before it nothing is known. */
  readonly expectedFrom: string | null
  /** How many windows the period has, and of how many of them nothing, or not everything that was asked for, is known. */
  readonly windows: number
  readonly notCollected: number
  /** Seconds of the period, from its first window on, that no window covers. */
  readonly uncoveredSeconds: number
  /** Of the time that proxies lived, the share in which they were seen, 0 to 1; null where nothing was expected. */
  readonly coverage: number | null
  /** It is a replay of what this sentence says; null where it is a cluster that is collected from. */
  readonly replay: string | null
  /** Why nothing can be read of it; null where it can. */
  readonly problem: string | null
}

/** What of a period is not known of a cluster, in words; null where every window of all of it was collected. */
export function notKnown(
  {
    problem,
    windows,
    notCollected,
    uncoveredSeconds,
    expectedFrom,
    collectedUntil,
    replay,
  }: Pick<
    ClusterAnswer,
    'problem' | 'windows' | 'notCollected' | 'uncoveredSeconds' | 'expectedFrom' | 'collectedUntil' | 'replay'
  >,
  period: { readonly from: string; readonly to: string },
): string | null {
  if (problem !== null) return problem
  if (expectedFrom === null) return 'no window of the period was expected'
  if (notCollected > 0) return `${notCollected} of ${windows} windows of the period were not collected`
  if (toSeconds(expectedFrom) > toSeconds(period.from))
    return `no window before ${expectedFrom} was expected or collected`
  if (uncoveredSeconds > 0) return `no window covers ${durationWords(uncoveredSeconds)} of the period`
  // Of a replay no window is missed, so that none is counted after its last one.
  if (replay !== null && collectedUntil !== null && toSeconds(collectedUntil) < toSeconds(period.to))
    return `it is a replay, of which nothing after ${collectedUntil} was recorded`
  return null
}

/** Whether histories are kept of a state. */
function isKept(state: HistoryQuery['state']): boolean {
  if (state === undefined || state === 'refused') return false
  return state === 'not-encrypted' || UNENCRYPTED_STATES.has(state)
}

/** Returns how many clusters {@link readCluster} reads at once for a question: while objects of some are on their way, those of another are decoded. */
export function clustersAtOnce({ state }: HistoryQuery, histories: KeptHistories | undefined): number {
  return histories !== undefined && isKept(state) ? KEPT_AT_ONCE : CLUSTERS_AT_ONCE
}

/** Reads what the paths of a cluster were in a period, and how much of it is known. Rows have no fix: few of them are shown. */
export async function readCluster(
  cluster: Cluster,
  { from, to, ...filters }: HistoryQuery & { readonly from: string; readonly to: string },
  {
    objects,
    now,
    histories,
    platformNamespaces = [],
  }: {
    readonly objects: Objects
    readonly now: Date
    /** Absent: nothing is kept. */
    readonly histories?: KeptHistories | undefined
    readonly platformNamespaces?: readonly string[]
  },
): Promise<{ readonly cluster: ClusterAnswer; readonly rows: readonly PathRow[] }> {
  const asked = { cluster, now, period: { from, to } }
  const own = isKept(filters.state) ? histories : undefined
  const known =
    (await own?.known(asked, objects)) ??
    (await (own?.read(asked, objects) ?? readPresentOrProblem(cluster, now, objects, { from, to })))
  if (typeof known === 'string') return { cluster: unreadCluster(cluster, known), rows: [] }
  const { months, episodes } = known
  return {
    cluster: clusterAnswer(cluster, months, { from, to }, now).cluster,
    rows: rows(months, episodes, { from, to, ...filters }, { fixOf: () => null, platformNamespaces }),
  }
}

/** What is told of a cluster whatever was collected of it. */
type NamedCluster = { readonly id: string; readonly replay?: string | null }

/** What is told of a cluster of which nothing can be read, and why. */
export function unreadCluster({ id, replay = null }: NamedCluster, problem: string): ClusterAnswer {
  return {
    id,
    collectedUntil: null,
    expectedFrom: null,
    windows: 0,
    notCollected: 0,
    uncoveredSeconds: 0,
    coverage: null,
    replay,
    problem,
  }
}

/** What is known of a cluster in a period, and the end of its last window in it; null where there is none. */
export function clusterAnswer(
  { id, replay = null }: NamedCluster,
  months: readonly TimelineMonth[],
  period: { readonly from: string; readonly to: string },
  now: Date,
): { readonly cluster: ClusterAnswer; readonly knownUntil: string | null } {
  const all = months.flatMap((month) => month.windows)
  const windows = all.filter(within(period))
  const expected = windows.reduce((sum, { expectedSeconds }) => sum + expectedSeconds, 0)
  const observed = windows.reduce((sum, { observedSeconds }) => sum + observedSeconds, 0)
  return {
    cluster: {
      id,
      collectedUntil: windows.findLast(({ collected }) => collected)?.end ?? null,
      expectedFrom: windows[0]?.start ?? null,
      ...toldWindows(windows, all, period.to, { now, isEnded: replay !== null }),
      coverage: expected === 0 ? null : observed / expected,
      replay,
      problem: null,
    },
    knownUntil: windows.at(-1)?.end ?? null,
  }
}

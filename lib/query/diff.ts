/** Two periods compared, from the store: the same for the API, its pages and the command line. */
import { concurrently } from '../concurrently.ts'
import { type CompareAs, type ComparedSpans, readCompared } from '../history/compared.ts'
import { readOrProblem } from '../history/history-problem.ts'
import type { ClusterPast, ComparedCluster, PathEpisode } from '../model/period.ts'
import type { TimelineMonth } from '../model/history.ts'
import type { Cluster } from '../model/registry.ts'
import {
  type Changes,
  type Comparison,
  type PathChange,
  basisOf,
  compare,
  isBasisKnown,
  joinChanges,
} from '../report/summary/change-summary.ts'
import { type TimeToFix, openEpisodes, summarizeEpisodes } from '../report/summary/episode-summary.ts'
import { median } from '../report/summary/sums.ts'
import type { Objects } from '../store/objects/objects.ts'
import { declaredSettings } from '../store/registry/declarations.ts'
import { endJson } from '../text/format-json.ts'
import { toldWindows } from '../history/rows/told-windows.ts'
import { durationWords } from '../time/dates.ts'
import { lengthOf, toSeconds } from '../time/windows.ts'
import { CLUSTERS_AT_ONCE, notKnown } from './routes/cluster-history.ts'

/** A period `(from, to]`, RFC 3339. */
type Span = { readonly from: string; readonly to: string }

/** How much of a period is known of a cluster. */
type Known = {
  readonly windows: number
  readonly notCollected: number
  /** As `ClusterAnswer` has it. */
  readonly uncoveredSeconds: number
  readonly expectedFrom: string | null
  /** The end of its latest window that was collected; null where none was. */
  readonly collectedUntil: string | null
}

/** How far a cluster can be compared. */
export type DiffCluster = {
  readonly id: string
  /** Whether its earlier period can be compared with: nothing is told of the changes of one whose basis is `none` or `not-collected`. */
  readonly basis: Comparison['basis']
  /** As of the later period: where it is `none` or `not-collected`, what ended before it may be open again unseen. */
  readonly periodBasis: Comparison['basis']
  readonly before: Known
  /** Of the time between the two; without a window where they touch or overlap. */
  readonly between: Known
  readonly period: Known
  /** As `ClusterAnswer` has it. */
  readonly replay: string | null
  /** Why nothing can be read of it; null where it can. */
  readonly problem: string | null
}

/** Two spans that are compared, and how much of them was collected. */
export type ComparedTimes = ComparedSpans & {
  /** Whether every window was collected of every cluster: of periods, also those of the time between. Where it is not `all`, silence says nothing. */
  readonly collected: 'all' | 'partly' | 'none'
}

/** How a later period differs from an earlier one. */
export type Diff = ComparedTimes & {
  readonly clusters: readonly DiffCluster[]
  readonly changes: Changes
  /** Of episodes that were fixed or refused after the end of the earlier period. */
  readonly timeToFix: TimeToFix
  readonly open: OpenPaths
}

/** How many paths are open at the end of the later period, and for how long: of every cluster that can be read, compared or not. */
export type OpenPaths = {
  readonly paths: number
  /** Seconds; null for none. */
  readonly medianSeconds: number | null
  readonly longestSeconds: number | null
  /** The beginning of one was not seen: the two ages are lower bounds. */
  readonly isAtLeast: boolean
}

/** For how long a path is open, in seconds; null where no window tells up to when. */
type OpenAge = { readonly seconds: number | null; readonly isAtLeast: boolean }

/**
 * Reads and compares two periods of clusters: what happened after the end of the earlier one, up to the end of the later one. Holds the history of a few clusters
 * at a time.
 */
export async function readDiff(
  clusters: readonly Cluster[],
  { before, period }: ComparedSpans,
  { objects, now }: { readonly objects: Objects; readonly now: Date },
): Promise<Diff> {
  const compareAs = { ...(await declaredSettings(objects)), now }
  const read = await concurrently(clusters, CLUSTERS_AT_ONCE, async (cluster) =>
    toldOf(cluster, await comparedOrProblem(cluster, { before, period }, compareAs, objects), { before, period }, now),
  )
  const told = read.map(({ cluster }) => cluster)
  return {
    before,
    period,
    collected: comparedCollected(told, { before, period }),
    clusters: told,
    changes: joinChanges(
      read.map(({ changes }) => changes),
      before,
    ),
    timeToFix: summarizeEpisodes(
      read.flatMap(({ ended }) => ended),
      { from: before.to, to: period.to },
    ).timeToFix,
    open: openPaths(read.flatMap(({ open }) => open)),
  }
}

/** What an answer needs of a cluster, once its rows are compared. */
function toldOf(
  { id, replay }: Cluster,
  compared: ComparedCluster | { readonly id: string; readonly problem: string },
  { before, period }: ComparedSpans,
  now: Date,
): {
  readonly cluster: DiffCluster
  readonly changes: Changes
  /** Episodes that ended after the end of the earlier period; none of a cluster that is not compared. */
  readonly ended: readonly ClusterPast[]
  readonly open: readonly OpenAge[]
} {
  const one = 'problem' in compared ? undefined : compared
  const { before: earlier, between, windows } = one ?? NOTHING
  const by = { now, isEnded: replay !== undefined }
  const changes = compare(one === undefined ? [] : [one], before, period)
  const basis = changes.comparisons[0]?.basis ?? 'none'
  const isEnded = ({ episode: { endedAt } }: PathEpisode) =>
    endedAt !== null && toSeconds(endedAt) > toSeconds(before.to)
  return {
    cluster: {
      id,
      basis,
      periodBasis: basisOf(windows).basis,
      before: collectedExtent(earlier.windows, before.to, by),
      between: collectedExtent(between, period.from, by),
      period: collectedExtent(windows, period.to, by),
      replay: replay ?? null,
      problem: 'problem' in compared ? compared.problem : null,
    },
    changes,
    ended:
      one === undefined || !isBasisKnown({ basis })
        ? []
        : [{ id, periods: [], episodes: one.episodes.filter(isEnded) }],
    open: one === undefined ? [] : openOf(one, period),
  }
}

/** A change as JSON: one line of `ciphertrail diff --json`, and an item of the API. */
export function changeJson({ cluster, kind, ...change }: PathChange): Readonly<Record<string, unknown>> {
  return { cluster, change: kind, ...change, source: endJson(change.source), destination: endJson(change.destination) }
}

/** Of a cluster that can be read: also where no earlier period tells what changed, what is open is open. */
function openOf({ id, windows, episodes }: ComparedCluster, period: Span): readonly OpenAge[] {
  const known = windows.at(-1)?.end
  const { all } = summarizeEpisodes([{ id, periods: [], episodes }], period)
  return [...openEpisodes(all).values()].map(({ openedAt, sinceUnknown, mayBeEarlier }) => ({
    seconds: known === undefined ? null : Math.max(0, lengthOf({ start: openedAt, end: known })),
    isAtLeast: sinceUnknown || mayBeEarlier,
  }))
}

function openPaths(open: readonly OpenAge[]): OpenPaths {
  const ages = open.flatMap(({ seconds }) => seconds ?? [])
  return {
    paths: open.length,
    medianSeconds: median(ages),
    longestSeconds: ages.length === 0 ? null : Math.max(...ages),
    isAtLeast: open.some(({ seconds, isAtLeast }) => seconds !== null && isAtLeast),
  }
}

const NOTHING = { before: { windows: [] }, between: [], windows: [] } as const

async function comparedOrProblem(
  cluster: Cluster,
  spans: ComparedSpans,
  compareAs: CompareAs,
  objects: Objects,
): Promise<ComparedCluster | { readonly id: string; readonly problem: string }> {
  const found = await readOrProblem(cluster, objects, () => readCompared(cluster, spans, compareAs, objects))
  return typeof found === 'string' ? { id: cluster.id, problem: found } : found
}

/** How much of a period is known, by its windows. `to`: its end, RFC 3339. */
export function collectedExtent(
  windows: TimelineMonth['windows'],
  to: string,
  by: { readonly now: Date; readonly isEnded: boolean },
): Known {
  return {
    ...toldWindows(windows, windows, to, by),
    expectedFrom: windows[0]?.start ?? null,
    collectedUntil: windows.findLast(({ collected }) => collected)?.end ?? null,
  }
}

/** How much of two periods, and of the time between where it is told of, was collected. */
export function comparedCollected(
  clusters: readonly (Omit<DiffCluster, 'between'> & Partial<Pick<DiffCluster, 'between'>>)[],
  { before, period }: ComparedSpans,
): Diff['collected'] {
  const parts = clusters.flatMap(({ problem, replay, ...own }) => [
    { ...own.before, problem, replay, span: before },
    { ...own.period, problem, replay, span: period },
  ])
  if (parts.every(({ windows, notCollected }) => windows === notCollected)) return 'none'
  const isWhole =
    parts.every(({ span, ...own }) => notKnown(own, span) === null) &&
    clusters.every(({ between }) => between === undefined || between.notCollected + between.uncoveredSeconds === 0)
  return isWhole ? 'all' : 'partly'
}

/** Something that is not known of a cluster; fatal where nothing can be told of what changed there. */
type Lack = { readonly words: string; readonly isFatal: boolean }

/**
 * What is not known of a cluster that is compared, a sentence each.
 *
 * @param named the cluster, as it is called where this is read
 * @param moment words for a time
 */
export function lacksOf(
  { basis, before, between, period, replay, problem }: DiffCluster,
  spans: ComparedSpans,
  { named, moment }: { readonly named: string; readonly moment: (time: string) => string },
): readonly Lack[] {
  const fatal = (words: string): readonly Lack[] => [{ words, isFatal: true }]
  const said = (words: string): Lack => ({ words: `Not collected: ${words}`, isFatal: false })
  if (problem !== null) return fatal(problem)
  if (basis === 'none' || basis === 'not-collected')
    return fatal(`Not collected: no window of ${named} in the first period, so what changed there is unknown`)
  if (period.windows === period.notCollected)
    return fatal(
      `Not collected: no window of ${named} in the second period; what was open counts as still open, and what ended before is not seen since`,
    )
  const places = [
    [before, 'in the first period'] as const,
    [between, 'between the two periods'] as const,
    [period, 'in the second period'] as const,
  ]
  const { expectedFrom } = before
  const until = period.collectedUntil
  return [
    ...(expectedFrom !== null && toSeconds(expectedFrom) > toSeconds(spans.before.from)
      ? [said(`${named} was not looked at before ${moment(expectedFrom)}, after the first period began`)]
      : []),
    ...places.flatMap(([{ windows, notCollected, uncoveredSeconds }, where]) => [
      ...(notCollected === 0
        ? []
        : [said(`${notCollected} of ${windows} windows of ${named} ${where}; what was in them is not known`)]),
      ...(uncoveredSeconds === 0
        ? []
        : [said(`no window of ${named} covers ${durationWords(uncoveredSeconds)} ${where}`)]),
    ]),
    // Of a replay no window is missed, so that none is counted after its last one.
    ...(replay !== null && until !== null && toSeconds(until) < toSeconds(spans.period.to)
      ? [said(`${named} is a replay, of which nothing after ${moment(until)} was recorded`)]
      : []),
  ]
}

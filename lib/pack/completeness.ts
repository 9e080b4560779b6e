/** Whether each expected window of a report's period is an attempt or a recorded gap. */
import { CsvError, parse } from 'csv-parse/sync'
import type { Window } from '../model/time.ts'
import type { WatchedCluster } from '../store/registry/registry.ts'
import { compareText } from '../text/order.ts'
import { toSeconds, windowsBetween } from '../time/windows.ts'
import { isIn, type NumberedLeaf, type PackScope } from './packed-leaves.ts'

/** The document of a report that names each window that it judged. */
export const WINDOWS_DOCUMENT = 'windows.csv'

/** A window of a cluster. */
export type ClusterWindow = { readonly cluster: string; readonly window: Window }

/** What the leaves, and the report, say of the windows of a period. */
export type PeriodWindows = {
  readonly attempts: number
  /** Windows that were recorded as gaps and got no attempt later. */
  readonly gaps: number
  /** Expected, and neither: by cluster, oldest first. */
  readonly untold: readonly ClusterWindow[]
  /** Expected, and not in the report, which was made before they were over: by cluster, oldest first. */
  readonly unjudged: readonly ClusterWindow[]
  /** Expected of clusters that the report is not about, or of an earlier registration of one, and not in the report: how many of each cluster, by its id. */
  readonly left: readonly { readonly cluster: string; readonly windows: number }[]
  /** Ids of clusters of the report that were never registered. */
  readonly unknown: readonly string[]
}

/**
 * Counts the windows of a period. Of a replay none is expected, and while a cluster was not registered neither.
 *
 * @param watched each cluster as often as it was registered, by age where it was removed
 * @param judged windows.csv of the report; undefined: it has none, and judged nothing
 */
export function windowsOf(
  { clusters: ids, period }: PackScope['record'],
  leaves: readonly NumberedLeaf[],
  watched: readonly WatchedCluster[],
  judged: Uint8Array | undefined,
): PeriodWindows {
  const [attempted, gone] = [new Set<string>(), new Set<string>()]
  let attempts = 0
  for (const { leaf } of leaves) {
    if ((leaf.kind !== 'gap' && leaf.kind !== 'snapshot') || leaf.window === undefined) continue
    if (!ids.includes(leaf.cluster ?? '') || !isIn(leaf.window.end, period)) continue
    const place = placeOf(leaf.cluster ?? '', leaf.window)
    ;(leaf.kind === 'gap' ? gone : attempted).add(place)
    if (leaf.kind === 'snapshot') attempts++
  }
  const told = new Set([...attempted, ...gone])
  const rows = new Set(judgedWindows(judged).map(({ cluster, start, end }) => placeOf(cluster, { start, end })))
  const latest = new Map(watched.toSorted(byRegistration).map((cluster) => [cluster.id, cluster]))
  const expected = watched.flatMap((cluster) =>
    expectedOfCluster(cluster, period).map((window) => ({
      cluster: cluster.id,
      window,
      isOfReport: ids.includes(cluster.id),
      // The history of a cluster keeps what was collected under an earlier registration, and not that it was expected.
      isClaimed: latest.get(cluster.id) === cluster || attempted.has(placeOf(cluster.id, window)),
    })),
  )
  const without = (places: ReadonlySet<string>) =>
    expected.filter(({ cluster, window }) => !places.has(placeOf(cluster, window)))
  const untold = without(told).filter(({ isOfReport }) => isOfReport)
  const [unjudged, left] = [true, false].map((isWanted) =>
    without(rows).filter(({ isOfReport, isClaimed }) => (isOfReport && isClaimed) === isWanted),
  )
  const gaps = [...gone].filter((place) => !attempted.has(place)).length
  const unknown = ids.filter((id) => !latest.has(id))
  const plain = ({ cluster, window }: ClusterWindow): ClusterWindow => ({ cluster, window })
  return {
    attempts,
    gaps,
    untold: untold.map(plain),
    unjudged: (unjudged ?? []).map(plain),
    left: [...Map.groupBy(left ?? [], ({ cluster }) => cluster)]
      .map(([cluster, windows]) => ({ cluster, windows: windows.length }))
      .toSorted((a, b) => compareText(a.cluster, b.cluster)),
    unknown,
  }
}

/** The one that is registered comes last. */
function byRegistration(a: WatchedCluster, b: WatchedCluster): number {
  return Number(a.removedAt === undefined) - Number(b.removedAt === undefined)
}

function placeOf(cluster: string, { start, end }: Window): string {
  return `${cluster} ${start} ${end}`
}

/** A row of windows.csv. `evidence`: keys of attempts; empty where there are none. */
type JudgedWindow = {
  readonly cluster: string
  readonly start: string
  readonly end: string
  readonly evidence: string
}

/** The windows that a report judged, by its windows.csv; none where that is missing or cannot be read. */
export function judgedWindows(body: Uint8Array | undefined): JudgedWindow[] {
  if (body === undefined) return []
  try {
    const rows: readonly Readonly<Record<string, string>>[] = parse(Buffer.from(body), { columns: true, bom: true })
    return rows.map(({ cluster = '', start = '', end = '', evidence = '' }) => ({ cluster, start, end, evidence }))
  } catch (error) {
    if (error instanceof CsvError) return []
    throw error
  }
}

/** The windows of a cluster that were expected in a period, while it was registered. */
export function expectedOfCluster(
  { replay, registeredAt, removedAt, windows }: WatchedCluster,
  { from, to }: { readonly from: string; readonly to: string },
): Window[] {
  if (replay !== undefined) return []
  const until = Math.min(toSeconds(to), removedAt === undefined ? Infinity : toSeconds(removedAt))
  return windowsBetween(windows, Math.max(toSeconds(from), toSeconds(registeredAt)), until)
}

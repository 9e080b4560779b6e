/** The last eight periods in numbers. A period without a collected window has none: it is a gap, not a zero. */
import type { ClusterPast, ClusterPeriod } from '../../model/period.ts'
import type { PathRow, TimelineMonth } from '../../model/history.ts'
import { observedTime, shareOfAll } from '../../assess/judge/cluster-observed-share.ts'
import { seenAs } from '../../assess/judge/seen-as.ts'
import { countedAs, isClear, rowsByPath } from './path-summary.ts'
import { sum } from './sums.ts'

/** The paths of a period, as `Figures` counts them: how many were known, and how many were not encrypted at some time of it. */
type PathCounts = {
  readonly known: number
  readonly atSomeTime: number
}

/** One period of the trend. */
export type TrendPoint = {
  readonly from: string
  readonly to: string
  readonly expectedWindows: number
  readonly collectedWindows: number
  /** Over the clusters whose own is known; null where that is none. */
  readonly share: number | null
  /** Clusters of which windows were expected and whose share is not known: they are not in `share`. */
  readonly unknownClusters: number
  /** Null where no window was collected. */
  readonly paths: PathCounts | null
}

type Span = { readonly from: string; readonly to: string }
type Part = { readonly id: string; readonly windows: TimelineMonth['windows']; readonly rows: readonly PathRow[] }

/** One point for each earlier period, oldest first, and one for this. */
export function trendOf(
  clusters: readonly ClusterPeriod[],
  past: readonly ClusterPast[],
  period: Span,
): readonly TrendPoint[] {
  const earlier = past[0]?.periods ?? []
  return [
    ...earlier.map(({ from, to }, index) =>
      pointOf(
        { from, to },
        past.flatMap(({ id, periods }) => {
          const own = periods[index]
          return own === undefined ? [] : [{ id, windows: own.windows, rows: own.rows }]
        }),
      ),
    ),
    pointOf(period, clusters),
  ]
}

function pointOf({ from, to }: Span, parts: readonly Part[]): TrendPoint {
  const observed = parts.filter(({ windows }) => windows.length > 0).map(({ windows }) => observedTime(windows))
  const collectedWindows = sum(parts, ({ windows }) => windows.filter(({ collected }) => collected).length)
  return {
    from,
    to,
    expectedWindows: sum(parts, ({ windows }) => windows.length),
    collectedWindows,
    share: shareOfAll(observed),
    unknownClusters: observed.filter(({ share }) => share === null).length,
    paths: collectedWindows === 0 ? null : countPaths(parts),
  }
}

function countPaths(parts: readonly Part[]): PathCounts {
  const marks = [...rowsByPath(parts).values()].map((rows) => countedAs(rows.map((row) => seenAs(row))))
  return {
    known: marks.length,
    atSomeTime: marks.filter(isClear).length,
  }
}

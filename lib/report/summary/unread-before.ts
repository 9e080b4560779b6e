/** Whether the beginning of an episode was seen, or it may have begun earlier, unseen. */
import type { Endpoint, PathEnds } from '../../model/path.ts'
import type { ClusterPeriod } from '../../model/period.ts'
import { partitionPoint } from '../../partition-point.ts'
import { isBefore } from './sums.ts'

/** What is known of a cluster: its windows, oldest first, and what was read of its workloads in them; without that, empty. */
export type ReadWindows = Pick<ClusterPeriod, 'id' | 'windows' | 'coverage'>

/** Whether an end of a path of a cluster was not read wholly just before a time. */
export type UnreadBefore = (cluster: string, path: Pick<PathEnds, 'source' | 'destination'>, time: string) => boolean

/**
 * Tells of some times whether no collected window holds what was just before, or a workload had a gap in the window that ends there; that a pod had no proxy is
 * no gap here. Where the first window of a cluster begins at that time or later, nothing is missing: no.
 */
export function unreadBefore(clusters: readonly ReadWindows[], times: ReadonlySet<string>): UnreadBefore {
  const windowsOf = new Map(clusters.map(({ id, windows }) => [id, windows]))
  const gaps = new Set<string>()
  for (const { id, coverage } of clusters)
    for (const { window, workload, gaps: own } of coverage)
      if (times.has(window.end) && own.some(({ reason }) => reason !== 'no-proxy'))
        gaps.add(keyOf(id, window.end, workload))
  return (cluster, { source, destination }, time) => {
    const windows = windowsOf.get(cluster) ?? []
    const [first] = windows
    if (first === undefined || !isBefore(first.start, time)) return false
    const holder = windows[partitionPoint(windows, ({ end }) => isBefore(end, time))]
    const isCollected = holder?.collected === true && isBefore(holder.start, time)
    return !isCollected || [source, destination].some((end) => gaps.has(keyOf(cluster, time, end)))
  }
}

function keyOf(cluster: string, time: string, { namespace, kind, name }: Endpoint): string {
  return JSON.stringify([cluster, time, namespace, kind, name])
}

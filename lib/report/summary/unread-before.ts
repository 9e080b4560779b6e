/** Whether the beginning of an episode was seen, or it may have begun earlier, unseen. */
import type { Endpoint, PathEnds } from '../../model/path.ts'
import type { ClusterPeriod } from '../../model/period.ts'
import { isBefore } from './sums.ts'

/** What is known of a cluster: its windows, oldest first, and what was read of its workloads in them; without that, empty. */
export type ReadWindows = Pick<ClusterPeriod, 'id' | 'windows' | 'coverage'>

/** Whether an end of a path of a cluster was not read wholly in the window that ends at a time. */
export type UnreadBefore = (cluster: string, path: Pick<PathEnds, 'source' | 'destination'>, time: string) => boolean

/**
 * Tells of some times whether the window that ends there was not collected, or a workload had a gap in it; that a pod had no proxy is no gap here. Where
 * the first window of a cluster begins at that time or later, nothing is missing: no.
 */
export function unreadBefore(clusters: readonly ReadWindows[], times: ReadonlySet<string>): UnreadBefore {
  const collected = new Map<string, { readonly first: string | undefined; readonly ends: ReadonlySet<string> }>()
  const gaps = new Set<string>()
  for (const { id, windows, coverage } of clusters) {
    const ends = windows.flatMap((window) => (window.collected && times.has(window.end) ? [window.end] : []))
    collected.set(id, { first: windows[0]?.start, ends: new Set(ends) })
    for (const { window, workload, gaps: own } of coverage)
      if (times.has(window.end) && own.some(({ reason }) => reason !== 'no-proxy'))
        gaps.add(keyOf(id, window.end, workload))
  }
  return (cluster, { source, destination }, time) => {
    const known = collected.get(cluster)
    if (known?.first === undefined || !isBefore(known.first, time)) return false
    return !known.ends.has(time) || [source, destination].some((end) => gaps.has(keyOf(cluster, time, end)))
  }
}

function keyOf(cluster: string, time: string, { namespace, kind, name }: Endpoint): string {
  return JSON.stringify([cluster, time, namespace, kind, name])
}

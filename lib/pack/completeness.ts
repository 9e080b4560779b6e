/** Whether each expected window of a report's period is an attempt or a recorded gap. */
import type { Cluster } from '../model/registry.ts'
import type { Window } from '../model/time.ts'
import { toSeconds, windowsBetween } from '../time/windows.ts'
import { windowText } from '../store/keys.ts'
import { isIn, type NumberedLeaf, type PackScope } from './packed-leaves.ts'

/** What the leaves say of the windows of a period. */
export type PeriodWindows = {
  readonly attempts: number
  /** Windows that were recorded as gaps and got no attempt later. */
  readonly gaps: number
  /** Expected, and neither: by cluster, oldest first. */
  readonly untold: readonly { readonly cluster: string; readonly window: Window }[]
  /** Ids of clusters of the report that are not registered. */
  readonly unknown: readonly string[]
}

/** Counts the windows of a period. Of a replay none is expected, and before a registration neither. */
export function windowsOf(
  { clusters: ids, period }: PackScope['record'],
  leaves: readonly NumberedLeaf[],
  registered: readonly Cluster[],
): PeriodWindows {
  const [attempted, gone] = [new Set<string>(), new Set<string>()]
  let attempts = 0
  for (const { leaf } of leaves) {
    if ((leaf.kind !== 'gap' && leaf.kind !== 'snapshot') || leaf.window === undefined) continue
    if (!ids.includes(leaf.cluster ?? '') || !isIn(leaf.window.end, period)) continue
    const place = `${leaf.cluster} ${windowText(leaf.window)}`
    ;(leaf.kind === 'gap' ? gone : attempted).add(place)
    if (leaf.kind === 'snapshot') attempts++
  }
  const told = new Set([...attempted, ...gone])
  const untold = registered.flatMap((cluster) => {
    if (!ids.includes(cluster.id)) return []
    return expectedWindows(cluster, period).flatMap((window) =>
      told.has(`${cluster.id} ${windowText(window)}`) ? [] : [{ cluster: cluster.id, window }],
    )
  })
  const gaps = [...gone].filter((place) => !attempted.has(place)).length
  return { attempts, gaps, untold, unknown: ids.filter((id) => !registered.some((cluster) => cluster.id === id)) }
}

/** The windows of a cluster that were expected in a period. */
export function expectedWindows(
  { replay, registeredAt, windows }: Cluster,
  { from, to }: PackScope['record']['period'] | { readonly from: string; readonly to: string },
): Window[] {
  if (replay !== undefined) return []
  return windowsBetween(windows, Math.max(toSeconds(from), toSeconds(registeredAt)), toSeconds(to))
}

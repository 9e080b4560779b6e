/** Whether each expected window of a report's period is an attempt or a recorded gap. */
import { CsvError, parse } from 'csv-parse/sync'
import type { Cluster } from '../model/registry.ts'
import type { Window } from '../model/time.ts'
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
  /** Ids of clusters of the report that are not registered. */
  readonly unknown: readonly string[]
}

/**
 * Counts the windows of a period. Of a replay none is expected, and before a registration neither.
 *
 * @param judged windows.csv of the report; undefined: it has none, and judged nothing
 */
export function windowsOf(
  { clusters: ids, period }: PackScope['record'],
  leaves: readonly NumberedLeaf[],
  registered: readonly Cluster[],
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
  const expected = registered
    .filter(({ id }) => ids.includes(id))
    .flatMap((cluster) => expectedWindows(cluster, period).map((window) => ({ cluster: cluster.id, window })))
  const without = (places: ReadonlySet<string>): ClusterWindow[] =>
    expected.filter(({ cluster, window }) => !places.has(placeOf(cluster, window)))
  const gaps = [...gone].filter((place) => !attempted.has(place)).length
  const unknown = ids.filter((id) => !registered.some((cluster) => cluster.id === id))
  return { attempts, gaps, untold: without(told), unjudged: without(rows), unknown }
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

/** The windows of a cluster that were expected in a period. */
export function expectedWindows(
  { replay, registeredAt, windows }: Cluster,
  { from, to }: PackScope['record']['period'] | { readonly from: string; readonly to: string },
): Window[] {
  if (replay !== undefined) return []
  return windowsBetween(windows, Math.max(toSeconds(from), toSeconds(registeredAt)), toSeconds(to))
}

import { type VizEdge, VizEdgesError, parseVizEdges } from '../observed/viz-edges.ts'
import { toSeconds, windowOf } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Window } from '../model/time.ts'
import { EvidenceError, readSnapshot } from '../store/evidence/evidence.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readWindow } from './cluster-state.ts'

/** Output of `linkerd viz edges` for one kind at one moment, from evidence. */
export type StoredVizEdges = {
  /** When viz was queried, RFC 3339. */
  readonly takenAt: string
  /** In the order of the answer; empty if viz answered that there are none. */
  readonly edges: readonly VizEdge[]
}

/**
 * Reads viz's own answer in a window. viz shows the connections open at the query, which is after the attempt's window, so the answer of a window is in the
 * evidence of the one before.
 *
 * @param kind of both ends in the query, such as `deployment`
 * @returns the edges, or one line that says why there is no answer, which is not the same as no edges
 * @throws DamagedError if the store is damaged
 */
export async function storedVizEdges(
  cluster: Cluster,
  window: Window,
  kind: string,
  { objects }: { readonly objects: Objects },
): Promise<StoredVizEdges | string> {
  const before = windowOf(cluster.windows, toSeconds(window.start))
  const none = (why: string) =>
    `Cannot compare the window ${window.start} to ${window.end} of cluster "${cluster.id}" with what linkerd viz edges answered in it: ${why}`
  const key = (await readWindow(cluster.id, before.start, objects))?.inputs.evidence
  if (key === undefined || key === null)
    return none(`it is kept in the attempt at the window ${before.start} to ${before.end}, and there is none`)
  try {
    const { viz } = await readSnapshot(key, objects)
    if (viz === undefined)
      return none(`it was not asked when the window ${before.start} to ${before.end} was collected`)
    const at = toSeconds(viz.takenAt)
    if (at <= toSeconds(window.start) || at > toSeconds(window.end))
      return none(`it was asked at ${viz.takenAt}, which is not in that window`)
    const answer = viz.answers.find((one) => one.kind === kind)
    if (answer === undefined)
      return none(viz.errors[0] ?? `it was asked for ${viz.answers.map((one) => one.kind).join(', ')}, not for ${kind}`)
    const edges = parseVizEdges(answer.body).filter((edge) => edge.kind === null || edge.kind === kind)
    return { takenAt: viz.takenAt, edges }
  } catch (error) {
    if (error instanceof EvidenceError || error instanceof VizEdgesError) return none(error.message)
    throw error
  }
}

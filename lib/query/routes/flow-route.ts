import { FLOW_CHANGE_KINDS, type FlowChange, type FlowChangeKind } from '../../report/summary/flow-changes.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { Grant } from '../access/access.ts'
import { type FlowDifference, type FlowCluster, readFlow } from '../flow.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { FlowQuery } from '../parameters.ts'
import { requestedClusters, throwIfUnread } from './asked-clusters.ts'

/** A page of how paths differ between two times, and what must be known to read it. */
export type FlowAnswer = Page<FlowChange> &
  Omit<FlowDifference, 'paths' | 'judgedClasses' | 'clusters'> & {
    readonly clusters: readonly Omit<FlowCluster, 'classes'>[]
    readonly counts: Readonly<Record<FlowChangeKind, number>>
  }

/**
 * Answers how what was seen of paths up to one time differs from what was seen up to an earlier one: by kind, worst state, then name. Throws a `ProblemError` for
 * a cluster that must not be seen, and where not one of them can be read.
 */
export async function answerFlow(
  { clusters: ids, change, before, at, askedAt, limit, cursor }: FlowQuery,
  grant: Grant,
  { objects, now }: { readonly objects: Objects; readonly now: Date },
): Promise<FlowAnswer> {
  const question = ['flow', { ids, change, before, askedAt }, grant.clusters]
  checkCursor({ cursor, question })
  const asked = await requestedClusters(ids, grant, objects)
  const { paths, judgedClasses: _, clusters, ...flow } = await readFlow(asked, { before, at }, { objects, now })
  throwIfUnread(clusters.map(({ problem }) => problem))
  return {
    ...flow,
    clusters: clusters.map(({ classes: _1, ...cluster }) => cluster),
    counts: countFlowChanges(paths),
    ...pageOf(
      paths.filter(({ kind }) => change === undefined || kind === change),
      { limit, cursor, question, until: flow.period.to },
      ({ cluster, pathId, kind }) => [cluster, pathId, kind],
    ),
  }
}

/** How many paths differ in which way. */
export function countFlowChanges(paths: readonly FlowChange[]): FlowAnswer['counts'] {
  const of = Map.groupBy(paths, ({ kind }) => kind)
  return Object.fromEntries(FLOW_CHANGE_KINDS.map((kind) => [kind, of.get(kind)?.length ?? 0])) as Record<
    FlowChangeKind,
    number
  >
}

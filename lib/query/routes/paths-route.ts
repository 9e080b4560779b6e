import { waivedRows } from '../../assess/judge/waived.ts'
import { fixOf } from '../../assess/fixes/fix-text.ts'
import type { KeptHistories } from '../../history/kept-histories.ts'
import type { PathRow } from '../../model/history.ts'
import { concurrently } from '../../concurrently.ts'
import { declaredSettings, declaredWaivers } from '../../store/registry/declarations.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { compareText } from '../../text/order.ts'
import type { Grant } from '../access/access.ts'
import { requestedClusters, throwIfUnread } from './asked-clusters.ts'
import { type ClusterAnswer, clustersAtOnce, notKnown, readCluster } from './cluster-history.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { PathsQuery } from '../parameters.ts'

/** A page of what the paths were, and what must be known to read it. */
export type PathsAnswer = Page<PathRow> & {
  readonly period: { readonly from: string; readonly to: string }
  /** Whether windows cover all of the period, of every cluster, and every one was collected. Where it is not `all`, silence says nothing. */
  readonly collected: 'all' | 'partly' | 'none'
  readonly clusters: readonly ClusterAnswer[]
}

/**
 * Answers what the paths were in a period, newest first. Throws a `ProblemError` for a cluster that is not registered or must not be seen (no difference
 * is made), for too many at once, and where not one of them can be read.
 */
export async function answerPaths(
  query: PathsQuery,
  grant: Grant,
  {
    objects,
    now,
    histories,
  }: { readonly objects: Objects; readonly now: Date; readonly histories?: KeptHistories | undefined },
): Promise<PathsAnswer> {
  const { limit, cursor, from, to, ...filters } = query
  // Not what the period comes to, since that moves with the clock where nobody says it.
  const question = ['paths', filters, grant.clusters, from, to]
  checkCursor({ cursor, question })
  const clusters = await requestedClusters(query.clusters, grant, objects)
  const { platformNamespaces } = await declaredSettings(objects)
  // Of many clusters only the rows up to the end of the page are in memory, and one that tells that there are more.
  const wanted = (cursor?.n ?? 0) + limit + 1
  let found: readonly PathRow[] = []
  const read = await concurrently(clusters, clustersAtOnce(query, histories), async (cluster) => {
    const endsFrom = found.length === wanted ? found.at(-1)?.to : undefined
    const { cluster: answer, rows } = await readCluster(
      cluster,
      { ...query, endsFrom },
      { objects, now, histories, platformNamespaces },
    )
    found = newestFirst([...found, ...rows]).slice(0, wanted)
    return answer
  })
  throwIfUnread(read.map(({ problem }) => problem))
  const { declared: waivers } = await declaredWaivers(objects)
  const page = pageOf(found, { limit, cursor, question, until: to }, (row) => [
    row.cluster,
    row.pathId,
    row.from,
    row.to,
    row.state,
    row.outcome,
  ])
  return {
    ...page,
    items: waivedRows(
      page.items.map((row) => ({ ...row, fix: fixOf(row) })),
      waivers,
      to,
    ),
    period: { from, to },
    collected: collectedOf(read, { from, to }),
    clusters: read,
  }
}

/** Pages of one history must come in one order: by end, begin, cluster and path. */
function newestFirst(found: readonly PathRow[]): PathRow[] {
  return found.toSorted(
    (a, b) =>
      compareText(b.to, a.to) ||
      compareText(b.from, a.from) ||
      compareText(a.cluster, b.cluster) ||
      compareText(a.pathId, b.pathId),
  )
}

/** Whether windows cover all of a period, of every cluster, and every one was collected. */
export function collectedOf(
  clusters: readonly ClusterAnswer[],
  period: PathsAnswer['period'],
): PathsAnswer['collected'] {
  if (clusters.every(({ collectedUntil }) => collectedUntil === null)) return 'none'
  return clusters.every((cluster) => notKnown(cluster, period) === null) ? 'all' : 'partly'
}

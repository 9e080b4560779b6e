import { concurrently } from '../../concurrently.ts'
import { historyProblem, readOrDamaged } from '../../history/history-problem.ts'
import { type WantedWindow, collectedWindow } from '../../history/window-at.ts'
import type { Cluster } from '../../model/registry.ts'
import type { Window } from '../../model/time.ts'
import type { Crypto, WindowResult } from '../../model/window.ts'
import { type EdgeRow, edgeRows } from '../../report/terminal/edge-rows.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { Grant } from '../access/access.ts'
import { type Cursor, type Page, checkCursor, pageOf } from '../page.ts'
import type { EdgesQuery } from '../parameters.ts'
import { ProblemError } from '../problem.ts'
import { requestedClusters, namedCluster, throwIfUnread } from './asked-clusters.ts'
import { CLUSTERS_AT_ONCE } from './cluster-history.ts'
import { encodePins, pinnedStarts } from './pinned-windows.ts'

/** Which window of a cluster is told. */
export type EdgesCluster = {
  readonly id: string
  /** Null where none was collected. */
  readonly window: Window | null
  /** As `ClusterAnswer` has it. */
  readonly replay: string | null
  /** Why nothing is told of it; null where something is. */
  readonly problem: string | null
}

/** A page of the paths of one window of each cluster, by cluster, namespaces and names. */
export type EdgesAnswer = Page<EdgeRow> & {
  /** Whether the window of every cluster was collected. Where it is not `all`, silence says nothing. */
  readonly collected: 'all' | 'partly' | 'none'
  readonly clusters: readonly EdgesCluster[]
}

/**
 * Answers what the paths of one window were. Throws a `ProblemError` for a cluster that must not be seen, and where the results of none of them can be used.
 */
export async function answerEdges(
  { clusters: ids, kind, namespace, at, until, limit, cursor }: EdgesQuery,
  grant: Grant,
  { objects }: { readonly objects: Objects },
): Promise<EdgesAnswer> {
  const question = ['edges', { ids, kind, namespace, at }, grant.clusters]
  checkCursor({ cursor, question })
  const clusters = await requestedClusters(ids, grant, objects)
  const starts = at === undefined && cursor !== undefined ? startsOf(cursor, clusters) : undefined
  const read = await concurrently([...clusters.entries()], CLUSTERS_AT_ONCE, async ([index, cluster]) => {
    const result = await windowOrProblem(cluster, { start: starts?.[index], at, until }, objects)
    const { id, replay = null } = cluster
    if ('problem' in result) return { ...result, id, replay, window: null, rows: [] }
    const rows = edgeRows(result, { kind, namespace, exempt: 'all' })
    return { id, replay, window: result.window, problem: null, isDamaged: false, rows }
  })
  throwIfUnread(read.map(({ problem, isDamaged }) => (isDamaged ? problem : null)))
  const page = pageOf(
    read.flatMap(({ rows }) => rows),
    { limit, cursor, question, until, windows: at === undefined ? (cursor?.w ?? pinsOf(read, until)) : undefined },
    ({ cluster, path }) => [cluster, path.pathId, path.state, path.outcome],
  )
  const missing = read.filter(({ window }) => window === null).length
  return {
    ...page,
    collected: missing === read.length ? 'none' : missing > 0 ? 'partly' : 'all',
    clusters: read.map(({ id, window, replay, problem }) => ({ id, window, replay, problem })),
  }
}

function pinsOf(read: readonly Pick<EdgesCluster, 'id' | 'window'>[], until: string): string {
  return encodePins(
    read.map(({ id, window }) => ({ id, start: window?.start ?? null })),
    until,
  )
}

/** The windows of which the first page was. Throws a `ProblemError` where it was not of these clusters. */
function startsOf({ u, w = '' }: Cursor, clusters: readonly Cluster[]): readonly (string | null)[] {
  const ids = clusters.map(({ id }) => id)
  const starts = pinnedStarts(w, ids, u)
  if (starts !== undefined) return starts
  throw new ProblemError(
    'history-changed',
    'Cannot give the next page: clusters were added or removed since the first one, begin again without the cursor',
    'cursor',
  )
}

/** The cryptography that the proxies of a cluster stated in one window. */
export type CryptoAnswer = {
  readonly cluster: string
  /** As `ClusterAnswer` has it. */
  readonly replay: string | null
  readonly window: Window
  readonly crypto: Crypto
}

/**
 * Answers what the running proxies of a cluster stated of their cryptography in a window. Throws a `ProblemError` for a cluster that must not be seen, and where
 * that window was not collected.
 */
export async function answerCrypto(
  id: string,
  at: string | undefined,
  until: string,
  grant: Grant,
  objects: Objects,
): Promise<CryptoAnswer> {
  const cluster = await namedCluster(id, grant, objects)
  const result = await windowOrProblem(cluster, { at, until }, objects)
  if ('problem' in result) throw new ProblemError(result.isDamaged ? 'unreadable' : 'not-found', result.problem)
  return { cluster: id, replay: cluster.replay ?? null, window: result.window, crypto: result.crypto }
}

async function windowOrProblem(
  cluster: Cluster,
  wanted: WantedWindow,
  objects: Objects,
): Promise<WindowResult | { readonly problem: string; readonly isDamaged: boolean }> {
  const found = await readOrDamaged(async () => ({ result: await collectedWindow(cluster, wanted, objects) }))
  if (typeof found === 'string') return { problem: found, isDamaged: true }
  const { result } = found
  if (typeof result !== 'string') return result
  const problem = await historyProblem(cluster, objects)
  return { problem: problem ?? result, isDamaged: problem !== undefined }
}

import type { KeptHistories } from '../../history/kept-histories.ts'
import type { Cluster } from '../../model/registry.ts'
import { concurrently } from '../../concurrently.ts'
import { archiveEnd, archivePrefix, parseStateKey, statePrefix } from '../../store/keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { readClusters } from '../../store/registry/registry.ts'
import { type Grant, maySee } from '../access/access.ts'
import { CLUSTERS_AT_ONCE, type ClusterAnswer, readCluster } from './cluster-history.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { ClustersQuery } from '../parameters.ts'

/** A registered cluster, and what is known of it lately. */
export type ClusterItem = {
  readonly registeredAt: string
  /** Of the windows that are collected now. */
  readonly windowMinutes: number
} & ClusterAnswer

/** A page of the registered clusters, by id. */
export type ClustersAnswer = Page<ClusterItem> & {
  readonly period: { readonly from: string; readonly to: string }
  /** Ids of clusters of which a history is kept and that are not registered any more: nothing of them is among any answer. */
  readonly removed: readonly string[]
}

/** Answers which clusters are registered, and up to when each was collected. What leads into them is not told. */
export async function answerClusters(
  { limit, cursor, from, to }: ClustersQuery,
  grant: Grant,
  {
    objects,
    now,
    histories,
  }: { readonly objects: Objects; readonly now: Date; readonly histories?: KeptHistories | undefined },
): Promise<ClustersAnswer> {
  const question = ['clusters', grant.clusters, from, to]
  checkCursor({ cursor, question })
  const registered = await readClusters({ objects })
  const seen = registered.filter(({ id }) => maySee(grant, id))
  const page = pageOf(seen, { limit, cursor, question, until: to }, ({ id }) => id)
  const items = await concurrently(page.items, CLUSTERS_AT_ONCE, async (cluster): Promise<ClusterItem> => {
    // Of the paths nothing is told; of these most is kept.
    const { cluster: answer } = await readCluster(
      cluster,
      { from, to, state: 'not-encrypted' },
      { objects, now, histories },
    )
    return { ...answer, registeredAt: cluster.registeredAt, windowMinutes: minutesAt(cluster, now) }
  })
  const removed: string[] = []
  for await (const key of stateKeys(objects)) {
    const id = parseStateKey(key)
    if (id !== undefined && maySee(grant, id) && registered.every((cluster) => cluster.id !== id)) removed.push(id)
  }
  return { ...page, items, period: { from, to }, removed }
}

/** The keys of all states, without those of archived days, of which there are a hundred times as many. */
async function* stateKeys(objects: Objects): AsyncGenerator<string> {
  for await (const key of objects.list(statePrefix)) {
    if (key.startsWith(archivePrefix)) return yield* objects.list(statePrefix, archiveEnd)
    yield key
  }
}

/** A changed size counts from the next UTC midnight on. */
function minutesAt({ windows }: Cluster, now: Date): number {
  return windows.findLast(({ since }) => Date.parse(since) <= now.getTime())?.minutes ?? windows[0]?.minutes ?? 0
}

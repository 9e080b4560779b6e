import { concurrently } from '../../concurrently.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { declaredSettings, declaredWaivers } from '../../store/registry/declarations.ts'
import type { Grant } from '../access/access.ts'
import { type EpisodeRow, byNewest, readEpisodes } from '../episodes.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { EpisodesQuery } from '../parameters.ts'
import { requestedClusters, throwIfUnread } from './asked-clusters.ts'
import { CLUSTERS_AT_ONCE, type ClusterAnswer } from './cluster-history.ts'
import { type PathsAnswer, collectedOf } from './paths-route.ts'

/** A page of the episodes of a period, and what must be known to read it. */
export type EpisodesAnswer = Page<EpisodeRow> & {
  readonly period: { readonly from: string; readonly to: string }
  /** As {@link PathsAnswer} has it. */
  readonly collected: PathsAnswer['collected']
  readonly clusters: readonly ClusterAnswer[]
}

/** Answers which episodes were open at some time of a period, those first that began last. Throws a `ProblemError` as `answerPaths` does. */
export async function answerEpisodes(
  { clusters: ids, limit, cursor, from, to, ...filters }: EpisodesQuery,
  grant: Grant,
  { objects, now }: { readonly objects: Objects; readonly now: Date },
): Promise<EpisodesAnswer> {
  const question = ['episodes', { ids, ...filters }, grant.clusters, from, to]
  checkCursor({ cursor, question })
  const clusters = await requestedClusters(ids, grant, objects)
  const { platformNamespaces } = await declaredSettings(objects)
  const { declared: waivers } = await declaredWaivers(objects)
  const deps = { objects, now, platformNamespaces, waivers }
  // As of paths: of many clusters only the rows up to the end of the page are in memory, and one that tells that there are more.
  const wanted = (cursor?.n ?? 0) + limit + 1
  let found: readonly EpisodeRow[] = []
  const read = await concurrently(clusters, CLUSTERS_AT_ONCE, async (cluster) => {
    const { cluster: answer, rows } = await readEpisodes(cluster, { from, to, ...filters }, deps)
    found = [...found, ...rows].toSorted(byNewest).slice(0, wanted)
    return answer
  })
  throwIfUnread(read.map(({ problem }) => problem))
  const page = pageOf(found, { limit, cursor, question, until: to }, ({ cluster, episode }) => [
    cluster,
    episode.id,
    episode.endedAt,
    episode.ending,
  ])
  return { ...page, period: { from, to }, collected: collectedOf(read, { from, to }), clusters: read }
}

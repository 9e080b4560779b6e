/** The episodes of a period, from the store: the same for the API, its pages and the command line. */
import { classesIn, hasAskedEnd, rows } from '../history/rows/path-history.ts'
import { pathClass } from '../assess/ends/path-class.ts'
import { isNotEncrypted } from '../assess/window/episode-lifecycle.ts'
import { fixOf } from '../assess/fixes/fix-text.ts'
import { readPresentOrProblem } from '../history/history-problem.ts'
import { episodesOf as knownEpisodes } from '../history/period.ts'
import type { PathRow } from '../model/history.ts'
import type { PathClass } from '../model/path.ts'
import type { Cluster } from '../model/registry.ts'
import { type EpisodeSummary, summarizeEpisodes } from '../report/summary/episode-summary.ts'
import { waivedRows } from '../assess/judge/waived.ts'
import type { Waiver } from '../model/judgement.ts'
import type { Objects } from '../store/objects/objects.ts'
import { endJson } from '../text/format-json.ts'
import { compareText } from '../text/order.ts'
import { lengthOf } from '../time/windows.ts'
import { type ClusterAnswer, clusterAnswer, unreadCluster } from './routes/cluster-history.ts'

/** A time in which a path was not encrypted, as it stood at the end of the period. */
export type EpisodeRow = Omit<EpisodeSummary, 'isNew'> & {
  readonly class: PathClass
  /** How long it lasted, or has lasted up to the end of the last window: at least, where its beginning was not seen. */
  readonly seconds: number
  /** How the path was when it was not encrypted last in the period; null where it was not seen so in it. */
  readonly last: Pick<PathRow, 'to' | 'state' | 'reason' | 'cause' | 'fix' | 'enforcement' | 'waiver'> | null
}

/** Which episodes are wanted; absent: all. */
export type EpisodeFilter = {
  readonly from: string
  readonly to: string
  readonly namespace?: string | undefined
  readonly workload?: { readonly kind?: string | undefined; readonly name: string } | undefined
  /** At the end of the period. */
  readonly open?: boolean | undefined
}

/** Reads the episodes of a cluster that were open at some time of a period, and how much of it is known. Newest first: {@link byNewest}. */
export async function readEpisodes(
  cluster: Cluster,
  { open, ...wanted }: EpisodeFilter,
  {
    objects,
    now,
    platformNamespaces,
    waivers,
  }: {
    readonly objects: Objects
    readonly now: Date
    readonly platformNamespaces: readonly string[]
    readonly waivers: readonly Waiver[]
  },
): Promise<{ readonly cluster: ClusterAnswer; readonly rows: readonly EpisodeRow[] }> {
  const { id } = cluster
  const { from, to } = wanted
  const history = await readPresentOrProblem(cluster, now, objects, { from, to })
  if (typeof history === 'string') return { cluster: unreadCluster(cluster, history), rows: [] }
  const { months, episodes } = history
  const answer = clusterAnswer(cluster, months, { from, to }, now)
  const paths = knownEpisodes(
    months.flatMap(({ intervals }) => intervals),
    episodes,
    { from, to },
  )
  // The rows of a path tell how it was seen last; one that is gone has none in its last window.
  const rowsOf = Map.groupBy(rows(months, episodes, wanted, { fixOf, platformNamespaces }), ({ pathId }) => pathId)
  const classes = classesIn(months, { from, to }, platformNamespaces)
  const known = answer.knownUntil ?? to
  const found = summarizeEpisodes([{ id, periods: [], episodes: paths }], { from, to }).all.flatMap(
    ({ isNew: _, ...one }): EpisodeRow[] => {
      const own = rowsOf.get(one.pathId) ?? []
      const isOpen = one.episode.endedAt === null
      if (!hasAskedEnd(one, wanted) || (open !== undefined && open !== isOpen)) return []
      const seen = own.filter((row) => isNotEncrypted(row) && row.episode?.id === one.episode.id)
      const [last] = waivedRows(latestOf(seen), waivers, to)
      return [
        {
          ...one,
          class: pathClass(one, classes),
          seconds: Math.max(0, lengthOf({ start: one.episode.openedAt, end: one.episode.endedAt ?? known })),
          last: last === undefined ? null : lastOf(last),
        },
      ]
    },
  )
  return { cluster: answer.cluster, rows: found.toSorted(byNewest) }
}

/** The episode that began last first. */
export function byNewest(a: EpisodeRow, b: EpisodeRow): number {
  return (
    compareText(b.episode.openedAt, a.episode.openedAt) ||
    compareText(a.cluster, b.cluster) ||
    compareText(a.episode.id, b.episode.id)
  )
}

/** An episode as JSON: one line of `ciphertrail episodes --json`, and an item of the API. */
export function episodeJson({ cluster, ...row }: EpisodeRow): Readonly<Record<string, unknown>> {
  return { cluster, ...row, source: endJson(row.source), destination: endJson(row.destination) }
}

/** The row that ends last: rows come by state first. */
function latestOf(rows: readonly PathRow[]): readonly PathRow[] {
  return rows.toSorted((a, b) => compareText(a.to, b.to)).slice(-1)
}

function lastOf({ to, state, reason, cause, fix, enforcement, waiver }: PathRow): EpisodeRow['last'] {
  return { to, state, reason, cause, fix, enforcement, waiver }
}

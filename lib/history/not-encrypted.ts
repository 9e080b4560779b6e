/**
 * Tables of unencrypted intervals of all clusters, one for each month. They are so small that the most frequent question reads a handful of objects, whatever
 * the number of clusters. They are made from written months and name their sources.
 */
import { concurrently } from '../concurrently.ts'
import type { Episode, Interval } from '../model/history.ts'
import { UNENCRYPTED_STATES } from '../model/path.ts'
import { notEncryptedKey, notEncryptedPrefix, parseNotEncryptedKey } from '../store/keys.ts'
import { sha256Of } from '../store/objects/derived-object.ts'
import { type Objects, PreconditionFailedError } from '../store/objects/objects.ts'
import { toSeconds, toTime } from '../time/windows.ts'
import { type ClusterState, readMonth, readState } from './cluster-state.ts'
import { monthsOf } from './period.ts'
import {
  type MadeFrom,
  type MadeFromClusters,
  type NotEncryptedTable,
  encodeNotEncrypted,
  newestFirst,
  notEncryptedRows,
  openNotEncrypted,
  plainRow,
} from './tables/not-encrypted-table.ts'
import { type PackedRows, chainRows, joinRows, packRows } from './rows/packed-rows.ts'
import type { ReadRow } from './tables/parquet-table.ts'
import { intervalWithoutActivity } from './tables/timeline-table.ts'

/** Number of states read at once. */
const MAX_READS = 8

/** How often another run may win. */
const MAX_ROUNDS = 5

type KnownCluster = {
  readonly id: string
  /** Its months, each with a digest of the episodes that are open in it. */
  readonly months: ReadonlyMap<string, ClusterState['months'][number] & { readonly episodes: string }>
  /** True: its state cannot be read. */
  readonly isUnreadable: boolean
}

/**
 * Updates the tables from the months of these clusters, and removes rows of other clusters. Reads the state of each cluster, each table, and the changed
 * months. Returns the months whose tables were written. Safe to run at any time and concurrently; the next run picks up concurrent changes. Throws if the
 * store fails, or other runs win too often.
 */
export async function updateNotEncrypted(clusterIds: readonly string[], objects: Objects): Promise<readonly string[]> {
  const clusters = await readKnown(clusterIds, objects)
  const months = new Set(clusters.flatMap((cluster) => [...cluster.months.keys()]))
  for await (const key of objects.list(notEncryptedPrefix)) months.add(parseNotEncryptedKey(key) ?? '')
  months.delete('')
  const written: string[] = []
  for (const month of [...months].sort()) if (await updateMonth(month, clusters, objects)) written.push(month)
  return written
}

async function readKnown(clusterIds: readonly string[], objects: Objects): Promise<readonly KnownCluster[]> {
  const read = await concurrently(clusterIds, MAX_READS, async (id): Promise<readonly KnownCluster[]> => {
    try {
      const { state } = await readState(id, objects)
      if (state === undefined) return []
      const months = state.months.map(
        (named) => [named.month, { ...named, episodes: digestOf(openIn(state, named.month)) }] as const,
      )
      return [{ id, months: new Map(months), isUnreadable: false }]
    } catch {
      // Deriving the cluster reports the error, which must not block the other clusters.
      return [{ id, months: new Map(), isUnreadable: true }]
    }
  })
  return read.flat()
}

async function updateMonth(month: string, clusters: readonly KnownCluster[], objects: Objects): Promise<boolean> {
  const key = notEncryptedKey(month)
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const stored = await objects.get(key)
    const table = stored === undefined ? undefined : openNotEncrypted(stored.body)
    const body = await nextTable(month, clusters, { stored: table }, objects)
    if (body === undefined) return false
    try {
      await objects.putIf(key, body, stored?.etag ?? null)
      return true
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error
    }
  }
  throw new Error(
    `Cannot write "${key}": others changed it ${MAX_ROUNDS} times meanwhile, run it again when they are done`,
  )
}

/**
 * Returns the bytes of an updated table; undefined if it is up to date. By default, rows from current sources are kept and the rest is made. With `isAgain`,
 * rows from current sources are remade and the rest is kept.
 */
async function nextTable(
  month: string,
  clusters: readonly KnownCluster[],
  { stored, isAgain = false }: { readonly stored: NotEncryptedTable | undefined; readonly isAgain?: boolean },
  objects: Objects,
): Promise<Buffer | undefined> {
  const before = stored?.clusters ?? {}
  const next: Record<string, MadeFrom> = {}
  const kept = new Set<string>()
  const made: PackedRows<ReadRow>[] = []
  for (const cluster of clusters) {
    const known = Object.hasOwn(before, cluster.id) ? before[cluster.id] : undefined
    const named = cluster.months.get(month)
    if (named === undefined && !cluster.isUnreadable) continue
    const isSame = known !== undefined && known.month === named?.sha256 && known.episodes === named.episodes
    const content = named === undefined || isSame === !isAgain ? undefined : await readRows(cluster.id, named, objects)
    if (named === undefined || content === undefined) {
      // Unchanged, or another run is writing the month: keep the rows until the next run.
      if (known !== undefined) next[cluster.id] = known
      kept.add(cluster.id)
      continue
    }
    next[cluster.id] = {
      month: named.sha256,
      episodes: named.episodes,
      watermark: content.watermark,
      namespaces: content.namespaces,
    }
    made.push(content.rows)
  }
  const isAsBefore = Object.keys(before).every((id) => kept.has(id)) && Object.keys(next).every((id) => kept.has(id))
  if (stored !== undefined && isAsBefore && !isAgain) return undefined
  if (stored !== undefined) {
    const groups: PackedRows<ReadRow>[] = []
    for await (const rows of stored.rows())
      groups.push(packRows(rows.filter(({ cluster }) => kept.has(cluster as string)).map(plainRow)))
    made.push(chainRows(groups))
  }
  return encodeNotEncrypted(month, next, joinRows(made, newestFirst))
}

/**
 * Reads a cluster's month as packed rows, since those of a fleet do not fit into memory. Undefined if another run is writing it, or its episodes are not those
 * that were seen before.
 */
async function readRows(
  id: string,
  named: ClusterState['months'][number] & { readonly episodes: string },
  objects: Objects,
): Promise<(Pick<MadeFrom, 'watermark' | 'namespaces'> & { readonly rows: PackedRows<ReadRow> }) | undefined> {
  const { state } = await readState(id, objects)
  const episodes = state === undefined ? [] : openIn(state, named.month)
  if (digestOf(episodes) !== named.episodes) return undefined
  // The table has the sums of an interval alone.
  const month = await readMonth(id, named, objects, { states: UNENCRYPTED_STATES, isWhole: () => true })
  if (month === undefined) return undefined
  return {
    watermark: month.windows.at(-1)?.end ?? '',
    namespaces: month.namespaces,
    rows: packRows(notEncryptedRows(month, new Map(episodes.map((episode) => [episode.id, episode])))),
  }
}

function openIn({ timeline: { episodes } }: ClusterState, month: string): readonly Episode[] {
  return episodes.filter((episode) => isOpenIn(episode, month))
}

function digestOf(episodes: readonly Episode[]): string {
  return sha256Of(Buffer.from(JSON.stringify(episodes))).slice(0, 16)
}

function isOpenIn({ openedAt, endedAt }: Episode, month: string): boolean {
  return openedAt.slice(0, 7) <= month && (endedAt === null || endedAt.slice(0, 7) >= month)
}

/**
 * Returns the keys of tables that differ from their named sources. Rows from an outdated month are not checked, because the next {@link updateNotEncrypted}
 * replaces them.
 */
export async function changedNotEncrypted(clusterIds: readonly string[], objects: Objects): Promise<readonly string[]> {
  const clusters = await readKnown(clusterIds, objects)
  const changed: string[] = []
  for await (const key of objects.list(notEncryptedPrefix)) {
    const stored = await objects.get(key)
    const month = parseNotEncryptedKey(key)
    if (stored === undefined || month === undefined) continue
    if (!(await isAsMade(month, stored.body, clusters, objects))) changed.push(key)
  }
  return changed
}

async function isAsMade(
  month: string,
  stored: Uint8Array,
  clusters: readonly KnownCluster[],
  objects: Objects,
): Promise<boolean> {
  const table = openNotEncrypted(stored)
  if (table === undefined) return false
  const before = table.clusters
  // Clusters whose month is unavailable cannot be checked.
  const others = Object.keys(before)
    .filter((id) => !clusters.some((cluster) => cluster.id === id && cluster.months.has(month)))
    .map((id): KnownCluster => ({ id, months: new Map(), isUnreadable: true }))
  const known = clusters.filter(({ id, months }) => months.has(month) && Object.hasOwn(before, id))
  const body = await nextTable(month, [...known, ...others], { stored: table, isAgain: true }, objects)
  return body === undefined || Buffer.compare(body, stored) === 0
}

/** An interval in which a path was not encrypted. Its episode is as it was when the table was made. */
export type NotEncrypted = {
  /** What each window counted is only in the month. */
  readonly interval: Omit<Interval, 'activity'>
  /** Keys of the attempts at its first and its last window. */
  readonly evidence: readonly string[]
}

/** Contents of a month's table. */
export type NotEncryptedMonth = {
  readonly month: string
  /** Sources by cluster id. The table has no information about other clusters. */
  readonly clusters: MadeFromClusters
  /** Yields the intervals that overlap the period, latest end first. Reads row groups on demand. */
  readonly intervals: () => AsyncGenerator<NotEncrypted>
}

/**
 * Reads the tables of the months that may contain windows ending in `(from, to]`, newest month first. Takes one list request, and one request for each table.
 */
export async function readNotEncrypted(
  period: { readonly from: string; readonly to: string },
  objects: Objects,
): Promise<readonly NotEncryptedMonth[]> {
  const [from, to] = [toTime(toSeconds(period.from)), toTime(toSeconds(period.to))]
  const isWanted = monthsOf({ from, to })
  const months: string[] = []
  for await (const key of objects.list(notEncryptedPrefix)) {
    const month = parseNotEncryptedKey(key)
    if (month !== undefined && isWanted(month)) months.push(month)
  }
  const read = await concurrently(months, MAX_READS, async (month) => {
    const stored = await objects.get(notEncryptedKey(month))
    const table = stored === undefined ? undefined : openNotEncrypted(stored.body)
    if (table === undefined) return []
    return [{ month, clusters: table.clusters, intervals: () => intervalsIn(table, { from, to }) }]
  })
  return read.flat().toReversed()
}

async function* intervalsIn(
  table: NotEncryptedTable,
  { from, to }: { readonly from: string; readonly to: string },
): AsyncGenerator<NotEncrypted> {
  for await (const rows of table.rows(from)) {
    for (const row of rows) {
      if ((row['ends_at'] as string) <= from) return
      if ((row['starts_at'] as string) >= to) continue
      const interval = intervalWithoutActivity(row, row['cluster'] as string)
      const [endedAt, ending] = [row['episode_ended_at'], row['episode_ending']] as [string | null, Episode['ending']]
      yield {
        interval: { ...interval, episode: interval.episode === null ? null : { ...interval.episode, endedAt, ending } },
        evidence: JSON.parse(row['evidence'] as string) as string[],
      }
    }
  }
}

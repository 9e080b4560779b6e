import type { Episode, TimelineMonth } from '../../model/history.ts'
import type { LabelledNamespaces } from '../../model/window.ts'
import { isNotEncrypted } from '../../assess/window/episode-lifecycle.ts'
import { compareText } from '../../text/order.ts'
import { type ParquetColumn, type ReadRow, encodeTable, isIntact, openTable } from './parquet-table.ts'
import { TIMELINE_COLUMNS } from './timeline-table.ts'

/** Columns of an interval. What each window counted is only in the month, because it would be a third of this table. */
const INTERVAL_COLUMNS = TIMELINE_COLUMNS.filter(({ kind }) => kind !== 'list')

/** Table of the unencrypted intervals of all clusters in a month, newest first, one row for each. */
export const NOT_ENCRYPTED_COLUMNS: readonly ParquetColumn<ReadRow>[] = [
  { name: 'cluster', kind: 'text', isRequired: true, isSearched: true, of: ({ cluster }) => cluster },
  ...INTERVAL_COLUMNS.map((column) => ({ ...column, of: (row: ReadRow) => row[column.name] })),
  { name: 'episode_ended_at', kind: 'time', encoding: 'DELTA_BINARY_PACKED', of: (row) => row['episode_ended_at'] },
  { name: 'episode_ending', kind: 'text', of: (row) => row['episode_ending'] },
  // JSON: the evidence keys of the first and the last window.
  { name: 'evidence', kind: 'text', encoding: 'PLAIN', isGzipped: true, of: (row) => row['evidence'] },
]

/** A page and a little, so that a reader of the first page decodes no more. */
const FIRST_ROWS = 128

/** Sources of a cluster's rows in a table. */
export type MadeFrom = {
  /** SHA-256 of the month in the cluster's state. */
  readonly month: string
  /** Digest of the episodes that were open in the month, as they were then. */
  readonly episodes: string
  /** End of the month's last window. */
  readonly watermark: string
  readonly namespaces: LabelledNamespaces | null
}

/** Sources by cluster id, including clusters known to have no rows. */
export type MadeFromClusters = Readonly<Record<string, MadeFrom>>

/** Makes the rows of one cluster's month, newest first. `episodes` have their current status. */
export function notEncryptedRows(
  { cluster, windows, intervals }: TimelineMonth,
  episodes: ReadonlyMap<string, Episode>,
): ReadRow[] {
  const byStart = new Map(windows.map((window) => [window.start, window]))
  const byEnd = new Map(windows.map((window) => [window.end, window]))
  const rows = intervals.filter(isNotEncrypted).map((interval): ReadRow => {
    const episode = interval.episode === null ? undefined : episodes.get(interval.episode.id)
    const keys = [byStart.get(interval.from), byEnd.get(interval.to)].flatMap((window) =>
      window === undefined || window.evidence === null ? [] : [window.evidence, ...(window.also ?? [])],
    )
    return {
      cluster,
      ...Object.fromEntries(INTERVAL_COLUMNS.map(({ name, of }) => [name, of(interval)])),
      episode_ended_at: episode?.endedAt ?? null,
      episode_ending: episode?.ending ?? null,
      evidence: JSON.stringify([...new Set(keys)]),
    }
  })
  return rows.sort(newestFirst)
}

/** Encodes the table of a month. `rows` are in the order of {@link newestFirst}; those of a row group are in memory at once. */
export function encodeNotEncrypted(month: string, clusters: MadeFromClusters, rows: Iterable<ReadRow>): Buffer {
  const ordered = Object.entries(clusters).toSorted(([a], [b]) => compareText(a, b))
  const metadata = {
    format: 'ciphertrail/not-encrypted/2',
    month,
    clusters: JSON.stringify(Object.fromEntries(ordered)),
  }
  return encodeTable(NOT_ENCRYPTED_COLUMNS, rows, metadata, {
    hasDigest: true,
    firstRows: FIRST_ROWS,
  })
}

/** A row that was read, as an object of its own: without the columns that it looks into. */
export function plainRow(row: ReadRow): ReadRow {
  return Object.fromEntries(NOT_ENCRYPTED_COLUMNS.map(({ name }) => [name, row[name]]))
}

/** The order of the rows of a table. */
export function newestFirst(a: ReadRow, b: ReadRow): number {
  return byText(b, a, 'ends_at') || byText(b, a, 'starts_at') || byText(a, b, 'cluster') || byText(a, b, 'path_id')
}

function byText(a: ReadRow, b: ReadRow, name: string): number {
  return compareText(a[name] as string, b[name] as string)
}

/** A month's table in memory. */
export type NotEncryptedTable = {
  readonly clusters: MadeFromClusters
  /** Yields its rows, newest first, one row group at a time; with `after`, only groups in which an interval ends after this time. */
  readonly rows: (after?: string) => AsyncGenerator<readonly ReadRow[]>
}

/** Opens a table. Undefined for damaged bytes or another format, such as a later version's. */
export function openNotEncrypted(body: Uint8Array): NotEncryptedTable | undefined {
  if (!isIntact(body)) return undefined
  const { metadata, groups, highest, read } = openTable(body)
  const { format, clusters } = metadata
  if (format !== 'ciphertrail/not-encrypted/2' || clusters === undefined) return undefined
  return {
    clusters: JSON.parse(clusters) as MadeFromClusters,
    async *rows(after = '') {
      for (let group = 0; group < groups; group++) {
        const latest = highest('ends_at', group)
        if (latest === undefined || (latest as string) <= after) return
        yield await read({ group })
      }
    },
  }
}

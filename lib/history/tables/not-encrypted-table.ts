import type { Episode, TimelineMonth } from '../../model/history.ts'
import type { LabelledNamespaces } from '../../model/window.ts'
import { isNotEncrypted } from '../../assess/window/episode-lifecycle.ts'
import { compareText } from '../../text/order.ts'
import { type Column, type ReadRow, decodeMetadata, decodeTable, encodeTable, isIntact } from './parquet-table.ts'
import { TIMELINE_COLUMNS } from './timeline-table.ts'

/** Columns of an interval. What each window counted is only in the month, because it would be a third of this table. */
const INTERVAL_COLUMNS = TIMELINE_COLUMNS.filter(({ kind }) => kind !== 'list')

/** Table of the unencrypted intervals of all clusters in a month, newest first, one row for each. */
export const NOT_ENCRYPTED_COLUMNS: readonly Column<ReadRow>[] = [
  { name: 'cluster', kind: 'text', isRequired: true, isSearched: true, of: ({ cluster }) => cluster },
  ...INTERVAL_COLUMNS.map((column) => ({ ...column, of: (row: ReadRow) => row[column.name] })),
  { name: 'episode_ended_at', kind: 'time', encoding: 'DELTA_BINARY_PACKED', of: (row) => row['episode_ended_at'] },
  { name: 'episode_ending', kind: 'text', of: (row) => row['episode_ending'] },
  // JSON: the evidence keys of the first and the last window.
  { name: 'evidence', kind: 'text', encoding: 'PLAIN', isGzipped: true, of: (row) => row['evidence'] },
]

/** Rows of a row group: some pages, so that a reader of the first page reads no more. */
const GROUP_ROWS = 512

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

/** Makes the rows of one cluster's month. `episodes` have their current status. */
export function notEncryptedRows(
  { cluster, windows, intervals }: TimelineMonth,
  episodes: ReadonlyMap<string, Episode>,
): ReadRow[] {
  const byStart = new Map(windows.map((window) => [window.start, window]))
  const byEnd = new Map(windows.map((window) => [window.end, window]))
  return intervals.filter(isNotEncrypted).map((interval) => {
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
}

/** Encodes the table of a month. */
export function encodeNotEncrypted(month: string, clusters: MadeFromClusters, rows: readonly ReadRow[]): Buffer {
  const ordered = Object.entries(clusters).toSorted(([a], [b]) => compareText(a, b))
  const metadata = {
    format: 'ciphertrail/not-encrypted/1',
    month,
    clusters: JSON.stringify(Object.fromEntries(ordered)),
  }
  return encodeTable(NOT_ENCRYPTED_COLUMNS, rows.toSorted(newestFirst), metadata, {
    hasDigest: true,
    groupRows: GROUP_ROWS,
  })
}

function newestFirst(a: ReadRow, b: ReadRow): number {
  return byText(b, a, 'ends_at') || byText(b, a, 'starts_at') || byText(a, b, 'cluster') || byText(a, b, 'path_id')
}

function byText(a: ReadRow, b: ReadRow, name: string): number {
  return compareText(a[name] as string, b[name] as string)
}

/** Returns the sources of a table. Undefined for damaged bytes or another format, such as a later version's. */
export function madeFrom(body: Uint8Array): MadeFromClusters | undefined {
  if (!isIntact(body)) return undefined
  const { format, clusters } = decodeMetadata(body)
  if (format !== 'ciphertrail/not-encrypted/1' || clusters === undefined) return undefined
  return JSON.parse(clusters) as MadeFromClusters
}

/** Decodes the rows of a table, newest first, one row group at a time. */
export async function* decodeNotEncrypted(body: Uint8Array): AsyncGenerator<readonly ReadRow[]> {
  for (let group = 0; ; group++) {
    const { rows, groups } = await decodeTable(body, { group })
    yield rows
    if (group + 1 >= groups) return
  }
}

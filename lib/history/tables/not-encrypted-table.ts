import type { Episode, TimelineMonth } from '../../model/history.ts'
import type { LabelledNamespaces } from '../../model/window.ts'
import { isNotEncrypted } from '../../assess/window/episode-lifecycle.ts'
import { compareText } from '../../text/order.ts'
import { type Column, type ReadRow, decodeMetadata, decodeTable, encodeTable, isIntact } from './parquet-table.ts'
import { TIMELINE_COLUMNS } from './timeline-table.ts'

/** What was not encrypted in a month, of all clusters, newest first: an interval a row. */
export const NOT_ENCRYPTED_COLUMNS: readonly Column<ReadRow>[] = [
  { name: 'cluster', kind: 'text', isRequired: true, isSearched: true, of: ({ cluster }) => cluster },
  // Unlike there, neighbours have little in common.
  ...TIMELINE_COLUMNS.map(({ encoding, ...column }) => ({
    ...column,
    ...(encoding === undefined || encoding === 'DELTA_BYTE_ARRAY' ? {} : { encoding }),
    of: (row: ReadRow) => row[column.name],
  })),
  { name: 'episode_ended_at', kind: 'time', of: (row) => row['episode_ended_at'] },
  { name: 'episode_ending', kind: 'text', of: (row) => row['episode_ending'] },
  // JSON: the keys behind the first and the last window.
  { name: 'evidence', kind: 'text', of: (row) => row['evidence'] },
]

/** Some pages: whoever wants the first one reads no more. */
const GROUP_ROWS = 512

/** What a table says of a cluster: what its rows were made from. */
export type MadeFrom = {
  /** SHA-256 of the month, as the state of the cluster names it. */
  readonly month: string
  /** Stands for the episodes that were open in the month, as they stood. */
  readonly episodes: string
  /** End of the last window in it. */
  readonly watermark: string
  readonly namespaces: LabelledNamespaces | null
}

/** The clusters that a table has rows of, or knows to have none, by id. */
export type MadeFromClusters = Readonly<Record<string, MadeFrom>>

/** Makes the rows of a month of one cluster. The episodes are as they stand now. */
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
      ...Object.fromEntries(TIMELINE_COLUMNS.map(({ name, of }) => [name, of(interval)])),
      episode_ended_at: episode?.endedAt ?? null,
      episode_ending: episode?.ending ?? null,
      evidence: JSON.stringify([...new Set(keys)]),
    }
  })
}

/** Makes the bytes of the table of a month. */
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

/** What a table was made from. Undefined for bytes that are damaged or of another form, such as a later version might make. */
export function madeFrom(body: Uint8Array): MadeFromClusters | undefined {
  if (!isIntact(body)) return undefined
  const { format, clusters } = decodeMetadata(body)
  if (format !== 'ciphertrail/not-encrypted/1' || clusters === undefined) return undefined
  return JSON.parse(clusters) as MadeFromClusters
}

/** Reads the rows of a table, newest first, a row group at a time. */
export async function* decodeNotEncrypted(body: Uint8Array): AsyncGenerator<readonly ReadRow[]> {
  for (let group = 0; ; group++) {
    const { rows, groups } = await decodeTable(body, { group })
    yield rows
    if (group + 1 >= groups) return
  }
}

import type { Activity, Episode, Interval, TimelineMonth } from '../../model/history.ts'
import type { Cause, Corroborated, Enforcement, Outcome, Setting, Source, State } from '../../model/path.ts'
import { basicTime } from '../../store/keys.ts'
import type { LabelledNamespaces } from '../../model/window.ts'
import { countQuiet } from '../rows/quiet-windows.ts'
import { decodeCoverage, decodeUnkeyedCoverage, encodeCoverage } from './coverage-table.ts'
import { type ParquetColumn, type ReadRow, type Table, encodeTable, openTable } from './parquet-table.ts'

/** Table of a month's paths, one row for each interval. Cluster and month are in its key, as Hive partitions. */
export const TIMELINE_COLUMNS: readonly ParquetColumn<Interval>[] = [
  {
    name: 'path_id',
    kind: 'text',
    isRequired: true,
    isSearched: true,
    encoding: 'DELTA_LENGTH_BYTE_ARRAY',
    isGzipped: true,
    of: ({ pathId }) => pathId,
  },
  { name: 'source_kind', kind: 'text', isRequired: true, of: ({ source }) => source.kind },
  { name: 'source_namespace', kind: 'text', isRequired: true, isSearched: true, of: ({ source }) => source.namespace },
  { name: 'source_name', kind: 'text', isRequired: true, isGzipped: true, of: ({ source }) => source.name },
  { name: 'source_service_account', kind: 'text', isGzipped: true, of: ({ source }) => source.serviceAccount },
  { name: 'destination_kind', kind: 'text', isRequired: true, of: ({ destination }) => destination.kind },
  {
    name: 'destination_namespace',
    kind: 'text',
    isRequired: true,
    isSearched: true,
    of: ({ destination }) => destination.namespace,
  },
  {
    name: 'destination_name',
    kind: 'text',
    isRequired: true,
    isGzipped: true,
    of: ({ destination }) => destination.name,
  },
  {
    name: 'destination_service_account',
    kind: 'text',
    isGzipped: true,
    of: ({ destination }) => destination.serviceAccount,
  },
  { name: 'destination_cluster', kind: 'text', of: ({ destination }) => destination.cluster },
  { name: 'port', kind: 'small', isRequired: true, of: ({ port }) => port },
  {
    name: 'starts_at',
    kind: 'time',
    isRequired: true,
    isSearched: true,
    encoding: 'PLAIN',
    isGzipped: true,
    of: ({ from }) => from,
  },
  {
    name: 'ends_at',
    kind: 'time',
    isRequired: true,
    isSearched: true,
    encoding: 'PLAIN',
    isGzipped: true,
    of: ({ to }) => to,
  },
  { name: 'state', kind: 'text', isRequired: true, isSearched: true, isGzipped: true, of: ({ state }) => state },
  { name: 'outcome', kind: 'text', isRequired: true, isSearched: true, of: ({ outcome }) => outcome },
  { name: 'reason', kind: 'text', isRequired: true, isGzipped: true, of: ({ reason }) => reason },
  { name: 'cause', kind: 'text', of: ({ cause }) => cause },
  { name: 'enforcement', kind: 'text', isRequired: true, of: ({ enforcement }) => enforcement },
  { name: 'corroborated', kind: 'text', isRequired: true, of: ({ corroborated }) => corroborated },
  { name: 'client_id', kind: 'text', isGzipped: true, of: ({ clientId }) => clientId },
  { name: 'server_id', kind: 'text', isGzipped: true, of: ({ serverId }) => serverId },
  // JSON, since engines read lists of structures differently.
  {
    name: 'candidates',
    kind: 'text',
    of: ({ candidates }) => (candidates.length === 0 ? null : JSON.stringify(candidates)),
  },
  { name: 'settings', kind: 'text', of: ({ settings }) => (settings === undefined ? null : JSON.stringify(settings)) },
  { name: 'opened_at', kind: 'time', encoding: 'DELTA_BINARY_PACKED', of: ({ episode }) => episode?.openedAt },
  { name: 'since_unknown', kind: 'flag', of: ({ episode }) => episode?.sinceUnknown },
  { name: 'may_be_earlier', kind: 'flag', of: ({ episode }) => episode?.mayBeEarlier },
  { name: 'windows', kind: 'small', isRequired: true, encoding: 'DELTA_BINARY_PACKED', of: ({ windows }) => windows },
  {
    name: 'quiet_windows',
    kind: 'small',
    isRequired: true,
    encoding: 'PLAIN',
    isGzipped: true,
    of: ({ quiet, windows }) => countQuiet(quiet, 0, windows),
  },
  {
    name: 'quiet',
    kind: 'bits',
    encoding: 'DELTA_LENGTH_BYTE_ARRAY',
    isGzipped: true,
    of: ({ quiet }) => (quiet.every((byte) => byte === 0) ? null : quiet),
  },
  { name: 'opens', kind: 'count', isRequired: true, encoding: 'DELTA_BINARY_PACKED', of: ({ total }) => total.opens },
  {
    name: 'open_at_scrape',
    kind: 'count',
    isRequired: true,
    encoding: 'PLAIN',
    isGzipped: true,
    of: ({ total }) => total.openAtScrape,
  },
  { name: 'bytes', kind: 'count', isRequired: true, encoding: 'DELTA_BINARY_PACKED', of: ({ total }) => total.bytes },
  {
    name: 'clear_bytes',
    kind: 'count',
    isRequired: true,
    encoding: 'PLAIN',
    isGzipped: true,
    of: ({ total }) => total.clearBytes,
  },
  { name: 'window_opens', kind: 'list', encoding: 'DELTA_BINARY_PACKED', of: listOf('opens') },
  { name: 'window_open_at_scrape', kind: 'list', of: listOf('openAtScrape') },
  { name: 'window_bytes', kind: 'list', encoding: 'DELTA_BINARY_PACKED', of: listOf('bytes') },
  { name: 'window_clear_bytes', kind: 'list', encoding: 'DELTA_BINARY_PACKED', of: clearBytesOf },
]

function listOf(count: keyof Activity): (interval: Interval) => readonly number[] | null {
  return ({ activity }) => (activity.length === 0 ? null : activity.map((one) => one[count]))
}

/** Returns the plaintext bytes; null if they equal all bytes, as is usual. */
function clearBytesOf(interval: Interval): readonly number[] | null {
  return interval.activity.every(({ bytes, clearBytes }) => bytes === clearBytes)
    ? null
    : listOf('clearBytes')(interval)
}

/** Fields of a month other than its intervals, in the metadata of its table. */
type MonthMetadata = {
  readonly format: TimelineMonth['format']
  readonly derivation: string
  readonly cluster: string
  readonly month: string
  /** End of its last window. */
  readonly watermark: string
  /** JSON. */
  readonly namespaces: string
  /** The table of its windows, in Base64, so that reading a month takes one request. */
  readonly windows: string
}

/** Encodes a month: equal content gives equal bytes. */
export function encodeMonth(month: TimelineMonth): Buffer {
  const { format, derivation, cluster, windows, namespaces, intervals } = month
  const metadata: MonthMetadata = {
    format,
    derivation: String(derivation),
    cluster,
    month: month.month,
    watermark: windows.at(-1)?.end ?? '',
    namespaces: JSON.stringify(namespaces),
    windows: encodeCoverage(month).toString('base64'),
  }
  return encodeTable(TIMELINE_COLUMNS, intervals, metadata)
}

/** Decodes a month, one row group at a time. Throws for bytes that {@link encodeMonth} did not make: callers check the hash first. */
export async function decodeMonth(body: Uint8Array): Promise<TimelineMonth> {
  const table = openTable(body)
  return decodeWith(table, decodeCoverage, (group) => table.read({ columns: READ, group }))
}

/** What a question asks of a month. */
export type AskedIntervals = {
  /** Intervals of other states are left out. */
  readonly states: ReadonlySet<State>
  /** Whether all of a month (`2026-11`) is asked for: then the sums of intervals are enough, and what each window counted is left out. */
  readonly isWhole: (month: string) => boolean
}

/**
 * Decodes a month for a question, as {@link decodeMonth} does, without what is not asked for. Its windows make the keys of their evidence when these are asked
 * for: they are neither copied nor encoded.
 */
export async function decodeAsked(body: Uint8Array, { states, isWhole }: AskedIntervals): Promise<TimelineMonth> {
  const table = openTable(body)
  const { month } = table.metadata as MonthMetadata
  const columns = isWhole(month) ? READ_SUMS : READ
  return decodeWith(table, decodeUnkeyedCoverage, (group) => table.readWhere('state', states, { columns, group }))
}

async function decodeWith(
  table: Table,
  windowsOf: typeof decodeCoverage,
  rowsOf: (group: number) => Promise<readonly ReadRow[]>,
): Promise<TimelineMonth> {
  const { derivation, cluster, month, namespaces, windows } = table.metadata as MonthMetadata
  const intervals: Interval[] = []
  for (let group = 0; group < table.groups; group++)
    for (const row of await rowsOf(group)) intervals.push(intervalOf(row, cluster, intervals.at(-1)))
  return {
    format: 'ciphertrail/timeline/2',
    derivation: Number(derivation),
    cluster,
    month,
    windows: await windowsOf(Buffer.from(windows, 'base64'), cluster),
    namespaces: JSON.parse(namespaces) as LabelledNamespaces | null,
    intervals,
  }
}

/** Returns the table of windows in a month's bytes. */
export function coverageIn(body: Uint8Array): Buffer {
  const { windows } = openTable(body).metadata as MonthMetadata
  return Buffer.from(windows, 'base64')
}

/** Columns to read; `quiet_windows` is only for other readers. */
const READ = TIMELINE_COLUMNS.map(({ name }) => name).filter((name) => name !== 'quiet_windows')

/** Those without what each window counted. */
const READ_SUMS = TIMELINE_COLUMNS.filter(({ kind }) => kind !== 'list')
  .map(({ name }) => name)
  .filter((name) => READ.includes(name))

/** Returns the interval of a row. */
function intervalOf(row: ReadRow, cluster: string, before: Interval | undefined): Interval {
  return { ...intervalWithoutActivity(row, cluster, before), activity: activityOf(row) }
}

/**
 * Returns the interval of a row of a table without the counts of each window.
 *
 * @param before the interval before it: what is equal in both is in memory once
 */
export function intervalWithoutActivity(
  row: ReadRow,
  cluster: string,
  before?: Pick<Interval, 'pathId' | 'source' | 'destination'>,
): Omit<Interval, 'activity'> {
  const text = (name: string) => row[name] as string
  const maybe = (name: string) => (row[name] ?? null) as string | null
  const settings = maybe('settings')
  const candidates = maybe('candidates')
  const windows = row['windows'] as number
  const pathId = text('path_id')
  const source = {
    kind: text('source_kind'),
    namespace: text('source_namespace'),
    name: text('source_name'),
    serviceAccount: maybe('source_service_account'),
  }
  const destination = {
    kind: text('destination_kind'),
    namespace: text('destination_namespace'),
    name: text('destination_name'),
    serviceAccount: maybe('destination_service_account'),
    cluster: maybe('destination_cluster'),
  }
  return {
    cluster,
    pathId: before?.pathId === pathId ? before.pathId : pathId,
    source: before !== undefined && isSameEnd(source, before.source) ? before.source : source,
    destination:
      before !== undefined &&
      destination.cluster === before.destination.cluster &&
      isSameEnd(destination, before.destination)
        ? before.destination
        : destination,
    port: row['port'] as number,
    from: text('starts_at'),
    to: text('ends_at'),
    state: row['state'] as State,
    outcome: row['outcome'] as Outcome,
    reason: text('reason'),
    cause: row['cause'] as Cause | null,
    ...(settings === null ? {} : { settings: JSON.parse(settings) as Setting[] }),
    enforcement: row['enforcement'] as Enforcement,
    corroborated: row['corroborated'] as Corroborated,
    candidates: candidates === null ? [] : (JSON.parse(candidates) as Source[]),
    clientId: maybe('client_id'),
    serverId: maybe('server_id'),
    episode: episodeOf(row),
    windows,
    quiet: row['quiet'] === null ? new Uint8Array(Math.ceil(windows / 8)) : (row['quiet'] as Uint8Array),
    total: {
      opens: Number(row['opens']),
      openAtScrape: Number(row['open_at_scrape']),
      bytes: Number(row['bytes']),
      clearBytes: Number(row['clear_bytes']),
    },
  }
}

function isSameEnd(a: Source, b: Source): boolean {
  return a.name === b.name && a.namespace === b.namespace && a.kind === b.kind && a.serviceAccount === b.serviceAccount
}

/** Returns an episode as it was when it opened; the cluster's state has its end. */
function episodeOf(row: ReadRow): Episode | null {
  const openedAt = row['opened_at'] as string | null
  if (openedAt === null) return null
  const id = `${row['path_id'] as string}-${basicTime(openedAt)}`
  const [sinceUnknown, mayBeEarlier] = [row['since_unknown'] as boolean, row['may_be_earlier'] as boolean]
  return { id, openedAt, sinceUnknown, mayBeEarlier, endedAt: null, ending: null }
}

function activityOf(row: ReadRow): Activity[] {
  const counts = (name: string) => ((row[name] ?? []) as readonly bigint[]).map(Number)
  const [opens, openAtScrape] = [counts('window_opens'), counts('window_open_at_scrape')]
  const [bytes, clear] = [counts('window_bytes'), counts('window_clear_bytes')]
  return opens.map((_, index) => ({
    opens: opens[index] ?? 0,
    openAtScrape: openAtScrape[index] ?? 0,
    bytes: bytes[index] ?? 0,
    clearBytes: clear[index] ?? bytes[index] ?? 0,
  }))
}

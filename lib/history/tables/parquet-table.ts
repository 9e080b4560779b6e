/**
 * Tables as Parquet, which DuckDB, Spark and Athena read directly. The same rows give the same bytes, because the compression (Snappy, or gzip by `fflate`) is
 * the same in all builds of Node.
 */
import { hash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { gzipSync } from 'fflate'
import { type FileMetaData, type SchemaElement, parquetMetadata, parquetRead } from 'hyparquet'
import { type ColumnSource, ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { compareText } from '../../text/order.ts'
import { rememberedTime, toTime } from '../../time/windows.ts'

/** Type of a column: `text` is a string, `time` RFC 3339, `bits` bytes, `count` and `small` whole numbers, `list` several of these, in order. */
type Kind = 'text' | 'time' | 'number' | 'count' | 'small' | 'flag' | 'bits' | 'list'

/** A column of a table. A null, or undefined, is a null in the table. */
export type ParquetColumn<Row> = {
  readonly name: string
  readonly kind: Kind
  /** Has no nulls. */
  readonly isRequired?: true
  /** Has statistics, by which readers skip row groups. */
  readonly isSearched?: true
  /** Overrides the writer's choice (a dictionary if it halves the size) if that is not the smallest. */
  readonly encoding?: 'DELTA_BINARY_PACKED' | 'DELTA_LENGTH_BYTE_ARRAY' | 'PLAIN' | 'RLE_DICTIONARY'
  /** Compressed with gzip instead of Snappy: smaller for texts and times, larger for short columns and for counts, which have little in common. */
  readonly isGzipped?: true
  readonly of: (row: Row) => unknown
}

/** A decoded row: times are RFC 3339, counts are numbers, bits are bytes. */
export type ReadRow = Readonly<Record<string, unknown>>

/** A table in memory, whose rows are decoded when they are read. */
export type Table = {
  readonly metadata: Readonly<Record<string, string>>
  readonly columns: readonly string[]
  /** Number of row groups. */
  readonly groups: number
  /** Returns the highest value of a column in a row group, as a row has it; undefined without statistics. */
  readonly highest: (column: string, group: number) => unknown
  /** Decodes rows. `columns` are the columns to read; `group` is the only row group to read, from 0. All of it if absent. */
  readonly read: (part?: TablePart) => Promise<readonly ReadRow[]>
  /** Decodes the rows of which a column has one of some values, as {@link read} does. Where there is none, no other column is decoded. */
  readonly readWhere: (column: string, values: ReadonlySet<unknown>, part?: TablePart) => Promise<readonly ReadRow[]>
}

type TablePart = { readonly columns?: readonly string[]; readonly group?: number }

/** Rows in a row group at most, which a reader holds in memory at once. */
export const GROUP_ROWS = 4096

const TYPES: Readonly<Record<Exclude<Kind, 'list'>, Omit<SchemaElement, 'name'>>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  time: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MILLIS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
  },
  number: { type: 'DOUBLE' },
  count: { type: 'INT64' },
  small: { type: 'INT32' },
  flag: { type: 'BOOLEAN' },
  bits: { type: 'BYTE_ARRAY' },
}

/** Position of an optional digest: after the four magic bytes. Readers start at the footer and skip it. */
const DIGEST = { begin: 4, end: 36 }

/**
 * Encodes a table, with the metadata as text in its footer.
 *
 * @param form `hasDigest`: adds a digest for {@link isIntact}, for a table whose hash is stored nowhere else; `firstRows`: rows of the first row group, by
 * default {@link GROUP_ROWS}; each further one has twice as many, up to these
 */
export function encodeTable<Row>(
  columns: readonly ParquetColumn<Row>[],
  rows: Iterable<Row>,
  metadata: Readonly<Record<string, string>>,
  { hasDigest = false, firstRows = GROUP_ROWS }: { readonly hasDigest?: boolean; readonly firstRows?: number } = {},
): Buffer {
  const writer = new ByteWriter()
  const parquet = new ParquetWriter({
    writer,
    schema: [{ name: 'root', num_children: columns.length }, ...columns.flatMap(schemaOf)],
    codec: 'SNAPPY',
    compressors: { GZIP: gzip },
    kvMetadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    createdBy: 'ciphertrail',
  })
  if (hasDigest) writer.appendBytes(new Uint8Array(DIGEST.end - DIGEST.begin))
  const left = rows[Symbol.iterator]()
  for (let size = firstRows, isFirst = true; ; size = Math.min(2 * size, GROUP_ROWS), isFirst = false) {
    const group = [...nextOf(left, size)]
    if (group.length === 0 && !isFirst) break
    // An in-memory writer finishes synchronously.
    void parquet.write({ columnData: columns.map((column) => sourceOf(column, group)), rowGroupSize: size })
    if (group.length < size) break
  }
  void parquet.finish()
  const body = Buffer.from(writer.getBytes())
  if (hasDigest) digestOf(body).copy(body, DIGEST.begin)
  return body
}

/** The next items, at most so many; the rest stays. */
function* nextOf<T>(items: Iterator<T>, most: number): Generator<T, void> {
  for (let count = 0; count < most; count++) {
    const next = items.next()
    if (next.done === true) return
    yield next.value
  }
}

/** Whether a table matches its digest. Check before reading, because a reader may never finish with damaged bytes. */
export function isIntact(body: Uint8Array): boolean {
  const magic = Buffer.from(body.subarray(0, DIGEST.begin)).toString('latin1')
  return magic === 'PAR1' && digestOf(body).equals(body.subarray(DIGEST.begin, DIGEST.end))
}

function digestOf(body: Uint8Array): Buffer {
  return hash('sha256', body.subarray(DIGEST.end), 'buffer')
}

function schemaOf<Row>({ name, kind, isRequired }: ParquetColumn<Row>): SchemaElement[] {
  const repetition_type = isRequired === true ? 'REQUIRED' : 'OPTIONAL'
  if (kind !== 'list') return [{ name, ...TYPES[kind], repetition_type }]
  return [
    { name, converted_type: 'LIST', logical_type: { type: 'LIST' }, repetition_type, num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', ...TYPES.count, repetition_type: 'REQUIRED' },
  ]
}

/** Compresses bytes without a time, so that equal bytes stay equal. */
function gzip(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9, mtime: 0 })
}

function sourceOf<Row>(
  { name, kind, isSearched, isGzipped, encoding, of }: ParquetColumn<Row>,
  rows: readonly Row[],
): ColumnSource {
  const physical = PHYSICAL[kind]
  return {
    name,
    data: rows.map((row) => {
      const value = of(row)
      return value === null || value === undefined ? null : physical(value)
    }),
    statistics: isSearched === true,
    columnIndex: false,
    offsetIndex: false,
    ...(encoding === undefined ? {} : { encoding }),
    ...(isGzipped === true ? { codec: 'GZIP' } : {}),
  }
}

const asIs = (value: unknown): unknown => value

const PHYSICAL: Readonly<Record<Kind, (value: unknown) => unknown>> = {
  text: asIs,
  time: (value) => BigInt(Date.parse(value as string)),
  number: asIs,
  count: (value) => BigInt(value as number),
  small: asIs,
  flag: asIs,
  bits: asIs,
  list: (value) => (value as readonly number[]).map(BigInt),
}

/** Opens a table. Throws for other bytes, now or when it is read: callers check the hash first. */
export function openTable(body: Uint8Array): Table {
  const buffer = bufferOf(body)
  const file = { byteLength: buffer.byteLength, slice: (start: number, end?: number) => buffer.slice(start, end) }
  const metadata = parquetMetadata(buffer)
  const names = metadata.row_groups[0]?.columns.map((column) => column.meta_data?.path_in_schema[0] ?? '') ?? []
  const late = lateColumns(metadata)
  const elements = elementsOf({ ...metadata, schema: metadata.schema.map((element) => asStored(element, late)) })
  return {
    metadata: keyValuesOf(metadata),
    columns: names,
    groups: metadata.row_groups.length,
    highest(column, group) {
      const value = metadata.row_groups[group]?.columns[names.indexOf(column)]?.meta_data?.statistics?.max_value
      return value instanceof Date ? toTime(value.getTime() / 1000) : value
    },
    async read(part = {}) {
      return rowsOf(await columnsOf(part), late)
    },
    async readWhere(column, values, part = {}) {
      const found = new Map<string, readonly unknown[]>()
      let wanted: readonly number[] | undefined
      // A few columns at a time: of what is decoded little is wanted, and V8 moves what lives long from place to place.
      for (const columns of [[column], ...chunksOf((part.columns ?? names).filter((name) => name !== column))]) {
        for (const [name, all] of await columnsOf({ ...part, columns })) {
          const valueAt = readerOf(all, late.get(name))
          wanted ??= indexesOf(all.length, (index) => values.has(valueAt(index)))
          found.set(
            name,
            wanted.map((index) => ownOf(valueAt(index))),
          )
        }
        if (wanted === undefined || wanted.length === 0) return []
      }
      return rowsOf(found, NOT_LATE)
    },
  }

  async function columnsOf({ columns, group }: TablePart): Promise<ReadonlyMap<string, ArrayLike<unknown>>> {
    const chunks = new Map<string, Chunk[]>()
    const read = columns ?? names
    await parquetRead({
      file,
      metadata: partOf(metadata, elements, { columns: read, group }),
      utf8: false,
      compressors: { GZIP: (bytes, size) => gunzipSync(bytes, { maxOutputLength: Math.max(1, size) }) },
      parsers: { timestampFromMilliseconds: timeOf },
      onChunk({ columnName, columnData, rowStart }) {
        const chunk = { rowStart, values: columnData as ArrayLike<unknown> }
        const own = chunks.get(columnName)
        if (own === undefined) chunks.set(columnName, [chunk])
        else own.push(chunk)
      },
      columns: [...read],
    })
    return new Map([...chunks].map(([name, own]) => [name, joined(own)]))
  }
}

/** Bytes of their own: those of a column would keep all of it. */
function ownOf(value: unknown): unknown {
  return value instanceof Uint8Array ? value.slice() : value
}

/** How many columns are decoded at once where few rows are wanted. */
const COLUMNS_AT_ONCE = 8

function chunksOf(columns: readonly string[]): string[][] {
  const chunks: string[][] = []
  for (let index = 0; index < columns.length; index += COLUMNS_AT_ONCE)
    chunks.push(columns.slice(index, index + COLUMNS_AT_ONCE))
  return chunks
}

function indexesOf(length: number, isWanted: (index: number) => boolean): number[] {
  const indexes: number[] = []
  for (let index = 0; index < length; index++) if (isWanted(index)) indexes.push(index)
  return indexes
}

/** A part of a column. */
type Chunk = { readonly rowStart: number; readonly values: ArrayLike<unknown> }

function joined(chunks: readonly Chunk[]): ArrayLike<unknown> {
  const [first, ...more] = chunks.toSorted((a, b) => a.rowStart - b.rowStart)
  if (first === undefined || more.length === 0) return first?.values ?? []
  return [first, ...more].flatMap(({ values }) => Array.from(values))
}

/** Columns whose values become texts and times only when a row is asked for them, and what they become. */
type Late = ReadonlyMap<string, 'text' | 'time'>

const NOT_LATE: Late = new Map()

/** Those without a dictionary: the texts of a dictionary are few. */
function lateColumns({ schema, row_groups: groups }: FileMetaData): Late {
  const inDictionary = new Set(
    groups.flatMap(({ columns }) =>
      columns.flatMap(({ meta_data: data }) =>
        data?.dictionary_page_offset === undefined ? [] : (data.path_in_schema[0] ?? []),
      ),
    ),
  )
  const late = new Map<string, 'text' | 'time'>()
  for (const { name, converted_type: type } of schema) {
    if (inDictionary.has(name)) continue
    if (type === 'UTF8') late.set(name, 'text')
    else if (type === 'TIMESTAMP_MILLIS') late.set(name, 'time')
  }
  return late
}

function asStored(element: SchemaElement, late: Late): SchemaElement {
  if (!late.has(element.name)) return element
  const { converted_type: _, logical_type: __, ...stored } = element
  return stored
}

type Values = readonly ((index: number) => unknown)[]

/** A row that looks into its columns: to copy each value into an object would take as long as to decode it. */
class Row {
  readonly #columns: Values
  readonly #index: number
  constructor(columns: Values, index: number) {
    this.#columns = columns
    this.#index = index
  }
  static valueOf(row: Row, place: number): unknown {
    return row.#columns[place]?.(row.#index)
  }
}

/** The rows of tables with the same columns are of one class: to look into those of a class that V8 never saw takes ten times as long. */
const classes = new Map<string, typeof Row>()

/** More than there are kinds of tables, and parts of them that are read. */
const MAX_CLASSES = 64

function classOf(names: readonly string[]): typeof Row {
  const key = JSON.stringify(names)
  const known = classes.get(key)
  if (known !== undefined) return known
  const made = class extends Row {}
  for (const [place, name] of names.entries())
    Object.defineProperty(made.prototype, name, {
      get(this: Row) {
        return Row.valueOf(this, place)
      },
    })
  if (classes.size >= MAX_CLASSES) classes.clear()
  classes.set(key, made)
  return made
}

function rowsOf(columns: ReadonlyMap<string, ArrayLike<unknown>>, late: Late): readonly ReadRow[] {
  const names = [...columns.keys()].sort(compareText)
  const own = names.map((name) => readerOf(columns.get(name) ?? [], late.get(name)))
  const Own = classOf(names)
  const [first = []] = columns.values()
  return Array.from({ length: first.length }, (_, index) => new Own(own, index) as unknown as ReadRow)
}

function readerOf(values: ArrayLike<unknown>, late: 'text' | 'time' | undefined): (index: number) => unknown {
  if (late === undefined) return (index) => values[index]
  if (late === 'time')
    return (index) => {
      const value = values[index]
      return typeof value === 'bigint' ? timeOf(value) : value
    }
  const texts = Array.from(values)
  return (index) => {
    const value = texts[index]
    return value instanceof Uint8Array ? (texts[index] = TEXT.decode(value)) : value
  }
}

const TEXT = new TextDecoder()

/** The elements of each column in a schema, by its name: one, or three of a list. */
function elementsOf({ schema: [, ...schema] }: FileMetaData): ReadonlyMap<string, readonly SchemaElement[]> {
  const elements = new Map<string, SchemaElement[]>()
  let [own, left]: [SchemaElement[], number] = [[], 0]
  for (const element of schema) {
    if (left === 0) elements.set(element.name, (own = []))
    else left--
    own.push(element)
    left += element.num_children ?? 0
  }
  return elements
}

/** Metadata that tell of some columns alone, of one row group if it is given: the reader goes through all that they tell, again and again. */
function partOf(
  metadata: FileMetaData,
  elements: ReadonlyMap<string, readonly SchemaElement[]>,
  { columns, group }: { readonly columns: readonly string[]; readonly group: number | undefined },
): FileMetaData {
  const wanted = new Set(columns)
  const groups = group === undefined ? metadata.row_groups : metadata.row_groups.slice(group, group + 1)
  return {
    ...metadata,
    schema: [
      { name: 'root', num_children: wanted.size },
      ...[...elements].flatMap(([name, own]) => (wanted.has(name) ? own : [])),
    ],
    row_groups: groups.map((one) => ({
      ...one,
      columns: one.columns.filter(({ meta_data: data }) => wanted.has(data?.path_in_schema[0] ?? '')),
    })),
  }
}

function keyValuesOf({ key_value_metadata: pairs = [] }: FileMetaData): Record<string, string> {
  return Object.fromEntries(pairs.map(({ key, value = '' }) => [key, value]))
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): ArrayBuffer {
  const whole = buffer as ArrayBuffer
  return byteOffset === 0 && byteLength === whole.byteLength ? whole : whole.slice(byteOffset, byteOffset + byteLength)
}

function timeOf(milliseconds: bigint): string {
  return rememberedTime(Number(milliseconds) / 1000)
}

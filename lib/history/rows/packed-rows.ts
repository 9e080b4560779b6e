/** Rows of many clusters in one order: those of each are kept compressed until their turn comes, so that a fleet's rows fit into memory. */
import { deserialize, serialize } from 'node:v8'
import { gunzipSync, gzipSync } from 'node:zlib'
import { partitionPoint } from '../../partition-point.ts'

/** Rows of one list that are compressed together, and in memory at once while lists are joined. */
const CHUNK = 64

/** Yields the rows of a list, in its order. */
export type PackedRows<Row> = () => Generator<Row, void>

/** Compresses rows, which are plain objects, about ten to one. */
export function packRows<Row>(rows: readonly Row[]): PackedRows<Row> {
  const chunks: Uint8Array[] = []
  for (let first = 0; first < rows.length; first += CHUNK)
    chunks.push(gzipSync(serialize(rows.slice(first, first + CHUNK)), { level: 1 }))
  return () => unpack(chunks)
}

/** One list after the other. */
export function chainRows<Row>(lists: readonly PackedRows<Row>[]): PackedRows<Row> {
  return function* () {
    for (const list of lists) yield* list()
  }
}

/** Yields the rows of all lists in order. `compare` is the order that each list has. */
export function* joinRows<Row>(
  lists: readonly PackedRows<Row>[],
  compare: (a: Row, b: Row) => number,
): Generator<Row, void> {
  // The lists by their next row, last first.
  const waiting: { row: Row; readonly rows: Iterator<Row> }[] = []
  const put = (rows: Iterator<Row>): void => {
    const next = rows.next()
    if (next.done === true) return
    const place = partitionPoint(waiting, ({ row }) => compare(row, next.value) > 0)
    waiting.splice(place, 0, { row: next.value, rows })
  }
  for (const list of lists) put(list())
  for (let first = waiting.pop(); first !== undefined; first = waiting.pop()) {
    yield first.row
    put(first.rows)
  }
}

function* unpack<Row>(chunks: readonly Uint8Array[]): Generator<Row, void> {
  for (const chunk of chunks) yield* deserialize(gunzipSync(chunk)) as Row[]
}

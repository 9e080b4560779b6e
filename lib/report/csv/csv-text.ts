/** How rows become CSV (RFC 4180, UTF-8) that a spreadsheet can open without harm. */
import { stringify } from 'csv-stringify/sync'
import type { Endpoint, Source } from '../../model/path.ts'
import { printable } from '../../text/printable.ts'

/** What a field may hold; null is an empty field: not known, or nothing to say. */
type Field = string | number | boolean | null

/** The columns of a table by name, with the field of a row. */
export type Columns<Row> = Readonly<Record<string, (row: Row) => Field>>

/** So many rows are made at once: the pieces of tens of thousands together would take much memory. */
const AT_ONCE = 20

/** Rows as CSV. Without the line of names it can be put after a part that has it. */
export function csvText<Row>(columns: Columns<Row>, rows: Iterable<Row>, { hasNames = true } = {}): string {
  const fields = Object.values(columns)
  const parts: string[] = []
  let records: string[][] = hasNames ? [Object.keys(columns)] : []
  for (const row of rows) {
    records.push(fields.map((field) => plainText(field(row))))
    if (records.length < AT_ONCE) continue
    parts.push(textOf(records))
    records = []
  }
  return [...parts, textOf(records)].join('')
}

function textOf(rows: string[][]): string {
  return stringify(rows, {
    record_delimiter: 'windows',
    // A name that begins like a formula gets an apostrophe before it: a spreadsheet then shows it and runs nothing.
    escape_formulas: true,
  })
}

/** Numbers and truths as JSON writes them; names without what cannot be seen. */
function plainText(field: Field): string {
  return field === null ? '' : typeof field === 'string' ? printable(field) : String(field)
}

/** The columns of one end of a path. */
export const endColumns = <Row>(prefix: string, of: (row: Row) => Source): Columns<Row> => ({
  [`${prefix}_kind`]: (row) => of(row).kind,
  [`${prefix}_namespace`]: (row) => of(row).namespace,
  [`${prefix}_name`]: (row) => of(row).name,
  [`${prefix}_service_account`]: (row) => of(row).serviceAccount,
})

/** Several values in one field. */
export const listOf = (values: readonly string[]): string | null =>
  values.length === 0 ? null : [...new Set(values)].join('; ')

/** `kind/namespace/name`, or `(unmeshed)` for who has no name. */
export const idOf = ({ kind, namespace, name }: Endpoint): string =>
  namespace === '' && name === '' ? `(${kind})` : [kind, namespace, name].filter(Boolean).join('/')

/** How rows become CSV (RFC 4180, UTF-8) that a spreadsheet can open without harm. */
import { stringify } from 'csv-stringify/sync'
import type { Endpoint, Source } from '../../model/path.ts'
import { printable } from '../../text/printable.ts'

/** What a field may hold: a list is the lines of a text of our own; null is an empty field: not known, or nothing to say. */
type Field = string | number | boolean | null | readonly string[]

/** The columns of a table by name, with the field of a row. */
export type Columns<Row> = Readonly<Record<string, (row: Row) => Field>>

/** Rows as CSV. Without the line of names it can be put after a part that has it. */
export function csvText<Row>(columns: Columns<Row>, rows: Iterable<Row>, { hasNames = true } = {}): string {
  const fields = Object.values(columns)
  const lines = hasNames ? [lineOf(Object.keys(columns))] : []
  for (const row of rows) lines.push(lineOf(fields.map((field) => plainText(field(row)))))
  return lines.join('')
}

const lineOf = (fields: readonly string[]): string => `${fields.map(fieldText).join(',')}\r\n`

/** Fields that are no formula, whatever the program, and have neither a quote nor a line end: nearly all. */
const HARMLESS = /^[A-Za-z0-9(][ !#-~]*$/

/** A field as it is written. The library decides about all but harmless ones, which would cost it 0.2 s in a large report. */
function fieldText(text: string): string {
  if (text === '') return ''
  if (HARMLESS.test(text)) return text.includes(',') ? `"${text}"` : text
  // A name that begins like a formula gets an apostrophe before it: a spreadsheet then shows it and runs nothing.
  return stringify([[text]], { eof: false, record_delimiter: 'windows', escape_formulas: true, quoted_match: '\n' })
}

/** Numbers and truths as JSON writes them; names without what cannot be seen, so only lines of our own break. */
function plainText(field: Field): string {
  if (field === null) return ''
  if (typeof field === 'string') return printable(field)
  return typeof field === 'object' ? field.map(printable).join('\n') : String(field)
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

/** The lines of fixes, each of which has several; an empty line is between two fixes. */
export const fixLines = (fixes: readonly string[]): readonly string[] | null =>
  fixes.length === 0 ? null : [...new Set(fixes)].join('\n\n').split('\n')

/** `kind/namespace/name`, or `(unmeshed)` for who has no name. */
export const idOf = ({ kind, namespace, name }: Endpoint): string =>
  namespace === '' && name === '' ? `(${kind})` : [kind, namespace, name].filter(Boolean).join('/')

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringify } from 'csv-stringify/sync'
import fc from 'fast-check'
import { csvText } from '../../../lib/report/csv/csv-text.ts'
import { printable } from '../../../lib/text/printable.ts'

test('csvText() writes any fields as csv-stringify does, formulas guarded', () => {
  const character = fc.oneof(
    fc.constantFrom('=', '+', '-', '@', '|', '%', '\t', '\r', '\n', '"', "'", ',', ';', ' ', '＝', '，', 'a', '0', '('),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
  )
  const field = fc.array(character, { maxLength: 5 }).map((characters) => characters.join(''))
  fc.assert(
    fc.property(fc.array(fc.tuple(field, field, field), { maxLength: 4 }), (rows) => {
      const columns = {
        one: ([a]: string[]) => a ?? null,
        two: (row: string[]) => row[1] ?? null,
        three: (row: string[]) => row[2] ?? null,
      }
      const expected = stringify([Object.keys(columns), ...rows.map((row) => row.map(printable))], {
        record_delimiter: 'windows',
        escape_formulas: true,
      })
      assert.equal(csvText(columns, rows), expected)
    }),
    { numRuns: 500 },
  )
})

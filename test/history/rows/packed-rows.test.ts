import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { joinRows, packRows } from '../../../lib/history/rows/packed-rows.ts'

test('joinRows() gives the rows of all lists in the order that sorting them at once gives', () => {
  type Row = { readonly at: number; readonly list: number; readonly name: string }
  const compare = (a: Row, b: Row) => b.at - a.at || a.list - b.list
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.record({ at: fc.nat(50), name: fc.string() }), { maxLength: 200 }), { maxLength: 12 }),
      (drawn) => {
        const lists = drawn.map((rows, list) => rows.map((row) => ({ ...row, list })).toSorted(compare))
        const joined = [...joinRows(lists.map(packRows), compare)]
        assert.deepEqual(joined, lists.flat().toSorted(compare))
      },
    ),
  )
})

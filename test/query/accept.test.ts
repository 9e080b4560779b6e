import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { acceptedType } from '../../lib/query/accept.ts'

const TYPES = ['application/json', 'text/csv']

const CASES: readonly [header: string | null, type: string | undefined][] = [
  [null, 'application/json'],
  ['', 'application/json'],
  ['*/*', 'application/json'],
  ['text/csv', 'text/csv'],
  ['TEXT/CSV; header=present', 'text/csv'],
  ['text/*', 'text/csv'],
  ['text/html, application/xhtml+xml, */*;q=0.8', 'application/json'],
  ['application/json;q=0.5, text/csv', 'text/csv'],
  ['text/csv;q=0.5, application/json;q=0.5', 'application/json'],
  ['*/*, application/json;q=0', 'text/csv'],
  ['text/csv;q=0', undefined],
  ['text/csv;q=high', undefined],
  ['text/csv;q=2', undefined],
  ['image/png', undefined],
  ['text', undefined],
]

test('the form that the client wants most is taken, the first where it does not mind', () => {
  for (const [header, type] of CASES) assert.equal(acceptedType(header, TYPES), type, String(header))
})

test('whatever a client says, the answer is one of the forms or none', () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      const type = acceptedType(header, TYPES)
      assert.ok(type === undefined || TYPES.includes(type))
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { jsonExtent } from '../../lib/text/json-extent.ts'
import '../support/property-seed.ts'

const NO_END = { depth: Infinity, values: Infinity }

/** What a value has, told the plain way. */
function plain(value: unknown): { depth: number; values: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, values: 1 }
  const members = Object.values(value).map(plain)
  return {
    depth: 1 + Math.max(0, ...members.map(({ depth }) => depth)),
    values: 1 + members.reduce((sum, { values }) => sum + values, 0),
  }
}

test('jsonExtent() tells how deep and how much, whatever stands in strings, and never too little', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1), (value, space) => {
      const { depth, values } = jsonExtent(JSON.stringify(value, undefined, space), NO_END)
      const wanted = plain(value)
      assert.equal(depth, wanted.depth)
      // Each list and object counts as one more than it has, but for the outermost.
      assert.ok(values >= wanted.values && values <= 2 * wanted.values, `${values} of ${wanted.values}`)
    }),
  )
  assert.deepEqual(jsonExtent('"[[\\"[[\\\\",[]', NO_END), { depth: 1, values: 3 })
  assert.deepEqual(jsonExtent('"[[[', NO_END), { depth: 0, values: 1 })
  assert.deepEqual(jsonExtent('"\\', NO_END), { depth: 0, values: 1 })
})

test('jsonExtent() reads a long text as it reads a short one, wherever it is cut', () => {
  for (const before of [65_530, 65_533, 65_534, 65_535, 65_536, 131_071]) {
    const padding = 'ü'.repeat(before)
    for (const text of ['\\\\", [[1]]', '\\",[[[', '",[{']) {
      const short = jsonExtent(`"${text}`, NO_END)
      assert.deepEqual(jsonExtent(`"${padding}${text}`, NO_END), short, `${before} ${text}`)
    }
  }
})

test('jsonExtent() ends where there is too much', () => {
  assert.deepEqual(jsonExtent('['.repeat(1000), { depth: 10, values: 100 }), { depth: 11, values: 12 })
  const { depth, values } = jsonExtent('[],'.repeat(1_000_000), { depth: 10, values: 100 })
  assert.ok(depth === 1 && values > 100 && values < 100_000, String(values))
})

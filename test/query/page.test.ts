import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Cursor, MAX_ITEMS, MAX_PLACE, decodeCursor, encodeCursor, pageOf } from '../../lib/query/page.ts'
import { ProblemError } from '../../lib/query/problem.ts'

const until = '2026-11-24T12:20:00Z'
const limits = fc.integer({ min: 1, max: 12 })
const names = fc.array(fc.oneof(fc.string(), fc.nat(3)), { maxLength: 40 })

const hex16 = fc.stringMatching(/^[0-9a-f]{16}$/)
const cursors: fc.Arbitrary<Cursor> = fc.record({
  v: fc.constant(1 as const),
  q: hex16,
  u: fc.constant(until),
  n: fc.integer({ min: 1, max: MAX_PLACE }),
  d: hex16,
})

test('pages joined are the whole list, also where each has a limit of its own and items are alike', () => {
  fc.assert(
    fc.property(names, fc.array(limits, { minLength: 1, maxLength: 5 }), (list, sizes) => {
      const joined: unknown[] = []
      let cursor: Cursor | undefined
      for (let at = 0; at === 0 || cursor !== undefined; at++) {
        const limit = sizes[at % sizes.length] ?? 1
        const page = pageOf(list, { limit, cursor, question: 'all', until }, (item) => item)
        assert.ok(page.items.length <= limit)
        assert.equal(page.isFirst, at === 0)
        joined.push(...page.items)
        cursor = page.next === null ? undefined : decodeCursor(page.next)
        assert.ok(at <= list.length)
      }
      assert.deepEqual(joined, list)
    }),
  )
})

test('a list may change after the cursor: pages joined are the list as it is now, or the next one is refused', () => {
  const changed = fc.array(fc.tuple(fc.nat(40), names), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(names, changed, limits, (list, edits, limit) => {
      const joined: unknown[] = []
      let now: readonly unknown[] = list
      let cursor: Cursor | undefined
      for (let at = 0; at === 0 || cursor !== undefined; at++) {
        const [from, tail] = edits[at - 1] ?? []
        if (from !== undefined && tail !== undefined) now = [...now.slice(0, from), ...tail]
        const query = { limit, cursor, question: 'all', until }
        const isSame = JSON.stringify(now.slice(0, joined.length)) === JSON.stringify(joined)
        if (!isSame) {
          assert.throws(
            () => pageOf(now, query, (item) => item),
            (error) => error instanceof ProblemError && error.kind === 'history-changed',
          )
          return
        }
        const page = pageOf(now, query, (item) => item)
        joined.push(...page.items)
        cursor = page.next === null ? undefined : decodeCursor(page.next)
      }
      assert.deepEqual(joined, now)
    }),
  )
})

test('a cursor is worth nothing for another question', () => {
  const { next } = pageOf([1, 2], { limit: 1, cursor: undefined, question: 'all', until }, (item) => item)
  assert.throws(
    () => pageOf([1, 2], { limit: 1, cursor: decodeCursor(next ?? ''), question: 'some', until }, (item) => item),
    (error) => error instanceof ProblemError && error.kind === 'bad-parameter',
  )
})

test('a cursor survives a round trip, and is made of letters that need no escape', () => {
  fc.assert(
    fc.property(cursors, (cursor) => {
      const text = encodeCursor(cursor)
      assert.match(text, /^[\w-]+$/)
      assert.deepEqual(decodeCursor(text), { ...cursor })
    }),
  )
})

test('what is no cursor is a problem, never another error and never a place in the list', () => {
  const forged = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string().map((text) => Buffer.from(text).toString('base64url')),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc
      .tuple(cursors, fc.constantFrom('v', 'q', 'u', 'n', 'd', 'x'), fc.jsonValue())
      .filter(([cursor, name, value]) => JSON.stringify({ ...cursor, [name]: value }) !== JSON.stringify(cursor))
      .map(([cursor, name, value]) => ({ ...cursor, [name]: value }))
      .filter(({ v, q, d, n, u, ...rest }) => {
        const isHex = [q, d].every((text) => typeof text === 'string' && /^[0-9a-f]{16}$/.test(text))
        const isPlace = Number.isInteger(n) && Number(n) > 0 && Number(n) <= MAX_PLACE
        return v !== 1 || !isHex || !isPlace || u !== until || Object.keys(rest).length > 0
      })
      .map((content) => Buffer.from(JSON.stringify(content)).toString('base64url')),
    cursors.map((cursor) => `${encodeCursor(cursor)}=`),
    cursors.map((cursor) => Buffer.from(JSON.stringify(cursor, null, 1)).toString('base64url')),
  )
  fc.assert(
    fc.property(forged, (text) => {
      assert.throws(
        () => decodeCursor(text),
        (error) => error instanceof ProblemError && error.kind === 'bad-parameter' && error.parameter === 'cursor',
      )
    }),
  )
})

test('no cursor leads further into a list than decodeCursor() takes: a longer list is refused, and never cut', () => {
  const list = Array.from({ length: MAX_PLACE + 1 }, () => 0)
  const pageAt = (n: number, of: readonly number[]) => {
    const d = createHash('sha256')
      .update(JSON.stringify(list.slice(0, n)))
      .digest('hex')
      .slice(0, 16)
    const q = createHash('sha256').update(JSON.stringify('all')).digest('hex').slice(0, 16)
    return pageOf(of, { limit: 1, cursor: { v: 1, q, u: until, n, d }, question: 'all', until }, (item) => item)
  }
  assert.equal(decodeCursor(pageAt(MAX_PLACE - 1, list).next ?? '').n, MAX_PLACE)
  assert.deepEqual(pageAt(MAX_PLACE, list), { items: [0], next: null, isFirst: false })
  assert.throws(() => pageAt(MAX_PLACE, [...list, 0]), ProblemError)
})

test('a cursor that was forged to lie behind the end is a problem, since an empty page would read as the end', () => {
  const list = ['a', 'b', 'c']
  const { next } = pageOf(list, { limit: 1, cursor: undefined, question: 'all', until }, (item) => item)
  for (const n of [3, 4, MAX_ITEMS])
    assert.throws(
      () =>
        pageOf(list, { limit: 1, cursor: { ...decodeCursor(next ?? ''), n }, question: 'all', until }, (item) => item),
      ProblemError,
    )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inputsOf, selectedAttempt, tile } from '../../../lib/store/evidence/selected-attempt.ts'
import type { AttemptedWindow, KnownAttempt } from '../../../lib/store/evidence/selected-attempt.ts'

function attempt(number: number, changes: Partial<KnownAttempt> = {}): KnownAttempt {
  return {
    key: `key-${number}`,
    number,
    complete: false,
    startedAt: '2026-11-24T13:01:00Z',
    listsAt: null,
    observedSeconds: 0,
    error: null,
    ...changes,
  }
}

test('selectedAttempt() takes the first complete one, else the one that saw most, else the lowest number', () => {
  const complete = { complete: true, observedSeconds: null }
  const unreadable = { observedSeconds: null, error: 'Cannot read it' }
  const cases: [KnownAttempt[], number][] = [
    [[attempt(1, { observedSeconds: 900 }), attempt(2, complete), attempt(3, complete)], 2],
    [
      [attempt(1, { observedSeconds: 10 }), attempt(2, { observedSeconds: 20 }), attempt(3, { observedSeconds: 20 })],
      2,
    ],
    [[attempt(1), attempt(2)], 1],
    [[attempt(1, unreadable), attempt(2)], 2],
    [[attempt(1, unreadable), attempt(2, unreadable)], 1],
  ]
  for (const [attempts, number] of cases) {
    assert.equal(selectedAttempt(attempts)?.number, number)
    assert.equal(selectedAttempt(attempts.toReversed())?.number, number, 'whatever the order')
  }
  assert.equal(selectedAttempt([]), undefined)
})

test('inputsOf() takes the latest list up to two minutes after the start, and the first at or after the end, of any attempt', () => {
  const at = (start: string, end: string, ...attempts: KnownAttempt[]): AttemptedWindow => ({
    start: `2026-11-24T${start}:00Z`,
    end: `2026-11-24T${end}:00Z`,
    attempts,
  })
  const inputs = inputsOf([
    at('12:00', '12:30', attempt(1, { key: 'a1', listsAt: '2026-11-24T12:31:00Z' })),
    at(
      '12:30',
      '13:00',
      attempt(1, { key: 'b1' }),
      attempt(2, { key: 'b2', complete: true, listsAt: '2026-11-24T13:02:01Z' }),
    ),
    at('13:00', '13:30', attempt(1, { key: 'c1', listsAt: '2026-11-24T13:30:00Z' })),
    at('13:30', '14:00', attempt(1, { key: 'd1' })),
  ])
  assert.deepEqual(
    [...inputs.values()],
    [
      { evidence: 'a1', before: null, after: 'a1' },
      { evidence: 'b2', before: 'a1', after: 'b2' },
      { evidence: 'c1', before: 'a1', after: 'c1' },
      { evidence: 'd1', before: 'c1', after: null },
    ],
  )
})

test('inputsOf() names every other complete attempt beside a standing one that is complete, in the order of their numbers', () => {
  const window = (...attempts: KnownAttempt[]) => ({
    start: '2026-11-24T12:00:00Z',
    end: '2026-11-24T13:00:00Z',
    attempts,
  })
  const named = (...attempts: KnownAttempt[]) => {
    const [input] = [...inputsOf([window(...attempts)]).values()]
    return [input?.evidence, input?.also]
  }
  const complete = { complete: true, observedSeconds: null }
  const [one, two, three] = [attempt(1), attempt(2, complete), attempt(3, complete)]
  assert.deepEqual(named(two), ['key-2', undefined])
  assert.deepEqual(named(one, two), ['key-2', undefined])
  assert.deepEqual(named(one, three, two), ['key-2', ['key-3']])
  assert.deepEqual(named(one, attempt(4, { observedSeconds: 10 })), ['key-4', undefined], 'none of them is complete')
})

const hourly = [{ since: '2026-01-01T00:00:00Z', minutes: 60 as const }]

test('tile() names the windows expected between those with evidence, and tells no time twice', () => {
  const window = (start: string, end: string): AttemptedWindow => ({
    start: `2026-11-24T${start}:00Z`,
    end: `2026-11-24T${end}:00Z`,
    attempts: [attempt(1)],
  })
  const tiles = tile(hourly, [
    window('10:00', '11:00'),
    window('10:30', '11:30'),
    window('13:00', '14:00'),
    window('15:30', '16:00'),
  ])
  assert.deepEqual(
    tiles.map(({ start, end }) => `${start.slice(11, 16)}-${end.slice(11, 16)}`),
    ['10:00-11:00', '11:00-12:00', '12:00-13:00', '13:00-14:00', '14:00-15:00', '15:00-15:30', '15:30-16:00'],
  )
})

test('tile() lets no window that nobody expected take the time of one that was', () => {
  const window = (start: string, end: string): AttemptedWindow => ({ start, end, attempts: [attempt(1)] })
  const giant = window('2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z')
  const shifted = window('2026-11-24T09:30:00Z', '2026-11-24T10:30:00Z')
  const own = [10, 11, 12].map((hour) => window(`2026-11-24T${hour}:00:00Z`, `2026-11-24T${hour + 1}:00:00Z`))
  assert.deepEqual(
    tile(hourly, [giant, shifted, ...own]),
    own.map(({ start, end }) => ({ start, end })),
  )
})

test('tile() leaves no hole, whatever the windows were', () => {
  const window = fc
    .tuple(fc.integer({ min: 0, max: 600 }), fc.constantFrom(5, 15, 30, 60))
    .map(([slot, minutes]): AttemptedWindow => {
      const start = Date.UTC(2026, 10, 24) + slot * 5 * 60_000
      const time = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z')
      return { start: time(start), end: time(start + minutes * 60_000), attempts: [attempt(1)] }
    })
  fc.assert(
    fc.property(fc.uniqueArray(window, { selector: ({ start }) => start, minLength: 1 }), (windows) => {
      const sorted = windows.toSorted((a, b) => (a.start < b.start ? -1 : 1))
      const tiles = tile(hourly, sorted)
      // Only a window that takes the time of an expected one is left out.
      assert.ok(sorted.some(({ start }) => start === tiles[0]?.start))
      for (const [index, { start, end }] of tiles.entries()) {
        assert.ok(start < end)
        if (index > 0) assert.equal(start, tiles[index - 1]?.end)
      }
    }),
  )
})

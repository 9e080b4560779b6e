import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  isMoment,
  parseTime,
  toSeconds,
  toTime,
  windowAfter,
  windowOf,
  windowsBetween,
} from '../../lib/time/windows.ts'
import { WINDOW_MINUTES } from '../../lib/model/time.ts'
import type { WindowMinutes, WindowSetting } from '../../lib/model/time.ts'
import { errorText } from '../support/texts/matches-text.ts'

const HOURLY: WindowSetting[] = [{ since: '2026-01-01T00:00:00Z', minutes: 60 }]

function windowAt(time: string, settings: readonly WindowSetting[] = HOURLY): string {
  const { start, end } = windowOf(settings, toSeconds(time))
  return `${start.slice(5, 16)} ${end.slice(5, 16)}`
}

test('windowOf() gives a time at the end of a window to it, and one just after to the next', () => {
  assert.equal(windowAt('2026-11-24T12:00:00Z'), '11-24T11:00 11-24T12:00')
  assert.equal(windowAt('2026-11-24T12:00:00.001Z'), '11-24T12:00 11-24T13:00')
  assert.equal(windowAt('2026-11-24T12:59:59.999Z'), '11-24T12:00 11-24T13:00')
  assert.equal(windowAt('2026-11-24T00:00:00Z'), '11-23T23:00 11-24T00:00')
  assert.equal(windowAt('2026-11-24T00:00:00.001Z'), '11-24T00:00 11-24T01:00')
  assert.equal(
    windowAt('2024-02-29T23:30:00Z', [{ since: '2024-01-01T00:00:00Z', minutes: 15 }]),
    '02-29T23:15 02-29T23:30',
  )
})

test('windowOf() tiles the day of UTC, whatever the clocks on the wall do', () => {
  // In Auckland, where these tests run, and in Berlin the clocks change on these days.
  for (const day of ['2026-03-29', '2026-04-05', '2026-09-27', '2026-10-25']) {
    const midnight = toSeconds(`${day}T00:00:00Z`)
    const windows = windowsBetween(HOURLY, midnight, midnight + 86_400)
    assert.equal(windows.length, 24, day)
    assert.deepEqual([windows[0]?.start, windows.at(-1)?.end], [`${day}T00:00:00Z`, toTime(midnight + 86_400)])
  }
})

test('windowOf() takes a changed size from the next UTC midnight on, and an older one before the first', () => {
  const settings: WindowSetting[] = [...HOURLY, { since: '2026-11-24T00:00:00Z', minutes: 5 }]
  assert.equal(windowAt('2026-11-24T00:00:00Z', settings), '11-23T23:00 11-24T00:00')
  assert.equal(windowAt('2026-11-24T00:00:01Z', settings), '11-24T00:00 11-24T00:05')
  assert.equal(windowAt('2020-11-24T00:30:00Z', settings), '11-24T00:00 11-24T01:00')
  const noon: WindowSetting[] = [...HOURLY, { since: '2026-11-24T12:00:00Z', minutes: 5 }]
  assert.equal(windowAt('2026-11-24T23:30:00Z', noon), '11-24T23:00 11-25T00:00')
  assert.equal(windowAt('2026-11-25T00:01:00Z', noon), '11-25T00:00 11-25T00:05')
})

test('windowOf() refuses a cluster without a setting', () => {
  assert.throws(() => windowOf([], 0), RangeError)
})

test('toSeconds() and toTime() are RFC 3339 in UTC, and refuse what is no time', () => {
  assert.equal(toSeconds('2026-11-24T12:30:00.250Z'), 1_795_523_400.25)
  assert.equal(toTime(1_795_523_400), '2026-11-24T12:30:00Z')
  assert.equal(toTime(1_795_523_400.25), '2026-11-24T12:30:00.250Z')
  assert.throws(() => toSeconds('yesterday'), errorText({ name: 'RangeError' }))
  assert.equal(toTime(253_402_300_799), '9999-12-31T23:59:59Z')
  for (const seconds of [1e14, 1e308, -1e12, NaN, Infinity, 253_402_300_800])
    assert.throws(() => toTime(seconds), /^RangeError: Cannot write .* s as a time: wanted a year from 0 to 9999$/)
})

test('parseTime() reads times of the years from 1970 to 9998, around which every window and period can be written', () => {
  assert.equal(parseTime('2026-11-24 13:30:00+01:00'), '2026-11-24T12:30:00Z')
  assert.equal(parseTime('1970-01-01'), '1970-01-01T00:00:00Z')
  assert.equal(parseTime('9998-12-31T23:59:59.999Z'), '9998-12-31T23:59:59.999Z')
  for (const text of [
    '0000-01-01',
    '1969-12-31T23:59:59.999Z',
    '1970-01-01T00:00:00+14:00',
    '9998-12-31T23:59:59-01:00',
    '9999-01-01',
    '9999-12-31T23:59:59.999Z',
    '+010000-01-01T00:00:00Z',
  ])
    assert.equal(parseTime(text), undefined, text)
})

test('isMoment() says of which numbers of others toTime() can make a time', () => {
  for (const seconds of [0, 0.5, 1_795_523_400, 253_402_300_799]) assert.ok(isMoment(seconds) && toTime(seconds) !== '')
  for (const seconds of [-1, 253_402_300_800, 1e14, 1e308, NaN, Infinity, -Infinity]) assert.ok(!isMoment(seconds))
})

const minutes = fc.constantFrom<WindowMinutes>(...WINDOW_MINUTES)
const FIRST = toSeconds('2026-02-27T00:00:00Z')
/** Any changes of size, at any time of some days. */
const anySettings = fc
  .array(fc.record({ after: fc.integer({ min: 0, max: 5 * 86_400 }), minutes }), { minLength: 1, maxLength: 4 })
  .map((changes) =>
    changes
      .toSorted((a, b) => a.after - b.after)
      .map(({ after, minutes: length }): WindowSetting => ({ since: toTime(FIRST + after), minutes: length })),
  )
const anyTime = fc.double({ min: FIRST - 86_400, max: FIRST + 6 * 86_400, noNaN: true })

test('windows tile: every time is in exactly one, and each begins where the one before ends', () => {
  fc.assert(
    fc.property(anySettings, anyTime, (settings, time) => {
      const window = windowOf(settings, time)
      const [start, end] = [toSeconds(window.start), toSeconds(window.end)]
      assert.ok(start < time && time <= end)
      const next = windowAfter(settings, window)
      assert.equal(next.start, window.end)
      assert.deepEqual(windowOf(settings, toSeconds(next.end)), next)
      assert.ok([5, 15, 30, 60].includes((end - start) / 60))
    }),
  )
})

test('windowsBetween() gives each window whose end is in (from, to] once, in order and without a hole', () => {
  fc.assert(
    fc.property(anySettings, anyTime, fc.double({ min: 0, max: 2 * 86_400, noNaN: true }), (settings, from, length) => {
      const windows = windowsBetween(settings, from, from + length)
      const ends = windows.map(({ end }) => toSeconds(end))
      assert.ok(ends.every((end) => end > from && end <= from + length))
      for (const [index, window] of windows.entries())
        if (index > 0) assert.equal(window.start, windows[index - 1]?.end)
      // Nothing is missing at either end.
      const [first] = windows
      if (first !== undefined) assert.ok(toSeconds(first.start) <= from)
      const after = windowAfter(settings, windows.at(-1) ?? windowOf(settings, from))
      assert.ok(
        toSeconds(after.end) > from + length ||
          (windows.length === 0 && toSeconds(windowOf(settings, from).end) === from),
      )
    }),
  )
})

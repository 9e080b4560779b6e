import assert from 'node:assert/strict'
import { test } from 'node:test'
import { calendarMarks, datesOf, durationWords, utcRange, utcTime } from '../../lib/time/dates.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const WEEK = { from: '2026-11-15T23:00:00Z', to: '2026-11-22T23:00:00Z', timeZone: 'Europe/Berlin' }

test('datesOf() says times in the zone of the period', () => {
  const dates = datesOf(WEEK)
  assert.equal(dates.moment('2026-11-17T08:00:00Z'), 'Tue 17 Nov 09:00')
  assert.equal(dates.moment('2026-11-17T08:00:05Z'), 'Tue 17 Nov 09:00:05')
  assert.equal(dates.moment('2025-12-30T08:00:00Z'), 'Tue 30 Dec 2025 09:00')
  assert.equal(dates.range('2026-11-17T08:00:00Z', '2026-11-17T10:00:00Z'), 'Tue 17 Nov 09:00 to 11:00')
  matchesText(dates.range('2026-11-17T22:00:00Z', '2026-11-17T23:30:00Z'))
  assert.equal(dates.full('2026-11-17T08:00:00Z'), 'Tue 17 Nov 2026 09:00')
  assert.equal(dates.fullRange('2026-11-17T08:00:00Z', '2026-11-17T10:00:00Z'), 'Tue 17 Nov 2026 09:00 to 11:00')
  assert.equal(dates.zone, 'Europe/Berlin (UTC+01:00)')
  assert.equal(datesOf({ ...WEEK, timeZone: 'UTC' }).zone, 'UTC')
})

test('datesOf() names the offset where the clock shows a time twice, and the change in the zone', () => {
  const dates = datesOf({ ...WEEK, from: '2026-10-24T22:00:00Z', to: '2026-10-25T23:00:00Z' })
  assert.equal(dates.moment('2026-10-25T00:30:00Z'), 'Sun 25 Oct 02:30 +02:00')
  assert.equal(dates.moment('2026-10-25T01:30:00Z'), 'Sun 25 Oct 02:30 +01:00')
  matchesText(dates.zone)
})

test('datesOf() refuses a zone that does not exist', () => {
  assert.throws(() => datesOf({ ...WEEK, timeZone: 'Mars/Olympus' }), RangeError)
})

test('durationWords() gives the two largest units and never rounds up', () => {
  const said = {
    0: '0 s',
    40: '40 s',
    300: '5 min',
    7_259: '2 h',
    525_600: '6 d 2 h',
    86_399: '23 h 59 min',
    86_401: '1 d',
  }
  for (const [seconds, words] of Object.entries(said)) assert.equal(durationWords(Number(seconds)), words)
})

test('calendarMarks() marks by the clock on the wall, also where it changes', () => {
  const marks = (from: string, to: string, timeZone = 'Europe/Berlin') => {
    const { unit, marks: all } = calendarMarks(from, to, timeZone)
    return { unit, count: all.length, first: all[0], last: all.at(-1) }
  }
  assert.deepEqual(marks(WEEK.from, WEEK.to), {
    unit: 'midnight',
    count: 7,
    first: { at: '2026-11-15T23:00:00Z', label: 'Mon 16' },
    last: { at: '2026-11-21T23:00:00Z', label: 'Sun 22' },
  })
  assert.deepEqual(marks('2026-10-24T22:00:00Z', '2026-10-25T10:00:00Z'), {
    unit: 'every sixth hour',
    count: 2,
    first: { at: '2026-10-24T22:00:00Z', label: '00:00' },
    last: { at: '2026-10-25T05:00:00Z', label: '06:00' },
  })
  assert.deepEqual(marks('2026-11-24T13:01:23Z', '2026-11-24T13:37:22Z', 'UTC'), {
    unit: 'every tenth minute',
    count: 3,
    first: { at: '2026-11-24T13:10:00Z', label: '13:10' },
    last: { at: '2026-11-24T13:30:00Z', label: '13:30' },
  })
  assert.deepEqual(marks('2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', 'UTC').count, 12)
  assert.deepEqual(marks('2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z', 'UTC').first, {
    at: '2026-11-02T00:00:00Z',
    label: '2 Nov',
  })
  // Midnight of 6 September 2026 does not exist in Santiago; the days after still begin at midnight.
  assert.equal(
    marks('2026-09-04T04:00:00Z', '2026-09-09T03:00:00Z', 'America/Santiago').last?.at,
    '2026-09-08T03:00:00Z',
  )
})

test('utcTime() and utcRange() say the year, and the day once', () => {
  assert.equal(utcTime('2026-12-01T09:00:30Z'), 'Tue 1 Dec 2026 09:00:30')
  assert.equal(
    utcRange({ start: '2026-12-01T09:00:00Z', end: '2026-12-01T09:10:00Z' }),
    'Tue 1 Dec 2026 09:00 to 09:10',
  )
  matchesText(utcRange({ start: '2026-12-31T23:00:00Z', end: '2027-01-01T00:00:00Z' }))
})

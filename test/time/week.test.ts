import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { earlierPeriods, lastWeek, weekPeriod } from '../../lib/time/week.ts'
import { checkedZone } from '../../lib/time/checked-zone.ts'
import { errorText } from '../support/texts/matches-text.ts'

const hours = ({ from, to }: ReturnType<typeof weekPeriod>) => (Date.parse(to) - Date.parse(from)) / 3_600_000

test('weekPeriod() reaches from Monday to Monday, in the zone of the reader', () => {
  assert.deepEqual(weekPeriod('2026-W47', 'UTC'), { from: '2026-11-16T00:00:00Z', to: '2026-11-23T00:00:00Z' })
  assert.deepEqual(weekPeriod('2026-W47', 'Europe/Berlin'), {
    from: '2026-11-15T23:00:00Z',
    to: '2026-11-22T23:00:00Z',
  })
  assert.deepEqual(weekPeriod('2026-W47', 'Asia/Kathmandu'), {
    from: '2026-11-15T18:15:00Z',
    to: '2026-11-22T18:15:00Z',
  })
})

test('weekPeriod() has 167 or 169 hours where the clocks change', () => {
  assert.equal(hours(weekPeriod('2026-W13', 'Europe/Berlin')), 167)
  assert.equal(hours(weekPeriod('2026-W43', 'Europe/Berlin')), 169)
  assert.equal(hours(weekPeriod('2026-W43', 'UTC')), 168)
})

test('weekPeriod() knows which years have a week 53, and whose week 1 begins in the year before', () => {
  assert.deepEqual(weekPeriod('2026-W53', 'UTC'), { from: '2026-12-28T00:00:00Z', to: '2027-01-04T00:00:00Z' })
  assert.deepEqual(weekPeriod('2025-W01', 'UTC'), { from: '2024-12-30T00:00:00Z', to: '2025-01-06T00:00:00Z' })
  assert.throws(() => weekPeriod('2025-W53', 'UTC'), errorText({ name: 'RangeError' }))
  for (const week of ['2026-W00', '2026-W54', '2026-W99']) assert.throws(() => weekPeriod(week, 'UTC'), RangeError)
})

test('weekPeriod() begins each week where the one before ended', () => {
  const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/Santiago', 'Pacific/Apia', 'Australia/Lord_Howe')
  fc.assert(
    fc.property(fc.integer({ min: 1990, max: 2100 }), fc.integer({ min: 1, max: 51 }), zones, (year, week, zone) => {
      const name = (number: number) => `${year}-W${String(number).padStart(2, '0')}`
      assert.equal(weekPeriod(name(week), zone).to, weekPeriod(name(week + 1), zone).from)
    }),
  )
})

test('weekPeriod() and checkedZone() say what was wanted instead', () => {
  for (const week of ['2026-47', '26-W47', '2026-W7', '2026-W47 ', 'last', ''])
    assert.throws(
      () => weekPeriod(week, 'UTC'),
      /^RangeError: Cannot read week ".*": wanted an ISO week, such as 2026-W47$/,
    )
  assert.throws(() => weekPeriod('2026-W47', 'Mars/Olympus'), errorText({ name: 'RangeError' }))
  assert.equal(checkedZone('europe/berlin'), 'Europe/Berlin')
})

test('earlierPeriods() counts weeks by the clock of the zone, also where a clock change lies between', () => {
  const berlin = { ...weekPeriod('2026-W44', 'Europe/Berlin'), timeZone: 'Europe/Berlin' }
  const earlier = earlierPeriods(berlin, 7)
  assert.equal(earlier.length, 7)
  assert.deepEqual(earlier.at(-1), weekPeriod('2026-W43', 'Europe/Berlin'))
  assert.deepEqual(earlier[0], weekPeriod('2026-W37', 'Europe/Berlin'))
})

test('earlierPeriods() goes back by months where the period is whole months', () => {
  const march = { from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z', timeZone: 'UTC' }
  assert.deepEqual(earlierPeriods(march, 2), [
    { from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z' },
    { from: '2026-02-01T00:00:00Z', to: '2026-03-01T00:00:00Z' },
  ])
})

test('earlierPeriods() leave no time between them, and end where the period begins', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2_000_000 }),
      fc.integer({ min: 1, max: 100_000 }),
      fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns'),
      (start, minutes, timeZone) => {
        const text = (at: number): string => new Date(at * 60_000).toISOString().replace('.000Z', 'Z')
        const begin = Date.parse('2024-01-01T00:00:00Z') / 60_000 + start
        const earlier = earlierPeriods({ from: text(begin), to: text(begin + minutes), timeZone }, 7)
        const ends = earlier.map(({ to }) => to)
        assert.deepEqual([...earlier.map(({ from }) => from).slice(1), text(begin)], ends)
        for (const { from, to } of earlier) assert.ok(from < to, `${from} ${to}`)
      },
    ),
  )
})

test('lastWeek() is over at any time of the week after it, to the second', () => {
  const zones = ['UTC', 'Europe/Berlin', 'Pacific/Auckland', 'America/St_Johns']
  fc.assert(
    fc.property(
      fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
      fc.constantFrom(...zones),
      (at, zone) => {
        const { week, ...period } = lastWeek(at, zone)
        assert.deepEqual(period, weekPeriod(week, zone))
        const { from, to } = lastWeek(new Date(period.to), zone)
        assert.deepEqual({ from, to }, period)
        assert.ok(Date.parse(period.to) <= at.getTime() && lastWeek(at, zone).week === week)
        assert.notEqual(lastWeek(new Date(Date.parse(period.to) - 1000), zone).week, week)
        assert.ok(at.getTime() - Date.parse(period.to) < 7.05 * 24 * 3_600_000)
      },
    ),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RETENTION_SECONDS } from '../../lib/time/windows.ts'
import { lastWeek } from '../../lib/time/week.ts'
import { endedWeeks, isDailyDue, isSealDue, stuckAfter } from '../../lib/jobs/schedule.ts'

const at = (text: string) => new Date(text)
const since = (registeredAt: string) => [{ registeredAt }, { registeredAt: '2026-12-01T00:00:00Z' }]

test('the report of a week is due once nothing of it can be collected any more, in the zone that was asked for', () => {
  const weeks = (now: string, zone = 'Europe/Berlin') =>
    endedWeeks(since('2026-11-10T00:00:00Z'), at(now), zone).map(({ week }) => week)
  // Week 47 ends on Monday the 23rd at midnight in Berlin, which is 23:00 UTC.
  assert.deepEqual(weeks('2026-11-23T04:59:59Z'), ['2026-W46'])
  assert.deepEqual(weeks('2026-11-23T05:00:00Z'), ['2026-W46', '2026-W47'])
  assert.deepEqual(weeks('2026-11-23T05:00:00Z', 'UTC'), ['2026-W46'])
  assert.deepEqual(weeks('2026-11-23T06:00:00Z', 'UTC'), ['2026-W46', '2026-W47'])
})

test('weeks that ended while nobody ran are due, those before the first registration are not, and no more than a trend has', () => {
  const weeks = (now: string, registered: string) =>
    endedWeeks(since(registered), at(now), 'UTC').map(({ week }) => week)
  assert.deepEqual(weeks('2026-12-10T00:00:00Z', '2026-11-23T00:00:00Z'), ['2026-W48', '2026-W49'])
  assert.deepEqual(weeks('2026-12-10T00:00:00Z', '2026-11-22T23:59:59Z'), ['2026-W47', '2026-W48', '2026-W49'])
  assert.equal(weeks('2026-12-10T00:00:00Z', '2020-01-01T00:00:00Z').length, 8)
  assert.deepEqual(endedWeeks([], at('2026-12-10T00:00:00Z'), 'UTC'), [])
})

test('each ended week comes once, in order, and is the last whole week at the moment that stands for it', () => {
  const times = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2027, 11, 31) }).map((time) => new Date(time))
  const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'Pacific/Auckland', 'America/St_Johns', 'Pacific/Kiritimati')
  fc.assert(
    fc.property(times, zones, (now, zone) => {
      const weeks = endedWeeks(since('2024-01-01T00:00:00Z'), now, zone)
      assert.equal(new Set(weeks.map(({ week }) => week)).size, 8)
      for (const [index, { week, at: moment }] of weeks.entries()) {
        assert.equal(lastWeek(moment, zone).week, week)
        assert.ok(moment <= now)
        const next = weeks[index + 1]
        if (next !== undefined) assert.ok(moment < next.at)
      }
      const latest = lastWeek(new Date(now.getTime() - RETENTION_SECONDS * 1000), zone)
      assert.equal(weeks.at(-1)?.week, latest.week)
    }),
  )
})

test('the log is extended after the start, when something is new, and each hour', () => {
  assert.equal(isSealDue(1000, null, false), true)
  assert.equal(isSealDue(1000, 999, true), true)
  assert.equal(isSealDue(1000, 999, false), false)
  assert.equal(isSealDue(4599, 1000, false), false)
  assert.equal(isSealDue(4600, 1000, false), true)
})

test('what is done daily is done after the start and with each new UTC day', () => {
  assert.equal(isDailyDue(at('2026-11-24T00:00:00Z'), null), true)
  assert.equal(isDailyDue(at('2026-11-24T23:59:59Z'), at('2026-11-24T00:00:00Z')), false)
  assert.equal(isDailyDue(at('2026-11-25T00:00:00Z'), at('2026-11-24T23:59:59Z')), true)
})

test('a scheduler counts as stuck after two windows of the cluster that is looked at most often', () => {
  const windows = (...minutes: (5 | 60)[]) => ({
    windows: minutes.map((one) => ({ since: '1970-01-01T00:00:00Z', minutes: one })),
  })
  assert.equal(stuckAfter([]), 7200)
  assert.equal(stuckAfter([windows(60)]), 7200)
  assert.equal(stuckAfter([windows(60), windows(60, 5)]), 600)
})

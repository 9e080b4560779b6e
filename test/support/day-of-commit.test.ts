import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { dayOfCommit, specialDays } from './day-of-commit.ts'

const COMMITTED = '2026-11-30T12:00:00+13:00'

test('specialDays() has the last days of years, week 53, Mondays, and when clocks change in Europe and the United States', () => {
  const days = specialDays(COMMITTED)
  assert.deepEqual(days['the last day of a year'], [
    '2026-12-31T23:58:00Z',
    '2027-12-31T23:58:00Z',
    '2028-12-31T23:58:00Z',
    '2029-12-31T23:58:00Z',
  ])
  assert.deepEqual(days['a day of week 53']?.[0], '2026-12-27T23:58:00Z')
  assert.equal(days['a day of week 53']?.length, 7)
  assert.equal(days['Monday 00:00']?.[1], '2026-12-06T23:58:00Z')
  // 02:00 on the last Sunday of March and 03:00 on that of October; 02:00 on the second Sunday of March and the first of November.
  assert.deepEqual(days['the clocks of Europe change']?.slice(0, 2), ['2027-03-28T00:58:00Z', '2027-10-31T00:58:00Z'])
  assert.deepEqual(days['the clocks of the United States change']?.slice(0, 2), [
    '2027-03-14T06:58:00Z',
    '2027-11-07T05:58:00Z',
  ])
})

test('dayOfCommit() gives a commit one moment, other commits every kind of day, and none beyond four years', () => {
  const drawn = Array.from({ length: 60 }, (_, index) => dayOfCommit(hash('sha1', `${index}`), COMMITTED))
  assert.deepEqual(dayOfCommit(hash('sha1', '7'), COMMITTED), drawn[7])
  const kinds = [...Object.keys(specialDays(COMMITTED)), 'any day']
  assert.deepEqual(new Set(drawn.map(({ what }) => what)), new Set(kinds))
  for (const { at } of drawn) assert.ok('2026-11-29T23:00:00Z' < at && at < '2030-11-30T00:00:00Z', at)
  // Without a week 53 in these years.
  assert.equal(specialDays('2027-02-01T00:00:00Z')['a day of week 53']?.length, 0)
  for (let index = 0; index < 20; index += 1)
    assert.notEqual(dayOfCommit(hash('sha1', `${index}`), '2027-02-01T00:00:00Z').what, 'a day of week 53')
})

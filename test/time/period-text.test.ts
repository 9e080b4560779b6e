import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparablePeriods, parsePeriod } from '../../lib/time/period-text.ts'
import { weekPeriod } from '../../lib/time/week.ts'

test('parsePeriod() reads weeks, months, quarters, days and two times', () => {
  assert.deepEqual(parsePeriod('2026-W47', 'Europe/Berlin'), weekPeriod('2026-W47', 'Europe/Berlin'))
  assert.deepEqual(parsePeriod('2026-10', 'Europe/Berlin'), {
    from: '2026-09-30T22:00:00Z',
    to: '2026-10-31T23:00:00Z',
  })
  assert.deepEqual(parsePeriod('2026-Q4', 'Europe/Berlin'), {
    from: parsePeriod('2026-10', 'Europe/Berlin').from,
    to: parsePeriod('2026-12', 'Europe/Berlin').to,
  })
  assert.deepEqual(parsePeriod('2026-Q1', 'UTC'), { from: '2026-01-01T00:00:00Z', to: '2026-04-01T00:00:00Z' })
  assert.deepEqual(parsePeriod('2026-12-31', 'UTC'), { from: '2026-12-31T00:00:00Z', to: '2027-01-01T00:00:00Z' })
  assert.deepEqual(parsePeriod('2026-11-24T11:00:00Z/2026-11-24T13:00:00+01:00', 'UTC').to, '2026-11-24T12:00:00Z')
})

for (const text of [
  '',
  '2026',
  '2026-W54',
  '2026-13',
  '2026-Q0',
  '2026-Q5',
  '2026-Q1-01',
  '2026-02-30',
  '2026-11-24T12:00:00Z',
  '2026-11-24T12:00:00Z/',
  '2026-11-24T12:00:00/2026-11-24T13:00:00Z',
  '2026-11-24T12:00:00Z/2026-11-24T12:00:00Z',
  '2026-11-24T12:00:00Z/2026-11-24T11:00:00Z',
  '2026-11-24/2026-11-25/2026-11-26',
  '0000-W01',
  '1969-12',
  '9999-Q4',
  '9999-12-31',
  '0000-01-01/2026-11-24',
])
  test(`parsePeriod() refuses "${text}" by one line`, () => {
    assert.throws(() => parsePeriod(text, 'UTC'), RangeError)
  })

test('a month is its days, without a gap', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom('UTC', 'Europe/Berlin', 'Pacific/Auckland'),
      (number, zone) => {
        const month = `2026-${String(number).padStart(2, '0')}`
        const { from, to } = parsePeriod(month, zone)
        let at = from
        for (let day = 1; at !== to; day += 1) {
          const own = parsePeriod(`${month}-${String(day).padStart(2, '0')}`, zone)
          assert.equal(own.from, at)
          at = own.to
        }
      },
    ),
  )
})

test('the periods to compare each end where the next begins, also over the end of a year and of a short month', () => {
  assert.deepEqual(
    comparablePeriods('2027-01-31T12:00:00Z').map(({ title, before, period }) => `${title}: ${before} ${period}`),
    [
      'this week: 2027-W03 2027-W04',
      'last week: 2027-W02 2027-W03',
      'this month: 2026-12 2027-01',
      'last month: 2026-11 2026-12',
      'this quarter: 2026-Q4 2027-Q1',
      'last quarter: 2026-Q3 2026-Q4',
    ],
  )
  const day = fc.integer({ min: 0, max: 3000 }).map((days) => new Date(Date.UTC(2024, 0, 1 + days)))
  fc.assert(
    fc.property(day, (at) => {
      for (const { before, period } of comparablePeriods(at.toISOString()))
        assert.equal(parsePeriod(before, 'UTC').to, parsePeriod(period, 'UTC').from)
    }),
  )
})

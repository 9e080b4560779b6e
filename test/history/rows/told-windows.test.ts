import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type QueriedPeriod, within } from '../../../lib/history/rows/path-history.ts'
import { isWindowTold, toldWindows } from '../../../lib/history/rows/told-windows.ts'

const HOUR = 3600
const at = (hour: number, minute = 0): string =>
  new Date(Date.UTC(2026, 10, 24, hour, minute)).toISOString().replace('.000Z', 'Z')
const hour = (index: number, changes: object = {}) => ({
  start: at(index),
  end: at(index + 1),
  evidence: null,
  collected: true,
  expectedSeconds: 60,
  observedSeconds: 60,
  ratio: 1 as number | null,
  ...changes,
})
const hours = (...indexes: number[]) => indexes.map((index) => hour(index))
type Windows = Parameters<typeof toldWindows>[0]
const told = (all: Windows, period: QueriedPeriod, by: Parameters<typeof toldWindows>[3]) =>
  toldWindows(all.filter(within(period)), all, period.to, by)
const by = { now: new Date(at(12, 1)), isEnded: false }

test('a window tells nothing that was not collected, or in which nothing was observed; where nothing was expected it does', () => {
  const cases = [
    hour(0),
    hour(0, { collected: false }),
    hour(0, { ratio: 0 }),
    hour(0, { ratio: null }),
    hour(0, { ratio: 0.1 }),
  ]
  assert.deepEqual(cases.map(isWindowTold), [true, false, false, true, true])
  const all = [hour(9, { ratio: 0 }), hour(10, { collected: false }), hour(11)]
  assert.deepEqual(told(all, {}, by), { windows: 3, notCollected: 2, uncoveredSeconds: 0 })
})

test('time between windows, and after the last one for as long as another would have been over, is covered by none', () => {
  const uncovered = (all: Windows, period: QueriedPeriod = {}, more: object = {}) =>
    told(all, period, { ...by, ...more }).uncoveredSeconds
  assert.equal(uncovered(hours(8, 9, 10, 11)), 0)
  assert.equal(uncovered(hours(8, 11)), 2 * HOUR)
  assert.equal(uncovered(hours(8, 9)), 2 * HOUR + 60)
  assert.equal(uncovered(hours(8, 9), { to: at(11) }), HOUR, 'a whole window is lacking')
  assert.equal(uncovered(hours(8, 9), {}, { isEnded: true }), 0)
  assert.equal(uncovered([]), 0)
})

test('an end that lies in a window that is over lacks that window; in one that is not over, it lacks nothing', () => {
  const uncovered = (to: string) => told(hours(8, 9, 10, 11), { from: at(8), to }, by).uncoveredSeconds
  assert.equal(uncovered(at(10)), 0)
  assert.equal(uncovered(at(10, 30)), HOUR / 2)
  assert.equal(uncovered(at(12, 30)), 0)
  assert.equal(uncovered(at(20)), 0, 'what is to come is no lack')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type UncollectedInput, planOf } from '../../lib/jobs/uncollected-windows.ts'
import { toSeconds, toTime, windowsBetween } from '../../lib/time/windows.ts'
import type { WindowSetting } from '../../lib/model/time.ts'

const SETTINGS: WindowSetting[] = [{ since: '2026-01-01T00:00:00Z', minutes: 60 }]
const NOON = toSeconds('2026-11-24T12:00:00Z')
const HOUR = 3600

/** What is due and lost, as the hours of the windows' ends after noon. */
function plan(changes: Partial<UncollectedInput>): { due: number[]; lost: number[] } {
  const input = {
    settings: SETTINGS,
    registeredAt: NOON,
    now: NOON + 4 * HOUR,
    oldestSample: NOON - 10 * HOUR,
    complete: new Set<string>(),
    isFirstRun: false,
    ...changes,
  }
  const hours = (windows: ReturnType<typeof planOf>['due']) => windows.map(({ end }) => (toSeconds(end) - NOON) / HOUR)
  const { due, lost } = planOf(input)
  return { due: hours(due), lost: hours(lost) }
}

test('planOf() asks for each window since the registration whose settle time is over', () => {
  assert.deepEqual(plan({}), { due: [1, 2, 3], lost: [] })
  assert.deepEqual(plan({ now: NOON + 4 * HOUR + 59 }).due, [1, 2, 3])
  assert.deepEqual(plan({ now: NOON + 4 * HOUR + 60 }).due, [1, 2, 3, 4])
  assert.deepEqual(plan({ now: NOON }).due, [])
  // The window in which it was registered is expected whole.
  assert.deepEqual(plan({ registeredAt: NOON + 30 * 60 }).due, [1, 2, 3])
})

test('planOf() begins a first run with the oldest sample, if that is older than the registration', () => {
  assert.deepEqual(plan({ isFirstRun: true, oldestSample: NOON - 2 * HOUR + 1 }).due, [-1, 0, 1, 2, 3])
  assert.deepEqual(plan({ isFirstRun: true, oldestSample: null }).due, [1, 2, 3])
  assert.deepEqual(plan({ isFirstRun: true, oldestSample: NOON + 90 * 60 }), { due: [2, 3], lost: [1] })
})

test('planOf() asks again for what has no complete attempt, and for nothing that has one', () => {
  const complete = new Set([toTime(NOON + HOUR), toTime(NOON + 3 * HOUR)])
  assert.deepEqual(plan({ complete }), { due: [2], lost: [] })
})

test('planOf() gives up exactly the windows that Prometheus has nothing of any more', () => {
  assert.deepEqual(plan({ oldestSample: NOON + 2 * HOUR }), { due: [3], lost: [1, 2] })
  assert.deepEqual(plan({ oldestSample: NOON + 2 * HOUR - 1 }), { due: [2, 3], lost: [1] })
  // What it has is not known, so it is asked.
  assert.deepEqual(plan({ oldestSample: null }), { due: [1, 2, 3], lost: [] })
})

test('planOf() lists each expected window without a complete attempt exactly once', () => {
  const input = fc.record({
    registeredAt: fc.integer({ min: NOON - 20 * HOUR, max: NOON + 20 * HOUR }),
    now: fc.integer({ min: NOON - 5 * HOUR, max: NOON + 30 * HOUR }),
    oldestSample: fc.option(fc.integer({ min: NOON - 20 * HOUR, max: NOON + 20 * HOUR })),
    isFirstRun: fc.boolean(),
    done: fc.uniqueArray(fc.integer({ min: -20, max: 30 })),
  })
  fc.assert(
    fc.property(input, ({ registeredAt, now, oldestSample, isFirstRun, done }) => {
      const complete = new Set(done.map((hour) => toTime(NOON + hour * HOUR)))
      const { due, lost } = planOf({ settings: SETTINGS, registeredAt, now, oldestSample, complete, isFirstRun })
      const from = isFirstRun ? Math.min(oldestSample ?? registeredAt, registeredAt) : registeredAt
      const expected = windowsBetween(SETTINGS, from, now - 60).filter(({ end }) => !complete.has(end))
      const order = (a: { start: string }, b: { start: string }) => (a.start < b.start ? -1 : 1)
      assert.deepEqual([...due, ...lost].toSorted(order), expected)
      assert.deepEqual(due, due.toSorted(order))
      assert.deepEqual(lost, lost.toSorted(order))
    }),
  )
})

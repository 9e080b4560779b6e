import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MARKS } from '../../../lib/report/drawing/state-looks.ts'
import { axisOf, coverageRunsOf, FULL_WIDTH, MAX_CELLS, runsOf } from '../../../lib/report/drawing/strip-layout.ts'
import type { Cell } from '../../../lib/report/drawing/strip-layout.ts'
import { hours } from '../../support/stored/report-input.ts'

const period = { from: '2026-11-15T23:00:00Z', to: '2026-11-22T23:00:00Z' }
const year = { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' }

test('axisOf() gives a week of hours one cell each, and a year cells of many windows', () => {
  const week = axisOf(hours(), period)
  assert.equal(week.bins.length, 168)
  assert.equal(week.windowsPerCell, 1)
  assert.equal(week.width, FULL_WIDTH)
  const long = axisOf(hours(year), year)
  assert.equal(long.windowsPerCell, 72)
  assert.ok(long.bins.length <= MAX_CELLS)
  assert.equal(long.bins.at(-1)?.last, 8759)
})

test('axisOf() leaves blank what was not expected, in proportion to time', () => {
  const late = axisOf(hours({ from: '2026-11-19T11:00:00Z' }), period)
  assert.equal(late.bins[0]?.x, FULL_WIDTH / 2)
  assert.equal(axisOf([], period).bins.length, 0)
})

test('runsOf() joins what is alike and leaves a hole before a path was first seen', () => {
  const axis = axisOf(hours(), period)
  const cells: Cell[] = Array.from({ length: 168 }, (_, index) =>
    index < 10 ? null : index < 20 ? 'mtls' : 'plaintext',
  )
  assert.deepEqual(runsOf(cells, axis), [
    { mark: 'mtls', x: 40, width: 40 },
    { mark: 'plaintext', x: 80, width: 592 },
  ])
})

test('a cell of many windows shows the worst of them, and a gap before anything encrypted', () => {
  const windows = hours(year)
  const axis = axisOf(windows, year)
  const drawn = (...first: Cell[]): string | undefined =>
    runsOf([...first, ...windows.slice(first.length).map((): Cell => null)], axis)[0]?.mark
  assert.equal(drawn('mtls', 'not-collected', 'mtls'), 'not-collected')
  assert.equal(drawn('mtls', 'not-collected', 'plaintext'), 'plaintext')
  assert.equal(drawn('not-observed', 'mtls'), 'mtls')
  assert.equal(drawn('refused', 'mtls'), 'mtls')
})

test('no mark is lost by binning unless a worse one stands in its cell', () => {
  const windows = hours(year)
  const axis = axisOf(windows, year)
  fc.assert(
    fc.property(fc.constantFrom(...MARKS), fc.nat({ max: windows.length - 1 }), (mark, at) => {
      const cells: Cell[] = windows.map((_, index) => (index === at ? mark : null))
      assert.deepEqual(
        runsOf(cells, axis).map((run) => run.mark),
        [mark],
      )
    }),
  )
})

test('axisOf() gives a quarter a cell for each day, and a few windows the whole width', () => {
  const quarter = { from: '2026-09-01T00:00:00Z', to: '2026-12-01T00:00:00Z' }
  assert.equal(axisOf(hours(quarter), quarter).bins.length, 91)
  const short = { from: '2026-11-20T00:00:00Z', to: '2026-11-20T07:00:00Z' }
  assert.deepEqual([axisOf(hours(short), short).width, axisOf(hours(short), short).bins.length], [FULL_WIDTH, 7])
})

test('coverageRunsOf() shows what was collected apart from what was seen, and never a number where none is known', () => {
  const windows = hours({ missing: [1] }).map((window, index) => ({
    ...window,
    ratio: index === 2 ? null : index === 3 ? 0.45 : 1,
  }))
  assert.deepEqual(
    coverageRunsOf(windows, axisOf(windows, period)).map(({ seen, collected, width }) => [seen, collected, width]),
    [
      [1, 1, 4],
      [null, 0, 4],
      [null, 1, 4],
      [0.375, 1, 4],
      [1, 1, 656],
    ],
  )
})

test('a gap of one window in a cell of many is drawn, and so is the least that was seen', () => {
  const windows = hours(year).map((window, index) => ({
    ...window,
    collected: index !== 5,
    ratio: index === 80 ? 0 : 1,
  }))
  const [first, second] = coverageRunsOf(windows, axisOf(windows, year))
  assert.deepEqual([first?.seen, first?.collected], [1, 0.875])
  assert.deepEqual([second?.seen, second?.collected], [0.875, 1])
})

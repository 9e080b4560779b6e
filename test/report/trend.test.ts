import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trendOf } from '../../lib/report/summary/trend.ts'
import { summarise } from '../../lib/report/summary.ts'
import { viewOf } from '../../lib/report/view.ts'
import { storyOfAWeek } from '../support/report-input.ts'

test('the last point of the trend has the numbers of the period itself', () => {
  const summary = summarise(storyOfAWeek())
  const last = summary.trend.at(-1)
  assert.equal(summary.trend.length, 8)
  assert.deepEqual(
    [last?.share, last?.collectedWindows, last?.paths],
    [
      summary.share,
      summary.collectedWindows,
      {
        observedPaths: summary.observedPaths,
        notEncrypted: summary.notEncrypted.length,
        unknown: summary.unknown.length,
      },
    ],
  )
})

test('a period without a collected window is a gap, never a zero', () => {
  const { clusters, past, period } = storyOfAWeek()
  const points = trendOf(clusters, past, period)
  assert.deepEqual(
    points.map(({ expectedWindows, paths }) => [expectedWindows > 0, paths === null]),
    [
      [false, true],
      [false, true],
      [true, false],
      [true, false],
      [true, true],
      [true, false],
      [true, false],
      [true, false],
    ],
  )
  const { drawings, tables } = viewOf(summarise(storyOfAWeek())).sections.find(({ id }) => id === 'trend') ?? {
    drawings: [],
    tables: [],
  }
  assert.match(drawings[0]?.words ?? '', /26 Oct: no data/u)
  assert.deepEqual(
    tables[0]?.rows[4]?.cells.map(({ lines }) => lines[0]),
    ['0 of 168', 'not known', 'no data', 'no data', 'no data'],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trendOf } from '../../../lib/report/summary/trend-summary.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { cluster, hours, PERIOD, report, storyOfAWeek, workload } from '../../support/stored/report-input.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

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
        known: summary.paths.filter((path) => path.class === 'application').length,
        atSomeTime: summary.notEncrypted.length,
      },
    ],
  )
})

test('a cluster that was dark in a period keeps its share from reading as whole', () => {
  const before = { from: '2026-11-08T23:00:00Z', to: PERIOD.from }
  const trendSection = (clusters: ReturnType<typeof cluster>[]) => {
    const past = clusters.map(({ id }) => ({
      id,
      periods: [{ ...before, windows: hours(before).map((window) => ({ ...window, ratio: 1 })), rows: [] }],
      episodes: [],
    }))
    const { sections } = viewOf(summarise(report(clusters, { past })))
    return sections.find(({ id }) => id === 'trend')
  }
  const dark = cluster('dark', hours({ missing: Array.from({ length: 168 }, (_, index) => index) }), [])
  const mtls = {
    pathId: 'a',
    source: workload('deployment', 'shop', 'web'),
    destination: workload('deployment', 'shop', 'cart'),
    port: 80,
    stretches: [{ from: 0, to: 167, state: 'mtls' }],
  } as const
  const seen = cluster('seen', hours(), [mtls])
  const observed = (clusters: ReturnType<typeof cluster>[]) =>
    trendSection(clusters)?.tables[0]?.rows.at(-1)?.cells[1]?.lines[0]
  assert.deepEqual([observed([seen]), observed([seen, dark])], ['100 %', '100 % where known'])
  const [drawing] = trendSection([seen, dark])?.drawings ?? []
  const labels = drawing?.layers.flatMap((one) => one.labels.map(({ text }) => text)) ?? []
  assert.ok(labels.includes('partly known') && !labels.some((text) => text.includes('100 %')))
  matchesText(drawing?.words)
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
    ['0 of 168', 'unknown', 'no data', 'no data'],
  )
})

test('one period with data is told in a sentence, not drawn', () => {
  const { sections } = viewOf(summarise(report([cluster('west', hours(), [])])))
  const trend = sections.find(({ id }) => id === 'trend')
  assert.deepEqual([trend?.drawings, trend?.tables], [[], []])
  matchesText(trend?.paragraphs.join('\n'))
})

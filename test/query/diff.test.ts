import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { changesOf } from '../../lib/report/summary/change-summary.ts'
import { settingsOf } from '../../lib/assess/judge/stored-scope.ts'
import { lacksOf, readDiff } from '../../lib/query/diff.ts'
import { readPeriodAndPast } from '../../lib/history/period.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { ASKED_AT, fillHistories, fillNorth } from '../support/stored/asked-store.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const objects = memoryObjects()
let clusters: readonly Cluster[] = []
before(async () => {
  await fillHistories(objects)
  await fillNorth(objects)
  clusters = await readClusters({ objects })
})

const minutes = (from: number, to: number) => ({
  from: `2026-11-24T12:${String(from).padStart(2, '0')}:00Z`,
  to: `2026-11-24T12:${String(to).padStart(2, '0')}:00Z`,
})
const settings = settingsOf({})
const words = { named: 'east', moment: (time: string) => time }

for (const [first, second, third] of [
  [0, 5, 10],
  [0, 5, 20],
  [5, 10, 15],
  [0, 10, 20],
  [10, 15, 20],
] as const)
  test(`a report of minutes ${second} to ${third} tells the same changes as a diff with ${first} to ${second}`, async () => {
    const [earlier, period] = [minutes(first, second), minutes(second, third)]
    const { platformNamespaces, judgedClasses } = settings
    const read = await Promise.all(
      clusters.map((cluster) =>
        readPeriodAndPast(cluster, period, [earlier], { now: ASKED_AT, platformNamespaces }, objects),
      ),
    )
    const isJudged = (row: { readonly class: (typeof judgedClasses)[number] }) => judgedClasses.includes(row.class)
    const report = changesOf(
      read.map(({ current }) => ({ ...current, rows: current.rows.filter(isJudged) })),
      read.map(({ past }) => ({
        ...past,
        periods: past.periods.map((one) => ({ ...one, rows: one.rows.filter(isJudged) })),
      })),
      period,
    )
    const { changes } = await readDiff(clusters, { before: earlier, period }, { objects, now: ASKED_AT })
    assert.ok(changes.all.length > 0 || first === 10)
    assert.deepEqual(report, changes)
  })

test('what was not collected between two periods is told, and keeps the answer from being whole', async () => {
  const east = clusters.filter(({ id }) => id === 'east')
  const spans = { before: minutes(0, 10), period: minutes(15, 20) }
  const { collected, clusters: told } = await readDiff(east, spans, { objects, now: ASKED_AT })
  assert.equal(collected, 'partly')
  const [own] = told
  assert.deepEqual([own?.between.windows, own?.between.notCollected, own?.basis], [1, 1, 'whole'])
  matchesText(told.flatMap((one) => lacksOf(one, spans, words)).map((lack) => lack.words))
})

test('what lies before the first window of a cluster, and after the last one of a replay, is told', async () => {
  await fillNorth(objects, 'south', { replay: 'A REPLAY' })
  const south = (await readClusters({ objects })).filter(({ id }) => id === 'south')
  const spans = {
    before: { from: '2026-11-23T00:00:00Z', to: '2026-11-24T12:05:00Z' },
    period: { from: '2026-11-24T12:05:00Z', to: '2026-11-24T13:00:00Z' },
  }
  const { clusters: told } = await readDiff(south, spans, { objects, now: new Date('2026-11-24T14:00:00Z') })
  matchesText(told.flatMap((one) => lacksOf(one, spans, words)).map((lack) => lack.words))
})
test('an age is a lower bound if the window before it was not collected, and so is every figure that counts it', async () => {
  const read = async (missing: readonly number[], before: [number, number], period: [number, number]) => {
    const own = memoryObjects()
    await fillNorth(own, 'north', { missing })
    const spans = { before: minutes(...before), period: minutes(...period) }
    return readDiff(await readClusters({ objects: own }), spans, { objects: own, now: ASKED_AT })
  }
  const { changes, open } = await read([1, 3], [0, 5], [5, 15])
  assert.deepEqual(
    changes.all.map(({ kind, openSeconds, mayBeEarlier }) => [kind, openSeconds, mayBeEarlier]),
    [['new', 300, true]],
  )
  assert.deepEqual(open, { paths: 1, medianSeconds: 300, longestSeconds: 300, isAtLeast: true })
  const { timeToFix, open: none } = await read([1], [0, 5], [15, 20])
  assert.deepEqual(timeToFix, { episodes: 1, sinceUnknown: 0, median: 300, longest: 300, isAtLeast: true })
  assert.equal(none.isAtLeast, false)
  // Also of what began before the earlier period ended, in periods that overlap.
  const { changes: still } = await read([1, 3], [0, 15], [5, 20])
  assert.deepEqual(
    still.all.map(({ kind, mayBeEarlier }) => [kind, mayBeEarlier]),
    [['still-open', true]],
  )
})

test('an age whose beginning was seen is no lower bound', async () => {
  const north = clusters.filter(({ id }) => id === 'north')
  const { open } = await readDiff(north, { before: minutes(0, 5), period: minutes(5, 10) }, { objects, now: ASKED_AT })
  assert.deepEqual(open, { paths: 1, medianSeconds: 300, longestSeconds: 300, isAtLeast: false })
})

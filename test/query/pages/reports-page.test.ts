import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordReport } from '../../../lib/store/evidence/report-records.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { reportKey } from '../../../lib/store/report-keys.ts'
import { toTime } from '../../../lib/time/windows.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { ASKED_AT, fillHistories } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const HOUR = 3_600

/** The end of the period of a report, so many hours before the pages are asked. */
const endOf = (hours: number): string => toTime(Math.floor(ASKED_AT.getTime() / 1000) - hours * HOUR)

async function record(hours: number, clusters: readonly string[], objects: Objects): Promise<void> {
  const period = { from: endOf(hours + 1), to: endOf(hours), label: `Hour ${hours}`, timeZone: 'UTC' }
  await recordReport({ period, clusters, version: '1.2.3', checkpoint: null, documents: [] }, objects).write()
}

const labelsOf = (page: string): string[] =>
  [...page.matchAll(/<th scope="row">(Hour \d+)</g)].map(([, label = '']) => label)

test('reports up to a past time are found behind those that came later', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  for (let hours = 1; hours <= 64; hours++) await record(hours, ['east'], objects)
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const now = await page('/reports', cookie)
  assert.equal(labelsOf(now).length, 60)
  assert.match(now, /The latest 60 are shown/)
  assert.deepEqual(labelsOf(await page(`/reports?at=${endOf(62)}`, cookie)), ['Hour 62', 'Hour 63', 'Hour 64'])
  const none = await page(`/reports?at=${endOf(65)}`, cookie)
  matchesText(none)
  assert.doesNotMatch(none, /No report is kept/)
})

test('only whoever sees all is told that no report is kept', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const { page, signIn } = await startLocalSite(t, { objects })
  const [all, west] = [await signIn(TOKENS.all), await signIn(TOKENS.west)]
  matchesText(await page('/reports', all))
  const before = await page('/reports', west)
  matchesText(before)
  await record(1, ['east'], objects)
  assert.deepEqual(labelsOf(await page('/reports', all)), ['Hour 1'])
  assert.equal(await page('/reports', west), before)
})

test('a record that cannot be read is counted and named, and hides no other', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const key = reportKey(endOf(2), 'c'.repeat(64))
  await objects.putOnce(key, Buffer.from('{}'))
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const words = `1 record of a report cannot be read, and its report is not listed: find out who wrote ${key}.`
  const alone = await page('/reports', cookie)
  assert.ok(alone.includes(words))
  assert.doesNotMatch(alone, /No report is kept/)
  await record(1, ['east'], objects)
  const both = await page('/reports', cookie)
  assert.deepEqual(labelsOf(both), ['Hour 1'])
  assert.ok(both.includes(words))
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { freshFolder } from '../../support/recorder.ts'
import { snapshotOf } from '../../support/stored/sealed-store.ts'
import { matchesText, TEXT, textWith } from '../../support/texts/matches-text.ts'

/**
 * A tenth of the budget by default, so that what is read is a tenth as large: what it costs is in proportion. What just keeps to the budget, which is the most
 * expensive, is told in full.
 */
const TENTH =
  'evidence=32000000 answer=3200000 source=19200000 values=400000 window-values=2000000 series=4000 samples=100000'

/** Of the whole budget: what a whole service with two honest clusters beside it may have is 1.5 GB; one that reads nothing large has 0.1. */
const MEGABYTES = { whole: 1_200, tenth: 320 }

const own = snapshotOf('prod', 0)
const key = evidenceKey({ window: own.window, cluster: 'prod', attempt: 1 })

/** What a process of its own makes of the bytes. */
async function said(context: TestContext, body: Uint8Array, budget: keyof typeof MEGABYTES = 'tenth'): Promise<string> {
  const file = join(freshFolder(context), 'evidence')
  writeFileSync(file, body)
  const child = join(import.meta.dirname, 'budget-child.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=1200', child, key, file], {
    env: { ...process.env, CIPHERTRAIL_BUDGET: budget === 'tenth' ? TENTH : '' },
  })
  const read = JSON.parse(stdout) as { readonly said: string; readonly megabytes: number }
  context.diagnostic(`${read.megabytes} MB`)
  assert.ok(read.megabytes < MEGABYTES[budget], `it took ${read.megabytes} MB`)
  return read.said
}

const RAISE = (name: string): string => `if that is right, raise "${name}" in CIPHERTRAIL_BUDGET`

/** Empty lists in a list, which is JSON. */
const emptyLists = (bytes: number): string => `[${'[],'.repeat(bytes / 3)}[]]`

const withAnswers = (answers: Snapshot['metrics']['answers']): Buffer =>
  gzipSync(JSON.stringify({ ...own, metrics: { ...own.metrics, answers } }), { level: 1 })

test('44 kB that unpack to 45 MB are refused by what they say of themselves', async (context) => {
  const body = gzipSync(emptyLists(45_000_000), { level: 9 })
  assert.ok(body.length < 50_000, String(body.length))
  matchesText(await said(context, body), textWith({ key, RAISE: RAISE('evidence') }))
  // What lies is unpacked up to the limit.
  body.writeUInt32LE(1_000, body.length - 4)
  matchesText(await said(context, body), textWith({ key, RAISE: RAISE('evidence') }))
})

test('evidence that may unpack is told by how much is in it', async (context) => {
  for (const text of [emptyLists(30_000_000), '['.repeat(1_000_000), '{"a":'.repeat(200_000)] as const)
    matchesText(await said(context, gzipSync(text)), TEXT, text)
})

test('an answer in it that is too deep or too much is told, and not parsed', async (context) => {
  const answer = { name: 'scrapes', query: 'up', time: '1', body: '' }
  for (const body of ['['.repeat(1_000_000), emptyLists(9_000_000)] as const)
    matchesText(await said(context, withAnswers([{ ...answer, body }])), TEXT, body)
  const many = JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: Array.from({ length: 60_000 }, () => ({ metric: {}, value: [1, '1'] })) },
  })
  matchesText(await said(context, withAnswers([{ ...answer, body: many }])))
  const nine = Array.from({ length: 9 }, () => ({ ...answer, body: many }))
  matchesText(await said(context, withAnswers(nine)))
})

test('what just keeps to the budget is read, in bounded memory', async (context) => {
  const series = Array.from({ length: 39_000 }, (_, index) => ({
    metric: { pod: `web-${index}`, instance: `10.0.${index >> 8}.${index & 255}:4191` },
    values: Array.from({ length: 12 }, (__, at) => [own.metrics.answers.length + at, '1']),
  }))
  const body = JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: series } })
  const answers = Array.from({ length: 10 }, (_, index) => ({ name: 'scrapes', query: `up ${index}`, time: '1', body }))
  assert.doesNotMatch(await said(context, withAnswers(answers), 'whole'), /CIPHERTRAIL_BUDGET/)
})

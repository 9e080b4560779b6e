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

/** What a whole service with two honest clusters beside it may have is 1.5 GB; one that reads nothing large has 0.1. */
const MEGABYTES = 1_200

const own = snapshotOf('prod', 0)
const key = evidenceKey({ window: own.window, cluster: 'prod', attempt: 1 })

/** What a process of its own makes of the bytes. */
async function said(context: TestContext, body: Uint8Array): Promise<string> {
  const file = join(freshFolder(context), 'evidence')
  writeFileSync(file, body)
  const child = join(import.meta.dirname, 'budget-child.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=1200', child, key, file])
  const read = JSON.parse(stdout) as { readonly said: string; readonly megabytes: number }
  context.diagnostic(`${read.megabytes} MB`)
  assert.ok(read.megabytes < MEGABYTES, `it took ${read.megabytes} MB`)
  return read.said
}

const RAISE = (name: string): string => `if that is right, raise "${name}" in CIPHERTRAIL_BUDGET`

/** Empty lists in a list, which is JSON. */
const emptyLists = (bytes: number): string => `[${'[],'.repeat(bytes / 3)}[]]`

const withAnswers = (answers: Snapshot['metrics']['answers']): Buffer =>
  gzipSync(JSON.stringify({ ...own, metrics: { ...own.metrics, answers } }), { level: 1 })

test('441 kB that unpack to 450 MB are refused by what they say of themselves', async (context) => {
  const body = gzipSync(emptyLists(450_000_000), { level: 9 })
  assert.ok(body.length < 500_000, String(body.length))
  assert.equal(
    await said(context, body),
    `Cannot read evidence "${key}": it has 450000004 bytes unpacked or more, wanted at most 320000000; ${RAISE('evidence')}`,
  )
  // What lies is unpacked up to the limit.
  body.writeUInt32LE(1_000, body.length - 4)
  assert.equal(
    await said(context, body),
    `Cannot read evidence "${key}": it has 320000000 bytes unpacked or more, wanted at most 320000000; ${RAISE('evidence')}`,
  )
})

test('evidence that may unpack is told by how much is in it', async (context) => {
  for (const [text, line] of [
    [
      emptyLists(300_000_000),
      /: it has \d+ JSON values or more, wanted at most 4000000; if that is right, raise "values" in /,
    ],
    [
      '['.repeat(10_000_000),
      /: it has 101 levels of JSON or more, wanted at most 100; if that is right, raise "depth" in /,
    ],
    ['{"a":'.repeat(2_000_000), /: it has 101 levels of JSON or more, wanted at most 100; /],
  ] as const)
    assert.match(await said(context, gzipSync(text)), line)
})

test('an answer in it that is too deep or too much is told, and not parsed', async (context) => {
  const answer = { name: 'scrapes', query: 'up', time: '1', body: '' }
  for (const [body, line] of [
    ['['.repeat(10_000_000), /: an answer in it has 101 levels of JSON or more, wanted at most 100; /],
    [emptyLists(90_000_000), /: an answer in it has \d+ JSON values or more, wanted at most 4000000; /],
  ] as const)
    assert.match(await said(context, withAnswers([{ ...answer, body }])), line)
  const many = JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: Array.from({ length: 600_000 }, () => ({ metric: {}, value: [1, '1'] })) },
  })
  assert.match(
    await said(context, withAnswers([{ ...answer, body: many }])),
    /^Cannot read what was collected of window .*: the answer of Prometheus has 600000 series or more, wanted at most 40000; /m,
  )
  const nine = Array.from({ length: 9 }, () => ({ ...answer, body: many }))
  assert.match(
    await said(context, withAnswers(nine)),
    /: it has 2\d{7} JSON values in all answers or more, wanted at most 2/,
  )
})

test('what just keeps to the budget is read, in bounded memory', async (context) => {
  const series = Array.from({ length: 39_000 }, (_, index) => ({
    metric: { pod: `web-${index}`, instance: `10.0.${index >> 8}.${index & 255}:4191` },
    values: Array.from({ length: 12 }, (__, at) => [own.metrics.answers.length + at, '1']),
  }))
  const body = JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: series } })
  const answers = Array.from({ length: 10 }, (_, index) => ({ name: 'scrapes', query: `up ${index}`, time: '1', body }))
  assert.doesNotMatch(await said(context, withAnswers(answers)), /CIPHERTRAIL_BUDGET/)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Context } from 'aws-lambda'
import '../support/aws/function-environment.ts'
import manifest from '../../package.json' with { type: 'json' }
import { readPackState } from '../../lib/pack/pack-state.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { batchOf, capturedLog, contextOf } from '../support/aws/lambda.ts'
import { type S3Server, startS3Server } from '../support/servers/s3-server.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { fillReported, packOf } from '../support/stored/packed-report.ts'
import { matchesText } from '../support/texts/matches-text.ts'

let s3: S3Server
let objects: Objects
let report: string

before(async () => {
  s3 = await startS3Server()
  Object.assign(process.env, s3.env)
  s3.makeBucket('evidence')
  s3.makeBucket('derived', { hasLock: false })
  objects = openStore('s3://evidence?derived=derived')
  report = await fillReported(objects, newSigner())
})
after(() => s3.close())

/** The function, begun once its store is there. */
const handler = async (event: unknown, context: Context) =>
  (await import('../../functions/pack.ts')).handler(event, context)

test('a pack for which no time is left is given up, and whoever asked is told what to run', async (t) => {
  const log = capturedLog(t)
  assert.deepEqual(await handler(batchOf({ report }), contextOf(16_000)), { batchItemFailures: [] })
  const state = await readPackState(report, objects)
  matchesText('problem' in state ? state.problem : '')
  assert.equal(s3.unfinished('derived'), 0)
  assert.partialDeepStrictEqual(log.lines()[0], { message: 'done', report, outcome: 'failed' })
})

test('a message makes the pack that the command makes, and its second delivery nothing', async (t) => {
  const log = capturedLog(t)
  const { made } = await packOf(objects, { key: report, version: manifest.version })
  for (let times = 0; times < 2; times++)
    assert.deepEqual(await handler(batchOf({ report }), contextOf()), { batchItemFailures: [] })
  const done = log.lines().filter(({ message }) => message === 'done')
  assert.deepEqual(
    done.map(({ outcome, isNew, sha256 }) => [outcome, isNew, sha256]),
    [
      ['made', true, made.sha256],
      ['made', false, made.sha256],
    ],
  )
})

test('a message that names no report is refused, and one of a store that is away comes again', async (t) => {
  capturedLog(t)
  for (const message of [{}, { report: 'reports/../x' }, { report: 'evidence/x' }, 'no JSON'])
    assert.deepEqual(await handler(batchOf(message), contextOf()), { batchItemFailures: [{ itemIdentifier: 'm0' }] })
  s3.misbehave(() => ({ status: 403, code: 'AccessDenied' }))
  assert.deepEqual(await handler(batchOf({ report }), contextOf()), { batchItemFailures: [{ itemIdentifier: 'm0' }] })
  s3.misbehave(() => undefined)
})

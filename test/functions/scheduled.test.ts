import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { verifyStore } from '../../lib/seal/verify/verify-period.ts'
import { formatVkey } from '../../lib/seal/tlog/note.ts'
import { deriveCluster } from '../../lib/history/derive.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey, windowPrefix } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { capturedLog, contextOf } from '../support/aws/lambda.ts'
import { KEY_ARN, startKmsServer } from '../support/servers/kms-server.ts'
import type { KmsServer } from '../support/servers/kms-server.ts'
import { S3_SECRET_KEY, startS3Server } from '../support/servers/s3-server.ts'
import type { S3Server } from '../support/servers/s3-server.ts'
import { HEAD_PARAMETER, HEAD_PARAMETER_ARN, type SsmServer, startSsmServer } from '../support/servers/ssm-server.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import { documentsPrefix, reportsPrefix } from '../../lib/store/report-keys.ts'
import { errorText } from '../support/texts/matches-text.ts'

const NAME = 'example.com/log'
const STORE = 's3://evidence/?derived=derived'

let s3: S3Server
let kms: KmsServer
let ssm: SsmServer
let objects: Objects

before(async () => {
  s3 = await startS3Server()
  kms = await startKmsServer()
  ssm = await startSsmServer()
  s3.makeBucket('evidence')
  s3.makeBucket('derived', { hasLock: false })
  Object.assign(process.env, s3.env, {
    AWS_ENDPOINT_URL_KMS: kms.url,
    AWS_ENDPOINT_URL_SSM: ssm.url,
    CIPHERTRAIL_STORE: STORE,
    CIPHERTRAIL_KMS_KEY: KEY_ARN,
    CIPHERTRAIL_LOG_NAME: NAME,
    CIPHERTRAIL_LOG_HEAD: HEAD_PARAMETER_ARN,
    CIPHERTRAIL_TIME_ZONE: 'Europe/Berlin',
    POWERTOOLS_METRICS_NAMESPACE: 'test',
  })
  objects = openStore(STORE)
  await addCluster({ id: 'east', windowMinutes: 5 }, { now: minutesIn(0), by: 'tester' }, { objects })
  for (const index of [0, 1]) await writeAttempt(snapshotOf('east', index), { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
})
after(async () => {
  await Promise.all([s3.close(), kms.close(), ssm.close()])
})

async function count(prefix: string): Promise<number> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys.length
}

test('seal extends the log with the key in KMS, and a second delivery adds no leaf of what is sealed', async (t) => {
  const log = capturedLog(t)
  const { handler } = await import('../../functions/seal.ts')
  const event = { time: minutesIn(12).toISOString().replace('.000Z', 'Z') }
  await handler(event, contextOf())
  await handler(event, contextOf())
  const [first, metric, second] = log.lines()
  assert.deepEqual([first?.['leaves'], first?.['errors']], [{ 'registry-change': 1, snapshot: 2 }, []])
  assert.deepEqual([metric?.['Seals'], metric?.['SealedLeaves'], metric?.['SealProblems']], [1, 3, 0])
  assert.deepEqual(second?.['leaves'], { heartbeat: 1 })
  const verified = await verifyStore({ vkey: formatVkey(NAME, kms.publicKey) }, { objects })
  assert.equal(verified.findings.total, 0)
  assert.equal(kms.asked.filter(({ action }) => action === 'GetPublicKey').length, 1)
  assert.ok(!log.text().includes(S3_SECRET_KEY))
})

test('report keeps the documents of the last week once, and the next seal holds it', async (t) => {
  const log = capturedLog(t)
  const { handler } = await import('../../functions/report.ts')
  const event = { time: '2026-11-30T05:00:00Z' }
  await handler(event, contextOf())
  const kept = [await count(reportsPrefix), await count(documentsPrefix)]
  await handler(event, contextOf())
  await handler({ time: '2026-12-01T05:00:00Z' }, contextOf())
  assert.deepEqual([await count(reportsPrefix), await count(documentsPrefix)], kept)
  assert.equal(kept[0], 1)
  const said = log.lines().filter(({ message }) => message === 'done')
  assert.deepEqual(
    said.map(({ made }) => (made as { week: string }[]).map(({ week }) => week)),
    [['2026-W48'], [], []],
  )
  const { handler: sealNext } = await import('../../functions/seal.ts')
  await sealNext(event, contextOf())
  assert.partialDeepStrictEqual(log.lines().at(-2), { leaves: { report: 1 } })
})

test('weeks that ended while nobody reported are made good, oldest first, as far as the time goes', async (t) => {
  const log = capturedLog(t)
  const { handler } = await import('../../functions/report.ts')
  await handler({ time: '2026-12-20T05:00:00Z' }, contextOf(100_000))
  await handler({ time: '2026-12-20T05:00:00Z' }, contextOf(900_000))
  const said = log.lines().filter(({ message }) => message === 'done')
  assert.deepEqual(
    said.map(({ made, left }) => [(made as { week: string }[]).map(({ week }) => week), left]),
    [
      [['2026-W49'], 1],
      [['2026-W50'], 0],
    ],
  )
})

test('a key that cannot sign is one line, and the function fails', async (t) => {
  const log = capturedLog(t)
  kms.misbehave(({ action }) =>
    action === 'Sign' ? { status: 400, body: { __type: 'AccessDeniedException', message: 'not allowed' } } : undefined,
  )
  t.after(() => {
    kms.misbehave(() => undefined)
  })
  const { handler } = await import('../../functions/seal.ts')
  await assert.rejects(handler({ time: '2026-11-30T06:00:00Z' }, contextOf()), errorText({ name: 'KmsError' }))
  assert.equal(log.lines().filter(({ level }) => level === 'ERROR').length, 1)
})

test('seal refuses a bucket that was put back, by what the parameter remembers, in one line and as a failure', async (t) => {
  const log = capturedLog(t)
  const { handler } = await import('../../functions/seal.ts')
  const event = { time: '2026-12-20T06:00:00Z' }
  const verified = () => verifyStore({ vkey: formatVkey(NAME, kms.publicKey) }, { objects })
  const before = copyOfEvidence()
  await handler(event, contextOf())
  const whole = copyOfEvidence()
  const { size, root } = (await verified()).checkpoint ?? assert.fail()
  assert.deepEqual(JSON.parse(ssm.values.get(HEAD_PARAMETER)?.at(-1) ?? ''), {
    format: 'ciphertrail/head/1',
    size,
    root: Buffer.from(root).toString('base64'),
  })
  restoreEvidence(before)
  const signed = kms.asked.length
  await assert.rejects(handler(event, contextOf()), errorText({ name: 'LogError' }))
  assert.equal(kms.asked.length, signed)
  assert.equal(log.lines().filter(({ level }) => level === 'ERROR').length, 1)
  restoreEvidence(whole)
  await handler(event, contextOf())
  const { checkpoint, findings } = await verified()
  assert.deepEqual([checkpoint?.size, findings.total], [size + 1, 0])
})

/** The objects of the bucket of evidence as they are now. */
const copyOfEvidence = (): ReadonlyMap<string, Buffer> =>
  new Map(
    [...(s3.buckets.get('evidence') ?? [])].flatMap(([key, versions]) => {
      const body = versions.at(-1)?.body
      return body === undefined || body === null ? [] : [[key, body] as const]
    }),
  )

/** Makes the bucket of evidence anew with those objects, as somebody does who restores it from a copy. */
function restoreEvidence(copy: ReadonlyMap<string, Buffer>): void {
  s3.makeBucket('evidence')
  for (const [key, body] of copy) s3.meddle('evidence', key, body)
}

test('compact tells what one cluster has stored beyond its budget, or cannot derive, and brings the others up', async (t) => {
  for (const id of ['hostile', 'broken', 'west'])
    await addCluster({ id, windowMinutes: 5 }, { now: minutesIn(0), by: 'tester' }, { objects })
  for (const index of [0, 1]) await writeAttempt(snapshotOf('west', index), { objects })
  for (const id of ['hostile', 'broken']) await writeAttempt(snapshotOf(id, 0), { objects })
  const bomb = evidenceKey({ window: snapshotOf('hostile', 1).window, cluster: 'hostile', attempt: 1 })
  await objects.putOnce(bomb, gzipSync(`[${'[],'.repeat(150_000_000)}[]]`))
  // The store refuses one of them for as long as this takes.
  s3.misbehave(({ key }) => (key.includes('broken') ? { status: 403, code: 'AccessDenied' } : undefined))
  t.after(() => {
    s3.misbehave(() => undefined)
  })
  const log = capturedLog(t)
  const { handler } = await import('../../functions/compact.ts')
  await handler({ time: minutesIn(30).toISOString() }, contextOf())
  const { errors } = log.lines().find(({ message }) => message === 'done') as unknown as { errors: string[] }
  assert.equal(errors.length, 2, errors.join('\n'))
  assert.match(
    errors.join('\n'),
    new RegExp(`"${bomb}": it has 450000004 bytes unpacked or more, wanted at most 320000000; `),
  )
  assert.match(errors.join('\n'), /broken/)
  for (const id of ['hostile', 'west']) assert.equal(await count(windowPrefix(id)), 2, id)
})

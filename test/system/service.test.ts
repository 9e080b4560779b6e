/**
 * The service as it is deployed, from the zips: two meshes are collected over the end of a week, one of them is down for hours, reports are made of both weeks
 * and asked for. Then every event comes again, in another order.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm'
import manifest from '../../package.json' with { type: 'json' }
import { formatVkey } from '../../lib/seal/tlog/note.ts'
import { verifyStore } from '../../lib/seal/verify/verify-period.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import { evidencePrefix } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { batchOf, capturedLog, contextOf, requestOf } from '../support/aws/lambda.ts'
import { WEEK, keepPdf } from '../support/deliver/kept-report.ts'
import { KEY_ARN, type KmsServer, startKmsServer, TRUST_KEY_ARN } from '../support/servers/kms-server.ts'
import { TOKEN } from '../support/servers/kubernetes-server.ts'
import { type LoopedMesh, startLoopedMesh } from '../support/mesh/looped-mesh.ts'
import { type MotoServer, startMoto } from '../support/servers/moto-server.ts'
import { HEAD_PARAMETER, HEAD_PARAMETER_ARN } from '../support/servers/ssm-server.ts'
import { packOf } from '../support/stored/packed-report.ts'
import { packagedHandler } from '../support/aws/packaged-functions.ts'
import { vouchFor } from '../support/stored/trusted-store.ts'

const STORE = 's3://evidence?derived=derived'
const LOG = 'example.com/ciphertrail'

/** Sunday evening in week 48 to Monday morning in week 49. */
const BEGIN = toSeconds('2026-11-29T22:30:00Z')
const END = toSeconds('2026-11-30T01:20:00Z')
const DOWN = { from: toSeconds('2026-11-29T22:40:00Z'), to: toSeconds('2026-11-30T00:15:00Z') }
const STEP = 300

let moto: MotoServer
let kms: KmsServer
let ssm: SSMClient
let meshes: readonly LoopedMesh[]
let objects: Objects
let sqs: SQSClient
let queue: string
let packQueue: string
let handlers: Readonly<Record<string, Awaited<ReturnType<typeof packagedHandler>>>>

before(async () => {
  ;[moto, kms, ...meshes] = await Promise.all([startMoto(), startKmsServer(), startLoopedMesh(), startLoopedMesh()])
  Object.assign(process.env, moto.env, {
    AWS_ENDPOINT_URL_SQS: moto.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: moto.url,
    AWS_ENDPOINT_URL_SSM: moto.url,
    AWS_ENDPOINT_URL_KMS: kms.url,
    CIPHERTRAIL_STORE: STORE,
    CIPHERTRAIL_KMS_KEY: KEY_ARN,
    CIPHERTRAIL_TRUST_KEY: TRUST_KEY_ARN,
    CIPHERTRAIL_SECRETS: 'token',
    CIPHERTRAIL_LOG_NAME: LOG,
    CIPHERTRAIL_LOG_HEAD: HEAD_PARAMETER_ARN,
    POWERTOOLS_METRICS_NAMESPACE: 'test',
  })
  const s3 = new S3Client({ forcePathStyle: true })
  const where = { LocationConstraint: 'eu-central-1' } as const
  await s3.send(
    new CreateBucketCommand({ Bucket: 'evidence', ObjectLockEnabledForBucket: true, CreateBucketConfiguration: where }),
  )
  await s3.send(new CreateBucketCommand({ Bucket: 'derived', CreateBucketConfiguration: where }))
  await s3.send(new PutBucketVersioningCommand({ Bucket: 'derived', VersioningConfiguration: { Status: 'Enabled' } }))
  sqs = new SQSClient({})
  queue = (await sqs.send(new CreateQueueCommand({ QueueName: 'collect' }))).QueueUrl ?? ''
  process.env['CIPHERTRAIL_COLLECT_QUEUE'] = queue
  process.env['CIPHERTRAIL_DELIVER_QUEUE'] = queue
  packQueue = (await sqs.send(new CreateQueueCommand({ QueueName: 'pack' }))).QueueUrl ?? ''
  process.env['CIPHERTRAIL_PACK_QUEUE'] = packQueue
  const secrets = new SecretsManagerClient({})
  await secrets.send(new CreateSecretCommand({ Name: 'token', SecretString: JSON.stringify({ token: TOKEN }) }))
  // As the template makes it.
  ssm = new SSMClient({})
  await ssm.send(new PutParameterCommand({ Name: HEAD_PARAMETER, Type: 'String', Value: 'none' }))
  objects = openStore(STORE)
  const names = ['plan', 'collect', 'seal', 'compact', 'report', 'pack', 'query']
  handlers = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await packagedHandler(name)] as const)),
  )
})
after(() => Promise.all([moto, kms, ...meshes].map((server) => server.close())))

type Event = { readonly name: string; readonly event: unknown; readonly at: number }

/** All that was delivered, in order. */
const delivered: Event[] = []

async function deliver({ name, event, at }: Event): Promise<unknown> {
  clock.setTime(at * 1000)
  const handler = handlers[name]
  assert.ok(handler)
  return handler(event, contextOf())
}

async function first(name: string, event: unknown, at: number): Promise<unknown> {
  delivered.push({ name, event, at })
  return deliver({ name, event, at })
}

let clock: { readonly setTime: (milliseconds: number) => void }

/** Takes what waits in the queue to its function, in the order in which the queue gives it. */
async function drain(at: number): Promise<void> {
  for (;;) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue, MaxNumberOfMessages: 10 }))
    if (Messages.length === 0) return
    const answer = await first('collect', batchOf(...Messages.map(({ Body = '' }) => Body)), at)
    assert.deepEqual(answer, { batchItemFailures: [] })
    for (const { ReceiptHandle } of Messages)
      await sqs.send(new DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle }))
  }
}

/** The hash of each object, by key; what changes with each run of seal is left out. */
async function contents(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for await (const key of objects.list('')) {
    if (key.startsWith('log/') || key.startsWith('sealing/')) continue
    found.set(
      key,
      createHash('sha256')
        .update((await objects.get(key))?.body ?? '')
        .digest('hex'),
    )
  }
  return found
}

const vkey = (): string => formatVkey(LOG, kms.publicKey)

test('two weeks of two meshes, one of them down for hours, and then everything again and out of order', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: BEGIN * 1000 })
  clock = t.mock.timers
  const author = { now: new Date(BEGIN * 1000), by: 'tester' }
  for (const [index, { kubernetes, prometheus }] of meshes.entries())
    await addCluster(
      {
        id: index === 0 ? 'shop' : 'pay',
        apiServer: { url: kubernetes.url, ca: kubernetes.ca, tokenSecret: 'token' },
        prometheusUrl: prometheus.url,
        windowMinutes: 5,
      },
      author,
      { objects },
    )
  await vouchFor(STORE, objects)

  for (let time = BEGIN; time <= END; time += STEP) {
    const at = time + 120
    const event = { time: toTime(at) }
    meshes[1]?.setDown(time >= DOWN.from && time < DOWN.to)
    await first('plan', event, at)
    await drain(at)
    if (time % 3600 === 1200) await first('seal', event, at)
  }
  const closing = END + 600
  await first('compact', { time: toTime(closing) }, closing)
  for (const time of ['2026-11-30T06:00:00Z', '2026-12-07T06:00:00Z']) await first('report', { time }, toSeconds(time))
  await first('seal', { time: toTime(END + 1200) }, END + 1200)

  const windows = (END - BEGIN) / STEP
  const said = log.lines().filter(({ message }) => message === 'done')
  const complete = said.filter(({ outcome, complete: isWhole }) => outcome === 'collected' && isWhole === true)
  const whole = new Set(complete.map(({ cluster, window }) => `${String(cluster)} ${JSON.stringify(window)}`))
  const lacking = said.filter(
    ({ cluster, window, outcome }) =>
      outcome !== undefined && !whole.has(`${String(cluster)} ${JSON.stringify(window)}`),
  )
  assert.deepEqual(lacking, [], 'each window is whole in the end')
  assert.equal(complete.length, 2 * (windows + 1), 'and the one that was over when each cluster was registered')
  assert.ok(said.filter(({ complete: isWhole }) => isWhole === false).length > 25, 'what was down was tried meanwhile')
  assert.deepEqual(
    said.flatMap(({ made }) => ((made ?? []) as { week: string }[]).map(({ week }) => week)),
    ['2026-W48', '2026-W49'],
  )
  assert.ok(!log.text().includes(TOKEN))

  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: HEAD_PARAMETER }))

  const before = await contents()
  const verified = await verifyStore({ vkey: vkey() }, { objects })
  assert.deepEqual([verified.isWhole, verified.findings.total, verified.objects.missing], [true, 0, 0])
  const { size, root = new Uint8Array() } = verified.checkpoint ?? {}
  const remembered = JSON.parse(Parameter?.Value ?? '') as object
  assert.deepEqual(remembered, { format: 'ciphertrail/head/1', size, root: Buffer.from(root).toString('base64') })
  const attempts = [...before.keys()].filter((key) => key.startsWith(evidencePrefix)).length
  assert.equal(verified.kinds.snapshot, attempts)
  assert.deepEqual([verified.kinds.report, verified.kinds['registry-change'], verified.kinds.gap], [2, 2, undefined])

  // By the hash of what they say, in no order that has to do with time.
  const again = delivered.toSorted((a, b) => order(a) - order(b))
  for (const one of again) await deliver(one)
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue }))
  assert.equal(Messages, undefined, 'nothing is asked for again')
  assert.deepEqual(await contents(), before)

  const afterwards = await verifyStore({ vkey: vkey() }, { objects })
  assert.deepEqual([afterwards.isWhole, afterwards.findings.total], [true, 0])
  const { heartbeat: _, ...kinds } = afterwards.kinds
  const { heartbeat: __, ...kindsBefore } = verified.kinds
  assert.deepEqual(kinds, kindsBefore, 'each object has one leaf')
  assert.equal(afterwards.objects.asSealed, verified.objects.asSealed)
  clock.setTime((END + 1800) * 1000)
  const check = await checkStore({ vkey: vkey() }, { objects, assess: assessWindow })
  assert.deepEqual(check.findings.kept, [])

  await asksTheApi()
  await asksForPacks()
})

function order({ name, event, at }: Event): number {
  return createHash('md5')
    .update(`${name} ${at} ${JSON.stringify(event)}`)
    .digest()
    .readUInt32BE()
}

/** The packs of both weeks: of one all is sealed, of the other windows are missing that nobody can tell of yet. */
async function asksForPacks(): Promise<void> {
  const at = END + 1800
  const ask = async (address: string, method = 'GET') => {
    const asked = requestOf(address) as { requestContext: object }
    const event = { ...asked, requestContext: { ...asked.requestContext, http: { method } } }
    const { statusCode, headers, body } = (await deliver({ name: 'query', event, at })) as {
      readonly statusCode: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string
    }
    const text = Buffer.from(body, 'base64').toString()
    return { statusCode, location: headers['location'] ?? '', content: text === '' ? {} : (JSON.parse(text) as object) }
  }
  const { content } = await ask('/v1/reports')
  const { items } = content as { items: readonly { id: string; period: { label: string } }[] }
  const idOf = (label: string): string => items.find(({ period }) => period.label === label)?.id ?? assert.fail(label)
  const [good, early] = [idOf('Week 2026-W48'), idOf('Week 2026-W49')]
  for (const id of [good, good, early]) assert.equal((await ask(`/v1/reports/${id}/pack`, 'POST')).statusCode, 202)
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: packQueue, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }),
  )
  assert.equal(Messages.length, 2, 'one for each pack, however often it is asked for')
  const bodies = Messages.map(({ Body = '' }) => Body)
  // Every message comes twice.
  const event = batchOf(...bodies, ...bodies)
  assert.deepEqual(await deliver({ name: 'pack', event, at }), { batchItemFailures: [] })

  const given = await fetch((await ask(`/v1/reports/${good}/pack`)).location)
  const bytes = Buffer.from(await given.arrayBuffer())
  const { made } = await packOf(objects, { key: `reports/${good}.json`, version: manifest.version })
  assert.deepEqual(
    [given.status, given.headers.get('content-type'), createHash('sha256').update(bytes).digest('hex')],
    [200, 'application/zip', made.sha256],
  )
  const { content: told } = await ask(`/v1/reports/${good}`)
  assert.partialDeepStrictEqual(told, { pack: { status: 'made', sha256: made.sha256, size: bytes.length } })
  const { statusCode, content: problem } = await ask(`/v1/reports/${early}/pack`)
  assert.equal(statusCode, 409)
  assert.match((problem as { detail: string }).detail, /windows of its period are neither evidence nor recorded gaps/)
}

async function asksTheApi(): Promise<void> {
  const ask = async (address: string): Promise<string> => {
    const answer = (await deliver({ name: 'query', event: requestOf(address), at: END + 1800 })) as {
      readonly statusCode: number
      readonly body: string
    }
    const body = Buffer.from(answer.body, 'base64').toString()
    assert.equal(answer.statusCode, 200, `${address}: ${body}`)
    return body
  }
  assert.match(await ask('/health'), /"status":"ok"/)
  const { items: clusters } = JSON.parse(await ask('/v1/clusters')) as { items: readonly { id: string }[] }
  assert.deepEqual(clusters.map(({ id }) => id).toSorted(), ['pay', 'shop'])
  const paths = JSON.parse(
    await ask(`/v1/paths?cluster=pay&state=not-encrypted&from=${toTime(BEGIN)}&to=${toTime(END)}`),
  ) as {
    readonly collected: string
    readonly items: readonly unknown[]
  }
  assert.equal(paths.collected, 'all')
  assert.ok(paths.items.length > 0)
  const { items: reports } = JSON.parse(await ask('/v1/reports')) as { items: readonly { id: string }[] }
  assert.equal(reports.length, 2)
  assert.match(await ask(`/v1/reports/${reports[0]?.id ?? ''}/html`), /^<!doctype html>/i)

  const large = Buffer.alloc(5_000_000, '%PDF of a year ')
  const id = (await keepPdf(objects, WEEK, large)).replace(/^reports\/(.*)\.json$/, '$1')
  const event = requestOf(`/v1/reports/${id}/pdf`)
  const { statusCode, headers } = (await deliver({ name: 'query', event, at: END + 1800 })) as {
    readonly statusCode: number
    readonly headers: Readonly<Record<string, string>>
  }
  assert.equal(statusCode, 303)
  const given = await fetch(headers['location'] ?? '')
  assert.deepEqual([given.status, given.headers.get('content-type')], [200, 'application/pdf'])
  assert.ok(large.equals(Buffer.from(await given.arrayBuffer())))
}

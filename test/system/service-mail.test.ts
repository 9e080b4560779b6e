/**
 * Mail as it is deployed, from the zips: plan asks for it by a queue, deliver sends it by SES, alert tells by SES and SNS, query answers the links. Messages come twice, at once and again,
 * and one deliver is killed while SES takes a mail.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateConfigurationSetCommand, CreateEmailIdentityCommand, SESv2Client } from '@aws-sdk/client-sesv2'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import PostalMime from 'postal-mime'
import { addChannel } from '../../lib/deliver/channel/channels.ts'
import {
  linkName,
  listDownloads,
  makeDownload,
  readDownload,
  revokeDownload,
} from '../../lib/deliver/link/downloads.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { compareText } from '../../lib/text/order.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { parseNdjson, run } from '../support/process/command-line.ts'
import { REPORT_PDF, WEEK, keepPdf } from '../support/deliver/kept-report.ts'
import { batchOf, capturedLog, contextOf, requestOf } from '../support/aws/lambda.ts'
import { type MotoServer, startMoto, takenBySes } from '../support/servers/moto-server.ts'
import { packagedHandler, unpackFunction } from '../support/aws/packaged-functions.ts'
import { freshFolder } from '../support/recorder.ts'

const STORE = 's3://evidence?derived=derived'
const AUTHOR = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const DUE = Date.parse('2026-11-23T07:01:00Z')
const MINUTE = 60_000

let moto: MotoServer
let objects: Objects
let sqs: SQSClient
let queue: string
let alerts: string
let topic: string
/** SES of moto, behind a door at which a test may stand. */
let ses: Awaited<ReturnType<typeof startDoor>>

/** Hands every request over to another server; `onTaken` is called once it was answered there, before it is answered here. */
async function startDoor(target: () => string) {
  const door: { url: string; onTaken: (body: string) => boolean } = { url: '', onTaken: () => true }
  const server = createServer((request, response) => {
    void buffer(request).then(async (body) => {
      const { authorization = '', 'content-type': type = '' } = request.headers
      const answer = await fetch(`${target()}${request.url ?? ''}`, {
        method: request.method ?? 'GET',
        headers: { authorization, 'content-type': type },
        body,
      })
      const content = Buffer.from(await answer.arrayBuffer())
      if (!door.onTaken(body.toString())) return response.destroy()
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      return response.end(content)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  door.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(door, {
    close: async () => {
      server.close()
      server.closeAllConnections()
    },
  })
}

before(async () => {
  moto = await startMoto()
  ses = await startDoor(() => moto.url)
  Object.assign(process.env, moto.env, {
    AWS_ENDPOINT_URL: moto.url,
    AWS_ENDPOINT_URL_SESV2: ses.url,
    CIPHERTRAIL_STORE: STORE,
    CIPHERTRAIL_MAIL_FROM: 'ciphertrail@example.com',
    CIPHERTRAIL_CONFIGURATION_SET: 'ciphertrail-prod',
    CIPHERTRAIL_URL: 'https://ct.example.com',
    POWERTOOLS_METRICS_NAMESPACE: 'test',
  })
  const s3 = new S3Client({ forcePathStyle: true })
  const where = { LocationConstraint: 'eu-central-1' } as const
  await s3.send(
    new CreateBucketCommand({ Bucket: 'evidence', ObjectLockEnabledForBucket: true, CreateBucketConfiguration: where }),
  )
  await s3.send(new CreateBucketCommand({ Bucket: 'derived', CreateBucketConfiguration: where }))
  await s3.send(new PutBucketVersioningCommand({ Bucket: 'derived', VersioningConfiguration: { Status: 'Enabled' } }))
  const client = new SESv2Client({})
  await client.send(new CreateEmailIdentityCommand({ EmailIdentity: 'ciphertrail@example.com' }))
  await client.send(new CreateConfigurationSetCommand({ ConfigurationSetName: 'ciphertrail-prod' }))
  sqs = new SQSClient({})
  const queueOf = async (QueueName: string) => (await sqs.send(new CreateQueueCommand({ QueueName }))).QueueUrl ?? ''
  queue = await queueOf('deliver')
  process.env['CIPHERTRAIL_COLLECT_QUEUE'] = await queueOf('collect')
  process.env['CIPHERTRAIL_DELIVER_QUEUE'] = queue
  process.env['CIPHERTRAIL_PACK_QUEUE'] = queue
  alerts = await queueOf('alerts')
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: alerts, AttributeNames: ['QueueArn'] }),
  )
  const sns = new SNSClient({})
  topic = (await sns.send(new CreateTopicCommand({ Name: 'alerts' }))).TopicArn ?? ''
  await sns.send(new SubscribeCommand({ TopicArn: topic, Protocol: 'sqs', Endpoint: Attributes?.['QueueArn'] ?? '' }))
  objects = openStore(STORE)
})
after(() => Promise.all([moto.close(), ses.close()]))

/** Takes all that waits in the queue away. */
async function waiting(): Promise<readonly string[]> {
  const bodies: string[] = []
  for (;;) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue, MaxNumberOfMessages: 10 }))
    if (Messages.length === 0) return bodies
    for (const { Body = '', ReceiptHandle } of Messages) {
      bodies.push(Body)
      await sqs.send(new DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle }))
    }
  }
}

/** Channel and recipient of each mail that SES took; each names nobody else. */
async function mails(): Promise<readonly string[]> {
  const found = (await takenBySes(moto.url)).map(async ({ to, raw }) => {
    const { subject = '', to: shown } = await PostalMime.parse(raw)
    assert.deepEqual(
      shown?.map(({ address }) => address),
      [to],
    )
    return `${/ \(([a-z]+), week \d+\)$/.exec(subject)?.[1] ?? ''} ${to}`
  })
  return (await Promise.all(found)).toSorted(compareText)
}

test('each person gets each mail of their channels once, whatever comes twice, at once and again, and dies', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: DUE })
  const [plan, deliver] = await Promise.all(['plan', 'deliver'].map(packagedHandler))
  assert.ok(plan && deliver)
  const given = {
    one: ['ada@example.com', 'bob@example.com', 'eve@example.com'],
    two: ['bob@example.com', 'eve@example.com', 'joe@example.com'],
  }
  for (const [id, recipients] of Object.entries(given))
    await addChannel({ id, recipients, hasAlerts: false }, AUTHOR, objects)
  const planAt = async (minutes: number): Promise<readonly string[]> => {
    t.mock.timers.setTime(DUE + minutes * MINUTE)
    await plan({ time: new Date(DUE + minutes * MINUTE).toISOString().replace('.000Z', 'Z') }, contextOf())
    return waiting()
  }
  const [first = '', second = ''] = await planAt(0)
  assert.deepEqual(
    [first, second].map((body) => (JSON.parse(body) as { channel: string }).channel).toSorted(compareText),
    ['one', 'two'],
  )

  // SES takes the second mail of the first message, and then the function is killed before it is told so.
  let lost = ''
  const path = join(unpackFunction('deliver'), 'index.mjs')
  const args = [join(import.meta.dirname, 'killed-deliver.ts'), path, JSON.stringify(batchOf(first)), String(DUE)]
  const child = spawn(process.execPath, args, { stdio: 'ignore', env: process.env })
  let taken = 0
  ses.onTaken = (body) => {
    taken += 1
    if (taken < 2) return true
    lost = (JSON.parse(body) as { Destination: { ToAddresses: string[] } }).Destination.ToAddresses[0] ?? ''
    child.kill('SIGKILL')
    return false
  }
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  assert.deepEqual([signal, taken], ['SIGKILL', 2])
  ses.onTaken = () => true

  const fine = { batchItemFailures: [] }
  const race = [batchOf(first), batchOf(second, first), batchOf(second), batchOf(first, second)]
  assert.deepEqual(await Promise.all(race.map((event) => deliver(event, contextOf()))), [fine, fine, fine, fine])
  assert.deepEqual(await planAt(1), [], 'nobody is left')
  await deliver(batchOf(first, second), contextOf())
  assert.deepEqual(await planAt(20), [], 'what is not known is not sent again')
  const all = Object.entries(given).flatMap(([id, recipients]) => recipients.map((to) => `${id} ${to}`))
  assert.deepEqual(await mails(), all.toSorted(compareText))

  const folder = freshFolder(t)
  const env = { ...moto.env, AWS_ENDPOINT_URL: moto.url, CIPHERTRAIL_STORE: STORE }
  const now = new Date(DUE + 20 * MINUTE).toISOString().replace('.000Z', 'Z')
  const listed = await run(['deliveries', '--status', 'unknown', '--now', now, '--json'], { folder, env })
  assert.equal(listed.code, 0, listed.stderr)
  assert.deepEqual(
    parseNdjson(listed.stdout).map(({ channel, address }) => `${String(channel)} ${String(address)}`),
    [`${(JSON.parse(first) as { channel: string }).channel} ${lost}`],
  )
  assert.doesNotMatch(log.text(), /@example\.com/)

  t.mock.timers.setTime(DUE + 7 * 24 * 60 * MINUTE)
  assert.deepEqual(await deliver(batchOf(first), contextOf()), fine)
  assert.match(String(log.lines().findLast(({ outcome }) => outcome === 'refused')?.['reason']), /of 2026-W48$/)
})

test('what cannot wait is told once to the topic and to each recipient, by however many runs', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: DUE })
  const alert = await packagedHandler('alert')
  const before = (await takenBySes(moto.url)).length
  await addChannel({ id: 'ops', recipients: ['zoe@example.com'], snsTopic: topic }, AUTHOR, objects)
  const registered = { now: new Date(DUE - 60 * MINUTE), by: 'test' }
  await addCluster({ id: 'dark', windowMinutes: 5 }, registered, { objects })
  const event = { time: '2026-11-23T07:01:00Z' }
  await Promise.all([alert(event, contextOf()), alert(event, contextOf()), alert(event, contextOf())])
  await alert(event, contextOf())
  const told = (await takenBySes(moto.url)).slice(before)
  assert.deepEqual(
    told.map(({ to }) => to),
    ['zoe@example.com'],
  )
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: alerts, MaxNumberOfMessages: 10 }))
  assert.deepEqual(
    Messages.map(({ Body = '' }) => (JSON.parse(Body) as { Subject: string }).Subject),
    ['[ops] 1 cluster not observed (cluster dark)'],
  )
  const counted = log.lines().filter((line) => 'AlertMessages' in line)
  assert.equal(
    counted.reduce((sum, { AlertMessages: count }) => sum + Number(count), 0),
    2,
  )
})

test('the report leaves with a mail by SES, and its link is answered without login, a log or an object that holds it', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: DUE })
  const [deliver, query] = await Promise.all(['deliver', 'query'].map(packagedHandler))
  assert.ok(deliver && query)
  const report = await keepPdf(objects)
  await addChannel(
    { id: 'grc', recipients: ['grc@example.com'], hasDownloads: true, attachesPdf: true },
    AUTHOR,
    objects,
  )
  const asked = batchOf({ channel: 'grc', week: '2026-W47' })
  assert.deepEqual(await deliver(asked, contextOf()), { batchItemFailures: [] })
  const { raw } = (await takenBySes(moto.url)).find(({ to }) => to === 'grc@example.com') ?? assert.fail()
  const { text, attachments } = await PostalMime.parse(raw)
  const [attached] = attachments
  assert.ok(attached?.content instanceof ArrayBuffer)
  assert.deepEqual([attached.filename, Buffer.from(attached.content)], ['ciphertrail-2026-W47.pdf', REPORT_PDF])
  const token = /https:\/\/ct\.example\.com\/d\/([A-Za-z0-9_-]{43})\n/.exec(text ?? '')?.[1] ?? assert.fail(text)

  const visit = async (path: string, method = 'GET') => {
    const request = requestOf(path) as { requestContext: { http: object } }
    const event = { ...request, requestContext: { ...request.requestContext, http: { method } } }
    const answer = (await query(event, contextOf())) as {
      statusCode: number
      headers: Readonly<Record<string, string>>
      body: string
    }
    return { ...answer, body: Buffer.from(answer.body, 'base64') }
  }
  assert.match((await visit(`/d/${token}`)).body.toString(), /Download the report of week 2026-W47/)
  const pressed = await visit(`/d/${token}`, 'POST')
  assert.equal(pressed.statusCode, 303)
  const file = `/d/${pressed.headers['location'] ?? ''}`
  assert.deepEqual((await visit(file)).body, REPORT_PDF)
  const [{ id, uses, recipient } = assert.fail()] = (await listDownloads(objects)).downloads
  assert.equal(uses, 1)

  const large = Buffer.alloc(5_000_000, '%PDF of a year ')
  const year = await keepPdf(objects, { ...WEEK, label: 'Week 2026-W46' }, large)
  const wanted = { report: year, channel: 'grc', recipient, expiresAt: '2026-12-23T07:00:00Z' }
  const other = await makeDownload(wanted, new Date(DUE), objects)
  const led = await visit(`/d/${other}`, 'POST')
  assert.equal(led.statusCode, 303)
  const given = await fetch(led.headers['location'] ?? '')
  assert.ok(large.equals(Buffer.from(await given.arrayBuffer())))
  assert.equal(given.headers.get('content-disposition'), 'attachment; filename="ciphertrail-2026-W46.pdf"')
  const { id: otherId = '' } =
    (await listDownloads(objects)).downloads.find(({ report: leadsTo }) => leadsTo === year) ?? {}
  assert.equal((await readDownload(otherId, objects))?.uses, 1)
  assert.ok(!log.text().includes('X-Amz-'))

  t.mock.timers.setTime(DUE + MINUTE)
  assert.equal((await visit(file)).statusCode, 404)
  await revokeDownload(id, new Date(DUE), objects)
  assert.equal((await visit(`/d/${token}`, 'POST')).statusCode, 410)

  const told = log.lines().findLast(({ path, status }) => path === '/d/file' && status === 200)
  assert.partialDeepStrictEqual(told, { download: { link: linkName(id), channel: 'grc', report } })
  assert.ok(!log.text().includes(token))
  for await (const key of objects.list('')) {
    const body = Buffer.from((await objects.get(key))?.body ?? []).toString('latin1')
    assert.ok(!`${key} ${body}`.includes(token), key)
  }
})

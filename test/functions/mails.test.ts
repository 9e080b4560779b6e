import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { addChannel, removeChannel } from '../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../lib/deliver/send/claims.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { compareText } from '../../lib/text/order.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { batchOf, capturedLog, contextOf } from '../support/aws/lambda.ts'
import { type MailServices, startMailServices } from '../support/servers/mail-services.ts'
import { type S3Server, startS3Server } from '../support/servers/s3-server.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const STORE = 's3://evidence?derived=derived'
const AUTHOR = { now: new Date('2026-11-20T00:00:00Z'), by: 'tester' }
/** Monday, when the mail of week 47 is due. */
const DUE = Date.parse('2026-11-23T07:01:00Z')

let s3: S3Server
let services: MailServices
let objects: Objects

before(async () => {
  ;[s3, services] = await Promise.all([startS3Server(), startMailServices()])
  s3.makeBucket('evidence')
  s3.makeBucket('derived', { hasLock: false })
  Object.assign(process.env, s3.env, {
    AWS_ENDPOINT_URL_SQS: services.url,
    AWS_ENDPOINT_URL_SESV2: services.url,
    AWS_MAX_ATTEMPTS: '1',
    CIPHERTRAIL_STORE: STORE,
    CIPHERTRAIL_COLLECT_QUEUE: `${services.url}/1/collect`,
    CIPHERTRAIL_DELIVER_QUEUE: `${services.url}/1/deliver`,
    CIPHERTRAIL_MAIL_FROM: 'ciphertrail@example.com',
    POWERTOOLS_METRICS_NAMESPACE: 'test',
  })
  objects = openStore(STORE)
  await addCluster({ id: 'east', windowMinutes: 60 }, { now: new Date(DUE - 7_200_000), by: 'tester' }, { objects })
})
after(() => Promise.all([s3, services].map((server) => server.close())))

const timeOf = (minutes: number): string => new Date(DUE + minutes * 60_000).toISOString().replace('.000Z', 'Z')

async function statuses(channel: string): Promise<readonly string[]> {
  const found: string[] = []
  for await (const one of listDeliveries('week', new Date(), objects))
    if (one.channel === channel) found.push(one.status)
  return found.toSorted(compareText)
}

test('plan asks for windows and for mails, and where it cannot for the one it asks for the other and tells', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: DUE })
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, AUTHOR, objects)
  t.after(() => removeChannel('ops', AUTHOR, objects))
  const { handler } = await import('../../functions/plan.ts')
  await handler({ time: timeOf(0) }, contextOf())
  assert.deepEqual(services.asked('deliver'), [{ channel: 'ops', week: '2026-W47' }])
  const windows = services.asked('collect').length
  assert.ok(windows > 0)

  t.after(() => services.misbehave(() => undefined))
  services.misbehave((_, queue) => (queue === 'deliver' ? { status: 403 } : undefined))
  await handler({ time: timeOf(0) }, contextOf())
  assert.equal(services.asked('collect').length, 2 * windows)
  const [told, metric] = log.lines().slice(-2)
  assert.partialDeepStrictEqual([told, metric], [{ mails: 0, errors: ['not now'] }, { PlanProblems: 1 }])

  services.misbehave((_, queue) => (queue === 'collect' ? { status: 403 } : undefined))
  await assert.rejects(handler({ time: timeOf(0) }, contextOf()))
  assert.equal(services.asked('deliver').length, 2, 'the mail is asked for all the same')
})

test('deliver sends to each once, what SES refuses does not bring the message back, and what the store refuses does', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: DUE })
  await addChannel({ id: 'team', recipients: ['ada@example.com', 'busy@example.com'] }, AUTHOR, objects)
  t.after(() => removeChannel('team', AUTHOR, objects))
  t.after(() => services.misbehave(() => undefined))
  services.misbehave((_, to) => (to === 'busy@example.com' ? { status: 429 } : undefined))
  const { handler } = await import('../../functions/deliver.ts')
  const message = { channel: 'team', week: '2026-W47' }
  const fine = { batchItemFailures: [] }
  assert.deepEqual(await handler(batchOf(message, message), contextOf()), fine)
  const said = log.lines().filter(({ outcome }) => outcome === 'delivered')
  assert.deepEqual(
    said.map(({ sent, failed }) => [sent, failed]),
    [
      [1, 1],
      [0, 0],
    ],
  )
  assert.deepEqual(said[0]?.['reasons'], ['Refused: not now'])
  assert.deepEqual(await statuses('team'), ['failed', 'sent'])

  t.mock.timers.setTime(DUE + 6 * 60_000)
  services.misbehave(() => undefined)
  s3.permit((action, resource) => action !== 's3:PutObject' || !resource.includes('/claims/'))
  t.after(() => s3.permit(() => true))
  assert.deepEqual(await handler(batchOf(message), contextOf()), { batchItemFailures: [{ itemIdentifier: 'm0' }] })
  s3.permit(() => true)
  assert.deepEqual(await handler(batchOf(message), contextOf()), fine)
  assert.deepEqual(services.mails, ['ada@example.com', 'busy@example.com'])
  assert.doesNotMatch(log.text(), /@example\.com/)
})

test('a mail that SES refuses since nobody is verified yet is tried again, and one that it refuses for itself is not', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: DUE })
  await addChannel({ id: 'new', recipients: ['kim@example.com', 'odd@example.com'] }, AUTHOR, objects)
  t.after(() => removeChannel('new', AUTHOR, objects))
  t.after(() => services.misbehave(() => undefined))
  services.misbehave((_, to) => ({
    status: 400,
    name: 'MessageRejected',
    message: to.startsWith('kim')
      ? 'Email address is not verified. The following identities failed the check in region EU: ciphertrail@example.com'
      : 'Transaction failed: a virus was found',
  }))
  const { handler } = await import('../../functions/deliver.ts')
  await handler(batchOf({ channel: 'new', week: '2026-W47' }), contextOf())
  const again: (string | null)[] = []
  for await (const one of listDeliveries('week', new Date(), objects))
    if (one.channel === 'new') again.push(one.retryAt)
  assert.deepEqual(
    again.map((time) => time !== null).toSorted((a, b) => Number(a) - Number(b)),
    [false, true],
  )
  assert.doesNotMatch(log.text(), /@example\.com/)
})

test('deliver refuses in words what is not due, and begins with nobody for whom no time is left', async (t) => {
  const log = capturedLog(t)
  t.mock.timers.enable({ apis: ['Date'], now: DUE })
  await addChannel({ id: 'late', recipients: ['eve@example.com'] }, AUTHOR, objects)
  t.after(() => removeChannel('late', AUTHOR, objects))
  const { handler } = await import('../../functions/deliver.ts')
  const before = services.mails.length
  for (const message of [
    { channel: 'gone', week: '2026-W47' },
    { channel: 'late', week: '2026-W46' },
  ])
    assert.deepEqual(await handler(batchOf(message), contextOf()), { batchItemFailures: [] })
  matchesText(log.lines().flatMap(({ reason }) => (typeof reason === 'string' ? [/: .*$/.exec(reason)?.[0]] : [])))
  await handler(batchOf({ channel: 'late', week: '2026-W47' }), contextOf(40_000))
  assert.partialDeepStrictEqual(
    log.lines().findLast(({ message }) => message === 'done'),
    { sent: 0, left: 1 },
  )
  assert.equal(services.mails.length, before)
})

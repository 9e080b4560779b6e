/** Mail by Amazon SES, and alerts by Amazon SNS, as moto has them: two channels with recipients in common, runs that race and repeat; and what comes back. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateEmailIdentityCommand, SESv2Client } from '@aws-sdk/client-sesv2'
import { CreateTopicCommand, PublishCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import PostalMime from 'postal-mime'
import { addChannel } from '../../lib/deliver/channel/channels.ts'
import { type Delivery, listDeliveries } from '../../lib/deliver/send/claims.ts'
import { readRecipients } from '../../lib/deliver/channel/recipients.ts'
import { NotSentError } from '../../lib/deliver/send/send.ts'
import { sesMail } from '../../lib/deliver/send/ses.ts'
import { snsPublish } from '../../lib/deliver/send/sns.ts'
import { signatureOf } from '../../lib/deliver/send/webhook.ts'
import { deliverDue } from '../../lib/jobs/mail/deliver-mails.ts'
import { readSuppressions } from '../../lib/deliver/channel/suppressions.ts'
import { compareText } from '../../lib/text/order.ts'
import { parseNdjson, run } from '../support/process/command-line.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { freshStore } from '../support/stored/fresh-store.ts'
import { batchOf, capturedLog, contextOf } from '../support/aws/lambda.ts'
import { bounceEvent, complaintEvent } from '../support/deliver/ses-events.ts'
import { packagedHandler } from '../support/aws/packaged-functions.ts'
import { type MotoServer, startMoto, takenBySes } from '../support/servers/moto-server.ts'
import { freshFolder } from '../support/recorder.ts'

const FROM = { name: 'ciphertrail', address: 'ciphertrail@example.com' }
const ADDED = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const DUE = new Date('2026-11-23T07:00:00Z')
const SES = { region: 'eu-central-1', configurationSet: null }

let moto: MotoServer

before(async () => {
  moto = await startMoto()
  Object.assign(process.env, moto.env, { AWS_ENDPOINT_URL: moto.url })
})
after(() => moto.close())

const deliver = (objects: Awaited<ReturnType<typeof freshStore>>) =>
  deliverDue(
    { at: DUE, version: '0.1.0', url: 'https://ct.example.com', from: FROM },
    { objects, send: sesMail(SES), now: () => DUE },
  )

async function statuses(objects: Awaited<ReturnType<typeof freshStore>>): Promise<readonly string[]> {
  const all: string[] = []
  for await (const { status } of listDeliveries('week', DUE, objects)) all.push(status)
  return all
}

test('a sender that SES does not know sends nothing, and that is told as such', async (t) => {
  const objects = await freshStore(t)
  await addChannel({ id: 'one', recipients: ['ada@example.com'] }, ADDED, objects)
  const [outcome] = await deliver(objects)
  assert.equal(outcome?.tried[0]?.status, 'failed')
  assert.doesNotMatch(outcome.tried[0].detail ?? '', /ada@/)
})

test('runs that race and repeat give each recipient of two channels each mail once', async (t) => {
  const client = new SESv2Client({ region: SES.region })
  await client.send(new CreateEmailIdentityCommand({ EmailIdentity: FROM.address }))
  client.destroy()
  const objects = await freshStore(t)
  await addChannel({ id: 'one', recipients: ['ada@example.com', 'bob@example.com'] }, ADDED, objects)
  await addChannel({ id: 'two', recipients: ['bob@example.com', 'eve@example.com'] }, ADDED, objects)
  await Promise.all([deliver(objects), deliver(objects), deliver(objects)])
  await deliver(objects)
  const mails = await Promise.all(
    (await takenBySes(moto.url)).map(async ({ to, raw }) => {
      const { subject, to: shown } = await PostalMime.parse(raw)
      assert.deepEqual(
        shown?.map(({ address }) => address),
        [to],
      )
      return `${/ \((\w+), week \d+\)$/.exec(subject ?? '')?.[1] ?? ''} ${to}`
    }),
  )
  assert.deepEqual(mails.toSorted(compareText), [
    'one ada@example.com',
    'one bob@example.com',
    'two bob@example.com',
    'two eve@example.com',
  ])
  assert.deepEqual(await statuses(objects), ['sent', 'sent', 'sent', 'sent'])
})

test('SES that is away was not asked, and SES that is cut off may have taken it', async () => {
  const envelope = {
    from: FROM.address,
    to: 'ada@example.com',
    message: Buffer.from('Subject: x\r\n\r\nx\r\n'),
    tags: { kind: 'week', period: '2026-W47', channel: 'a', recipient: 'b' } as const,
  }
  process.env['AWS_ENDPOINT_URL'] = 'http://127.0.0.1:1'
  try {
    await assert.rejects(sesMail(SES)(envelope), NotSentError)
  } finally {
    process.env['AWS_ENDPOINT_URL'] = moto.url
  }
})

test('ciphertrail deliver sends by SES, and alert publishes to a topic once', async (t) => {
  const folder = freshFolder(t)
  const env = { ...moto.env, AWS_ENDPOINT_URL: moto.url }
  const sns = new SNSClient({ region: SES.region })
  const sqs = new SQSClient({ region: SES.region })
  t.after(() => {
    sns.destroy()
    sqs.destroy()
  })
  const { TopicArn: topic = '' } = await sns.send(new CreateTopicCommand({ Name: 'alerts' }))
  const { QueueUrl: queue = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'alerts' }))
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: queue, AttributeNames: ['QueueArn'] }),
  )
  await sns.send(new SubscribeCommand({ TopicArn: topic, Protocol: 'sqs', Endpoint: Attributes?.['QueueArn'] ?? '' }))
  writeFileSync(join(folder, 'mail.json'), JSON.stringify({ from: FROM.address, ses: { region: SES.region } }))
  const added = await run(['channel', 'add', 'ops', '--to', 'cli@example.com', '--sns', topic], { folder, env })
  assert.equal(added.code, 0, added.stderr)
  const later = ['--now', '2099-01-05T12:00:00Z']
  const sent = await run(['deliver', '--mail', 'mail.json', ...later], { folder, env })
  assert.equal(sent.code, 0, `${sent.stdout}${sent.stderr}`)
  assert.equal((await takenBySes(moto.url)).filter(({ to }) => to === 'cli@example.com').length, 1)
  await run(['cluster', 'add', 'west', '--context', 'west', '--window', '5m'], { folder, env })
  for (let time = 0; time < 2; time++) {
    // Within a day, or each window of decades would be looked at.
    const now = new Date(Date.now() + 6 * 3_600_000).toISOString().slice(0, 19)
    const told = await run(['alert', '--mail', 'mail.json', '--now', `${now}Z`, '--json'], { folder, env })
    assert.equal(told.code, 0, `${told.stdout}${told.stderr}`)
    assert.equal((parseNdjson(told.stdout)[0]?.['tried'] as unknown[] | undefined)?.length, time === 0 ? 2 : 0)
  }
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue, MaxNumberOfMessages: 10 }))
  assert.equal(Messages.length, 1)
  const { Message, Subject } = JSON.parse(Messages[0]?.Body ?? '') as { Message: string; Subject: string }
  assert.equal(Subject, '[ops] 1 cluster not observed (cluster west)')
  assert.equal((JSON.parse(Message) as { channel: string }).channel, 'ops')
  await assert.rejects(snsPublish(`${topic}-none`, { id: 'x', subject: 'x', json: '{}' }), NotSentError)
})

/** A topic, and what it hands over to a queue, as the template has the two. */
async function feedbackQueue() {
  const sns = new SNSClient({ region: SES.region })
  const sqs = new SQSClient({ region: SES.region })
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'feedback' }))
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'feedback' }))
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }))
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes?.['QueueArn'] ?? '' }))
  return {
    publish: (event: unknown) => sns.send(new PublishCommand({ TopicArn, Message: JSON.stringify(event) })),
    /** The bodies of what waits, which then waits no more. */
    taken: async () => {
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }))
      for (const { ReceiptHandle } of Messages) await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
      return Messages.map(({ Body = '' }) => Body)
    },
    close: () => {
      sns.destroy()
      sqs.destroy()
    },
  }
}

test('what SES says of mails that it took silences whom it means, through a topic and a queue, and the next week is without them', async (t) => {
  const s3 = new S3Client({ region: SES.region, forcePathStyle: true })
  const where = { LocationConstraint: 'eu-central-1' } as const
  for (const Bucket of ['evidence', 'derived'])
    await s3.send(
      new CreateBucketCommand({
        Bucket,
        CreateBucketConfiguration: where,
        ...(Bucket === 'evidence' ? { ObjectLockEnabledForBucket: true } : {}),
      }),
    )
  s3.destroy()
  const store = 's3://evidence?derived=derived'
  Object.assign(process.env, { CIPHERTRAIL_STORE: store, POWERTOOLS_METRICS_NAMESPACE: 'test' })
  const objects = openStore(store)
  const names = ['gone', 'angry', 'full', 'fine']
  await addChannel({ id: 'pay', recipients: names.map((name) => `${name}@example.com`) }, ADDED, objects)
  await addChannel({ id: 'all', recipients: ['gone@example.com', 'fine@example.com'] }, ADDED, objects)
  const [first] = (await deliver(objects)).filter(({ channel }) => channel === 'pay')
  const recipients = await readRecipients(objects)
  const mailOf = (name: string): Delivery =>
    first?.tried.find(({ recipient }) => recipients.get(recipient) === `${name}@example.com`) ?? assert.fail(name)
  const about = (name: string) => {
    const { kind, period, channel, recipient, detail } = mailOf(name)
    return { tags: { kind, period, channel, recipient }, messageId: detail ?? '', to: `${name}@example.com` }
  }

  const queue = await feedbackQueue()
  t.after(queue.close)
  const bounce = bounceEvent('Permanent', 'NoEmail', about('gone'))
  for (const event of [
    bounce,
    bounce,
    complaintEvent('abuse', about('angry')),
    bounceEvent('Transient', 'MailboxFull', about('full')),
    // With the name of another mail.
    bounceEvent('Permanent', 'NoEmail', { ...about('fine'), messageId: about('full').messageId }),
  ])
    await queue.publish(event)
  const log = capturedLog(t)
  const handler = await packagedHandler('feedback')
  const bodies = await queue.taken()
  assert.equal(bodies.length, 5)
  assert.deepEqual(await handler(batchOf(...bodies), contextOf()), { batchItemFailures: [] })
  assert.doesNotMatch(log.text(), /@example\.com/)

  const told: string[] = []
  for await (const { channel, recipient, status } of listDeliveries('week', DUE, objects))
    told.push(`${channel} ${recipients.get(recipient) ?? ''} ${status}`)
  assert.deepEqual(told.toSorted(compareText), [
    'all fine@example.com sent',
    'all gone@example.com sent',
    'pay angry@example.com complained',
    'pay fine@example.com sent',
    'pay full@example.com failed',
    'pay gone@example.com bounced',
  ])
  assert.deepEqual(
    (await readSuppressions(objects))
      .map(({ recipient, channel, reason }) => `${recipients.get(recipient) ?? ''} ${channel ?? 'all'} ${reason}`)
      .toSorted(compareText),
    ['angry@example.com all complained', 'gone@example.com all bounced'],
  )
  const later = new Date('2026-11-30T07:00:00Z')
  const next = await deliverDue(
    { at: later, version: '0.1.0', url: null, from: FROM },
    { objects, send: sesMail(SES), now: () => later },
  )
  assert.deepEqual(
    next.map(({ channel, tried, suppressed }) => [channel, tried.length, suppressed]),
    [
      ['all', 1, { unsubscribed: 0, bounced: 1, complained: 0 }],
      ['pay', 2, { unsubscribed: 0, bounced: 1, complained: 1 }],
    ],
  )
})

test('the Python of docs/alerts.md knows what is ours, and takes nothing that is old, of others or changed', () => {
  const code =
    /```python\n([^]*?)```/.exec(readFileSync(new URL('../../docs/alerts.md', import.meta.url), 'utf8'))?.[1] ?? ''
  const signature = signatureOf('{"line":"ä"}', 'hunter2', 1000)
  const checks = [
    ['{"line":"ä"}', 'hunter2', 1299],
    ['{"line":"ä"}', 'hunter2', 1301],
    ['{"line":"ä"}', 'hunter3', 1000],
    ['{"line":"ä"} ', 'hunter2', 1000],
  ]
  const script = `${code}
import json, sys
for body, secret, now in json.loads(sys.argv[1]):
    print(is_from_ciphertrail({"ciphertrail-signature": sys.argv[2]}, body.encode(), secret, now))
print(is_from_ciphertrail({}, b"", "hunter2"))
`
  const said = execFileSync('python3', ['-c', script, JSON.stringify(checks), signature], { encoding: 'utf8' })
  assert.equal(said, 'True\nFalse\nFalse\nFalse\nFalse\n')
})

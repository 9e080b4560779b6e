import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { claimDelivery, readDelivery, settleDelivery } from '../../lib/deliver/send/claims.ts'
import { readSuppressions } from '../../lib/deliver/channel/suppressions.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { batchOf, capturedLog, contextOf } from '../support/aws/lambda.ts'
import { type S3Server, startS3Server } from '../support/servers/s3-server.ts'
import { bounceEvent, complaintEvent, enveloped, rejectEvent } from '../support/deliver/ses-events.ts'
import type { DeliveryId } from '../../lib/store/delivery-keys.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const STORE = 's3://evidence/?derived=derived'

let s3: S3Server
let objects: Objects
let ids: readonly DeliveryId[]

before(async () => {
  s3 = await startS3Server()
  s3.makeBucket('evidence')
  s3.makeBucket('derived', { hasLock: false })
  Object.assign(process.env, s3.env, { CIPHERTRAIL_STORE: STORE, POWERTOOLS_METRICS_NAMESPACE: 'test' })
  objects = openStore(STORE)
  const now = new Date()
  await addChannel(
    { id: 'pay', recipients: ['ada@example.com', 'bob@example.com', 'eve@example.com', 'joe@example.com'] },
    { now, by: 'tester' },
    objects,
  )
  const [channel] = await readChannels(objects)
  ids = (channel?.recipients ?? []).map((recipient) => ({
    kind: 'week',
    period: '2026-W47',
    channel: 'pay',
    recipient,
  }))
  // The third one is still being sent.
  for (const [index, id] of ids.entries()) {
    const held = (await claimDelivery(id, { now, mayRepeat: false }, objects)) ?? assert.fail()
    if (index !== 2) await settleDelivery(held, { status: 'sent', detail: `ses-${index}` }, now, objects)
  }
})
after(() => s3.close())

test('feedback takes what counts, leaves alone what is foreign, and lets come again what is too early, without an address in the log', async (t) => {
  const log = capturedLog(t)
  const { handler } = await import('../../functions/feedback.ts')
  const [one, two, three, four] = ids
  assert.ok(one && two && three && four)
  const to = 'ada@example.com'
  const answer = await handler(
    batchOf(
      enveloped(JSON.stringify(bounceEvent('Permanent', 'NoEmail', { tags: one, messageId: 'ses-0', to }))),
      complaintEvent('abuse', { tags: two, messageId: 'ses-1', to }),
      complaintEvent('abuse', { tags: two, messageId: 'ses-1', to }),
      bounceEvent('Permanent', 'NoEmail', { tags: three, messageId: 'ses-2', to }),
      bounceEvent('Permanent', 'NoEmail', { tags: { ...one, channel: 'other' }, messageId: 'ses-0', to }),
      enveloped('Successfully validated SNS topic for Amazon SES event publishing.'),
      rejectEvent({ tags: four, messageId: 'ses-3', to }),
      'to ada@example.com '.repeat(50_000),
    ),
    contextOf(),
  )
  assert.deepEqual(answer, { batchItemFailures: [{ itemIdentifier: 'm3' }] })
  const now = new Date()
  const statuses = await Promise.all(ids.map(async (id) => (await readDelivery(id, now, objects))?.status))
  assert.deepEqual(statuses, ['bounced', 'complained', 'claimed', 'failed'])
  assert.deepEqual((await readSuppressions(objects)).map(({ reason }) => reason).toSorted(), ['bounced', 'complained'])
  assert.doesNotMatch(log.text(), /@example\.com/)
  const lines = log.lines()
  matchesText(lines.flatMap(({ message, nothing, status }) => (message === 'done' ? [nothing ?? status] : [])))
  const metrics = lines.find((line) => '_aws' in line)
  const sum = (name: string) => [metrics?.[name]].flat().reduce((all: number, one) => all + Number(one), 0)
  assert.deepEqual(
    ['Bounces', 'Complaints', 'FailedMails', 'SilencedRecipients', 'ForeignNotifications', 'FailedMessages'].map(sum),
    [2, 1, 1, 2, 2, 1],
  )
})

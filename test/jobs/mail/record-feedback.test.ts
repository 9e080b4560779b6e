import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { addChannel, readChannels } from '../../../lib/deliver/channel/channels.ts'
import { CLAIM_SECONDS, claimDelivery, readDelivery, settleDelivery } from '../../../lib/deliver/send/claims.ts'
import { liftSuppression, readSuppressions } from '../../../lib/deliver/channel/suppressions.ts'
import { takeFeedback, TooEarlyError } from '../../../lib/jobs/mail/record-feedback.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { linesOf, parseNdjson, run } from '../../support/process/command-line.ts'
import { freshFolder } from '../../support/recorder.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { type Actor, drawer, tell } from '../../support/stored/interleaving.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { bounceEvent, complaintEvent } from '../../support/deliver/ses-events.ts'
import { claimKey } from '../../../lib/store/delivery-keys.ts'
import type { DeliveryId } from '../../../lib/store/delivery-keys.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const SENT = new Date('2026-11-23T07:00:00Z')
const LATER = new Date('2026-11-23T08:00:00Z')
const ADA = 'ada@example.com'
const NAME = '0107019ab-1-000000'

/** A channel with one recipient, and the id of their mail. */
async function oneChannel(objects: Objects): Promise<DeliveryId> {
  await addChannel({ id: 'pay', recipients: [ADA] }, { now: SENT, by: 'test' }, objects)
  const [channel] = await readChannels(objects)
  return { kind: 'week', period: '2026-W47', channel: 'pay', recipient: channel?.recipients[0] ?? '' }
}

async function sent(objects: Objects): Promise<DeliveryId> {
  const id = await oneChannel(objects)
  const held = (await claimDelivery(id, { now: SENT, mayRepeat: false }, objects)) ?? assert.fail()
  await settleDelivery(held, { status: 'sent', detail: NAME }, SENT, objects)
  return id
}

const bounce = (tags: DeliveryId, messageId = NAME) => bounceEvent('Permanent', 'NoEmail', { tags, messageId, to: ADA })
const complaint = (tags: DeliveryId) => complaintEvent('abuse', { tags, messageId: NAME, to: ADA })

const silent = async (objects: Objects) =>
  (await readSuppressions(objects)).map(({ channel, reason }) => `${channel ?? 'all'} ${reason}`)

test('a mail that came back for good is told as such, and its recipient gets none of any channel', async (t) => {
  const objects = await freshStore(t)
  const id = await sent(objects)
  matchesText(await takeFeedback(bounce(id), LATER, { objects }), {
    id,
    status: 'bounced',
    report: TEXT,
    isSuppressed: true,
  })
  assert.deepEqual(await silent(objects), ['all bounced'])
  const told = await readDelivery(id, LATER, objects)
  matchesText([told?.status, told?.detail, told?.at, told?.report], ['bounced', NAME, '2026-11-23T08:00:00Z', TEXT])
  assert.equal(await claimDelivery(id, { now: LATER, mayRepeat: false }, objects), null, 'it is not sent again')
})

test('the same notification twice changes nothing more, even where somebody let the recipient have mail again', async (t) => {
  const objects = await freshStore(t)
  const id = await sent(objects)
  await takeFeedback(bounce(id), LATER, { objects })
  const before = await objects.get(claimKey(id))
  await liftSuppression(id.recipient, null, objects)
  matchesText(await takeFeedback(bounce(id), LATER, { objects }), { nothing: TEXT, isForeign: false })
  assert.deepEqual(await silent(objects), [])
  assert.deepEqual((await objects.get(claimKey(id)))?.body, before?.body)
})

test('a mailbox that is full silences nobody, and the mail is no longer called sent', async (t) => {
  const objects = await freshStore(t)
  const id = await sent(objects)
  const full = bounceEvent('Transient', 'MailboxFull', { tags: id, messageId: NAME, to: ADA })
  const outcome = await takeFeedback(full, LATER, { objects })
  assert.ok('status' in outcome && outcome.status === 'failed' && !outcome.isSuppressed)
  assert.deepEqual(await silent(objects), [])
  const told = await readDelivery(id, LATER, objects)
  assert.deepEqual([told?.status, told?.retryAt], ['failed', null])
  assert.equal(
    await claimDelivery(id, { now: LATER, mayRepeat: false }, objects),
    null,
    'SES tried for hours, nobody tries again',
  )
})

test('a complaint is a later word than a bounce, and the first reason to be silent stays', async (t) => {
  const objects = await freshStore(t)
  const id = await sent(objects)
  await takeFeedback(bounce(id), LATER, { objects })
  const outcome = await takeFeedback(complaint(id), LATER, { objects })
  assert.ok('status' in outcome && outcome.status === 'complained' && !outcome.isSuppressed)
  assert.deepEqual(await silent(objects), ['all bounced'])
  matchesText(await takeFeedback(bounce(id), LATER, { objects }), { nothing: TEXT, isForeign: false })
})

test('what is reported of a mail that a server refused changes nothing: it was not sent', async (t) => {
  const objects = await freshStore(t)
  const id = await oneChannel(objects)
  const held = (await claimDelivery(id, { now: SENT, mayRepeat: false }, objects)) ?? assert.fail()
  await settleDelivery(held, { status: 'bounced', detail: '550 5.1.1' }, SENT, objects)
  matchesText(await takeFeedback(complaint(id), LATER, { objects }), { nothing: TEXT, isForeign: true })
  assert.equal((await readDelivery(id, LATER, objects))?.status, 'bounced')
})

test('a notification with the tags of a mail and the name of another changes nothing', async (t) => {
  const objects = await freshStore(t)
  const id = await sent(objects)
  const other = { ...id, recipient: `r${'f'.repeat(32)}` }
  matchesText(await takeFeedback(bounce(id, 'another'), LATER, { objects }), { nothing: TEXT, isForeign: true })
  matchesText(await takeFeedback(bounce(other), LATER, { objects }), { nothing: TEXT, isForeign: true })
  matchesText(await takeFeedback({ ...bounce(id), mail: {} }, LATER, { objects }), { nothing: TEXT, isForeign: true })
  assert.deepEqual(await silent(objects), [])
  assert.equal((await readDelivery(id, LATER, objects))?.status, 'sent')
})

test('a bounce that is faster than the sender comes again later, and one of a sender who died is taken by its tags', async (t) => {
  const objects = await freshStore(t)
  const id = await oneChannel(objects)
  const held = (await claimDelivery(id, { now: SENT, mayRepeat: false }, objects)) ?? assert.fail()
  await assert.rejects(takeFeedback(bounce(id), SENT, { objects }), TooEarlyError)
  assert.deepEqual(await silent(objects), [])
  const dead = new Date(SENT.getTime() + (CLAIM_SECONDS + 1) * 1000)
  await takeFeedback(bounce(id), dead, { objects })
  assert.deepEqual(await silent(objects), ['all bounced'])
  const settled = await settleDelivery(held, { status: 'sent', detail: NAME }, dead, objects)
  assert.equal(settled.status, 'bounced', 'who was taken for dead does not write over what is known since')
  assert.equal((await readDelivery(id, dead, objects))?.status, 'bounced')
})

test('ciphertrail deliveries tells what came back, by a status of its own and in words', async (t) => {
  const folder = freshFolder(t)
  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  const id = await sent(objects)
  await takeFeedback(bounce(id), LATER, { objects })
  const deliveries = (...args: string[]) => run(['deliveries', ...args], { folder })
  matchesText(linesOf((await deliveries()).stdout)[1])
  assert.equal((await deliveries('--status', 'sent')).stdout, '')
  const alert = { ...id, kind: 'alert', period: '20261123T070000Z-1' } as const
  const held = (await claimDelivery(alert, { now: SENT, mayRepeat: false }, objects)) ?? assert.fail()
  await settleDelivery(held, { status: 'sent', detail: NAME }, SENT, objects)
  await takeFeedback(complaint(alert), LATER, { objects })
  assert.match(
    (await deliveries('--kind', 'alert')).stdout,
    /^ALERT +CHANNEL.*\n20261123T070000Z-1 +pay +ada@\S+ +complained /,
  )
  const refused = await deliveries('--kind', 'year')
  matchesText([refused.code, refused.stderr], [2, TEXT])
  const [row] = parseNdjson((await deliveries('--status', 'bounced', '--json')).stdout)
  matchesText([row?.['detail'], row?.['report']], [NAME, TEXT])
})

test('300 stories of a sender, notifications that come twice and deaths in between: what came back is never last called sent, and silences once it is told', async () => {
  const draw = drawer(Number(process.env['PROPERTY_SEED'] ?? 20_261_124))
  const template = new Map<string, Uint8Array>()
  const id = await oneChannel(memoryObjects(template))
  let [early, taken] = [0, 0]
  const stories = Array.from({ length: 300 }, () => {
    const held = new Map(template)
    // What SES has taken can come back, even before whoever sent it wrote that down.
    const isSent = { now: false }
    const sender: Actor = async (gate) => {
      const objects = memoryObjects(held, gate)
      const claim = await claimDelivery(id, { now: SENT, mayRepeat: false }, objects)
      if (claim === null) return
      await gate({ member: 'putIf', key: 'ses', size: 1 }, () => void (isSent.now = true))
      await settleDelivery(claim, { status: 'sent', detail: NAME }, SENT, objects)
    }
    const notified =
      (event: unknown): Actor =>
      (gate) =>
        isSent.now
          ? takeFeedback(event, draw(2) === 0 ? SENT : LATER, { objects: memoryObjects(held, gate) })
          : gate({ member: 'get', key: 'ses', size: 0 }, () => undefined)
    const actors = [sender, notified(bounce(id)), notified(bounce(id)), notified(complaint(id))]
    const fateOf = () => (['dies-before', 'dies-after', 'fails-before', 'fails-after'] as const)[draw(30)] ?? 'done'
    return { actors, draw, fateOf, held, isSent }
  })
  await tell(stories, async ({ held, isSent }, outcomes) => {
    if (outcomes.some((outcome) => outcome instanceof TooEarlyError)) early += 1
    const objects = memoryObjects(held)
    if (!isSent.now) return
    // A queue hands over again what was not taken.
    for (let time = 0; time < 2; time++) await takeFeedback(bounce(id), LATER, { objects })
    const status = (await readDelivery(id, LATER, objects))?.status
    assert.ok(status === 'bounced' || status === 'complained', status)
    assert.equal((await silent(objects)).length, 1)
    taken += 1
  })
  assert.ok(early > 5 && taken > 200, `${early} came early, ${taken} were taken`)
})

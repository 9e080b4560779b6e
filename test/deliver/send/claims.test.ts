import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Held,
  type DeliveryOutcome,
  claimDelivery,
  isDeliveryDue,
  listDeliveries,
  readDelivery,
  settleDelivery,
} from '../../../lib/deliver/send/claims.ts'
import { type DeliveryId, claimsPrefix } from '../../../lib/store/delivery-keys.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const ID: DeliveryId = { kind: 'week', period: '2026-W47', channel: 'pay', recipient: `r${'0'.repeat(32)}` }
const NOW = Date.parse('2026-11-23T08:00:00Z')
const after = (seconds: number): Date => new Date(NOW + seconds * 1000)

const AGAIN: DeliveryOutcome = { status: 'failed', detail: 'busy', next: 'again' }

async function claimed(seconds: number, objects = memoryObjects(), mayRepeat = false): Promise<Held> {
  const held = await claimDelivery(ID, { now: after(seconds), mayRepeat }, objects)
  assert.ok(held)
  return held
}

test('who claimed a delivery is taken for dead after a quarter of an hour, and not before', async () => {
  const objects = memoryObjects()
  await claimed(0, objects)
  const statusAt = async (seconds: number) => (await readDelivery(ID, after(seconds), objects))?.status
  assert.deepEqual([await statusAt(15 * 60), await statusAt(15 * 60 + 1)], ['claimed', 'unknown'])
  // It may have been sent, so nobody sends it again.
  assert.equal(await claimDelivery(ID, { now: after(100_000), mayRepeat: false }, objects), null)
})

test('what knows a second one as that is claimed again once its claimant is dead', async () => {
  const objects = memoryObjects()
  await claimed(0, objects, true)
  assert.equal(await claimDelivery(ID, { now: after(15 * 60), mayRepeat: true }, objects), null)
  assert.equal((await claimed(15 * 60 + 1, objects, true)).delivery.attempt, 2)
})

test('a delivery that failed is tried again after 5, 20, 80 and 320 minutes, and then no more', async () => {
  const objects = memoryObjects()
  let now = 0
  for (const minutes of [5, 20, 80, 320]) {
    const settled = await settleDelivery(await claimed(now, objects), AGAIN, after(now), objects)
    now += minutes * 60
    assert.deepEqual(
      [isDeliveryDue(settled, after(now - 1)), isDeliveryDue(settled, after(now))],
      [false, true],
      `${minutes} minutes`,
    )
    assert.equal(await claimDelivery(ID, { now: after(now - 1), mayRepeat: false }, objects), null)
  }
  const last = await settleDelivery(await claimed(now, objects), AGAIN, after(now), objects)
  assert.deepEqual([last.attempt, last.status, last.retryAt], [5, 'failed', null])
  assert.equal(await claimDelivery(ID, { now: after(now * 100), mayRepeat: false }, objects), null)
})

test('what was refused for another reason than the delivery is tried again after a minute, as if it had not been', async () => {
  const objects = memoryObjects()
  const outcome: DeliveryOutcome = { status: 'failed', detail: 'too many at once', next: 'no-try' }
  const settled = await settleDelivery(await claimed(0, objects), outcome, after(0), objects)
  assert.deepEqual([isDeliveryDue(settled, after(59)), isDeliveryDue(settled, after(60))], [false, true])
  assert.equal((await claimed(60, objects)).delivery.attempt, 1)
})

test('what was sent, is over or bounced is never due again', async () => {
  const outcomes: DeliveryOutcome[] = [
    { status: 'sent', detail: '250' },
    { status: 'failed', detail: 'no', next: 'never' },
    { status: 'unknown', detail: 'cut' },
    { status: 'bounced', detail: 'nobody' },
  ]
  for (const outcome of outcomes) {
    const objects = memoryObjects()
    const settled = await settleDelivery(await claimed(0, objects), outcome, after(0), objects)
    assert.equal(isDeliveryDue(settled, after(1e8)), false, outcome.status)
    assert.equal(await claimDelivery(ID, { now: after(1e8), mayRepeat: true }, objects), null)
  }
})

test('listDeliveries() gives every delivery of a kind, and passes over what is none', async () => {
  const held = new Map<string, Uint8Array>([[`${claimsPrefix('week')}README`, Buffer.from('x')]])
  const objects = memoryObjects(held)
  await claimed(0, objects)
  const listed = []
  for await (const delivery of listDeliveries('week', after(60), objects)) listed.push(delivery)
  assert.deepEqual(listed, [await readDelivery(ID, after(60), objects)])
})

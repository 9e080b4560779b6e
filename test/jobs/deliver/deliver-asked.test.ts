import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addChannel, readChannels, removeChannel } from '../../../lib/deliver/channel/channels.ts'
import { NotSentError } from '../../../lib/deliver/send/send.ts'
import { suppress } from '../../../lib/deliver/channel/suppressions.ts'
import { deliverRequested, deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import { mailsDue } from '../../../lib/jobs/mail/due-mails.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { compareText } from '../../../lib/text/order.ts'
import { type StoreRequest, memoryObjects } from '../../support/stored/memory-objects.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const AUTHOR = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const DUE = Date.parse('2026-11-23T07:00:00Z')
const WEEK = '2026-W47'
const FROM = { name: 'ciphertrail', address: 'ciphertrail@example.com' }

const at = (minutes: number): Date => new Date(DUE + minutes * 60_000)

async function channels(objects: Objects): Promise<void> {
  await addChannel({ id: 'one', recipients: ['ada@example.com', 'bob@example.com'] }, AUTHOR, objects)
  await addChannel({ id: 'two', recipients: ['bob@example.com'], timeZone: 'America/New_York' }, AUTHOR, objects)
  await addChannel({ id: 'hook', webhook: { url: 'https://hook.example', secretFile: '/s' } }, AUTHOR, objects)
}

/** Sends, and keeps to whom. */
function sender(refuses: (to: string) => Error | null = () => null) {
  const sent: string[] = []
  return {
    sent,
    send: async ({ to }: { readonly to: string }) => {
      const refusal = refuses(to)
      if (refusal !== null) throw refusal
      sent.push(to)
      return '250'
    },
  }
}

const asked = (
  message: { readonly channel: string; readonly week: string },
  minutes: number,
  deps: Omit<Parameters<typeof deliverRequested>[2], 'now'>,
) =>
  deliverRequested(
    message,
    { at: at(minutes), version: '0.1.0', url: null, from: FROM },
    { ...deps, now: () => at(minutes) },
  )

test('mailsDue() names each mail that somebody is still to get, on the clock of its channel, and no channel without recipients', async () => {
  const objects = memoryObjects(new Map())
  await channels(objects)
  const due = async (minutes: number) => (await mailsDue(at(minutes), { objects, now: () => at(minutes) })).due
  assert.deepEqual(await due(-1), [])
  assert.deepEqual(await due(0), [{ channel: 'one', week: WEEK }])
  assert.deepEqual(await due(5 * 60), [
    { channel: 'one', week: WEEK },
    { channel: 'two', week: WEEK },
  ])
  const { send } = sender((to) => (to.startsWith('bob') ? new NotSentError('later', 'for-now') : null))
  await asked({ channel: 'one', week: WEEK }, 0, { objects, send })
  assert.deepEqual(await due(1), [], 'what failed waits until its time has come')
  assert.deepEqual(await due(6), [{ channel: 'one', week: WEEK }])
})

test('mailsDue() asks for nothing of a mail that all have, and looks at it once', async () => {
  const requests: StoreRequest[] = []
  const objects = memoryObjects(new Map(), async (request, effect) => {
    requests.push(request)
    return effect()
  })
  await channels(objects)
  const settled = new Set<string>()
  const look = async (minutes: number) => {
    requests.length = 0
    const { due, errors } = await mailsDue(at(minutes), { objects, now: () => at(minutes), settled })
    assert.deepEqual(errors, [])
    return [due.length, requests.filter(({ key }) => key.startsWith('claims/')).length]
  }
  assert.deepEqual(await look(0), [1, 2])
  await asked({ channel: 'one', week: WEEK }, 0, { objects, send: sender().send })
  assert.deepEqual(await look(1), [0, 2])
  assert.deepEqual(await look(2), [0, 0])
  assert.deepEqual(await look(7 * 24 * 60), [2, 3], 'the next week is another mail')
})

test('a channel whose claims cannot be read keeps no other from being asked for, and is told', async () => {
  const objects = memoryObjects(new Map(), async ({ key }, effect) => {
    if (key.startsWith('claims/week/2026-W47/one/')) throw new Error('the store is away')
    return effect()
  })
  await channels(objects)
  matchesText(await mailsDue(at(300), { objects, now: () => at(300) }), {
    due: [{ channel: 'two', week: WEEK }],
    errors: TEXT,
  })
})

test('a channel of which nobody is left who gets its mail is told each time, settled or not', async () => {
  const objects = memoryObjects(new Map())
  await channels(objects)
  const settled = new Set<string>()
  const look = async () => mailsDue(at(0), { objects, now: () => at(0), settled })
  const message = { channel: 'one', week: WEEK }
  await asked(message, 0, { objects, send: sender().send, settled })
  assert.deepEqual((await look()).errors, [])
  const one = (await readChannels(objects)).find(({ id }) => id === 'one')
  for (const recipient of one?.recipients ?? [])
    await suppress({ recipient, channel: null, reason: 'bounced' }, at(1), objects)
  for (let time = 0; time < 2; time++) {
    const { due, errors } = await look()
    assert.deepEqual(due, [])
    assert.match(
      errors.join('\n'),
      /^Cannot send the mail of channel "one": nobody is left [^\n]*: mail to 2 came back;/,
    )
  }
  const outcome = await asked(message, 2, { objects, send: sender().send, settled })
  assert.ok(outcome.outcome === 'delivered')
  assert.match(outcome.delivery.problem ?? '', /^nobody is left/)
})

test('deliverRequested() sends once, however often and late it is asked, and refuses what is not due in words', async () => {
  const objects = memoryObjects(new Map())
  await channels(objects)
  const { sent, send } = sender()
  const deps = { objects, send }
  const refusal = async (message: { readonly channel: string; readonly week: string }, minutes = 0) => {
    const outcome = await asked(message, minutes, deps)
    assert.equal(outcome.outcome, 'refused')
    return outcome.outcome === 'refused' ? outcome.reason : ''
  }
  matchesText(await refusal({ channel: 'one', week: WEEK }, -1))
  matchesText(await refusal({ channel: 'one', week: '2026-W46' }))
  matchesText(await refusal({ channel: 'one', week: '2026-W48' }))
  assert.doesNotMatch(await refusal({ channel: 'x\n\u202e"', week: '../' }), /[\n\u202e]/)
  assert.deepEqual(sent, [])
  const message = { channel: 'one', week: WEEK }
  await Promise.all([asked(message, 0, deps), asked(message, 0, deps)])
  await asked(message, 60, deps)
  assert.deepEqual(sent.toSorted(compareText), ['ada@example.com', 'bob@example.com'])
  matchesText(await refusal(message, 7 * 24 * 60))
  await removeChannel('one', AUTHOR, objects)
  matchesText(await refusal(message))
  assert.equal(sent.length, 2)
})

test('a run that has no time left leaves the rest, and the next goes on where it was', async () => {
  const objects = memoryObjects(new Map())
  const recipients = Array.from({ length: 5 }, (_, index) => `p${index}@example.com`)
  await addChannel({ id: 'one', recipients }, AUTHOR, objects)
  const { sent, send } = sender()
  const message = { channel: 'one', week: WEEK }
  const first = await asked(message, 0, { objects, send, isOver: () => sent.length === 2 })
  assert.ok(first.outcome === 'delivered')
  assert.deepEqual([first.delivery.tried.length, first.delivery.left, first.error], [2, 3, null])
  assert.deepEqual((await mailsDue(at(5), { objects, now: () => at(5) })).due, [message])
  await asked(message, 5, { objects, send })
  assert.deepEqual(sent.toSorted(compareText), recipients)
  assert.deepEqual((await mailsDue(at(10), { objects, now: () => at(10) })).due, [])
})

test('a mail of which the making leaves no time to send it to anybody is a problem, since the next run may do no better', async () => {
  const objects = memoryObjects(new Map())
  await channels(objects)
  const { sent, send } = sender()
  let asks = 0
  const message = { channel: 'one', week: WEEK }
  const first = await asked(message, 0, { objects, send, isOver: () => (asks += 1) > 1 })
  assert.ok(first.outcome === 'delivered')
  assert.deepEqual([sent, first.delivery.left, first.error], [[], 2, null])
  matchesText(first.delivery.problem)
})

test('a store that fails in the middle is told with what was sent before, and nobody gets it twice', async () => {
  let writes = 0
  const objects = memoryObjects(new Map(), async ({ member, key }, effect) => {
    if (member === 'putIf' && key.startsWith('claims/') && (writes += 1) === 3) throw new Error('the store is away')
    return effect()
  })
  await channels(objects)
  const { sent, send } = sender()
  const broken = await asked({ channel: 'one', week: WEEK }, 0, { objects, send })
  assert.ok(broken.outcome === 'delivered')
  assert.deepEqual(
    [broken.delivery.tried.length, broken.delivery.left, broken.delivery.problem],
    [1, 1, 'the store is away'],
  )
  assert.ok(broken.error instanceof Error)
  const now = () => at(5)
  await deliverDue({ at: now(), version: '0.1.0', url: null, from: FROM }, { objects, send, now })
  assert.equal(new Set(sent).size, sent.length)
  assert.equal(sent.length, 2)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addChannel } from '../../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../../lib/deliver/send/claims.ts'
import { retryThrottled } from '../../../lib/deliver/send/throttling.ts'
import { type Envelope, NotSentError, type Refusal, type SendMail } from '../../../lib/deliver/send/send.ts'
import { deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import '../../support/property-seed.ts'

const ADDED = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const DUE = Date.parse('2026-11-23T07:00:00Z')
const FROM = { name: 'ciphertrail', address: 'ciphertrail@example.com' }
const ENVELOPE: Envelope = {
  from: FROM.address,
  to: 'ada@example.com',
  message: new Uint8Array(),
  tags: { kind: 'week', period: '2026-W47', channel: 'one', recipient: `r${'0'.repeat(32)}` },
}

/** SES and a clock: each request takes 50 ms, one mail is taken in a second, and so many in a day. */
function slowServer({ perDay = Infinity } = {}) {
  let at = DUE
  let taken = DUE - 1000
  let refused = 0
  const day = { begins: DUE, mails: 0 }
  const sent: string[] = []
  return {
    sent,
    now: () => new Date(at),
    refused: () => refused,
    pass: (ms: number) => (at += ms),
    wait: async (ms: number) => void (at += ms),
    send: async ({ to }: Envelope) => {
      at += 50
      if (at - day.begins >= 24 * 60 * 60_000) Object.assign(day, { begins: at, mails: 0 })
      if (day.mails >= perDay)
        throw new NotSentError('TooManyRequestsException: Daily message quota exceeded.', 'quota')
      if (at - taken < 1000) {
        refused += 1
        throw new NotSentError('TooManyRequestsException: Maximum sending rate exceeded.', 'too-fast')
      }
      taken = at
      day.mails += 1
      sent.push(to)
      return 'ses'
    },
  }
}

const many = (count: number) => Array.from({ length: count }, (_, index) => `p${index}@example.com`)

const run = (server: ReturnType<typeof slowServer>, objects: Objects, endsAt = Infinity) => {
  const { now, wait } = server
  const leftMs = () => endsAt - now().getTime()
  const { send } = retryThrottled(server, { mayWait: (ms) => leftMs() - ms > 45_000, wait, random: () => 0.5 })
  return deliverDue(
    { at: now(), version: '0.1.0', url: null, from: FROM },
    { objects, send, now, isOver: () => leftMs() < 60_000 },
  )
}

const stands = async (objects: Objects, now: Date) => {
  const all: string[] = []
  for await (const { status, attempt, retryAt } of listDeliveries('week', now, objects))
    all.push(`${status} ${attempt}${retryAt === null ? '' : ' again'}`)
  return Object.fromEntries([...Map.groupBy(all, (one) => one)].map(([one, same]) => [one, same.length]))
}

test('two hundred recipients get their mail at one in a second, each by its first try, in as many runs as that takes', async () => {
  const objects = memoryObjects(new Map())
  const server = slowServer()
  await addChannel({ id: 'one', recipients: many(200) }, ADDED, objects)
  const problems: unknown[] = []
  let runs = 0
  for (; runs < 9 && server.sent.length < 200; runs++) {
    // As a function that is given two minutes, asked again after five.
    for (const { problem, tried } of await run(server, objects, server.now().getTime() + 120_000 + 60_000))
      problems.push(problem, ...tried.filter(({ status }) => status !== 'sent'))
    server.pass(300_000)
  }
  assert.equal(runs, 3)
  assert.deepEqual(new Set(problems), new Set([null]))
  assert.deepEqual(server.sent.toSorted(), many(200).toSorted())
  assert.deepEqual(await stands(objects, server.now()), { 'sent 1': 200 })
  assert.ok(server.refused() >= 190, 'it was refused in between')
})

test('what a quota of the day refuses is no try, is told, keeps nobody from the rest of a claim, and goes the next day', async () => {
  const objects = memoryObjects(new Map())
  const server = slowServer({ perDay: 5 })
  await addChannel({ id: 'one', recipients: many(8) }, ADDED, objects)
  const [first] = await run(server, objects)
  assert.equal(
    first?.problem,
    '2 more were not tried, since no more mail was taken for now; that is tried again with the next run',
  )
  assert.deepEqual(
    first.tried.map(({ status, detail }) => (status === 'sent' ? status : detail)),
    [...Array.from({ length: 5 }, () => 'sent'), 'TooManyRequestsException: Daily message quota exceeded.'],
  )
  assert.deepEqual(await stands(objects, server.now()), { 'sent 1': 5, 'failed 0 again': 1 })
  // Many more times than a mail is tried that was refused itself.
  for (let look = 0; look < 12; look++) {
    server.pass(60 * 60_000)
    const [outcome] = await run(server, objects)
    assert.equal(outcome?.tried.length, 1)
  }
  server.pass(12 * 60 * 60_000)
  await run(server, objects)
  assert.deepEqual(await stands(objects, server.now()), { 'sent 1': 8 })
  assert.equal(new Set(server.sent).size, 8)
})

test('a mail that was refused itself has its five tries, whatever the rate refuses in between', async () => {
  const objects = memoryObjects(new Map())
  await addChannel({ id: 'one', recipients: many(1) }, ADDED, objects)
  let tries = 0
  const kinds: Refusal[] = [
    'for-now',
    'quota',
    'quota',
    'for-now',
    'too-fast',
    'for-now',
    'quota',
    'for-now',
    'quota',
    'for-now',
  ]
  const send = async () => {
    throw new NotSentError('later', kinds[tries++] ?? 'for-now')
  }
  let at = DUE
  for (let look = 0; look < 40; look++, at += 60 * 60_000)
    await deliverDue(
      { at: new Date(at), version: '0.1.0', url: null, from: FROM },
      { objects, send, now: () => new Date(at) },
    )
  assert.equal(tries, kinds.length)
  assert.deepEqual(await stands(objects, new Date(at)), { 'failed 5': 1 })
})

test('retryThrottled() waits for a rate alone, no longer than there is time and never longer than a minute, and gives what came last', async () => {
  const refusal = fc.constantFrom<Refusal | 'cut' | null>(
    'too-fast',
    'too-fast',
    'too-fast',
    'quota',
    'for-now',
    'for-good',
    'no-mailbox',
    'cut',
    null,
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(refusal, { maxLength: 30 }),
      fc.nat({ max: 120_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      async (answers, time, random) => {
        const waits: number[] = []
        const sum = () => waits.reduce((all, ms) => all + ms, 0)
        let tries = 0
        const last: { answer: unknown } = { answer: undefined }
        const sendOnce: SendMail = async () => {
          const answer = tries < answers.length ? answers[tries] : 'too-fast'
          tries += 1
          last.answer = answer
          if (answer === null || answer === undefined) return 'ses'
          last.answer = answer === 'cut' ? new Error('cut') : new NotSentError(answer, answer)
          throw last.answer
        }
        const { send } = retryThrottled(
          { send: sendOnce },
          { mayWait: (ms) => sum() + ms <= time, wait: async (ms) => void waits.push(ms), random: () => random },
        )
        const ended = await send(ENVELOPE).catch((error: unknown) => error)
        assert.equal(ended, last.answer === null ? 'ses' : last.answer)
        assert.equal(waits.length, tries - 1)
        assert.ok(sum() <= Math.min(time, 60_000))
        for (const [index, ms] of waits.entries()) {
          const longest = Math.min(500 * 2 ** index, 8000)
          assert.ok(ms >= longest / 2 && ms <= longest)
        }
        const isGivenUp = ended instanceof NotSentError && ended.refusal === 'too-fast'
        if (isGivenUp) assert.ok(sum() > Math.min(time, 60_000) - 8000, 'it did not give up early')
        else assert.ok(answers.slice(0, tries - 1).every((answer) => answer === 'too-fast'))
      },
    ),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import PostalMime from 'postal-mime'
import { addChannel } from '../../../lib/deliver/channel/channels.ts'
import type { Envelope } from '../../../lib/deliver/send/send.ts'
import { alertDue } from '../../../lib/jobs/alert-channels.ts'
import { deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const ADDED = { now: new Date('2020-01-01T00:00:00Z'), by: 'test' }
const FROM = { name: 'ciphertrail', address: 'ciphertrail@example.com' }
const PEOPLE = ['ada', 'bob', 'eve', 'joe', 'may', 'pat'].map((name) => `${name}@example.com`)

/** Each is of both channels. */
const TWICE = PEOPLE.flatMap((one) => [one, one])

/** A clock, and a server of mail that takes three seconds for each. */
function nightFrom(time: string) {
  let at = Date.parse(time)
  const sent: Envelope[] = []
  return {
    now: () => new Date(at),
    sent,
    send: async (envelope: Envelope) => {
      sent.push(envelope)
      at += 3000
      return '250'
    },
  }
}

const midnights: readonly (readonly [
  name: string,
  channel: { readonly timeZone: string; readonly sendAt: string },
  begin: string,
  weeks: readonly [first: string, next: string | null],
])[] = [
  ['midnight of UTC', { timeZone: 'UTC', sendAt: '07:00' }, '2026-11-23T23:59:50Z', ['2026-W47', null]],
  [
    'midnight of its zone, on a day of its own',
    { timeZone: 'America/St_Johns', sendAt: '07:00' },
    '2026-11-24T03:29:50Z',
    ['2026-W47', null],
  ],
  [
    'the midnight of Monday at which the next mail is due',
    { timeZone: 'Europe/Berlin', sendAt: '00:00' },
    '2026-11-22T22:59:50Z',
    ['2026-W46', '2026-W47'],
  ],
  [
    'the Monday after the night in which clocks go back',
    { timeZone: 'Europe/Berlin', sendAt: '00:00' },
    '2026-10-25T22:59:50Z',
    ['2026-W42', '2026-W43'],
  ],
  [
    'the Monday after the night in which clocks go forward',
    { timeZone: 'Europe/Berlin', sendAt: '00:00' },
    '2026-03-29T21:59:50Z',
    ['2026-W12', '2026-W13'],
  ],
  [
    // In 2021 the clocks of Tehran went from 00:00 to 01:00 on a Monday.
    'a Monday that has no midnight',
    { timeZone: 'Asia/Tehran', sendAt: '00:00' },
    '2021-03-21T20:29:50Z',
    ['2021-W10', '2021-W11'],
  ],
  ['the end of week 53', { timeZone: 'UTC', sendAt: '00:00' }, '2027-01-03T23:59:50Z', ['2026-W52', '2026-W53']],
  ['the end of a year', { timeZone: 'UTC', sendAt: '07:00' }, '2026-12-31T23:59:50Z', ['2026-W52', null]],
]

for (const [name, channel, begin, [first, next]] of midnights)
  test(`a send that begins before and ends after ${name} is of one week, gives each their mail once, and the next run sends what is due then`, async () => {
    const objects = memoryObjects()
    // The second is begun when it is past midnight.
    for (const id of ['one', 'two'])
      await addChannel({ id, recipients: PEOPLE, hasAlerts: false, ...channel }, ADDED, objects)
    const { now, send, sent } = nightFrom(begin)
    const run = async () => {
      sent.length = 0
      const outcomes = await deliverDue({ at: now(), version: '0.1.0', url: null, from: FROM }, { objects, now, send })
      const mails = await Promise.all(sent.map(({ message }) => PostalMime.parse(message)))
      const bodies = new Set(mails.map(({ text }) => text))
      return {
        weeks: [...new Set(outcomes.flatMap(({ week, tried }) => [week, ...tried.map(({ period }) => period)]))],
        told: [...new Set(mails.map(({ subject }) => Number(/week (\d+)\)$/.exec(subject ?? '')?.[1])))],
        to: sent.map(({ to }) => to).toSorted((a, b) => (a < b ? -1 : 1)),
        bodies: bodies.size,
        minutes: new Set(mails.map(({ date }) => date?.slice(0, 16))).size,
      }
    }
    const night = await run()
    assert.deepEqual(night, { weeks: [first], told: [Number(first.slice(-2))], to: TWICE, bodies: 2, minutes: 2 })
    const after = await run()
    assert.deepEqual(after.to, next === null ? [] : TWICE)
    assert.deepEqual(after.weeks, [next ?? first])
    assert.deepEqual((await run()).to, [])
  })

test('alerts that are told before and after midnight are one notice, to each once', async () => {
  const objects = memoryObjects()
  const added = { now: new Date('2026-12-31T22:00:00Z'), by: 'test' }
  await addCluster({ id: 'west', windowMinutes: 5 }, added, { objects })
  await addChannel({ id: 'one', recipients: PEOPLE, timeZone: 'Europe/London' }, added, objects)
  const { now, send, sent } = nightFrom('2026-12-31T23:59:50Z')
  const nowhere = (): Promise<never> => Promise.reject(new Error('no place is told'))
  const look = () =>
    alertDue(
      { at: now(), url: null },
      {
        objects,
        now,
        post: nowhere,
        publish: nowhere,
        mail: { from: FROM, send },
      },
    )
  const [outcome] = await look()
  assert.deepEqual([...new Set(outcome?.tried.map(({ period }) => period))], [outcome?.notice?.id])
  const mails = await Promise.all(sent.map(({ message }) => PostalMime.parse(message)))
  assert.equal(new Set(mails.map(({ date }) => date?.slice(0, 10))).size, 2)
  assert.equal(new Set(mails.map(({ text }) => text)).size, 1)
  assert.match(mails[0]?.text ?? '', /31 Dec 2026 23:59/)
  const [again] = await look()
  assert.deepEqual([again?.notice, again?.tried], [null, []])
  assert.equal(new Set(sent.map(({ to }) => to)).size, PEOPLE.length)
  assert.equal(sent.length, PEOPLE.length)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dueMail, nextMail } from '../../../lib/deliver/mail/sending-times.ts'

const OLD = '2020-01-01T00:00:00Z'
const channel = (timeZone: string, sendAt = '07:00', addedAt = OLD) => ({ timeZone, sendAt, addedAt })

const cases: readonly (readonly [
  name: string,
  ReturnType<typeof channel>,
  now: string,
  due: readonly string[] | null,
])[] = [
  [
    'on Monday at its time, the week that ended at midnight',
    channel('Europe/Berlin'),
    '2026-11-23T06:00:00Z',
    ['2026-W47', '2026-11-15T23:00:00Z', '2026-11-22T23:00:00Z', '2026-11-23T06:00:00Z'],
  ],
  [
    'a second earlier, the week before',
    channel('Europe/Berlin'),
    '2026-11-23T05:59:59Z',
    ['2026-W46', '2026-11-08T23:00:00Z', '2026-11-15T23:00:00Z', '2026-11-16T06:00:00Z'],
  ],
  [
    'on Sunday, still the week of last Monday: late is not lost',
    channel('Europe/Berlin'),
    '2026-11-29T22:59:59Z',
    ['2026-W47', '2026-11-15T23:00:00Z', '2026-11-22T23:00:00Z', '2026-11-23T06:00:00Z'],
  ],
  [
    'the week in which clocks go back, of 169 hours',
    channel('Europe/Berlin'),
    '2026-10-26T06:00:00Z',
    ['2026-W43', '2026-10-18T22:00:00Z', '2026-10-25T23:00:00Z', '2026-10-26T06:00:00Z'],
  ],
  [
    'the week in which clocks go forward, of 167 hours',
    channel('Europe/Berlin'),
    '2026-03-30T05:00:00Z',
    ['2026-W13', '2026-03-22T23:00:00Z', '2026-03-29T22:00:00Z', '2026-03-30T05:00:00Z'],
  ],
  [
    'week 53',
    channel('UTC'),
    '2027-01-04T07:00:00Z',
    ['2026-W53', '2026-12-28T00:00:00Z', '2027-01-04T00:00:00Z', '2027-01-04T07:00:00Z'],
  ],
  [
    'week 1, which begins in the old year',
    channel('UTC'),
    '2025-01-06T07:00:00Z',
    ['2025-W01', '2024-12-30T00:00:00Z', '2025-01-06T00:00:00Z', '2025-01-06T07:00:00Z'],
  ],
  [
    // In 2021 the clocks of Tehran went from 00:00 to 01:00 on a Monday.
    'at a time that the clock skips, as much after the gap',
    channel('Asia/Tehran', '00:30'),
    '2021-03-21T21:00:00Z',
    ['2021-W11', '2021-03-14T20:30:00Z', '2021-03-21T20:30:00Z', '2021-03-21T21:00:00Z'],
  ],
  [
    'in a zone far ahead, where Monday comes first',
    channel('Pacific/Kiritimati', '00:00'),
    '2026-11-22T10:00:00Z',
    ['2026-W47', '2026-11-15T10:00:00Z', '2026-11-22T10:00:00Z', '2026-11-22T10:00:00Z'],
  ],
  [
    'nothing before the channel was there',
    channel('UTC', '07:00', '2026-11-23T07:00:01Z'),
    '2026-11-24T00:00:00Z',
    null,
  ],
  [
    'the first one after that',
    channel('UTC', '07:00', '2026-11-23T07:00:01Z'),
    '2026-11-30T07:00:00Z',
    ['2026-W48', '2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z', '2026-11-30T07:00:00Z'],
  ],
]

for (const [name, one, now, due] of cases)
  test(`dueMail(): ${name}`, () => {
    const mail = dueMail(one, now)
    assert.deepEqual(mail === null ? null : [mail.week, mail.from, mail.to, mail.sendAt], due)
  })

const anyZone = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'America/St_Johns',
  'Asia/Tehran',
  'Australia/Lord_Howe',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
  'Africa/Casablanca',
)
const anyTime = fc
  .integer({ min: Date.UTC(2018, 0, 1) / 1000, max: Date.UTC(2033, 0, 1) / 1000 })
  .map((seconds) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z'))
const anySendAt = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join(':'))

test('nextMail() is the first that becomes due: weeks follow each other without a gap, whatever the clock does', () => {
  fc.assert(
    fc.property(anyZone, anySendAt, anyTime, (zone, sendAt, now) => {
      const one = channel(zone, sendAt, '2000-01-01T00:00:00Z')
      const [due, next] = [dueMail(one, now), nextMail(one, now)]
      assert.ok(due !== null)
      assert.ok(due.sendAt <= now && now < next.sendAt, `${due.sendAt} ${now} ${next.sendAt}`)
      assert.equal(next.from, due.to)
      assert.notEqual(next.week, due.week)
      assert.ok(due.to <= due.sendAt)
      assert.deepEqual(dueMail(one, next.sendAt), next)
    }),
  )
})

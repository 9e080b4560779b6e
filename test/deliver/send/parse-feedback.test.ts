import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Delivery } from '../../../lib/deliver/send/claims.ts'
import { type Feedback, consequenceOf, readFeedback } from '../../../lib/deliver/send/parse-feedback.ts'
import { bounceEvent, complaintEvent, enveloped, rejectEvent } from '../../support/deliver/ses-events.ts'
import { claimKey } from '../../../lib/store/delivery-keys.ts'
import type { DeliveryId } from '../../../lib/store/delivery-keys.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const ID: DeliveryId = { kind: 'week', period: '2026-W47', channel: 'pay', recipient: `r${'0'.repeat(32)}` }
const MAIL = { tags: ID, messageId: '0107019ab-1-000000', to: 'ada@example.com' }
const NOW = new Date('2026-11-23T08:00:00Z')

const isForeign = (notification: unknown): boolean => {
  const read = readFeedback(notification)
  return 'nothing' in read && read.isForeign
}

const said = (notification: unknown): string => {
  const read = readFeedback(notification)
  return 'nothing' in read ? read.nothing : `${read.status}: ${read.report}`
}

test('readFeedback() tells bounces for good from those for now, and complaints', () => {
  for (const event of [
    bounceEvent('Permanent', 'General', MAIL),
    bounceEvent('Permanent', 'OnAccountSuppressionList', MAIL),
    // A rule of the server refuses whom mail is from, which all of a company meet at once, and says nothing of a mailbox.
    bounceEvent('Permanent', 'General', { ...MAIL, number: '5.7.26' }),
    bounceEvent('Permanent', 'NoEmail', { ...MAIL, number: '5.7.1' }),
    bounceEvent('Permanent', 'OnAccountSuppressionList', { ...MAIL, number: '5.7.1' }),
    rejectEvent(MAIL),
    bounceEvent('Transient', 'MailboxFull', MAIL),
    bounceEvent('Transient', 'General', MAIL),
    bounceEvent('Undetermined', 'Undetermined', MAIL),
    bounceEvent('x y', '<b>', MAIL),
    complaintEvent('abuse', MAIL),
    complaintEvent(null, MAIL),
    complaintEvent('not-spam', MAIL),
    complaintEvent('auth-failure', MAIL),
    { ...bounceEvent('Permanent', 'General', MAIL), eventType: 'Delivery' },
    { eventType: 'DeliveryDelay' },
  ] as const)
    matchesText(said(event))
})

test('readFeedback() reads what SNS wraps as what it hands over raw', () => {
  const event = bounceEvent('Permanent', 'NoEmail', MAIL)
  const read = readFeedback(event)
  matchesText(read, { id: ID, messageId: MAIL.messageId, status: 'bounced', report: TEXT })
  assert.deepEqual(readFeedback(enveloped(JSON.stringify(event))), read)
  const welcome = enveloped('Successfully validated SNS topic for Amazon SES event publishing.')
  matchesText([said(welcome), isForeign(welcome)], [TEXT, false])
})

test('readFeedback() gives what came back from behind an address to nobody, and asks that somebody is meant', () => {
  const behind = { ...MAIL, from: 'bob@elsewhere.example' }
  matchesText(said(bounceEvent('Permanent', 'NoEmail', behind)))
  matchesText(said(complaintEvent('abuse', behind)))
  assert.match(said(bounceEvent('Permanent', 'NoEmail', { ...MAIL, from: ' Ada <ADA@Example.com> ' })), /^bounced: /)
  assert.match(said(complaintEvent(null, { ...MAIL, from: 'ADA@example.com' })), /^complained: /)
})

/** Notifications of others, and of nobody: each is a change of one that counts. */
const FOREIGN: readonly (readonly [what: string, notification: unknown, wanted: RegExp])[] = (() => {
  const good = bounceEvent('Permanent', 'General', MAIL)
  const { eventType: _, ...older } = good
  const mail = (more: object) => ({ ...good, mail: { ...good.mail, ...more } })
  const tags = (more: object) => mail({ tags: { ...good.mail.tags, ...more } })
  const { channel: __, ...lacking } = good.mail.tags as Readonly<Record<string, unknown>>
  return [
    ['nothing', undefined, /no notification/],
    ['a number', 5, /no notification/],
    ['a list', [good], /no notification/],
    ['text of 1 MB', 'x'.repeat(1_000_000), /no notification/],
    ['an envelope of text', enveloped('{'), /no notification/],
    ['an envelope in an envelope', enveloped(JSON.stringify(enveloped(JSON.stringify(good)))), /no notification/],
    ['the older kind', { ...older, notificationType: 'Bounce' }, /names no tags/],
    ['an event of another name', { ...good, eventType: 'bounce' }, /no notification/],
    ['no mail', { ...good, mail: null }, /which mail/],
    ['no tags', mail({ tags: undefined }), /which mail/],
    ['tags of others', mail({ tags: { campaign: ['x'] } }), /no tags of ours/],
    ['a tag that lacks', mail({ tags: lacking }), /no tags of ours/],
    ['a tag twice', tags({ channel: ['pay', 'other'] }), /no tags of ours/],
    ['a tag that is no list', tags({ channel: 'pay' }), /no tags of ours/],
    ['a channel that is a path', tags({ channel: ['../registry'] }), /no tags of ours/],
    ['a recipient that is an address', tags({ recipient: ['ada@example.com'] }), /no tags of ours/],
    ['a period that is a path', tags({ period: ['a/b'] }), /no tags of ours/],
    ['another kind', tags({ kind: ['year'] }), /no tags of ours/],
    ['two recipients', mail({ destination: ['ada@example.com', 'eve@example.com'] }), /several addresses/],
    ['no recipient', mail({ destination: [] }), /which mail/],
    ['no bounce', { ...good, bounce: undefined }, /what came back/],
    ['nobody who bounced', { ...good, bounce: { ...good.bounce, bouncedRecipients: [] } }, /what came back/],
    ['nobody who complained', { ...good, eventType: 'Complaint' }, /who complained/],
  ]
})()

for (const [what, notification, wanted] of FOREIGN)
  test(`readFeedback() takes ${what} for nothing and quotes none of it`, () => {
    const words = said(notification)
    assert.match(words, wanted)
    assert.doesNotMatch(words, /@|\n/)
    assert.ok(isForeign(notification))
  })

/** Any JSON, and events in which any part was exchanged for any JSON. */
const anyNotification = fc.oneof(
  fc.jsonValue(),
  fc
    .tuple(
      fc.constantFrom(bounceEvent('Permanent', 'General', MAIL), complaintEvent('abuse', MAIL)),
      fc.array(fc.nat(60), { maxLength: 4 }),
      fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' })),
    )
    .map(([event, at, value]) => {
      const changed = structuredClone(event) as unknown
      let place = changed as Record<string, unknown>
      for (const step of at) {
        const names = Object.keys(place)
        const next = place[names[step % names.length] ?? '']
        if (typeof next !== 'object' || next === null || Object.keys(next).length === 0) break
        place = next as Record<string, unknown>
      }
      const names = Object.keys(place)
      place[names[(at[0] ?? 0) % names.length] ?? 'x'] = value
      return changed
    }),
)

test('readFeedback() reads any JSON: whom it means has a place in a key, and what it says is one line of ours', () => {
  fc.assert(
    fc.property(anyNotification, fc.boolean(), (notification, isWrapped) => {
      const read = readFeedback(isWrapped ? enveloped(JSON.stringify(notification)) : notification)
      if ('nothing' in read) {
        assert.match(read.nothing, /^[a-z ,']+$/i)
        return
      }
      assert.ok(claimKey(read.id).length > 0)
      assert.match(read.report, /^[A-Za-z0-9 ,.'()-]{1,200}$/)
      assert.match(read.messageId, /^[\w.-]{1,200}$/)
    }),
    { numRuns: 2000 },
  )
})

const delivery = (more: Partial<Delivery> = {}): Delivery => ({
  ...ID,
  status: 'sent',
  attempt: 1,
  at: '2026-11-23T07:00:00Z',
  detail: MAIL.messageId,
  report: null,
  retryAt: null,
  link: null,
  ...more,
})

const feedback = (status: Feedback['status']): Feedback => ({
  id: ID,
  messageId: MAIL.messageId,
  status,
  report: `as ${status}`,
})

test('consequenceOf() writes down what is later news and suppresses only for a bounce for good and for a complaint', () => {
  for (const [status, suppress] of [
    ['unknown', null],
    ['failed', null],
    ['bounced', 'bounced'],
    ['complained', 'complained'],
  ] as const)
    assert.deepEqual(consequenceOf(delivery(), feedback(status), NOW), {
      delivery: delivery({ status, at: '2026-11-23T08:00:00Z', report: `as ${status}` }),
      suppress,
    })
})

test('consequenceOf() takes no notification of a mail that was never claimed, is not sent yet, was not sent or has another name', () => {
  const of = (stands: Delivery | null, status: Feedback['status'] = 'bounced') => {
    const consequence = consequenceOf(stands, feedback(status), NOW)
    return consequence === 'too-early' ? consequence : 'nothing' in consequence ? consequence.nothing : 'taken'
  }
  matchesText(of(null))
  assert.equal(of(delivery({ status: 'claimed', detail: null })), 'too-early')
  matchesText(of(delivery({ status: 'failed', detail: '450 later', retryAt: '2026-11-23T07:05:00Z' })))
  matchesText(of(delivery({ detail: 'another' })))
  assert.equal(
    of(delivery({ status: 'unknown', detail: 'whoever was about to send it was not heard of again' })),
    'taken',
  )
  assert.equal(of(delivery({ status: 'unknown', report: 'x' })), 'taken')
  matchesText(of(delivery({ status: 'unknown', report: 'x', detail: 'another' })))
  matchesText(of(delivery({ status: 'bounced', report: 'x' })))
  matchesText(of(delivery({ status: 'complained', report: 'x' })))
  assert.equal(of(delivery({ status: 'bounced', report: 'x' }), 'complained'), 'taken')
})

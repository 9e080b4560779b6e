/**
 * Feedback of Amazon SES about accepted mails: bounces and complaints. Pure. Notifications are hostile input: they quote foreign servers, so none of their text
 * is repeated.
 */
import * as z from 'zod'
import { timeOf } from '../../time/windows.ts'
import { parseJson } from '../../text/parse-json.ts'
import { isClusterId } from '../../store/keys.ts'
import { isPseudonym } from '../channel/channel.ts'
import type { Delivery, DeliveryStatus } from './claims.ts'
import type { SuppressionReason } from '../channel/suppressions.ts'
import { DELIVERY_KINDS } from '../../store/delivery-keys.ts'
import type { DeliveryId } from '../../store/delivery-keys.ts'

/** A notification about one of our mails. */
export type Feedback = {
  /** From the tags that the mail was sent with. */
  readonly id: DeliveryId
  /** SES' id of the mail. */
  readonly messageId: string
  /** The new status of the delivery. */
  readonly status: (typeof REPORTED)[number]
  /** As text: one line, without addresses. */
  readonly report: string
}

/** A notification that changes nothing. */
export type Ignored = {
  /** Why: one line, in our own words. */
  readonly nothing: string
  /** Whether SES would not send it about our mails: another sender's mail, or one of ours sent without our tags. */
  readonly isForeign: boolean
}

const expected = (nothing: string): Ignored => ({ nothing, isForeign: false })
const foreign = (nothing: string): Ignored => ({ nothing, isForeign: true })

/** The higher rank is the later news: a complaint is about a mail that arrived after all, and is final. */
const REPORTED = ['unknown', 'failed', 'bounced', 'complained'] as const
const rankOf = (status: DeliveryStatus): number => REPORTED.findIndex((one) => one === status)

/** Statuses that suppress a recipient. */
const SUPPRESSING: Readonly<Partial<Record<DeliveryStatus, SuppressionReason>>> = {
  bounced: 'bounced',
  complained: 'complained',
}

/** Events that SES publishes besides those about failed mails. */
const OTHER_EVENTS: readonly unknown[] = [
  'Delivery',
  'Send',
  'Open',
  'Click',
  'Rendering Failure',
  'DeliveryDelay',
  'Subscription',
]

/** Transient bounces after which the mail certainly did not arrive. The others may be automatic replies, such as a holiday note. */
const NOT_ARRIVED: readonly unknown[] = ['MailboxFull', 'MessageTooLarge', 'ContentRejected', 'AttachmentRejected']

/** A rule of the server refused the sender or the message: DMARC, a filter, restricted recipients. It may affect all mailboxes of a company at once. */
const BY_RULE = /^5\.7\./

/** Permanent bounces caused by the mailbox, whatever their status code. */
const OF_MAILBOX: readonly unknown[] = ['NoEmail', 'Suppressed', 'OnAccountSuppressionList', 'UnsubscribedRecipient']

/** Reports that are no complaints: the recipient moved the mail out of spam, or a server reports on signatures. */
const NO_COMPLAINT: readonly unknown[] = ['not-spam', 'auth-failure']

/** The first message of SES after an event destination is created. */
const WELCOME = 'Successfully validated SNS topic for Amazon SES event publishing'

/** Amazon SNS' envelope of a queued message, unless the subscription is raw. */
const envelopeSchema = z.object({ Type: z.literal('Notification'), Message: z.string() })

const one = <T extends z.ZodType<string>>(text: T) => z.tuple([text])
const address = z.string().max(1000)

/** Names of AWS, and codes of RFC 3463; nothing else is repeated. */
const word = z
  .string()
  .regex(/^[A-Za-z-]{1,40}$/)
  .nullish()
  .catch(undefined)

const affectedSchema = z
  .array(
    z.object({
      emailAddress: address,
      status: z
        .string()
        .regex(/^[245]\.\d{1,3}\.\d{1,3}$/)
        .optional()
        .catch(undefined),
    }),
  )
  .min(1)
  .max(1000)

const mailSchema = z.object({
  messageId: z.string().regex(/^[\w.-]{1,200}$/),
  destination: z.array(address).min(1).max(1000),
  tags: z.record(z.string(), z.unknown()),
})

const tagsSchema = z.object({
  kind: one(z.enum(DELIVERY_KINDS)),
  period: one(z.string().regex(/^[A-Za-z0-9-]{1,63}$/)),
  channel: one(z.string().refine(isClusterId)),
  recipient: one(z.string().refine(isPseudonym)),
})

const bounceSchema = z.object({ bounceType: word, bounceSubType: word, bouncedRecipients: affectedSchema })
const complaintSchema = z.object({
  complaintFeedbackType: word,
  complaintSubType: word,
  complainedRecipients: affectedSchema,
})

/**
 * Parses a notification of SES' event publishing, as Amazon SNS puts it into a queue: raw, or in its envelope. The older feedback notifications of an identity
 * (`notificationType`) have no tags, so their mail is unknown.
 *
 * https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
 */
export function readFeedback(notification: unknown): Feedback | Ignored {
  const envelope = envelopeSchema.safeParse(notification)
  if (envelope.data?.Message.startsWith(WELCOME) === true) return expected('it says that notifications come here')
  const event = envelope.success ? parseJson(Buffer.from(envelope.data.Message)) : notification
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    return foreign('it is no notification of Amazon SES')
  const { eventType, notificationType, mail, bounce, complaint } = event as Readonly<Record<string, unknown>>
  if (eventType === undefined && notificationType !== undefined)
    return foreign('it is a notification of an identity, which names no tags, wanted one of a configuration set')
  if (OTHER_EVENTS.includes(eventType)) return expected('it tells of nothing that went wrong')
  if (eventType !== 'Bounce' && eventType !== 'Complaint' && eventType !== 'Reject')
    return foreign('it is no notification of Amazon SES')
  const about = mailSchema.safeParse(mail)
  if (!about.success) return foreign('it does not say which mail it is about')
  const tags = tagsSchema.safeParse(about.data.tags)
  if (!tags.success) return foreign('the mail has no tags of ours')
  // We send to one address at a time.
  const [to] = about.data.destination
  if (to === undefined || about.data.destination.length > 1)
    return foreign('the mail went to several addresses, so it is none of ours')
  const said =
    eventType === 'Bounce' ? bounceOf(bounce, to) : eventType === 'Complaint' ? complaintOf(complaint, to) : DROPPED
  if ('nothing' in said) return said
  const { kind, period, channel, recipient } = tags.data
  return {
    id: { kind: kind[0], period: period[0], channel: channel[0], recipient: recipient[0] },
    messageId: about.data.messageId,
    ...said,
  }
}

type Said = Pick<Feedback, 'status' | 'report'>

/** SES accepts a mail before it scans it. */
const DROPPED: Said = { status: 'failed', report: 'was dropped by SES, which took it for harmful' }

function bounceOf(value: unknown, to: string): Said | Ignored {
  const bounce = bounceSchema.safeParse(value)
  if (!bounce.success) return foreign('it does not say what came back')
  const { bounceType, bounceSubType, bouncedRecipients } = bounce.data
  const own = bouncedRecipients.find(({ emailAddress }) => isSame(emailAddress, to))
  const words = wordsOf([bounceType, bounceSubType, (own ?? bouncedRecipients[0])?.status])
  // The address may be a list or a forwarder: one dead address behind it must not suppress the others.
  if (own === undefined)
    return { status: 'unknown', report: `came back from another address behind the recipient's${words}` }
  if (bounceType === 'Permanent' && BY_RULE.test(own.status ?? '') && !OF_MAILBOX.includes(bounceSubType))
    return { status: 'failed', report: `was refused by a rule of the server${words}` }
  if (bounceType === 'Permanent') return { status: 'bounced', report: `came back for good${words}` }
  if (bounceType === 'Transient' && NOT_ARRIVED.includes(bounceSubType))
    return { status: 'failed', report: `came back this time${words}` }
  return { status: 'unknown', report: `came back, or was answered by a machine${words}` }
}

function complaintOf(value: unknown, to: string): Said | Ignored {
  const complaint = complaintSchema.safeParse(value)
  if (!complaint.success) return foreign('it does not say who complained')
  const { complaintFeedbackType, complaintSubType, complainedRecipients } = complaint.data
  if (NO_COMPLAINT.includes(complaintFeedbackType)) return expected('it tells of no complaint')
  if (!complainedRecipients.some(({ emailAddress }) => isSame(emailAddress, to)))
    return foreign('somebody complained who is not the recipient')
  return { status: 'complained', report: `called unwanted${wordsOf([complaintFeedbackType, complaintSubType])}` }
}

function wordsOf(words: readonly (string | null | undefined)[]): string {
  const known = words.filter((text) => text !== null && text !== undefined)
  return known.length === 0 ? '' : ` (${known.join(', ')})`
}

/** Addresses may be in angle brackets, and differ in case. */
function isSame(given: string, address: string): boolean {
  const [one, other] = [given, address].map((text) => (/<([^<>]*)>\s*$/.exec(text)?.[1] ?? text).trim().toLowerCase())
  return one === other
}

/** The consequence of a notification. */
export type Consequence =
  | {
      readonly delivery: Delivery
      /** Why the recipient gets no mail of any channel from now on; null if they do. */
      readonly suppress: SuppressionReason | null
    }
  | Ignored
  /** The mail is being sent: retry afterwards. */
  | 'too-early'

/**
 * Decides the consequence of a notification, by the state of the delivery. Only a sent mail, under its SES id, has feedback; if that id was not recorded
 * because the sender crashed, the tags are enough. A repeated notification changes nothing.
 *
 * @param delivery null if unclaimed
 */
export function consequenceOf(
  delivery: Delivery | null,
  { messageId, status, report }: Feedback,
  now: Date,
): Consequence {
  if (delivery === null) return foreign('no such mail was ever claimed')
  const isReported = delivery.report !== null
  if (delivery.status === 'claimed') return 'too-early'
  if ((delivery.status === 'failed' || delivery.status === 'bounced') && !isReported)
    return foreign('that mail was not sent')
  if ((delivery.status === 'sent' || isReported) && delivery.detail !== messageId)
    return foreign('the mail that was sent has another name')
  if (isReported && rankOf(status) <= rankOf(delivery.status)) return expected('it was told before')
  return {
    delivery: { ...delivery, status, at: timeOf(now), detail: messageId, report, retryAt: null },
    suppress: SUPPRESSING[status] ?? null,
  }
}

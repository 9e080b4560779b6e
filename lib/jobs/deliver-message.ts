/** One message to one person: claimed, sent, and written down. */
import type { Channel } from '../deliver/channel/channel.ts'
import { type Delivery, type DeliveryOutcome, claimDelivery, settleDelivery } from '../deliver/send/claims.ts'
import { type Download, downloadIdOf, linkName, makeDownload } from '../deliver/link/downloads.ts'
import { unsubscribePath } from '../deliver/link/unsubscribe-links.ts'
import { type Attachment, type Sender, buildMessage } from '../deliver/send/message.ts'
import type { Recipients } from '../deliver/channel/recipients.ts'
import { suppress } from '../deliver/channel/suppressions.ts'
import { isThrottled } from '../deliver/send/throttling.ts'
import { NotSentError, type SendMail } from '../deliver/send/send.ts'
import type { Objects } from '../store/objects/objects.ts'
import { errorLine } from '../text/error-line.ts'
import type { DeliveryId } from '../store/delivery-keys.ts'

/** What is said, with the recipient's own links, to unsubscribe and to download the report; null for none. */
export type Words = {
  readonly subject: string
  readonly text: (unsubscribe: string | null, download: string | null) => string
  readonly html: (unsubscribe: string | null, download: string | null) => string
}

/** What a message of a channel is made from. */
export type ToSend = {
  readonly channel: Channel
  readonly words: Words
  readonly recipients: Recipients
  /** Of links to unsubscribe; null: there are none. */
  readonly key: Uint8Array | null
  /** Where people reach the pages; null: nowhere. */
  readonly url: string | null
  readonly from: Sender
  /** The report to which each recipient gets a link of their own, and until when that works (RFC 3339); absent or null: none. */
  readonly download?: Pick<Download, 'report' | 'expiresAt'> | null
  readonly attachments?: readonly Attachment[]
}

/** What a message is claimed and sent with. */
export type MessageDeps = { readonly objects: Objects; readonly send: SendMail; readonly now: () => Date }

/**
 * Claims a message, sends it, and writes down how that ended. Null where somebody else has it. A recipient whose address nobody has gets no mail of any channel
 * from then on.
 */
export async function deliverMessage(
  id: DeliveryId,
  mail: ToSend,
  { objects, send, now }: MessageDeps,
): Promise<Delivery | null> {
  return deliverOnce(id, false, () => attempt(id, mail, now(), { objects, send }), { objects, now })
}

/**
 * Claims a delivery, makes it, and writes down how that ended. Null where somebody else has it.
 *
 * @param mayRepeat as `claimDelivery` has it
 */
export async function deliverOnce(
  id: DeliveryId,
  mayRepeat: boolean,
  make: () => Promise<DeliveryOutcome>,
  { objects, now }: Omit<MessageDeps, 'send'>,
): Promise<Delivery | null> {
  const held = await claimDelivery(id, { now: now(), mayRepeat }, objects)
  if (held === null) return null
  return settleDelivery(held, await make(), now(), objects)
}

async function attempt(
  id: DeliveryId,
  { channel, words, recipients, key, url, from, download: report = null, attachments = [] }: ToSend,
  date: Date,
  { objects, send }: Pick<MessageDeps, 'objects' | 'send'>,
): Promise<DeliveryOutcome> {
  const { kind, period, channel: name, recipient } = id
  const to = recipients.get(recipient)
  if (to === undefined)
    return { status: 'failed', detail: 'the address is lost, add the recipient again', next: 'again' }
  const unsubscribe =
    url === null || key === null ? null : `${url}${unsubscribePath({ channel: name, recipient }, key)}`
  let link: string | null = null
  try {
    const token =
      url === null || report === null
        ? null
        : await unsent('a link cannot be made', makeDownload({ ...report, channel: name, recipient }, date, objects))
    link = token === null ? null : linkName(downloadIdOf(token) ?? '')
    const download = token === null ? null : `${url}/d/${token}`
    const message = await unsent(
      'the message cannot be set',
      buildMessage({
        subject: words.subject,
        text: words.text(unsubscribe, download),
        html: words.html(unsubscribe, download),
        format: channel.format,
        language: channel.language,
        channel: name,
        name: `${name} ${period} ${recipient}`,
        from,
        to,
        date,
        unsubscribe,
        attachments,
      }),
    )
    const detail = await send({ from: from.address, to, message, tags: { kind, period, channel: name, recipient } })
    return { status: 'sent', detail, link }
  } catch (error) {
    const detail = errorLine(error)
    if (!(error instanceof NotSentError)) return { status: 'unknown', detail, link }
    if (error.refusal !== 'no-mailbox') return failed(error)
    // Before the claim says so, as for what comes back later: who dies in between leaves nobody who is refused each week.
    await suppress({ recipient, channel: null, reason: 'bounced' }, date, objects)
    return { status: 'bounced', detail }
  }
}

/** What is written down of a message that nobody took: whether, and as what, it is tried again. */
export function failed(error: unknown): DeliveryOutcome {
  const refusal = error instanceof NotSentError ? error.refusal : 'for-now'
  const next = isThrottled(refusal) ? 'no-try' : refusal === 'for-good' ? 'never' : 'again'
  return { status: 'failed', detail: errorLine(error), next }
}

/** What fails before a server is asked was not sent. */
async function unsent<T>(what: string, made: Promise<T>): Promise<T> {
  try {
    return await made
  } catch (error) {
    throw new NotSentError(`${what}: ${errorLine(error)}`, 'for-now', { cause: error })
  }
}

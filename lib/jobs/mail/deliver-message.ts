/** One message to one recipient: claimed, sent, and recorded. */
import type { Channel } from '../../deliver/channel/channel.ts'
import { type Delivery, type DeliveryOutcome, claimDelivery, settleDelivery } from '../../deliver/send/claims.ts'
import { type Download, downloadIdOf, linkName, makeDownload } from '../../deliver/link/downloads.ts'
import { unsubscribePath } from '../../deliver/link/unsubscribe-links.ts'
import { type Attachment, type Sender, buildMessage } from '../../deliver/send/mime-message.ts'
import type { Recipients } from '../../deliver/channel/recipients.ts'
import { suppress } from '../../deliver/channel/suppressions.ts'
import { isThrottled } from '../../deliver/send/throttling.ts'
import { NotSentError, type SendMail } from '../../deliver/send/send.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { errorLine } from '../../text/error-line.ts'
import type { DeliveryId } from '../../store/delivery-keys.ts'

/** The content, with the recipient's own links to unsubscribe and to download the report; null for none. */
export type Words = {
  readonly subject: string
  readonly text: (unsubscribe: string | null, download: string | null) => string
  readonly html: (unsubscribe: string | null, download: string | null) => string
}

/** The inputs of a channel's message. */
export type ToSend = {
  readonly channel: Channel
  readonly words: Words
  readonly recipients: Recipients
  /** Key of unsubscribe links; null: there are none. */
  readonly key: Uint8Array | null
  /** URL of the pages; null: none. */
  readonly url: string | null
  readonly from: Sender
  /** The report to which each recipient gets a link of their own, and its expiry (RFC 3339); absent or null: none. */
  readonly download?: Pick<Download, 'report' | 'expiresAt'> | null
  readonly attachments?: readonly Attachment[]
}

/** What claiming and sending a message needs. */
export type MessageDeps = { readonly objects: Objects; readonly send: SendMail; readonly now: () => Date }

/**
 * Claims a message, sends it, and records the outcome. Null if another process has it. A recipient whose address does not exist gets no mail of any channel
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
 * Claims a delivery, makes it, and records the outcome. Null if another process has it.
 *
 * @param mayRepeat as in `claimDelivery`
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
    // Suppress before recording the outcome, as for later bounces: after a crash in between, the recipient is not mailed again each week.
    await suppress({ recipient, channel: null, reason: 'bounced' }, date, objects)
    return { status: 'bounced', detail }
  }
}

/** The outcome of a message that no server accepted: whether it is retried, and its status. */
function failed(error: unknown): DeliveryOutcome {
  const refusal = error instanceof NotSentError ? error.refusal : 'for-now'
  const next = isThrottled(refusal) ? 'no-try' : refusal === 'for-good' ? 'never' : 'again'
  return { status: 'failed', detail: errorLine(error), next }
}

/** An error before a server is contacted means that nothing was sent. */
async function unsent<T>(what: string, made: Promise<T>): Promise<T> {
  try {
    return await made
  } catch (error) {
    throw new NotSentError(`${what}: ${errorLine(error)}`, 'for-now', { cause: error })
  }
}

/** The outcome of a post that may be repeated. After any error it is retried: receivers recognise a repeated id. */
export async function repeatableOutcome(make: () => Promise<string>): Promise<DeliveryOutcome> {
  try {
    return { status: 'sent', detail: await make() }
  } catch (error) {
    return failed(error)
  }
}

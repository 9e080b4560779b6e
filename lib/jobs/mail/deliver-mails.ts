/** Due mails, each sent once to each recipient. */
import type { Channel } from '../../deliver/channel/channel.ts'
import type { Delivery } from '../../deliver/send/claims.ts'
import { type WeekMail, dueMail } from '../../deliver/mail/sending-times.ts'
import { linkKey } from '../../deliver/link/link-key.ts'
import type { Sender } from '../../deliver/send/mime-message.ts'
import { readRecipients } from '../../deliver/channel/recipients.ts'
import { trackThrottling } from '../../deliver/send/throttling.ts'
import type { SendMail } from '../../deliver/send/send.ts'
import {
  nobodyLeft,
  type SuppressedCounts,
  type Suppression,
  withoutSuppressed,
} from '../../deliver/channel/suppressions.ts'
import { timeOf } from '../../time/windows.ts'
import { printable } from '../../text/printable.ts'
import { deliverMessage } from './deliver-message.ts'
import { type MailRequest, type LookDeps, readAll, toSend } from './due-mails.ts'
import { errorLine } from '../../text/error-line.ts'
import { weekMail } from './write-mail.ts'

/** Time, links and sender of the due mails. */
export type DeliverInstructions = {
  /** Its start time decides which mails are due. */
  readonly at: Date
  /** Version of ciphertrail. */
  readonly version: string
  /** URL of the pages; null: mails have no links, not even to unsubscribe. */
  readonly url: string | null
  readonly from: Sender
  /** The only channel's id; undefined: all. */
  readonly channel?: string
}

/** What sending mails needs. */
export type DeliverDeps = LookDeps & {
  readonly send: SendMail
  /** Called before each message: whether to leave the rest to the next run, since no time is left; default: never. */
  readonly isOver?: () => boolean
}

/** The outcome of a channel's mail. */
export type ChannelDelivery = {
  readonly channel: string
  /** Null if no mail is due yet. */
  readonly week: string | null
  /** Deliveries tried now, by recipient; without those that other processes have, or that were sent before. */
  readonly tried: readonly Delivery[]
  /** Number of recipients who get no mail. */
  readonly suppressed: SuppressedCounts
  /** Number of recipients to whom it may or may not have been sent before this run, who are not mailed again; null if that was not read. */
  readonly unknown: number | null
  /** Number of recipients left to the next run, since no time was left or something failed. */
  readonly left: number
  /** Why the mail could not be made, in time, or recorded, or that no recipient is left; null if it could. One line. */
  readonly problem: string | null
}

/** The outcome of a requested mail. */
export type RequestedDelivery =
  | { readonly outcome: 'refused'; /** One line. */ readonly reason: string }
  | {
      readonly outcome: 'delivered'
      readonly delivery: ChannelDelivery
      /** The error that stopped it; null if there was none. Deliveries in `tried` were made anyway. */
      readonly error: unknown
    }

/** Rendering the mail took all the available time. */
const TOO_LATE =
  'no time was left to send it: making it took too long, give the function more time or memory ("timeout", "memorySize")'

const heldUp = (left: number): string =>
  `${left} more ${left === 1 ? 'was' : 'were'} not tried, since no more mail was taken for now; that is tried again with the next run`

/**
 * Sends the requested weekly mail of a channel to each recipient for whom it is due: a repeated message sends nothing more. Refuses it if the channel is gone
 * or another week is due by now. Throws if the channels or suppressions cannot be read.
 */
export async function deliverRequested(
  { channel: id, week }: MailRequest,
  instructions: Omit<DeliverInstructions, 'channel'>,
  deps: DeliverDeps,
): Promise<RequestedDelivery> {
  const refused = (state: string): RequestedDelivery => ({
    outcome: 'refused',
    reason: `Cannot send the mail of week "${printable(week)}" of channel "${printable(id)}": ${state}`,
  })
  const { channels, suppressions } = await readAll(deps.objects)
  const channel = channels.find((one) => one.id === id)
  if (channel === undefined) return refused('there is no such channel')
  const mail = dueMail(channel, timeOf(instructions.at))
  if (mail === null) return refused('none of that channel is due yet')
  if (mail.week !== week) return refused(`the one that is due is that of ${mail.week}`)
  return { outcome: 'delivered', ...(await deliverMail(channel, mail, suppressions, instructions, deps)) }
}

/**
 * Sends every due mail that is not claimed. Safe to run concurrently and to crash anywhere: no recipient gets a mail twice, and one that may or may not have
 * been sent stays listed as `unknown`. A failing channel does not hold up the others.
 */
export async function deliverDue(
  instructions: DeliverInstructions,
  deps: DeliverDeps,
): Promise<readonly ChannelDelivery[]> {
  const outcomes: ChannelDelivery[] = []
  const { channels, suppressions } = await readAll(deps.objects)
  for (const channel of channels) {
    if (instructions.channel !== undefined && instructions.channel !== channel.id) continue
    const mail = dueMail(channel, timeOf(instructions.at))
    outcomes.push(
      mail === null
        ? {
            channel: channel.id,
            week: null,
            tried: [],
            suppressed: withoutSuppressed(channel, suppressions).suppressed,
            unknown: null,
            left: 0,
            problem: null,
          }
        : (await deliverMail(channel, mail, suppressions, instructions, deps)).delivery,
    )
  }
  return outcomes
}

async function deliverMail(
  channel: Channel,
  mail: WeekMail,
  suppressions: readonly Suppression[],
  { at, version, url, from }: DeliverInstructions,
  deps: DeliverDeps,
): Promise<{ readonly delivery: ChannelDelivery; readonly error: unknown }> {
  const { objects, isOver = () => false } = deps
  const tried: Delivery[] = []
  const { suppressed } = withoutSuppressed(channel, suppressions)
  let left = 0
  let unknown: number | null = null
  let late: string | null = null
  const outcome = (error: unknown) => ({
    delivery: {
      channel: channel.id,
      week: mail.week,
      tried,
      suppressed,
      unknown,
      left,
      problem: error === null ? (nobodyLeft(channel, suppressed) ?? late) : errorLine(error),
    },
    error,
  })
  try {
    const { ids, unknown: before } = await toSend(channel, mail, suppressions, deps)
    unknown = before
    left = ids.length
    if (ids.length === 0 || isOver()) return outcome(null)
    const content = await weekMail({ channel, week: mail, now: at, version, url, suppressed }, deps)
    const { download, attachments } = content
    const recipients = await readRecipients(objects)
    const key = url === null ? null : await linkKey(objects)
    const { send, isHeldUp } = trackThrottling(deps.send)
    for (const id of ids) {
      if (isHeldUp()) {
        late = heldUp(left)
        break
      }
      if (isOver()) {
        // The next run renders it again, and may have as little time.
        if (left === ids.length) late = TOO_LATE
        break
      }
      const words = { subject: content.view.subject, text: content.text, html: content.html }
      const delivery = await deliverMessage(
        id,
        { channel, words, recipients, key, url, from, download, attachments },
        { ...deps, send },
      )
      left -= 1
      if (delivery !== null) tried.push(delivery)
    }
    return outcome(null)
  } catch (error) {
    return outcome(error)
  }
}

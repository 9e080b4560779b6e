/** The mails that are due, each to each person once. */
import type { Channel } from '../deliver/channel/channel.ts'
import type { Delivery } from '../deliver/send/claims.ts'
import { type WeekMail, dueMail } from '../deliver/mail/due-times.ts'
import { linkKey } from '../deliver/link/unsubscribe-links.ts'
import type { Sender } from '../deliver/send/message.ts'
import { readRecipients } from '../deliver/channel/recipients.ts'
import { trackThrottling } from '../deliver/send/throttling.ts'
import type { SendMail } from '../deliver/send/send.ts'
import {
  nobodyLeft,
  type SuppressedCounts,
  type Suppression,
  withoutSuppressed,
} from '../deliver/channel/suppressions.ts'
import { timeOf } from '../time/windows.ts'
import { printable } from '../text/printable.ts'
import { deliverMessage } from './deliver-message.ts'
import { type AskedMail, type LookDeps, readAll, toSend } from './due-mails.ts'
import { errorLine } from '../text/error-line.ts'
import { weekMail } from './write-mail.ts'

/** Which mails are due, and what they say of whoever sends them. */
export type DeliverInstructions = {
  /** Which mails are due is decided by the time at which it begins. */
  readonly at: Date
  /** Version of ciphertrail. */
  readonly version: string
  /** Where people reach the pages; null: mails have no links, and cannot be unsubscribed from by one. */
  readonly url: string | null
  readonly from: Sender
  /** Id of the only channel; undefined: all. */
  readonly channel?: string
}

/** What mails are sent with. */
export type DeliverDeps = LookDeps & {
  readonly send: SendMail
  /** Asked before each message: whether the rest is left to the next run, since no time is left; default: it never is. */
  readonly isOver?: () => boolean
}

/** What became of the mail of a channel. */
export type ChannelDelivery = {
  readonly channel: string
  /** Null where no mail is due yet. */
  readonly week: string | null
  /** Those that were tried now, by recipient; what others hold, or was sent before, is not among them. */
  readonly tried: readonly Delivery[]
  /** How many recipients get none. */
  readonly suppressed: SuppressedCounts
  /** To how many it may or may not have gone before this run, which are not sent to again; null where that was not looked at. */
  readonly unknown: number | null
  /** How many were left to the next run, since no time was left or something failed. */
  readonly left: number
  /** Why the mail could not be made, in time, or written down, or that nobody is left who gets it; null where it could. One line. */
  readonly problem: string | null
}

/** What became of a mail that was asked for. */
export type AskedDelivery =
  | { readonly outcome: 'refused'; /** One line. */ readonly reason: string }
  | {
      readonly outcome: 'delivered'
      readonly delivery: ChannelDelivery
      /** What stopped it; null where nothing did. What is in `tried` was done all the same. */
      readonly error: unknown
    }

/** A mail of which the making took all the time there was. */
const TOO_LATE =
  'no time was left to send it: making it took too long, give the function more time or memory ("timeout", "memorySize")'

const heldUp = (left: number): string =>
  `${left} more ${left === 1 ? 'was' : 'were'} not tried, since no more mail was taken for now; that is tried again with the next run`

/**
 * Sends the mail of a week of a channel that somebody asked for, to each recipient whom it is to be sent to now: so a message that comes twice sends nothing
 * more. One of a channel that is gone, or of another week than the one that is due by now, is refused. Throws where the channels, or who gets no mail,
 * cannot be read.
 */
export async function deliverAsked(
  { channel: id, week }: AskedMail,
  instructions: Omit<DeliverInstructions, 'channel'>,
  deps: DeliverDeps,
): Promise<AskedDelivery> {
  const refused = (state: string): AskedDelivery => ({
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
 * Sends every mail that is due and that nobody has claimed. Safe to run twice at once, and to die anywhere: nobody gets a mail twice, and one that may
 * or may not have gone stays listed as `unknown`. A channel that fails does not keep the others from theirs.
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
        // The next run makes it again, and may have as little time.
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

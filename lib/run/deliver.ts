/** The mails that are due, each to each person once. */
import type { Channel } from '../deliver/channel.ts'
import { readChannels } from '../deliver/channels.ts'
import { type Delivery, isDue, readDelivery } from '../deliver/claims.ts'
import { type WeekMail, dueMail } from '../deliver/due.ts'
import { linkKey } from '../deliver/links.ts'
import type { Sender } from '../deliver/message.ts'
import { readRecipients } from '../deliver/recipients.ts'
import type { SendMail } from '../deliver/send.ts'
import { readSuppressions, suppressionOf } from '../deliver/suppressions.ts'
import { timeOf } from '../collect/windows.ts'
import type { DeliveryId } from '../store/keys.ts'
import type { Objects } from '../store/objects.ts'
import { deliverMessage, errorLine } from './deliver-message.ts'
import { weekMail } from './mail.ts'

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

export type DeliverDeps = {
  readonly objects: Objects
  readonly send: SendMail
  /** The time of each claim. */
  readonly now: () => Date
  /**
   * Remembers mails of which nothing is left to do, so that a service that looks each minute need not read each claim again; default: nothing is
   * remembered. Only a saving: whoever forgets it sends nothing twice.
   */
  readonly settled?: Set<string>
}

/** What became of the mail of a channel. */
export type ChannelDelivery = {
  readonly channel: string
  /** Null where no mail is due yet. */
  readonly week: string | null
  /** Those that were tried now, by recipient; what others hold, or was sent before, is not among them. */
  readonly tried: readonly Delivery[]
  /** How many recipients get none, since they unsubscribed, or mail to them came back. */
  readonly suppressed: number
  /** Why the mail could not be made or written down; null where it could. One line. */
  readonly problem: string | null
}

/**
 * Sends every mail that is due and that nobody has claimed. Safe to run twice at once, and to die anywhere: nobody gets a mail twice, and one that may
 * or may not have gone stays listed as `unknown`. A channel that fails does not keep the others from theirs.
 */
export async function deliverDue(
  instructions: DeliverInstructions,
  deps: DeliverDeps,
): Promise<readonly ChannelDelivery[]> {
  const channels = await readChannels(deps.objects)
  const outcomes: ChannelDelivery[] = []
  for (const channel of channels) {
    if (instructions.channel !== undefined && instructions.channel !== channel.id) continue
    outcomes.push(await deliverChannel(channel, instructions, deps))
  }
  return outcomes
}

async function deliverChannel(
  channel: Channel,
  instructions: DeliverInstructions,
  deps: DeliverDeps,
): Promise<ChannelDelivery> {
  const { at } = instructions
  const mail = dueMail(channel, timeOf(at))
  if (mail === null) return { channel: channel.id, week: null, tried: [], suppressed: 0, problem: null }
  const tried: Delivery[] = []
  let suppressed = 0
  let problem: string | null = null
  const name = [channel.id, mail.week, ...channel.recipients].join(' ')
  if (deps.settled?.has(name) === true) return { channel: channel.id, week: mail.week, tried, suppressed, problem }
  try {
    const suppressions = await readSuppressions(deps.objects)
    const wanted = channel.recipients.filter(
      (recipient) => suppressionOf(suppressions, recipient, channel.id) === undefined,
    )
    suppressed = channel.recipients.length - wanted.length
    const due = await stillDue(wanted, channel, mail, deps)
    if (due.length > 0) {
      const { version, url, channel: _, ...rest } = instructions
      const content = await weekMail({ channel, week: mail, now: at, version, url, suppressed }, deps)
      const recipients = await readRecipients(deps.objects)
      const key = url === null ? null : await linkKey(deps.objects)
      for (const id of due) {
        const words = { subject: content.view.subject, text: content.text, html: content.html }
        const delivery = await deliverMessage(id, { channel, words, recipients, key, url, from: rest.from }, deps)
        if (delivery !== null) tried.push(delivery)
      }
    }
    if (await isSettled(wanted, channel, mail, deps)) deps.settled?.add(name)
  } catch (error) {
    problem = errorLine(error)
  }
  return { channel: channel.id, week: mail.week, tried, suppressed, problem }
}

/** Whether nobody of them will be sent this mail again, whatever comes. */
async function isSettled(
  recipients: readonly string[],
  channel: Channel,
  { week }: WeekMail,
  { objects, now, settled }: DeliverDeps,
): Promise<boolean> {
  if (settled === undefined) return false
  for (const recipient of recipients) {
    const delivery = await readDelivery({ kind: 'week', period: week, channel: channel.id, recipient }, now(), objects)
    if (delivery === null || (delivery.status === 'failed' && delivery.retryAt !== null)) return false
  }
  return true
}

/** Those whom nobody has claimed yet, so that a mail that all have is not made again every few minutes. */
async function stillDue(
  recipients: readonly string[],
  channel: Channel,
  { week }: WeekMail,
  { objects, now }: DeliverDeps,
): Promise<readonly DeliveryId[]> {
  const due: DeliveryId[] = []
  for (const recipient of recipients) {
    const id = { kind: 'week', period: week, channel: channel.id, recipient } as const
    if (isDue(await readDelivery(id, now(), objects), now())) due.push(id)
  }
  return due
}

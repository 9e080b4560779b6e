/** Which mails are due: what is looked at before one is asked for, or sent. */
import * as z from 'zod'
import { timeOf } from '../time/windows.ts'
import type { Channel } from '../deliver/channel/channel.ts'
import { readChannels } from '../deliver/channel/channels.ts'
import { isDeliveryDue, readDelivery } from '../deliver/send/claims.ts'
import { type WeekMail, dueMail } from '../deliver/mail/due-times.ts'
import { nobodyLeft, readSuppressions, type Suppression, withoutSuppressed } from '../deliver/channel/suppressions.ts'
import { concurrently } from '../concurrently.ts'
import type { Objects } from '../store/objects/objects.ts'
import { errorLine } from '../text/error-line.ts'
import type { DeliveryId } from '../store/delivery-keys.ts'

/** What looking at mails needs of the world. */
export type LookDeps = {
  readonly objects: Objects
  /** The time of each claim. */
  readonly now: () => Date
  /**
   * Remembers mails of which nothing is left to do, so that a service that looks each minute need not read each claim again; default: nothing is
   * remembered. Only a saving: whoever forgets it sends nothing twice.
   */
  readonly settled?: Set<string>
}

/** The message that asks for the mail of a week of a channel: `{"channel":"payments","week":"2026-W47"}`. */
export const askedMailSchema = z.object({ channel: z.string(), week: z.string() })

/** The message that asks for one week's mail of a channel. */
export type AskedMail = z.infer<typeof askedMailSchema>

/** What is left of the mails that are due. */
export type DueMails = {
  /** By channel; each has a recipient to whom it is to be sent now. */
  readonly due: readonly AskedMail[]
  /** One line for each channel of which that cannot be told, and for each of which nobody is left who gets its mail. */
  readonly errors: readonly string[]
}

/** So many claims are read at once. */
const MAX_AT_ONCE = 16

/** Which mails are to be sent now, from the store alone: nothing is written. Throws where the channels, or who gets no mail, cannot be read. */
export async function mailsDue(at: Date, deps: LookDeps): Promise<DueMails> {
  const due: AskedMail[] = []
  const errors: string[] = []
  const { channels, suppressions } = await readAll(deps.objects)
  for (const channel of channels) {
    const mail = dueMail(channel, timeOf(at))
    if (mail === null) continue
    try {
      const { ids, nobody } = await toSend(channel, mail, suppressions, deps)
      if (nobody !== null) errors.push(`Cannot send the mail of channel "${channel.id}": ${nobody}`)
      if (ids.length > 0) due.push({ channel: channel.id, week: mail.week })
    } catch (error) {
      errors.push(`Cannot tell whether the mail of channel "${channel.id}" is due: ${errorLine(error)}`)
    }
  }
  return { due, errors }
}

/** The channels, and who gets no mail, once for all of them. */
export async function readAll(
  objects: Objects,
): Promise<{ readonly channels: readonly Channel[]; readonly suppressions: readonly Suppression[] }> {
  const channels = await readChannels(objects)
  return { channels, suppressions: channels.length === 0 ? [] : await readSuppressions(objects) }
}

/** What is known of a mail before it is sent. */
export type LookedAt = {
  /** To whom it is to be sent now: nobody has claimed it, or it failed and its time has come. */
  readonly ids: readonly DeliveryId[]
  /** That nobody is left who gets it; null where somebody is. One line. */
  readonly nobody: string | null
  /** To how many it may or may not have gone before; null where that is not looked at again. */
  readonly unknown: number | null
}

/** Looks at how the mail of a channel stands with each recipient. */
export async function toSend(
  channel: Channel,
  { week }: WeekMail,
  suppressions: readonly Suppression[],
  { objects, now, settled }: LookDeps,
): Promise<LookedAt> {
  const { wanted, suppressed } = withoutSuppressed(channel, suppressions)
  const nobody = nobodyLeft(channel, suppressed)
  const name = [channel.id, week, ...wanted].join(' ')
  if (settled?.has(name) === true) return { ids: [], nobody, unknown: null }
  const looked = await concurrently(wanted, MAX_AT_ONCE, async (recipient) => {
    const id = { kind: 'week', period: week, channel: channel.id, recipient } as const
    const delivery = await readDelivery(id, now(), objects)
    // Whoever holds it now may fail.
    const isOpen = delivery === null || delivery.status === 'claimed' || delivery.retryAt !== null
    return { id, isOpen, isNow: isDeliveryDue(delivery, now()), isUnknown: delivery?.status === 'unknown' }
  })
  if (!looked.some(({ isOpen }) => isOpen)) settled?.add(name)
  return {
    ids: looked.flatMap(({ id, isNow }) => (isNow ? [id] : [])),
    nobody,
    unknown: looked.filter(({ isUnknown }) => isUnknown).length,
  }
}

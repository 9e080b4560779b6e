/** Due mails: the checks before one is requested or sent. */
import * as z from 'zod'
import { timeOf } from '../../time/windows.ts'
import type { Channel } from '../../deliver/channel/channel.ts'
import { readChannels } from '../../deliver/channel/channels.ts'
import { isDeliveryDue, readDelivery } from '../../deliver/send/claims.ts'
import type { WeekMail } from '../../deliver/mail/sending-times.ts'
import {
  nobodyLeft,
  readSuppressions,
  type Suppression,
  withoutSuppressed,
} from '../../deliver/channel/suppressions.ts'
import { concurrently } from '../../concurrently.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { errorLine } from '../../text/error-line.ts'
import type { DeliveryId } from '../../store/delivery-keys.ts'

/** What looking for due mails needs. */
export type LookDeps = {
  readonly objects: Objects
  /** The time of each claim. */
  readonly now: () => Date
  /**
   * Remembers finished mails, so that a service that looks each minute need not read each claim again; default: none. Only an optimisation: without it nothing
   * is sent twice.
   */
  readonly settled?: Set<string>
}

/** The message that requests a channel's mail of a week: `{"channel":"payments","week":"2026-W47"}`. */
export const mailRequestSchema = z.object({ channel: z.string(), week: z.string() })

/** The request for a channel's mail of one week. */
export type MailRequest = z.infer<typeof mailRequestSchema>

/** The unfinished due mails. */
export type DueMails = {
  /** By channel; each has a recipient for whom it is due now. */
  readonly due: readonly MailRequest[]
  /** One line for each channel whose mail cannot be checked, and for each without a recipient left. */
  readonly errors: readonly string[]
}

/** Number of claims that are read at once. */
const MAX_AT_ONCE = 16

/** Reads the mails to send now, from the store alone: writes nothing. Throws if the channels or suppressions cannot be read. */
export async function mailsDue(at: Date, deps: LookDeps): Promise<DueMails> {
  const due: MailRequest[] = []
  const errors: string[] = []
  const { channels, suppressions } = await readAll(deps.objects)
  if (channels.length === 0) return { due, errors }
  // The calendar is a fifth of what `plan` loads, and nothing without channels needs it.
  const { dueMail } = await import('../../deliver/mail/sending-times.ts')
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

/** Reads the channels and suppressions, once for all of them. */
export async function readAll(
  objects: Objects,
): Promise<{ readonly channels: readonly Channel[]; readonly suppressions: readonly Suppression[] }> {
  const channels = await readChannels(objects)
  return { channels, suppressions: channels.length === 0 ? [] : await readSuppressions(objects) }
}

/** The facts about a mail before it is sent. */
export type LookedAt = {
  /** Deliveries due now: unclaimed, or failed and due for a retry. */
  readonly ids: readonly DeliveryId[]
  /** That no recipient is left; null if there is one. One line. */
  readonly nobody: string | null
  /** Number of recipients to whom it may or may not have been sent before; null if that is not read again. */
  readonly unknown: number | null
}

/** Reads the delivery state of a channel's mail for each recipient. */
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
    // The process that has claimed it may fail.
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

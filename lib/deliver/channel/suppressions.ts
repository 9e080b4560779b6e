/** Suppressed recipients: they unsubscribed, bounced or complained. Stored by pseudonym, apart from the channels. */
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { timeOf } from '../../time/windows.ts'
import { parseJson } from '../../text/parse-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'
import type { Channel } from './channel.ts'
import { parseSuppressionKey, suppressedPrefix, suppressionKey } from '../../store/delivery-keys.ts'

const SUPPRESSION_REASONS = ['unsubscribed', 'bounced', 'complained'] as const

/** Why a recipient is suppressed. */
export type SuppressionReason = (typeof SUPPRESSION_REASONS)[number]

/** A suppressed recipient, by pseudonym. */
export type Suppression = {
  readonly recipient: string
  /** Null: all channels. */
  readonly channel: string | null
  readonly reason: SuppressionReason
  /** RFC 3339. */
  readonly at: string
}

const suppressionSchema = z.object({
  format: z.literal('ciphertrail/suppression/1'),
  reason: z.enum(SUPPRESSION_REASONS),
  at: z.iso.datetime(),
})

/** Suppresses a recipient; false if they were suppressed before. The first record is kept. */
export async function suppress(
  { recipient, channel, reason }: Omit<Suppression, 'at'>,
  now: Date,
  objects: Objects,
): Promise<boolean> {
  const at = timeOf(now)
  const body = Buffer.from(canonicalize({ format: 'ciphertrail/suppression/1', reason, at }) ?? '')
  return (await swap(suppressionKey(recipient, channel), body, null, objects)) !== null
}

/** Lets a recipient get mail again: of a channel, or (null) lifts the suppression of all channels. */
export async function liftSuppression(recipient: string, channel: string | null, objects: Objects): Promise<void> {
  await objects.remove(suppressionKey(recipient, channel))
}

/** All suppressions. An unreadable one counts as unsubscribed: it may be a request for no mail. */
export async function readSuppressions(objects: Objects): Promise<readonly Suppression[]> {
  const all: Suppression[] = []
  for await (const key of objects.list(suppressedPrefix)) {
    const id = parseSuppressionKey(key)
    const stored = id === undefined ? undefined : await objects.get(key)
    if (id === undefined || stored === undefined) continue
    const parsed = suppressionSchema.safeParse(parseJson(stored.body))
    const { reason, at } = parsed.data ?? { reason: 'unsubscribed' as const, at: '1970-01-01T00:00:00Z' }
    all.push({ ...id, reason, at })
  }
  return all
}

/** Numbers of suppressed recipients of a channel, by reason. */
export type SuppressedCounts = Readonly<Record<SuppressionReason, number>>

/** Splits the recipients of a channel, in their order: those who get its mail, and the number of the others. */
export function withoutSuppressed(
  { id, recipients }: Pick<Channel, 'id' | 'recipients'>,
  suppressions: readonly Suppression[],
): { readonly wanted: readonly string[]; readonly suppressed: SuppressedCounts } {
  const reasons = recipients.map((recipient) => suppressionOf(suppressions, recipient, id)?.reason)
  const count = (reason: SuppressionReason) => reasons.filter((one) => one === reason).length
  return {
    wanted: recipients.filter((_, index) => reasons[index] === undefined),
    suppressed: { unsubscribed: count('unsubscribed'), bounced: count('bounced'), complained: count('complained') },
  }
}

/** Number of suppressed recipients, for any reason. */
export function countSuppressed(suppressed: SuppressedCounts): number {
  return SUPPRESSION_REASONS.reduce((sum, reason) => sum + suppressed[reason], 0)
}

/** Reasons in words, such as `1 left it, mail to 2 came back`; empty if all get mail. */
export function suppressedWords({ unsubscribed, bounced, complained }: SuppressedCounts): string {
  return [
    ...(unsubscribed === 0 ? [] : [`${unsubscribed} left it`]),
    ...(bounced === 0 ? [] : [`mail to ${bounced} came back`]),
    ...(complained === 0 ? [] : [`${complained} called it unwanted`]),
  ].join(', ')
}

/** A line that no recipient of a channel gets its mail, with the remedy; null if one does, or if it never had any. */
export function nobodyLeft(channel: Pick<Channel, 'id' | 'recipients'>, suppressed: SuppressedCounts): string | null {
  const { id, recipients } = channel
  if (recipients.length === 0 || countSuppressed(suppressed) < recipients.length) return null
  return `nobody is left who gets its mail: ${suppressedWords(suppressed)}; let somebody have it again with "ciphertrail channel resume ${id} --to ADDRESS", or give others with "ciphertrail channel add ${id} --to ADDRESS"`
}

/** Whether a recipient gets no mail of a channel, by the two objects that may say so. An unreadable one counts as suppressed. */
export async function isSuppressed(recipient: string, channel: string, objects: Objects): Promise<boolean> {
  for (const one of [channel, null]) if ((await objects.get(suppressionKey(recipient, one))) !== undefined) return true
  return false
}

/** Why a recipient gets no mail of a channel; undefined if they do. */
export function suppressionOf(
  suppressions: readonly Suppression[],
  recipient: string,
  channel: string,
): Suppression | undefined {
  return suppressions.find((one) => one.recipient === recipient && (one.channel === null || one.channel === channel))
}

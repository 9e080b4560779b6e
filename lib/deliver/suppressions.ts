/** Who gets no mail: whoever unsubscribed, whose server refuses it, or who complained. Kept by pseudonym, apart from the channels. */
import canonicalize from 'canonicalize'
import { z } from 'zod'
import { timeOf } from '../collect/windows.ts'
import { parseJson } from '../store/json.ts'
import { parseSuppressionKey, suppressedPrefix, suppressionKey } from '../store/keys.ts'
import { type Objects, PreconditionFailedError } from '../store/objects.ts'

export const SUPPRESSION_REASONS = ['unsubscribed', 'bounced', 'complained'] as const
export type SuppressionReason = (typeof SUPPRESSION_REASONS)[number]

export type Suppression = {
  readonly recipient: string
  /** Null: of every channel. */
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

/** Says that somebody gets no mail any more. What was said first stays. */
export async function suppress(
  { recipient, channel, reason }: Omit<Suppression, 'at'>,
  now: Date,
  objects: Objects,
): Promise<void> {
  const at = timeOf(now)
  const body = Buffer.from(canonicalize({ format: 'ciphertrail/suppression/1', reason, at }) ?? '')
  try {
    await objects.putIf(suppressionKey(recipient, channel), body, null)
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error
  }
}

/** Lets somebody have mail again; of a channel, or (null) whatever stood against every channel. */
export async function liftSuppression(recipient: string, channel: string | null, objects: Objects): Promise<void> {
  await objects.remove(suppressionKey(recipient, channel))
}

/** Everybody who gets no mail. One that cannot be read counts as unsubscribed: who may have asked for silence gets it. */
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

/** Why somebody gets no mail of a channel; undefined where they do. */
export function suppressionOf(
  suppressions: readonly Suppression[],
  recipient: string,
  channel: string,
): Suppression | undefined {
  return suppressions.find((one) => one.recipient === recipient && (one.channel === null || one.channel === channel))
}

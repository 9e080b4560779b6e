/**
 * Claims on mails: a claim is written before a mail is sent, so that it is not sent twice despite races and crashes. An unknown outcome is stored as unknown.
 */
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { timeOf, toSeconds, toTime } from '../../time/windows.ts'
import { parseJson } from '../../text/parse-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'
import { replaceObject } from '../../store/objects/replace.ts'
import type { DeliveryId } from '../../store/delivery-keys.ts'
import { claimKey, claimsPrefix, parseClaimKey } from '../../store/delivery-keys.ts'

/**
 * `claimed`: a process is about to send it. `sent`: a server accepted it. `failed`: no server accepted it, or the recipient's did not for now. `unknown`: a
 * server may have accepted it, or the claiming process crashed; it is never sent again automatically. `bounced`: it was sent and bounced permanently, or no
 * server accepted it because the address does not exist. `complained`: it was sent, and its recipient marked it as spam.
 */
export const DELIVERY_STATUSES = ['claimed', 'sent', 'failed', 'unknown', 'bounced', 'complained'] as const

/** Status of a delivery. */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

const claimSchema = z.object({
  format: z.literal('ciphertrail/claim/1'),
  status: z.enum(DELIVERY_STATUSES),
  /** Number of tries, 0 and up: rate limits do not count as tries. */
  attempt: z.int().nonnegative(),
  /** RFC 3339: since when it has this status. */
  at: z.iso.datetime(),
  /** The server's id of a sent mail, or the reason of a failure; null if there is neither. One line, without addresses. */
  detail: z.string().nullable(),
  /** Feedback after it was sent; null: none. One line, without addresses. Claims from before there was feedback have none. */
  report: z.string().nullable().default(null),
  /** RFC 3339: when a failed or silent delivery may be retried; null: never. */
  retryAt: z.iso.datetime().nullable(),
  /** Name of the mail's link to download the report, even after that link is deleted; null: it had none. Older records have none. */
  link: z.string().nullable().default(null),
})

/** State of a delivery. */
export type Delivery = DeliveryId & Readonly<Omit<z.infer<typeof claimSchema>, 'format'>>

/** A delivery that this process has claimed. */
export type Held = { readonly delivery: Delivery; readonly etag: string }

/** The outcome of a try. */
export type DeliveryOutcome =
  | { readonly status: 'sent'; readonly detail: string; readonly link?: string | null }
  | {
      readonly status: 'failed'
      readonly detail: string
      /** `no-try`: the refusal did not concern this delivery, which is soon retried without counting. `never`: retrying is useless. */
      readonly next: 'again' | 'no-try' | 'never'
    }
  | { readonly status: 'unknown'; readonly detail: string; readonly link?: string | null }
  /** The address does not exist. */
  | { readonly status: 'bounced'; readonly detail: string }

/** A process whose claim is older crashed or hangs: longer than any try takes. */
export const CLAIM_SECONDS = 15 * 60

const RETRY_SECONDS = [5 * 60, 20 * 60, 80 * 60, 320 * 60] as const

/** With the next look. */
const NO_TRY_SECONDS = 60

/**
 * Claims a delivery, or a failed one that is due for a retry; null if another process has it, or it is done.
 *
 * @param mayRepeat the receiver recognises a repeat: it is tried again if the claiming process crashed
 */
export async function claimDelivery(
  id: DeliveryId,
  { now, mayRepeat }: { readonly now: Date; readonly mayRepeat: boolean },
  objects: Objects,
): Promise<Held | null> {
  const key = claimKey(id)
  const { delivery: before, etag } = await readClaim(id, now, objects)
  if (before !== null && !isDeliveryDue(before, now)) return null
  const delivery: Delivery = {
    ...id,
    status: 'claimed',
    attempt: (before?.attempt ?? 0) + 1,
    at: timeOf(now),
    detail: null,
    report: null,
    link: null,
    retryAt: mayRepeat ? toTime(Math.floor(now.getTime() / 1000) + CLAIM_SECONDS + 1) : null,
  }
  const claimed = await swap(key, encode(delivery), etag, objects)
  return claimed === null ? null : { delivery, etag: claimed }
}

/**
 * Records the outcome of a try, even if it was taken for crashed meanwhile and marked unknown: no other process has sent it. Feedback that arrived meanwhile is
 * kept: it is newer than the acceptance by a server.
 */
export async function settleDelivery(
  held: Held,
  outcome: DeliveryOutcome,
  now: Date,
  objects: Objects,
): Promise<Delivery> {
  const { delivery: before } = held
  const isNoTry = outcome.status === 'failed' && outcome.next === 'no-try'
  const delay = isNoTry ? NO_TRY_SECONDS : RETRY_SECONDS[before.attempt - 1]
  const isOver = outcome.status !== 'failed' || outcome.next === 'never' || delay === undefined
  const delivery: Delivery = {
    ...before,
    attempt: isNoTry ? before.attempt - 1 : before.attempt,
    status: outcome.status,
    at: timeOf(now),
    detail: outcome.detail,
    retryAt: isOver ? null : toTime(Math.floor(now.getTime() / 1000) + delay),
    link: 'link' in outcome ? (outcome.link ?? null) : null,
  }
  const later = (stored: Delivery | null) => (stored !== null && stored.report !== null ? stored : delivery)
  const isSettled = (await swap(claimKey(before), encode(delivery), held.etag, objects)) !== null
  return isSettled ? delivery : ((await changeDelivery(before, later, now, objects)) ?? delivery)
}

/**
 * Changes the record of a delivery; decides again after a concurrent change. Returns the record afterwards; null if there is none.
 *
 * @param decide receives the current delivery, null if unclaimed, and returns the wanted one: the same if there is nothing to write
 */
export async function changeDelivery(
  id: DeliveryId,
  decide: (delivery: Delivery | null) => Delivery | null | Promise<Delivery | null>,
  now: Date,
  objects: Objects,
): Promise<Delivery | null> {
  return replaceObject(
    claimKey(id),
    async () => {
      const { delivery: before, etag } = await readClaim(id, now, objects)
      const after = await decide(before)
      if (after === null || after === before) return { result: before, body: null, etag }
      return { result: after, body: encode(after), etag }
    },
    objects,
  )
}

/** Whether to try a delivery: it is unclaimed, or due for a retry. */
export function isDeliveryDue(delivery: Delivery | null, now: Date): boolean {
  if (delivery === null) return true
  return delivery.retryAt !== null && toSeconds(delivery.retryAt) * 1000 <= now.getTime()
}

/** Reads the state of a delivery; null if unclaimed. A process that claimed it and has been silent since is taken for crashed. */
export async function readDelivery(id: DeliveryId, now: Date, objects: Objects): Promise<Delivery | null> {
  return (await readClaim(id, now, objects)).delivery
}

/** All deliveries of a kind, by period, channel and recipient. An unreadable claim is `unknown`. */
export async function* listDeliveries(kind: DeliveryId['kind'], now: Date, objects: Objects): AsyncGenerator<Delivery> {
  for await (const key of objects.list(claimsPrefix(kind))) {
    const id = parseClaimKey(key)
    const delivery = id === undefined ? null : await readDelivery(id, now, objects)
    if (delivery !== null) yield delivery
  }
}

async function readClaim(
  id: DeliveryId,
  now: Date,
  objects: Objects,
): Promise<{ readonly delivery: Delivery | null; readonly etag: string | null }> {
  const stored = await objects.get(claimKey(id))
  if (stored === undefined) return { delivery: null, etag: null }
  const parsed = claimSchema.safeParse(parseJson(stored.body))
  // A damaged claim is still a claim: ignoring it would send a second mail.
  if (!parsed.success)
    return {
      delivery: {
        ...id,
        status: 'unknown',
        attempt: 1,
        at: timeOf(now),
        detail: 'its claim is damaged',
        report: null,
        retryAt: null,
        link: null,
      },
      etag: stored.etag,
    }
  const { status, attempt, at, detail, report, retryAt, link } = parsed.data
  const isDead = status === 'claimed' && now.getTime() - toSeconds(at) * 1000 > CLAIM_SECONDS * 1000
  const shown = isDead
    ? { status: 'unknown' as const, detail: 'whoever was about to send it was not heard of again' }
    : { status, detail }
  return { delivery: { ...id, ...shown, attempt, at, report, retryAt, link }, etag: stored.etag }
}

function encode({ status, attempt, at, detail, report, retryAt, link }: Delivery): Uint8Array {
  const content = { format: 'ciphertrail/claim/1', status, attempt, at, detail, report, retryAt }
  return Buffer.from(canonicalize(link === null ? content : { ...content, link }) ?? '')
}

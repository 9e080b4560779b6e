/**
 * Who sends which mail: a claim is written before a mail is sent, so that nobody sends it a second time, whoever races or dies. What then is not
 * known is kept as not known.
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
 * `claimed`: somebody is about to send it. `sent`: a server took it. `failed`: no server took it, or the recipient's did not for now. `unknown`: a
 * server may have taken it, or whoever claimed it died; it is never sent again by itself. `bounced`: it was sent and came back for good, or no server took it
 * since nobody has the address.
 * `complained`: it was sent, and its recipient called it unwanted.
 */
export const DELIVERY_STATUSES = ['claimed', 'sent', 'failed', 'unknown', 'bounced', 'complained'] as const

/** How far a delivery came. */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

const claimSchema = z.object({
  format: z.literal('ciphertrail/claim/1'),
  status: z.enum(DELIVERY_STATUSES),
  /** How often it was tried, 0 and up: what was refused since too many were sent is no try. */
  attempt: z.int().nonnegative(),
  /** RFC 3339: when that began to be so. */
  at: z.iso.datetime(),
  /** What the server called it where it was sent, why not where it was not; null where there is nothing to say. One line, without addresses. */
  detail: z.string().nullable(),
  /** What was reported of it after it was sent; null: nothing. One line, without addresses. Claims from before anything was reported have none. */
  report: z.string().nullable().default(null),
  /** RFC 3339: when one that failed, or whose claim is not heard of, may be tried again; null: never. */
  retryAt: z.iso.datetime().nullable(),
  /**
   * Name of the link by which its reader could download the report, also once that link is not kept any more; null: it brought none. Those from before it was
   * written down have none.
   */
  link: z.string().nullable().default(null),
})

/** How a delivery stands. */
export type Delivery = DeliveryId & Readonly<Omit<z.infer<typeof claimSchema>, 'format'>>

/** A delivery that is ours to make. */
export type Held = { readonly delivery: Delivery; readonly etag: string }

/** How a try ended. */
export type DeliveryOutcome =
  | { readonly status: 'sent'; readonly detail: string; readonly link?: string | null }
  | {
      readonly status: 'failed'
      readonly detail: string
      /** `no-try`: what was refused was not this delivery, which is tried again soon as if it had not been. `never`: trying again is of no use. */
      readonly next: 'again' | 'no-try' | 'never'
    }
  | { readonly status: 'unknown'; readonly detail: string; readonly link?: string | null }
  /** Nobody has the address. */
  | { readonly status: 'bounced'; readonly detail: string }

/** Whoever claimed a mail longer ago is dead, or hangs: longer than any try takes. */
export const CLAIM_SECONDS = 15 * 60

const RETRY_SECONDS = [5 * 60, 20 * 60, 80 * 60, 320 * 60] as const

/** With the next look. */
const NO_TRY_SECONDS = 60

/**
 * Claims a delivery, or one that failed and may be tried again by now; null where it is somebody else's, or done.
 *
 * @param mayRepeat whoever gets it knows a second one as that: it is tried again where whoever claimed it died
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
 * Writes down how a try ended. What somebody took for dead meanwhile and calls unknown is told all the same: nobody else has sent it. What was
 * reported of it meanwhile stays: it is later news than that a server took it.
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
 * Changes what is stored of a delivery; decided again, if somebody else was first. Gives what is stored then; null where that is nothing.
 *
 * @param decide gets the delivery as it stands, null where nobody claimed it, and gives it as it is to be: the same where there is nothing to write
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

/** Whether a delivery is to be tried: nobody claimed it, or it may be tried again and its time has come. */
export function isDeliveryDue(delivery: Delivery | null, now: Date): boolean {
  if (delivery === null) return true
  return delivery.retryAt !== null && toSeconds(delivery.retryAt) * 1000 <= now.getTime()
}

/** How a delivery stands; null where nobody claimed it. Who claimed it and is not heard of since is taken for dead. */
export async function readDelivery(id: DeliveryId, now: Date, objects: Objects): Promise<Delivery | null> {
  return (await readClaim(id, now, objects)).delivery
}

/** Every delivery of a kind, by period, channel and recipient. A claim that cannot be read is `unknown`. */
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
  // A damaged claim is a claim: to read it as none would send a second mail.
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

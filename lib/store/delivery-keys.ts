import { isClusterId, checkedCluster } from './keys.ts'

/** The recipients' addresses, which are stored nowhere else. */
export const recipientsKey = 'registry/recipients.json'

/** The key that signs unsubscribe links; separate from the addresses, so that verifying a link does not need those. */
export const linksKey = 'registry/links.json'

/** Kinds of deliveries: the weekly mail, an alert, or a piece of a report for a program. */
export const DELIVERY_KINDS = ['week', 'alert', 'report'] as const

/** One delivery: content and recipient. */
export type DeliveryId = {
  readonly kind: (typeof DELIVERY_KINDS)[number]
  /** `2026-W47`, the id of an alert, or the name of a piece of a report: 1 to 63 letters, digits and `-`. */
  readonly period: string
  readonly channel: string
  /** The recipient's pseudonym. */
  readonly recipient: string
}

const CLAIM_KEY = /^claims\/(week|alert|report)\/([A-Za-z0-9-]{1,63})\/([^/]+)\/(r[0-9a-f]{32})\.json$/

const SUPPRESSION_KEY = /^suppressed\/(r[0-9a-f]{32})\/([^/]+)\.json$/

/** Prefix of all claims of a kind, in the order of their periods. */
export function claimsPrefix(kind: DeliveryId['kind']): string {
  return `claims/${kind}/`
}

/** The key of a claim. */
export function claimKey(id: DeliveryId): string {
  const key = `${claimsPrefix(id.kind)}${id.period}/${id.channel}/${id.recipient}.json`
  if (parseClaimKey(key) !== undefined) return key
  throw new RangeError(`Cannot make a key of delivery ${JSON.stringify(id)}: a part has no place in it`)
}

/** Parses the key of a claim; undefined for any other text. */
export function parseClaimKey(key: string): DeliveryId | undefined {
  const [, kindPart, period = '', channel = '', recipient = ''] = CLAIM_KEY.exec(key) ?? []
  const kind = DELIVERY_KINDS.find((one) => one === kindPart)
  return kind !== undefined && isClusterId(channel) ? { kind, period, channel, recipient } : undefined
}

/** The key of the alerts sent to a channel. */
export function alertsKey(channel: string): string {
  return `alerts/${checkedCluster(channel)}.json`
}

/** The channel in the key of alerts; undefined for any other text. */
export function parseAlertsKey(key: string): string | undefined {
  const [, channel = ''] = /^alerts\/([^/]+)\.json$/.exec(key) ?? []
  return isClusterId(channel) ? channel : undefined
}

/** Prefix of all suppressions. */
export const suppressedPrefix = 'suppressed/'

/** No channel has such an id. */
const ALL = '_all'

/** The key of a suppression: a recipient gets no mail of a channel; null: of any. */
export function suppressionKey(recipient: string, channel: string | null): string {
  const key = `${suppressedPrefix}${recipient}/${channel ?? ALL}.json`
  if (parseSuppressionKey(key) !== undefined) return key
  throw new RangeError(`Cannot make a key of ${JSON.stringify({ recipient, channel })}: a part has no place in it`)
}

/** Parses the key of a suppression; undefined for any other text. */
export function parseSuppressionKey(
  key: string,
): { readonly recipient: string; readonly channel: string | null } | undefined {
  const [, recipient, channel = ''] = SUPPRESSION_KEY.exec(key) ?? []
  if (recipient === undefined || !(channel === ALL || isClusterId(channel))) return undefined
  return { recipient, channel: channel === ALL ? null : channel }
}

/** Prefix of all report links. */
export const downloadsPrefix = 'downloads/'

/** The key of a report link, by the SHA-256 of its token in hex. */
export function downloadKey(sha256: string): string {
  const key = `${downloadsPrefix}${sha256}.json`
  if (parseDownloadKey(key) !== undefined) return key
  throw new RangeError(`Cannot make a key of download ${JSON.stringify(sha256)}: wanted 64 hex digits`)
}

/** The SHA-256 in the key of a report link; undefined for any other text. */
export function parseDownloadKey(key: string): string | undefined {
  return /^downloads\/([0-9a-f]{64})\.json$/.exec(key)?.[1]
}

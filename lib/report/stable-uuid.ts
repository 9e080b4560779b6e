import { hash } from 'node:crypto'

/** Ours alone: names of other programs never give the same UUID. */
const NAMESPACE = 'fb803abe-69bd-4eeb-9950-663975721668'

/** A URI that says whose names are meant, where a format asks for one. */
export const OWN_NAMES = `urn:uuid:${NAMESPACE}`

const NAMESPACE_BYTES = Buffer.from(NAMESPACE.replaceAll('-', ''), 'hex')

/** The UUID (version 5, RFC 9562) of a name in parts: the same parts in the same order always give the same one. */
export function stableUuid(...parts: readonly string[]): string {
  // Of the digest's text and in one call, which takes a third of what the package `uuid` takes: a report names tens of thousands.
  const digest = hash('sha1', Buffer.concat([NAMESPACE_BYTES, Buffer.from(JSON.stringify(parts))]), 'hex')
  const variant = ((parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${digest.slice(20, 32)}`
}

import { parse, v5 } from 'uuid'

/** Ours alone: names of other programs never give the same UUID. */
const NAMESPACE = 'fb803abe-69bd-4eeb-9950-663975721668'

/** A URI that says whose names are meant, where a format asks for one. */
export const OWN_NAMES = `urn:uuid:${NAMESPACE}`

// As bytes, so that tens of thousands of names do not parse it again.
const NAMESPACE_BYTES = parse(NAMESPACE)

/** The UUID (version 5) of a name in parts: the same parts in the same order always give the same one. */
export function stableUuid(...parts: readonly string[]): string {
  return v5(Buffer.from(JSON.stringify(parts)), NAMESPACE_BYTES)
}

import { formatLeaf, type Leaf, LeafError, parseLeaf } from './leaf.ts'
import { BundleError, decodeBundle, encodeBundle } from './tiles.ts'

/**
 * The most leaves of a batch. It bounds what a run that dies leaves to be done, and how far before the end of the log its last batch can begin:
 * S3 lists as many keys in one answer.
 */
export const MOST_LEAVES = 1000

/** A batch that is damaged, or that a later version wrote. One line. */
export class BatchError extends Error {
  override readonly name = 'BatchError'
}

/** A leaf and its bytes, which are what the log holds. */
export type Entry = { readonly leaf: Leaf; readonly bytes: Uint8Array }

/** A leaf as an entry. Throws as {@link formatLeaf} does. */
export function entryOf(leaf: Leaf): Entry {
  return { leaf, bytes: formatLeaf(leaf) }
}

/** The bytes of a batch: its leaves with their lengths before them, as in a bundle of entries. Throws a `RangeError` for none or too many. */
export function encodeBatch(entries: readonly Entry[]): Uint8Array {
  if (entries.length === 0 || entries.length > MOST_LEAVES)
    throw new RangeError(`Cannot write a batch of ${entries.length} leaves: wanted 1 to ${MOST_LEAVES}`)
  return encodeBundle(entries.map(({ bytes }) => bytes))
}

/** The entries of a batch. Throws {@link BatchError} that names the key for any bytes that {@link encodeBatch} does not make. */
export function decodeBatch(key: string, bytes: Uint8Array): Entry[] {
  try {
    const entries = decodeBundle(bytes).map((entry) => ({ leaf: parseLeaf(entry), bytes: entry }))
    if (entries.length > 0 && entries.length <= MOST_LEAVES) return entries
  } catch (error) {
    if (!(error instanceof BundleError || error instanceof LeafError)) throw error
    throw new BatchError(`Cannot use batch "${key}": it is damaged or of a later version (${error.message})`, {
      cause: error,
    })
  }
  throw new BatchError(`Cannot use batch "${key}": it has not 1 to ${MOST_LEAVES} leaves`)
}

import { hash } from 'node:crypto'
import { fromBase64, toBase64 } from '../../text/base64.ts'
import { formatLeaf, type Leaf, LeafError, parseLeaf } from '../leaf.ts'
import type { Hash } from '../tlog/merkle.ts'
import { NoteError, openNote, type Signer, signNote, type Verifier } from '../tlog/note.ts'
import { BundleError, decodeBundle, encodeBundle } from '../tlog/tiles.ts'

/**
 * Most leaves of a batch. It limits the work that a crashed run leaves, and how far before the end of the log its last batch can begin: S3 lists as many keys
 * in one answer.
 */
export const MAX_LEAVES = 1000

/** A damaged batch, or one that a later version wrote. One line. */
export class BatchError extends Error {
  override readonly name = 'BatchError'
}

/** A leaf and its bytes, which are the log's entry. */
export type Entry = { readonly leaf: Leaf; readonly bytes: Uint8Array }

/** A leaf as an entry. Throws as {@link formatLeaf} does. */
export function leafEntry(leaf: Leaf): Entry {
  return { leaf, bytes: formatLeaf(leaf) }
}

/** The first bytes of a claim. No leaf begins with them: a leaf is JSON. */
const CLAIM = 'ciphertrail batch\n'

/**
 * The bytes of a batch: its leaves with their lengths before them, as in a bundle of entries, and after them the claim. Throws a `RangeError` for no leaves or
 * too many.
 */
export function encodeBatch(entries: readonly Entry[], claim?: Uint8Array): Uint8Array {
  if (entries.length === 0 || entries.length > MAX_LEAVES)
    throw new RangeError(`Cannot write a batch of ${entries.length} leaves: wanted 1 to ${MAX_LEAVES}`)
  return encodeBundle([...entries.map(({ bytes }) => bytes), ...(claim === undefined ? [] : [claim])])
}

/** The place of a batch: the size and root of the log before it. */
export type BatchPlace = { readonly size: number; readonly root: Hash }

/**
 * The claim of a batch: a run with the log's key made these leaves from stored objects, to follow this head. Without it, anyone who can write one object could
 * make the next run sign its content.
 */
export async function claimOf(entries: readonly Entry[], after: BatchPlace, signer: Signer): Promise<Uint8Array> {
  return signNote(claimText(encodeBatch(entries), after), signer)
}

function claimText(leaves: Uint8Array, { size, root }: BatchPlace): string {
  return `${CLAIM}${size}\n${toBase64(root)}\n${hash('sha256', leaves, 'hex')}\n`
}

/** Whether the log's key claimed these bytes for that place; without its root, for its number alone. False for batches from before there were claims. */
export function isClaimed(
  bytes: Uint8Array,
  { size, root }: Pick<BatchPlace, 'size'> & Partial<BatchPlace>,
  verifier: Verifier,
): boolean {
  const { leaves, claim } = partsIn(bytes)
  if (claim === undefined) return false
  try {
    const { text } = openNote(claim, [verifier])
    const said = fromBase64(text.split('\n')[2] ?? '')
    return said !== undefined && text === claimText(leaves, { size, root: root ?? said })
  } catch (error) {
    if (error instanceof NoteError) return false
    throw error
  }
}

/** Whether a claim, by any signer, follows the leaves. */
export function hasClaim(bytes: Uint8Array): boolean {
  return partsIn(bytes).claim !== undefined
}

/** The bytes of the leaves, and the claim after them; undefined if there is none. */
function partsIn(bytes: Uint8Array): { readonly leaves: Uint8Array; readonly claim: Uint8Array | undefined } {
  let entries: readonly Uint8Array[]
  try {
    entries = decodeBundle(bytes)
  } catch (error) {
    if (error instanceof BundleError) return { leaves: bytes, claim: undefined }
    throw error
  }
  const claim = entries.at(-1)
  if (claim === undefined || !Buffer.from(claim).subarray(0, CLAIM.length).equals(Buffer.from(CLAIM)))
    return { leaves: bytes, claim: undefined }
  return { leaves: bytes.subarray(0, bytes.length - claim.length - 2), claim }
}

/** The entries of a batch; the claim is not verified. Throws {@link BatchError} with the key for any bytes that {@link encodeBatch} does not make. */
export function decodeBatch(key: string, bytes: Uint8Array): Entry[] {
  try {
    const entries = decodeBundle(partsIn(bytes).leaves).map((entry) => ({ leaf: parseLeaf(entry), bytes: entry }))
    if (entries.length > 0 && entries.length <= MAX_LEAVES) return entries
  } catch (error) {
    if (!(error instanceof BundleError || error instanceof LeafError)) throw error
    throw new BatchError(`Cannot use batch "${key}": it is damaged or of a later version (${error.message})`, {
      cause: error,
    })
  }
  throw new BatchError(`Cannot use batch "${key}": it has not 1 to ${MAX_LEAVES} leaves`)
}

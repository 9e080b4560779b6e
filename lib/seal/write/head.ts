import { batchKey, batchPrefix, checkpointKey, parseBatchKey, tileKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { BatchError, decodeBatch, MAX_LEAVES } from './batch.ts'
import { openCheckpoint } from '../tlog/checkpoint.ts'
import { type Frontier, EMPTY_FRONTIER, hashesIn, rootOfFrontier, tilesOfFrontier } from '../tlog/frontier.ts'
import { areEqual, EMPTY_ROOT, type Hash, leafHash } from '../tlog/merkle.ts'
import type { Verifier } from '../tlog/note.ts'
import { BundleError, decodeBundle, partialTile, tilePath } from '../tlog/tiles.ts'

/** The head of the log as it is stored. */
export type Head = {
  readonly size: number
  readonly root: Hash
  /** ETag of the checkpoint; null if there is none yet. */
  readonly etag: string | null
}

/** The state that appending needs: the edge of the tree, and the entries of its partial bundle. */
export type Tail = { readonly edge: Frontier; readonly entries: readonly Uint8Array[] }

/** The tail of a log without leaves. */
export const EMPTY_TAIL: Tail = { edge: EMPTY_FRONTIER, entries: [] }

/** The log contradicts its own parts, so nothing may be added to it. One line that names the part. */
export class LogError extends Error {
  override readonly name = 'LogError'
}

/** The remedy if the log contradicts itself. */
const TO_MEND = 'find out who changed the store, and put back what it held'

/**
 * Reads the head that the checkpoint signs; the head of an empty log if there is none. Throws a `NoteError` if the key did not sign it, and {@link LogError} if
 * no batch ends at its size: then it is ahead of the batches, or they were changed.
 */
export async function readHead(objects: Objects, verifier: Verifier): Promise<Head> {
  const stored = await objects.get(checkpointKey)
  if (stored === undefined) return { size: 0, root: EMPTY_ROOT, etag: null }
  const { size, root } = openCheckpoint(stored.body, verifier)
  const end = await endOfBatchesBefore(size, objects)
  if (end !== size)
    throw new LogError(
      `Cannot extend the log: "${checkpointKey}" has ${size} leaves, but the batches before it end with leaf ${end}; ${TO_MEND}`,
    )
  return { size, root, etag: stored.etag }
}

/**
 * The end of the last batch before a leaf: that leaf if a batch ends there, since others may have written more. Batches are bounded, so this costs one short
 * list and usually one read.
 */
async function endOfBatchesBefore(leaf: number, objects: Objects): Promise<number> {
  const after = leaf > MAX_LEAVES ? batchKey(leaf - MAX_LEAVES - 1) : undefined
  const before: { key: string; first: number }[] = []
  for await (const key of objects.list(batchPrefix, after)) {
    const first = parseBatchKey(key)
    if (first === undefined) continue
    if (first >= leaf) break
    before.push({ key, first })
  }
  let latest: number | undefined
  let damage: BatchError | undefined
  for (const { key, first } of before.toReversed()) {
    const stored = await objects.get(key)
    try {
      const end = stored === undefined ? first : first + decodeBatch(key, stored.body).length
      if (end === leaf) return end
      latest ??= end
    } catch (error) {
      if (!(error instanceof BatchError)) throw error
      damage ??= error
    }
  }
  if (damage !== undefined) throw damage
  return latest ?? 0
}

/** The tail of the log with this head. Throws {@link LogError} if its tiles do not give the head's root, or its entries do not match the tiles. */
export async function readTail({ size, root }: Head, objects: Objects): Promise<Tail> {
  if (size === 0) return EMPTY_TAIL
  const levels = await Promise.all(
    tilesOfFrontier(size).map(async (tile) => {
      if (tile === undefined) return []
      const key = tileKey(tilePath(tile))
      const hashes = hashesIn(await readPart(key, objects), tile.width)
      if (hashes === undefined) throw damaged(key, `it has not ${tile.width} hashes`)
      return hashes
    }),
  )
  const edge = { size, levels }
  if (!areEqual(rootOfFrontier(edge), root))
    throw damaged(checkpointKey, `the tiles of its ${size} leaves lead to another root`)
  return { edge, entries: await readEntries(edge, objects) }
}

/** The entries of the last bundle, if that is partial. */
async function readEntries({ size, levels }: Frontier, objects: Objects): Promise<readonly Uint8Array[]> {
  const tile = partialTile(0, size)
  if (tile === undefined) return []
  const key = tileKey(tilePath({ ...tile, level: 'entries' }))
  const entries = entriesIn(key, await readPart(key, objects))
  const areThose = entries.length === tile.width && entries.every((entry, at) => isLeafOf(entry, levels[0]?.[at]))
  if (!areThose) throw damaged(key, 'its entries are not those of the tile of their hashes')
  return entries
}

function isLeafOf(entry: Uint8Array, hash: Hash | undefined): boolean {
  return hash !== undefined && areEqual(leafHash(entry), hash)
}

function entriesIn(key: string, bytes: Uint8Array): Uint8Array[] {
  try {
    return decodeBundle(bytes)
  } catch (error) {
    if (error instanceof BundleError) throw damaged(key, 'it is cut off')
    throw error
  }
}

async function readPart(key: string, objects: Objects): Promise<Uint8Array> {
  const stored = await objects.get(key)
  if (stored === undefined) throw damaged(key, 'it is missing')
  return stored.body
}

function damaged(key: string, state: string): LogError {
  return new LogError(`Cannot extend the log with "${key}": ${state}; ${TO_MEND}`)
}

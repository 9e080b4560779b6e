import { indexKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { Checkpoint } from '../tlog/checkpoint.ts'
import { hashesIn } from '../tlog/frontier.ts'
import { type Leaf, parseLeaf } from '../leaf.ts'
import {
  appendLeaf,
  EMPTY_RANGE,
  type Hash,
  HASH_BYTES,
  inclusionPlan,
  proofOf,
  rootOf,
  type Subtree,
} from '../tlog/merkle.ts'
import { NoteError, type Verifier } from '../tlog/note.ts'
import { formatProof, parseProof, verifyProof } from '../tlog/proof.ts'
import { PartError, readBundle, readTile } from '../read-entries.ts'
import { hashesAt, TILE_WIDTH } from '../tlog/tiles.ts'

/** A proof is impossible: the object is not in the log, or the log is damaged. One line. */
export class ProveError extends Error {
  override readonly name = 'ProveError'
}

/** The levels of the tree in a tile. */
const TILE_HEIGHT = 8

/**
 * Proves that the leaf with a name is in the log. The leaf is the proof's extra data, so that the log's key alone is enough to verify it. `note` is the signed
 * checkpoint, `checkpoint` its content. The returned proof was verified. Throws {@link ProveError}.
 */
export async function proveLeaf(
  name: string,
  {
    note,
    checkpoint,
    verifier,
  }: { readonly note: Uint8Array; readonly checkpoint: Checkpoint; readonly verifier: Verifier },
  objects: Objects,
): Promise<Uint8Array> {
  const stored = await objects.get(indexKey(name))
  if (stored === undefined) throw new ProveError(`Cannot prove "${name}": it is not sealed, run "ciphertrail seal"`)
  const text = Buffer.from(stored.body).toString()
  const index = /^\d{1,16}$/.test(text) ? Number(text) : NaN
  if (!(index < checkpoint.size))
    throw new ProveError(`Cannot prove "${name}": no checkpoint covers its leaf yet, run "ciphertrail seal"`)
  try {
    const { first, entries } = await readBundle(Math.floor(index / TILE_WIDTH), checkpoint.size, objects)
    const entry = entries[index - first] ?? Buffer.of()
    const hashes = await proofOf(inclusionPlan(index, checkpoint.size), subtreeReader(checkpoint.size, objects))
    const proof = formatProof({ extra: entry, index, hashes, checkpoint: note })
    verifyProof(proof, entry, verifier)
    return proof
  } catch (error) {
    if (!(error instanceof PartError || error instanceof NoteError)) throw error
    throw new ProveError(`Cannot prove "${name}": the log is damaged (${error.message}), run "ciphertrail log check"`, {
      cause: error,
    })
  }
}

/** Reads the hash of any perfect subtree of a log of a size. Caches the tiles. */
function subtreeReader(size: number, objects: Objects): (subtree: Subtree) => Promise<Hash> {
  const tiles = new Map<string, readonly Hash[]>()
  return async ({ height, index }) => {
    const level = Math.floor(height / TILE_HEIGHT)
    const width = 2 ** (height % TILE_HEIGHT)
    const begin = index * width
    const tile = Math.floor(begin / TILE_WIDTH)
    const id = `${level}/${tile}`
    const hashes = tiles.get(id) ?? (await readHashes(level, tile, size, objects))
    tiles.set(id, hashes)
    const at = begin - tile * TILE_WIDTH
    return rootOf(hashes.slice(at, at + width).reduce(appendLeaf, EMPTY_RANGE))
  }
}

async function readHashes(level: number, index: number, size: number, objects: Objects): Promise<readonly Hash[]> {
  const width = Math.min(TILE_WIDTH, hashesAt(level, size) - index * TILE_WIDTH)
  const { key, body } = await readTile({ level, index, width }, objects)
  const hashes = hashesIn(body, body.length / HASH_BYTES)
  if (hashes === undefined || hashes.length < width) throw new PartError(key, `it has not ${width} hashes`)
  return hashes
}

/** The content of a verified proof. */
export type Proved = {
  readonly checkpoint: Checkpoint
  readonly index: number
  readonly leaf: Leaf
}

/**
 * Verifies a proof of {@link proveLeaf} with the log's key alone. The leaf is in the proof. Throws a `NoteError` if it proves nothing, and a `LeafError` if its
 * entry is no leaf.
 */
export function checkProof(proof: Uint8Array, verifier: Verifier): Proved {
  const { extra, index } = parseProof(proof)
  if (extra === null)
    throw new NoteError(
      'Cannot believe the proof: it does not hold the leaf that it is to prove, as those of ciphertrail do',
    )
  return { checkpoint: verifyProof(proof, extra, verifier), index, leaf: parseLeaf(extra) }
}

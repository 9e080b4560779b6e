/** The log up to a size as files that any reader of C2SP tlog-tiles takes, and what proves one leaf. */
import { createPublicKey } from 'node:crypto'
import { parseLeaf } from '../seal/leaf.ts'
import type { Checkpoint } from '../seal/tlog/checkpoint.ts'
import { EMPTY_FRONTIER, grow, rootOfFrontier } from '../seal/tlog/frontier.ts'
import {
  appendLeaf,
  areEqual,
  EMPTY_RANGE,
  type Hash,
  inclusionPlan,
  leafHash,
  proofOf,
  rootOf,
} from '../seal/tlog/merkle.ts'
import { parseVkey } from '../seal/tlog/note.ts'
import { formatProof } from '../seal/tlog/proof.ts'
import { encodeBundle, TILE_WIDTH, tilePath } from '../seal/tlog/tiles.ts'
import { CHECKPOINT, LOG, PROOF } from './members.ts'
import type { NumberedLeaf } from './packed-leaves.ts'

/** A signed head: its bytes, and what they say. */
export type PackedHead = { readonly note: Uint8Array; readonly checkpoint: Checkpoint }

/** A member in memory. */
export type SmallMember = { readonly name: string; readonly body: Uint8Array }

/** The leaves of entries in their order. Throws `LeafError` for an entry that is none. */
export function leavesOf(entries: readonly Uint8Array[]): NumberedLeaf[] {
  return entries.map((entry, number) => ({ number, leaf: parseLeaf(entry) }))
}

/** Whether entries come to the root that was signed. */
export function haveRoot(entries: readonly Uint8Array[], { size, root }: Pick<Checkpoint, 'size' | 'root'>): boolean {
  const { edge } = grow(EMPTY_FRONTIER, entries.slice(0, size).map(leafHash))
  return edge.size === size && areEqual(rootOfFrontier(edge), root)
}

/** The checkpoint and every tile of a log: entries, and the hashes above them. */
export function logMembers(entries: readonly Uint8Array[], note: Uint8Array): SmallMember[] {
  const { tiles } = grow(EMPTY_FRONTIER, entries.map(leafHash))
  const bundles: SmallMember[] = []
  for (let first = 0; first < entries.length; first += TILE_WIDTH) {
    const inTile = entries.slice(first, first + TILE_WIDTH)
    const tile = { level: 'entries', index: first / TILE_WIDTH, width: inTile.length } as const
    bundles.push({ name: `${LOG}${tilePath(tile)}`, body: encodeBundle(inTile) })
  }
  return [
    { name: CHECKPOINT, body: note },
    ...bundles,
    ...tiles.map(({ tile, bytes }) => ({ name: `${LOG}${tilePath(tile)}`, body: bytes })),
  ]
}

/** The proof (C2SP tlog-proof) that a leaf is in the log, with the leaf itself in it. */
export async function proofMember(
  entries: readonly Uint8Array[],
  index: number,
  head: PackedHead,
): Promise<SmallMember> {
  return { name: PROOF, body: await proverOf(entries, head)(index) }
}

/** Makes the proof of any leaf of a log, by its number. The entries must come to the root of the head ({@link haveRoot}). */
export function proverOf(
  entries: readonly Uint8Array[],
  { note, checkpoint }: PackedHead,
): (index: number) => Promise<Uint8Array> {
  const leaves = entries.map(leafHash)
  const known = new Map<string, Hash>()
  return async (index) => {
    const hashes = await proofOf(inclusionPlan(index, checkpoint.size), ({ height, index: at }): Hash => {
      const place = `${height}/${at}`
      const width = 2 ** height
      const root =
        known.get(place) ?? rootOf(leaves.slice(at * width, (at + 1) * width).reduce(appendLeaf, EMPTY_RANGE))
      known.set(place, root)
      return root
    })
    return formatProof({ extra: entries[index] ?? Buffer.of(), index, hashes, checkpoint: note })
  }
}

/** A public key as openssl reads it. Throws a `NoteError` for what is no vkey. */
export function pemOf(vkey: string): string {
  const x = Buffer.from(parseVkey(vkey).publicKey).toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

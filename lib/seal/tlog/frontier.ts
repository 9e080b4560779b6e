import { appendLeaf, EMPTY_RANGE, type Hash, HASH_BYTES, nodeHash, rootOf } from './merkle.ts'
import { hashesAt, partialTile, type Tile, TILE_WIDTH } from './tiles.ts'

/**
 * The right edge of a tree: for each level the hashes of its partial tile, lowest level first, empty if the level ends in a full tile. Appending needs nothing
 * else, however large the tree is.
 */
export type Frontier = { readonly size: number; readonly levels: readonly (readonly Hash[])[] }

/** The edge of a tree without leaves. */
export const EMPTY_FRONTIER: Frontier = { size: 0, levels: [] }

/** The root of the tree with this edge. */
export function rootOfFrontier({ levels }: Frontier): Hash {
  let root: Hash | undefined
  for (const hashes of levels) {
    for (const subtree of rangeOf(hashes).toReversed()) root = root === undefined ? subtree : nodeHash(subtree, root)
  }
  return root ?? rootOf(EMPTY_RANGE)
}

/**
 * Appends leaf hashes. Returns the new edge and the tiles that the tree gained, lowest level first: those that became full, and the partial ones of the new
 * size.
 */
export function grow(
  edge: Frontier,
  leaves: readonly Hash[],
): { readonly edge: Frontier; readonly tiles: readonly { readonly tile: Tile; readonly bytes: Uint8Array }[] } {
  const levels: (readonly Hash[])[] = []
  const tiles: { tile: Tile; bytes: Uint8Array }[] = []
  let added = leaves
  for (let level = 0; added.length > 0 || level < edge.levels.length; level++) {
    const before = edge.levels[level] ?? []
    const hashes = [...before, ...added]
    const first = Math.floor(hashesAt(level, edge.size) / TILE_WIDTH)
    const fullTiles: Hash[] = []
    for (let at = 0; at < hashes.length && added.length > 0; at += TILE_WIDTH) {
      const inTile = hashes.slice(at, at + TILE_WIDTH)
      tiles.push({
        tile: { level, index: first + at / TILE_WIDTH, width: inTile.length },
        bytes: Buffer.concat(inTile),
      })
      if (inTile.length === TILE_WIDTH) fullTiles.push(rootOfTile(inTile))
    }
    levels.push(hashes.slice(fullTiles.length * TILE_WIDTH))
    added = fullTiles
  }
  return { edge: { size: edge.size + leaves.length, levels }, tiles }
}

/** The partial tiles that hold the edge of a tree of a size, lowest level first; undefined for a level that ends in a full tile. */
export function tilesOfFrontier(size: number): (Tile | undefined)[] {
  const tiles: (Tile | undefined)[] = []
  for (let level = 0; hashesAt(level, size) > 0; level++) tiles.push(partialTile(level, size))
  return tiles
}

/** The hashes in the bytes of a tile; undefined if their number does not match its width. */
export function hashesIn(bytes: Uint8Array, width: number): Hash[] | undefined {
  if (bytes.length !== width * HASH_BYTES) return undefined
  return Array.from({ length: width }, (_, at) => bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES))
}

function rangeOf(hashes: readonly Hash[]): readonly Hash[] {
  let range = EMPTY_RANGE
  for (const hash of hashes) range = appendLeaf(range, hash)
  return range.hashes
}

/** The root over the 256 hashes of a full tile. */
function rootOfTile(hashes: readonly Hash[]): Hash {
  return rootOf({ size: hashes.length, hashes: rangeOf(hashes) })
}

import { tileKey } from '../store/log-keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { areEqual, appendLeaf, type CompactRange, EMPTY_RANGE, HASH_BYTES, leafHash } from './tlog/merkle.ts'
import { BundleError, decodeBundle, type Tile, TILE_WIDTH, tilePath } from './tlog/tiles.ts'

/** The entries of one bundle of a log. */
export type Bundle = {
  /** The key from which they were read. */
  readonly key: string
  /** The number of the first one. */
  readonly first: number
  readonly entries: readonly Uint8Array[]
}

/** A part of the log is missing or damaged. */
export class PartError extends Error {
  override readonly name = 'PartError'
  readonly key: string
  readonly problem: string
  constructor(key: string, problem: string) {
    super(`Cannot read "${key}": ${problem}`)
    this.key = key
    this.problem = problem
  }
}

/** The entries of a log of a size, bundle by bundle, as any reader of a tlog-tiles log finds them. Throws {@link PartError}. */
export async function* readEntries(size: number, objects: Objects): AsyncGenerator<Bundle> {
  for (let index = 0; index * TILE_WIDTH < size; index++) yield await readBundle(index, size, objects)
}

/** One bundle of the log of a size. Throws {@link PartError}. */
export async function readBundle(index: number, size: number, objects: Objects): Promise<Bundle> {
  const first = index * TILE_WIDTH
  const width = Math.min(TILE_WIDTH, size - first)
  const { key, body, isFull } = await readTile({ level: 'entries', index, width }, objects)
  try {
    const entries = decodeBundle(body)
    if (entries.length === (isFull ? TILE_WIDTH : width)) return { key, first, entries: entries.slice(0, width) }
    throw new PartError(key, `it has ${entries.length} entries, wanted ${isFull ? TILE_WIDTH : width}`)
  } catch (error) {
    if (error instanceof BundleError) throw new PartError(key, error.message)
    throw error
  }
}

/** The key and bytes of a tile. */
type ReadTile = { readonly key: string; readonly body: Uint8Array; readonly isFull: boolean }

/** The bytes of a tile; if a partial one is missing, those of the later full one, which begins with the same bytes. */
export async function readTile(tile: Tile, objects: Objects): Promise<ReadTile> {
  const key = tileKey(tilePath(tile))
  const own = await objects.get(key)
  if (own !== undefined) return { key, body: own.body, isFull: tile.width === TILE_WIDTH }
  const fullKey = tileKey(tilePath({ ...tile, width: TILE_WIDTH }))
  const full = await objects.get(fullKey)
  if (full !== undefined) return { key: fullKey, body: full.body, isFull: true }
  throw new PartError(key, 'it is missing')
}

/** The tree over the entries of a log of a size, and the trees of the requested sizes, which are integers up to it. Throws {@link PartError}. */
export async function treeOfEntries(
  size: number,
  alsoAt: readonly number[],
  objects: Objects,
): Promise<{ readonly tree: CompactRange; readonly earlier: ReadonlyMap<number, CompactRange> }> {
  const earlier = new Map<number, CompactRange>()
  let tree = EMPTY_RANGE
  const note = (): void => {
    if (alsoAt.includes(tree.size)) earlier.set(tree.size, tree)
  }
  note()
  for await (const { entries } of readEntries(size, objects)) {
    for (const entry of entries) {
      tree = appendLeaf(tree, leafHash(entry))
      note()
    }
  }
  return { tree, earlier }
}

/** The bundles whose entries do not match their hash tile: these were changed if the entries give another root. */
export async function* bundlesThatDiffer(
  size: number,
  objects: Objects,
): AsyncGenerator<{ key: string; problem: string }> {
  for await (const { key, first, entries } of readEntries(size, objects)) {
    const index = first / TILE_WIDTH
    let tile: ReadTile
    try {
      tile = await readTile({ level: 0, index, width: entries.length }, objects)
    } catch (error) {
      if (!(error instanceof PartError)) throw error
      yield { key: error.key, problem: error.problem }
      continue
    }
    const at = entries.findIndex(
      (entry, number) => !areEqual(leafHash(entry), tile.body.subarray(number * HASH_BYTES, (number + 1) * HASH_BYTES)),
    )
    if (at >= 0) yield { key, problem: `leaf ${first + at} is not the one whose hash "${tile.key}" has` }
  }
}

import { hashesAt, type Tile, TILE_WIDTH } from '../../../lib/seal/tlog/tiles.ts'

/**
 * The tiles of hashes that a log has to gain to grow from one size to another, lowest level first: those that became full, and the partial
 * ones of the new size. The bundles of entries are those of level 0.
 */
export function tilesOfGrowth(from: number, to: number): Tile[] {
  const tiles: Tile[] = []
  for (let level = 0; hashesAt(level, to) > 0; level++) {
    const [before, after] = [hashesAt(level, from), hashesAt(level, to)]
    if (before === after) continue
    for (let index = Math.floor(before / TILE_WIDTH); index * TILE_WIDTH < after; index++)
      tiles.push({ level, index, width: Math.min(TILE_WIDTH, after - index * TILE_WIDTH) })
  }
  return tiles
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EMPTY_FRONTIER, grow, hashesIn, rootOfFrontier, tilesOfFrontier } from '../../../lib/seal/tlog/frontier.ts'
import { appendLeaf, EMPTY_RANGE, type Hash, leafHash, rootOf } from '../../../lib/seal/tlog/merkle.ts'
import { tilePath } from '../../../lib/seal/tlog/tiles.ts'
import { tilesOfGrowth } from '../../support/stored/tiles-of-growth.ts'

const leaf = (number: number): Hash => leafHash(Buffer.from(String(number)))
const leaves = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => leaf(from + at))
const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex')

test('grow() makes the tiles of the growth, and an edge whose root is that of the tree, in whatever steps', () => {
  const MOST = 70_000
  const step = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(1, 255, 256, 257, 65_536))
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), (steps) => {
      let edge = EMPTY_FRONTIER
      let range = EMPTY_RANGE
      for (const count of steps) {
        const size = edge.size
        if (size + count > MOST) return
        const added = leaves(size, size + count)
        const grown = grow(edge, added)
        range = added.reduce(appendLeaf, range)
        assert.deepEqual(
          grown.tiles.map(({ tile }) => tile),
          tilesOfGrowth(size, size + count),
        )
        for (const { tile, bytes } of grown.tiles) assert.equal(bytes.length, tile.width * 32)
        assert.equal(grown.edge.size, size + count)
        assert.equal(hex(rootOfFrontier(grown.edge)), hex(rootOf(range)))
        // The edge can be read again from the partial tiles.
        const held = new Map(grown.tiles.map(({ tile, bytes }) => [tilePath(tile), bytes]))
        for (const [level, tile] of tilesOfFrontier(edge.size + count).entries()) {
          const bytes = tile === undefined ? Buffer.alloc(0) : held.get(tilePath(tile))
          if (bytes === undefined) continue
          const hashes = hashesIn(bytes, tile?.width ?? 0)
          assert.deepEqual(hashes?.map(hex), (grown.edge.levels[level] ?? []).map(hex))
        }
        edge = grown.edge
      }
    }),
    { numRuns: 15 },
  )
})

test('grow() by nothing changes nothing, and hashesIn() takes no tile of another width', () => {
  const { edge } = grow(EMPTY_FRONTIER, leaves(0, 300))
  const same = grow(edge, [])
  assert.deepEqual([same.tiles, same.edge], [[], edge])
  assert.equal(hashesIn(Buffer.alloc(64), 3), undefined)
  assert.equal(hashesIn(Buffer.alloc(64), 2)?.length, 2)
  assert.equal(hex(rootOfFrontier(EMPTY_FRONTIER)), hex(rootOf(EMPTY_RANGE)))
})

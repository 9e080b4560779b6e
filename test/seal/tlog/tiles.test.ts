import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  BundleError,
  decodeBundle,
  encodeBundle,
  hashesAt,
  parseTilePath,
  partialTile,
  type Tile,
  TILE_WIDTH,
  tilePath,
} from '../../../lib/seal/tlog/tiles.ts'
import { checkKey } from '../../../lib/store/objects/objects.ts'
import { tilesOfGrowth } from '../../support/stored/tiles-of-growth.ts'
import { tileKey } from '../../../lib/store/log-keys.ts'

const level = fc.oneof(fc.constant('entries' as const), fc.nat({ max: 63 }))
const tile = fc.record({ level, index: fc.nat({ max: 2 ** 45 }), width: fc.integer({ min: 1, max: TILE_WIDTH }) })

test('tilePath() writes paths as C2SP tlog-tiles does', () => {
  assert.equal(tilePath({ level: 0, index: 1_234_067, width: 256 }), 'tile/0/x001/x234/067')
  assert.equal(tilePath({ level: 0, index: 0, width: 1 }), 'tile/0/000.p/1')
  assert.equal(tilePath({ level: 1, index: 999, width: 17 }), 'tile/1/999.p/17')
  assert.equal(tilePath({ level: 'entries', index: 1000, width: 256 }), 'tile/entries/x001/000')
})

test('parseTilePath() gives back the tile of every path, and each is the end of a key that every store takes', () => {
  fc.assert(
    fc.property(tile, (one) => {
      assert.deepEqual(parseTilePath(tilePath(one)), { ...one })
      checkKey(tileKey(tilePath(one)))
    }),
  )
})

test('parseTilePath() knows no other form of a path', () => {
  for (const path of [
    '',
    'tile/0/',
    'tile/0/1',
    'tile/0/01',
    'tile/0/0001',
    'tile/0/001/002',
    'tile/0/x001',
    'tile/0/x000/001',
    'tile/00/001',
    'tile/64/001',
    'tile/-1/001',
    'tile/data/001',
    'tile/0/001.p/0',
    'tile/0/001.p/256',
    'tile/0/001.p/05',
    'tile/0/001.p/',
    'tile/0/001.p',
    '/tile/0/001',
    'tile/0/001\n',
    'tile/0/x999/x999/x999/x999/x999/999',
  ])
    assert.equal(parseTilePath(path), undefined, path)
})

test('a tree of 70,000 has the tiles that C2SP tlog-tiles counts', () => {
  const tiles = tilesOfGrowth(0, 70_000)
  const at = (wanted: number) => tiles.filter(({ level: one }) => one === wanted)
  assert.deepEqual(
    [0, 1, 2].map((one) => [at(one).filter(({ width }) => width === 256).length, at(one).at(-1)?.width]),
    [
      [273, 112],
      [1, 17],
      [0, 1],
    ],
  )
  assert.equal(tiles.length, 273 + 1 + 1 + 1 + 1)
  assert.deepEqual(tilesOfGrowth(0, 256), [
    { level: 0, index: 0, width: 256 },
    { level: 1, index: 0, width: 1 },
  ])
  assert.deepEqual(partialTile(1, 256), { level: 1, index: 0, width: 1 })
  assert.equal(partialTile(0, 256), undefined)
  assert.equal(partialTile(2, 65_535), undefined)
})

test('growing in steps leaves every tile that each size needs, and makes none twice', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 }), (steps) => {
      const made = new Set<string>()
      let size = 0
      for (const step of steps) {
        for (const one of tilesOfGrowth(size, size + step)) {
          const path = tilePath(one)
          assert.ok(!made.has(path), path)
          made.add(path)
        }
        size += step
        for (let at = 0; hashesAt(at, size) > 0; at++) {
          const count = hashesAt(at, size)
          const needed: Tile[] = Array.from({ length: Math.floor(count / TILE_WIDTH) }, (_, index) => ({
            level: at,
            index,
            width: TILE_WIDTH,
          }))
          const partial = partialTile(at, size)
          for (const one of partial === undefined ? needed : [...needed, partial]) assert.ok(made.has(tilePath(one)))
        }
      }
    }),
    { numRuns: 30 },
  )
})

test('decodeBundle() gives back the entries of a bundle, and refuses one that is cut off anywhere inside an entry', () => {
  const entry = fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ maxLength: 300 }) },
    { weight: 1, arbitrary: fc.constant(new Uint8Array(65_535)) },
  )
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), fc.nat(), (entries, place) => {
      const bytes = encodeBundle(entries)
      assert.deepEqual(
        decodeBundle(bytes).map((one) => Uint8Array.from(one)),
        entries,
      )
      const cut = place % (bytes.length + 1)
      const ends = entries.map((_, index) => encodeBundle(entries.slice(0, index + 1)).length)
      const isWhole = [0, ...ends].includes(cut)
      if (isWhole) assert.ok(decodeBundle(bytes.subarray(0, cut)).length <= entries.length)
      else assert.throws(() => decodeBundle(bytes.subarray(0, cut)), BundleError)
    }),
  )
  assert.throws(() => encodeBundle([new Uint8Array(65_536)]), BundleError)
  assert.deepEqual([...encodeBundle([Buffer.from('ab'), Buffer.alloc(0)])], [0, 2, 0x61, 0x62, 0, 0])
})

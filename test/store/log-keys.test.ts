import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  batchKey,
  checkpointKey,
  gapBefore,
  gapName,
  gapPrefix,
  indexKey,
  parseBatchKey,
  parseIndexKey,
  parseTileKey,
  sealingKey,
  tileKey,
  vkeyKey,
} from '../../lib/store/log-keys.ts'
import { attemptsPrefix } from '../../lib/store/keys.ts'
import { checkKey, checkReplaceable } from '../../lib/store/objects/objects.ts'
import { anyCluster, anyWindow } from '../support/stored/leaves.ts'

test('keys of the log read as the design says', () => {
  const window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }
  assert.equal(checkpointKey, 'log/checkpoint')
  assert.equal(batchKey(70), 'log/batch/0000000000000070')
  assert.equal(tileKey('tile/0/x001/234.p/8'), 'log/tile/0/x001/234.p/8')
  assert.equal(indexKey('evidence/w/c/0001.json.gz'), 'log/index/evidence/w/c/0001.json.gz')
  assert.equal(gapName(window, 'shop'), 'gap/20261124T120000Z-20261124T130000Z/shop.none')
  assert.ok(gapBefore(window.start) < gapName(window, 'shop') && gapBefore(window.end) > gapName(window, 'shop'))
})

test('parsing gives back what a key of the log was made of, and each key is one that every store takes', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), anyWindow, anyCluster, (number, window, cluster) => {
      assert.equal(parseBatchKey(batchKey(number)), number)
      const name = gapName(window, cluster)
      assert.ok(name.startsWith(gapPrefix) && gapBefore(window.start) < name)
      assert.equal(parseIndexKey(indexKey(name)), name)
      for (const key of [batchKey(number), indexKey(name)]) {
        checkKey(key)
        assert.throws(() => checkReplaceable(key), TypeError)
      }
    }),
  )
  assert.equal(parseTileKey(tileKey('tile/0/000')), 'tile/0/000')
  checkReplaceable(checkpointKey)
  checkReplaceable(sealingKey)
  assert.throws(() => checkReplaceable(vkeyKey), TypeError)
})

test('gaps are in the order in which the attempts would be that came instead', () => {
  const place = fc.tuple(anyWindow, anyCluster)
  fc.assert(
    fc.property(place, place, fc.string({ unit: fc.constantFrom('-', '0', 'a'), maxLength: 2 }), (a, b, more) => {
      const near: typeof a = [a[0], `${a[1]}${more}a`]
      for (const other of [b, near])
        assert.equal(gapName(...a) < gapName(...other), attemptsPrefix(...a) < attemptsPrefix(...other))
    }),
  )
})

test('text order of batches is the order of their leaves', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
      assert.equal(batchKey(a) < batchKey(b), a < b)
    }),
  )
})

test('what is no key of the log is none, and what has no place in one is refused', () => {
  for (const text of ['', 'log/batch/', 'log/batch/70', 'log/batch/9999999999999999', `${batchKey(1)}0`, 'log/index/'])
    assert.deepEqual([parseBatchKey(text), parseIndexKey(text), parseTileKey(text)], [undefined, undefined, undefined])
  for (const number of [-1, 0.5, 2 ** 53, Number.NaN]) assert.throws(() => batchKey(number), RangeError)
})

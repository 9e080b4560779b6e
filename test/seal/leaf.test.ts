import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BatchError, decodeBatch, encodeBatch, leafEntry, MAX_LEAVES } from '../../lib/seal/write/batch.ts'
import { formatLeaf, leafKind, type Leaf, LeafError, nameOf, parseLeaf } from '../../lib/seal/leaf.ts'
import { evidenceKey } from '../../lib/store/keys.ts'
import { anyLeaf, anyWindow } from '../support/stored/leaves.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }
const sha256 = 'ab'.repeat(32)
const snapshot: Leaf = {
  kind: 'snapshot',
  cluster: 'shop',
  window,
  key: evidenceKey({ window, cluster: 'shop', attempt: 1 }),
  sha256,
  size: 12_345,
}

test('formatLeaf() writes one line of canonical JSON', () => {
  assert.equal(
    Buffer.from(formatLeaf(snapshot)).toString(),
    `{"cluster":"shop","key":"evidence/20261124T120000Z-20261124T130000Z/shop/0001.json.gz","kind":"snapshot","sha256":"${sha256}","size":12345,"window":{"end":"2026-11-24T13:00:00Z","start":"2026-11-24T12:00:00Z"}}`,
  )
  assert.equal(
    Buffer.from(formatLeaf({ kind: 'heartbeat', time: '2026-11-24T13:00:00Z' })).toString(),
    '{"kind":"heartbeat","time":"2026-11-24T13:00:00Z"}',
  )
})

test('parseLeaf() gives back every leaf, and nameOf() tells leaves of different things apart', () => {
  fc.assert(
    fc.property(anyLeaf, anyLeaf, (leaf, other) => {
      assert.deepEqual(parseLeaf(formatLeaf(leaf)), leaf)
      const [name, otherName] = [nameOf(leaf), nameOf(other)]
      if (name !== undefined && name === otherName) assert.ok('key' in leaf === 'key' in other)
    }),
  )
})

test('parseLeaf() takes no bytes but those that formatLeaf() makes', () => {
  fc.assert(
    fc.property(anyLeaf, fc.nat(), fc.integer({ min: 1, max: 255 }), (leaf, place, change) => {
      const bytes = Uint8Array.from(formatLeaf(leaf))
      const at = place % bytes.length
      bytes[at] = (bytes[at] ?? 0) ^ change
      try {
        assert.deepEqual(Buffer.from(formatLeaf(parseLeaf(bytes))), Buffer.from(bytes))
      } catch (error) {
        assert.ok(error instanceof LeafError)
        assert.doesNotMatch(error.message, /\n/)
      }
    }),
  )
  const text = Buffer.from(formatLeaf(snapshot)).toString()
  for (const other of [
    ` ${text}`,
    text.replace('"size":12345', '"size":12345.0'),
    text.replace('"size":12345', '"size":1e999'),
    text.replace('{', '{"address":"a@example.com",'),
    text.replace('"shop"', '"shap"'),
    text.replace('T13:00:00Z"', 'T14:00:00Z"'),
    text.replace('snapshot', 'report'),
    text.replace('abab', 'ABAB'),
    text.replace(sha256, 'ab'),
    text.replace('/0001', '/../0001'),
    '{"kind":"gap","cluster":"shop"}',
    '{"kind":"heartbeat","time":"yesterday"}',
    '{"kind":"other"}',
    '[]',
    '',
  ])
    assert.throws(() => parseLeaf(Buffer.from(other)), LeafError, other)
  assert.throws(() => parseLeaf(Buffer.from([0xff])), LeafError)
})

test('formatLeaf() refuses a leaf that no log holds', () => {
  assert.throws(() => formatLeaf({ ...snapshot, cluster: 'other' }), LeafError)
  assert.throws(() => formatLeaf({ kind: 'gap', cluster: 'shop', window, reason: 'Not a word' }), LeafError)
  assert.throws(() => formatLeaf({ ...snapshot, size: -1 }), LeafError)
  for (const wrong of [
    { start: window.end, end: window.start },
    { start: window.start, end: window.start },
    { start: '2026-11-24T12:00:00.500Z', end: window.end },
    { start: '+275760-09-13T00:00:01Z', end: window.end },
    { start: 'noon', end: window.end },
  ])
    assert.throws(
      () => formatLeaf({ kind: 'gap', cluster: 'shop', window: wrong, reason: 'no-attempt' }),
      LeafError,
      wrong.start,
    )
})

test('an object under evidence/ whose key no collector makes is sealed all the same, without cluster and window', () => {
  const stray: Leaf = { kind: 'snapshot', key: 'evidence/README', sha256, size: 1 }
  assert.deepEqual(parseLeaf(formatLeaf(stray)), stray)
  assert.throws(() => formatLeaf({ ...stray, cluster: 'shop' }), LeafError)
})

test('leafKind() tells what is sealed from what is not', () => {
  assert.equal(leafKind('evidence/x'), 'snapshot')
  assert.equal(leafKind('changes/clusters/000001.json'), 'registry-change')
  assert.equal(leafKind('changes/scope/000001.json'), 'scope-change')
  assert.equal(leafKind('changes/waivers/000001.json'), 'waiver-change')
  assert.equal(leafKind('changes/channels/000001.json'), 'channel-change')
  assert.equal(leafKind('reports/2026-W47/report.pdf'), 'report')
  for (const key of ['windows/x', 'log/checkpoint', 'changes/other/1', 'registry/clusters.json', 'evidence'])
    assert.equal(leafKind(key), undefined)
})

test('decodeBatch() gives back the leaves of a batch and their bytes, and refuses damaged ones by their key', () => {
  fc.assert(
    fc.property(fc.array(anyLeaf, { minLength: 1, maxLength: 20 }), fc.nat(), (leaves, place) => {
      const bytes = encodeBatch(leaves.map(leafEntry))
      const entries = decodeBatch('log/batch/0', bytes)
      assert.deepEqual(
        entries.map(({ leaf }) => leaf),
        leaves,
      )
      assert.deepEqual(
        entries.map((one) => Buffer.from(one.bytes)),
        leaves.map((leaf) => Buffer.from(formatLeaf(leaf))),
      )
      const cut = bytes.subarray(0, place % bytes.length)
      try {
        assert.ok(decodeBatch('log/batch/0', cut).length < leaves.length)
      } catch (error) {
        assert.ok(error instanceof BatchError)
        assert.match(error.message, /"log\/batch\/0"/)
      }
    }),
  )
  assert.throws(() => encodeBatch([]), RangeError)
  const gap: Leaf = { kind: 'gap', cluster: 'shop', window, reason: 'no-attempt' }
  assert.throws(() => encodeBatch(Array.from({ length: MAX_LEAVES + 1 }, () => leafEntry(gap))), RangeError)
  assert.throws(() => decodeBatch('log/batch/0', Buffer.alloc(0)), BatchError)
})

test('a leaf that is none is refused by what is wrong in it', () => {
  const said = (leaf: unknown): string => {
    try {
      formatLeaf(leaf as Leaf)
      return ''
    } catch (error) {
      assert.ok(error instanceof LeafError)
      return error.message
    }
  }
  matchesText(said({ ...snapshot, size: -1 }))
  matchesText(said({ kind: 'other' }))
  assert.match(said('text'), /^Cannot write a leaf: [A-Z].+$/)
})

test('nameOf() gives a gap a name of its own and a heartbeat none', () => {
  fc.assert(
    fc.property(anyWindow, (one) => {
      const gap: Leaf = { kind: 'gap', cluster: 'shop', window: one, reason: 'no-attempt' }
      assert.match(nameOf(gap) ?? '', /^gap\/\d{8}T\d{6}Z-\d{8}T\d{6}Z\/shop\.none$/)
    }),
  )
  assert.equal(nameOf({ kind: 'heartbeat', time: '2026-11-24T13:00:00Z' }), undefined)
  assert.equal(nameOf(snapshot), 'evidence/20261124T120000Z-20261124T130000Z/shop/0001.json.gz')
})

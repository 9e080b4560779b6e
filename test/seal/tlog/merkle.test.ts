import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  appendLeaf,
  EMPTY_RANGE,
  EMPTY_ROOT,
  type Hash,
  inclusionPlan,
  isIncluded,
  leafHash,
  nodeHash,
  proofOf,
  rootOf,
  type Subtree,
  subtreesOf,
} from '../../../lib/seal/tlog/merkle.ts'

// RFC 6962, section 2.1, as it is written there: lists of entries, cut and hashed again and again.

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

function split(length: number): number {
  let k = 1
  while (k << 1 < length) k <<= 1
  return k
}

/** Each hash above entries is computed once: 45,000 proofs would hash for minutes. */
const known = new Map<string, Buffer>()

function mth(entries: readonly Uint8Array[]): Buffer {
  const [first] = entries
  if (first === undefined) return sha256()
  const name = `${Buffer.from(first).toString()} ${entries.length}`
  const found = known.get(name)
  if (found !== undefined) return found
  const k = split(entries.length)
  const hash =
    entries.length === 1
      ? sha256(Buffer.from([0]), first)
      : sha256(Buffer.from([1]), mth(entries.slice(0, k)), mth(entries.slice(k)))
  known.set(name, hash)
  return hash
}

function path(m: number, entries: readonly Uint8Array[]): Buffer[] {
  if (entries.length === 1) return []
  const k = split(entries.length)
  const [left, right] = [entries.slice(0, k), entries.slice(k)]
  return m < k ? [...path(m, left), mth(right)] : [...path(m - k, right), mth(left)]
}

const MOST = 300
const entries = Array.from({ length: MOST }, (_, index) => Buffer.from(`entry ${index}`))

const hashOf = ({ height, index }: Subtree): Hash => mth(entries.slice(index * 2 ** height, (index + 1) * 2 ** height))
const hex = (hashes: readonly Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('hex'))

/** Bits of a proof that was changed somewhere: each hash, a hash more, a hash less. */
function* spoiled(proof: readonly Hash[]): Generator<Hash[]> {
  for (const [at, hash] of proof.entries()) {
    const other = Buffer.from(hash)
    other[at % 32] = (other[at % 32] ?? 0) ^ 1
    yield proof.with(at, other)
    yield proof.toSpliced(at, 1)
  }
  yield [...proof, EMPTY_ROOT]
}

test('leafHash(), nodeHash() and rootOf() give the roots of the eight entries that Certificate Transparency tests with', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  const roots = [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]
  let range = EMPTY_RANGE
  assert.deepEqual(hex([rootOf(range)]), ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'])
  for (const [index, leaf] of leaves.entries()) {
    range = appendLeaf(range, leafHash(Buffer.from(leaf, 'hex')))
    assert.deepEqual(hex([rootOf(range)]), [roots[index]])
  }
  assert.deepEqual(hex([nodeHash(leafHash(Buffer.alloc(0)), leafHash(Buffer.from([0])))]), [roots[1]])
})

test(`every root, and every inclusion proof, of every size to ${MOST} is that of the definition, and nothing else passes`, async () => {
  let range = EMPTY_RANGE
  for (let size = 1; size <= MOST; size++) {
    const tree = entries.slice(0, size)
    range = appendLeaf(range, leafHash(entries[size - 1] ?? Buffer.alloc(0)))
    const root = rootOf(range)
    assert.deepEqual(hex([root]), hex([mth(tree)]))
    assert.equal(range.hashes.length, subtreesOf(0, size).length)
    for (let index = 0; index < size; index++) {
      const proof = await proofOf(inclusionPlan(index, size), hashOf)
      if (index % 7 === 0 || index > size - 5) assert.deepEqual(hex(proof), hex(path(index, tree)))
      const leaf = leafHash(entries[index] ?? Buffer.alloc(0))
      assert.ok(isIncluded({ index, leaf, proof }, { size, root }), `${index} of ${size}`)
      if (size % 37 !== 0) continue
      assert.ok(!isIncluded({ index: index + 1, leaf, proof }, { size, root }))
      assert.ok(!isIncluded({ index, leaf: root, proof }, { size, root }))
      for (const other of spoiled(proof)) assert.ok(!isIncluded({ index, leaf, proof: other }, { size, root }))
    }
  }
})

test('isIncluded() believes no empty tree, and no number that is none', () => {
  const root = EMPTY_ROOT
  assert.ok(!isIncluded({ index: 0, leaf: root, proof: [] }, { size: 0, root }))
  assert.ok(!isIncluded({ index: 0.5, leaf: root, proof: [] }, { size: 1, root }))
  assert.throws(() => inclusionPlan(1, 1), RangeError)
})

test('subtreesOf() covers any range without a hole, also of sizes beyond 32 bits', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 52 }), fc.nat({ max: 2 ** 40 }), (begin, length) => {
      let at = begin
      for (const { height, index } of subtreesOf(begin, begin + length)) {
        assert.equal(index * 2 ** height, at)
        at += 2 ** height
      }
      assert.equal(at, begin + length)
    }),
  )
})

test('isIncluded() follows a proof in a tree of more leaves than 32 bits count', async () => {
  const size = 2 ** 40 + 12_345
  const index = 2 ** 40 + 77
  const subtree = ({ height, index: place }: Subtree) => leafHash(Buffer.from(`${height}/${place}`))
  const proof = await proofOf(inclusionPlan(index, size), subtree)
  const leaf = subtree({ height: 0, index })
  // The root by walking up from the leaf, as the plan does not.
  const up = async (begin: number, end: number): Promise<Hash> => {
    if (index < begin || index >= end) return (await proofOf([subtreesOf(begin, end)], subtree))[0] ?? EMPTY_ROOT
    if (end - begin === 1) return leaf
    const k = 2 ** Math.ceil(Math.log2(end - begin) - 1)
    return nodeHash(await up(begin, begin + k), await up(begin + k, end))
  }
  assert.ok(isIncluded({ index, leaf, proof }, { size, root: await up(0, size) }))
})

test('isIncluded() shows no leaf behind the end of a tree, whose only leaf is its root', () => {
  const leaf = leafHash(Buffer.from('x'))
  const tree = { size: 1, root: leaf }
  assert.equal(isIncluded({ index: 0, leaf, proof: [] }, tree), true)
  for (const index of [1, 2, -1, 0.5, NaN, Infinity])
    assert.equal(isIncluded({ index, leaf, proof: [] }, tree), false, `${index}`)
})

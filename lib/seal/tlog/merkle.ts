import { hash as digest } from 'node:crypto'

/**
 * The Merkle tree of RFC 6962, section 2.1, with SHA-256. Sizes and leaf numbers are integers below 2^53; a subtree is perfect if it has 2^height leaves and
 * begins at a multiple of that.
 */

/** 32 bytes. */
export type Hash = Uint8Array

/** The length of a SHA-256. */
export const HASH_BYTES = 32

/** The perfect subtree over the leaves from `index * 2^height` to before `(index + 1) * 2^height`. */
export type Subtree = { readonly height: number; readonly index: number }

/** A tree's leaves as perfect subtrees from left to right, largest first: appending needs nothing else. */
export type CompactRange = { readonly size: number; readonly hashes: readonly Hash[] }

/** The hash of an entry. */
export function leafHash(entry: Uint8Array): Hash {
  return digest('sha256', Buffer.concat([LEAF, entry]), 'buffer')
}

/** The hash of the parent of two subtrees. */
export function nodeHash(left: Hash, right: Hash): Hash {
  return digest('sha256', Buffer.concat([NODE, left, right]), 'buffer')
}

const LEAF = Buffer.from([0])
const NODE = Buffer.from([1])

/** The root of a tree without leaves. */
export const EMPTY_ROOT: Hash = digest('sha256', Buffer.alloc(0), 'buffer')

/** The tree without leaves. */
export const EMPTY_RANGE: CompactRange = { size: 0, hashes: [] }

/** The range with one more leaf, given its hash. */
export function appendLeaf({ size, hashes }: CompactRange, leaf: Hash): CompactRange {
  const kept = [...hashes]
  let merged = leaf
  for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) merged = nodeHash(takeLast(kept), merged)
  return { size: size + 1, hashes: [...kept, merged] }
}

/** The root over a range. */
export function rootOf({ hashes }: CompactRange): Hash {
  return hashes.length === 0 ? EMPTY_ROOT : foldRight(hashes)
}

/** The largest possible perfect subtrees that cover the leaves from `begin` to before `end`, left to right. */
export function subtreesOf(begin: number, end: number): Subtree[] {
  const subtrees: Subtree[] = []
  for (let at = begin; at < end;) {
    let height = 0
    while (at % 2 ** (height + 1) === 0 && at + 2 ** (height + 1) <= end) height++
    subtrees.push({ height, index: at / 2 ** height })
    at += 2 ** height
  }
  return subtrees
}

/**
 * The plan of an inclusion proof (RFC 6962, 2.1.1), from the leaf's sibling to the root's child: each hash is that of the named subtrees, folded by {@link
 * proofOf}. Throws a `RangeError` if the tree has no such leaf.
 */
export function inclusionPlan(index: number, size: number): Subtree[][] {
  checkNumbers(index, size, index >= 0 && index < size, `leaf ${index} in a tree of ${size}`)
  const ranges: [number, number][] = []
  let [begin, end] = [0, size]
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin)
    ranges.push(index < middle ? [middle, end] : [begin, middle])
    if (index < middle) end = middle
    else begin = middle
  }
  return planOf(ranges)
}

/** The hashes of a plan. `hashOf` returns the hash of a perfect subtree, and is called in the order of the plan. */
export async function proofOf(
  plan: readonly (readonly Subtree[])[],
  hashOf: (subtree: Subtree) => Hash | Promise<Hash>,
): Promise<Hash[]> {
  const proof: Hash[] = []
  for (const subtrees of plan) {
    const hashes: Hash[] = []
    for (const subtree of subtrees) hashes.push(await hashOf(subtree))
    proof.push(foldRight(hashes))
  }
  return proof
}

/** Whether a proof shows that a leaf with this hash is at a place of the tree with this root (RFC 9162, 2.1.3.2). */
export function isIncluded(
  { index, leaf, proof }: { readonly index: number; readonly leaf: Hash; readonly proof: readonly Hash[] },
  { size, root }: { readonly size: number; readonly root: Hash },
): boolean {
  if (!areNumbers(index, size) || index >= size) return false
  let [at, last, hash] = [index, size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else hash = nodeHash(hash, sibling)
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 && areEqual(hash, root)
}

/** Whether two hashes, or any bytes, are the same. */
export function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** The number of leaves to the left of a tree's root: the largest power of two below the size. */
function splitOf(size: number): number {
  let left = 1
  while (left * 2 < size) left *= 2
  return left
}

function planOf(ranges: readonly [number, number][]): Subtree[][] {
  return ranges.toReversed().map(([begin, end]) => subtreesOf(begin, end))
}

/** The hash above neighbouring subtrees, each larger than the next. */
function foldRight(hashes: readonly Hash[]): Hash {
  return hashes.reduceRight((right, left) => nodeHash(left, right))
}

function takeLast(hashes: Hash[]): Hash {
  const last = hashes.pop()
  if (last === undefined) throw new RangeError('Cannot append a leaf: the range has fewer hashes than its size needs')
  return last
}

function areNumbers(...numbers: readonly number[]): boolean {
  return numbers.every((number) => Number.isSafeInteger(number) && number >= 0)
}

function checkNumbers(first: number, second: number, areInOrder: boolean, what: string): void {
  if (!areNumbers(first, second) || !areInOrder) throw new RangeError(`Cannot prove ${what}: there is none`)
}

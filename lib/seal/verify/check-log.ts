import { partitionPoint } from '../../partition-point.ts'
import { batchKey, batchPrefix, checkpointKey, parseBatchKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { BatchError, decodeBatch, type Entry, hasClaim, isClaimed } from '../write/batch.ts'
import type { Checkpoint } from '../tlog/checkpoint.ts'
import { concurrently } from '../../concurrently.ts'
import type { AddFinding } from './finding.ts'
import { partsOf } from '../write/finish.ts'
import { EMPTY_TAIL } from '../write/head.ts'
import { nameIn } from '../leaf.ts'
import { areEqual, appendLeaf, EMPTY_RANGE, type Hash, leafHash, rootOf } from '../tlog/merkle.ts'
import type { Verifier } from '../tlog/note.ts'
import { type Bundle, bundlesThatDiffer, PartError, readEntries, treeOfEntries } from '../read-entries.ts'
import { hashesAt, type Tile, TILE_WIDTH } from '../tlog/tiles.ts'

/** Number of objects of the log that are compared at once. */
const AT_ONCE = 8

/** The state of a checked log. */
export type CheckedLog = {
  /** The end of each batch, in order. */
  readonly ends: readonly number[]
  /** The batch that the checkpoint does not reach yet. */
  readonly unfinished: readonly Entry[]
  /** Whether all of it was read. If not, further objects may belong to it. */
  readonly isRead: boolean
}

/**
 * Checks that batches, entries, tiles and index agree and give the signed root. The leaves exist twice, in batches and in entries: the copy that gives the root
 * says what the other should be. Passes on the leaves in order, a batch at a time.
 */
export async function checkLog(
  { checkpoint, verifier }: { readonly checkpoint: Checkpoint | undefined; readonly verifier: Verifier | undefined },
  onLeaves: (leaves: Bundle) => Promise<void>,
  { objects, add }: { readonly objects: Objects; readonly add: AddFinding },
): Promise<CheckedLog> {
  const survey = await surveyBatches(checkpoint, verifier, add, objects)
  const source = await trustedSource(checkpoint, survey, add, objects)
  let tail = EMPTY_TAIL
  const ends: number[] = []
  for await (const { key, first, entries } of source) {
    if (!survey.areWhole && !survey.unreadable.has(first)) {
      const stored = await objects.get(key)
      if (stored !== undefined && !haveSameLeaves(decodeBatch(key, stored.body), entries))
        add(key, 'its leaves are not those that were signed')
    }
    const { parts, tail: after } = partsOf(
      tail,
      entries.map((bytes) => ({ bytes, name: nameIn(bytes) })),
    )
    tail = after
    ends.push(after.edge.size)
    const problems = await concurrently(parts, AT_ONCE, async (part) => {
      const stored = await objects.get(part.key)
      if (stored === undefined) return 'it is missing'
      return areEqual(stored.body, part.body) ? undefined : 'it is not what the leaves make'
    })
    for (const [at, problem] of problems.entries()) if (problem !== undefined) add(parts[at]?.key ?? null, problem)
    await onLeaves({ key, first, entries })
  }
  const isRead = tail.edge.size === survey.end
  if (!isRead) add(null, `The log cannot be read after leaf ${tail.edge.size}, so nothing after it was checked`)
  return { ends, unfinished: survey.unfinished, isRead }
}

function haveSameLeaves(batch: readonly Entry[], entries: readonly Uint8Array[]): boolean {
  return batch.length === entries.length && batch.every(({ bytes }, at) => areEqual(bytes, entries[at] ?? Buffer.of()))
}

/** The state of the batches alone. */
type Survey = {
  /** The numbers of the first leaves of the batches, including missing ones. */
  readonly firsts: readonly number[]
  /** The key of the batch that begins with a leaf, for batches that are not in the first place. */
  readonly keys: ReadonlyMap<number, string>
  /** The number after the last leaf. */
  readonly end: number
  /** Those of {@link firsts} whose batch is missing or damaged. */
  readonly unreadable: ReadonlySet<number>
  /** Whether the batches join and give the signed root; if nothing is signed, whether they join. */
  readonly areWhole: boolean
  readonly unfinished: readonly Entry[]
}

async function surveyBatches(
  checkpoint: Checkpoint | undefined,
  verifier: Verifier | undefined,
  add: AddFinding,
  objects: Objects,
): Promise<Survey> {
  const places = new Map<number, string[]>()
  for await (const key of objects.list(batchPrefix)) {
    const first = parseBatchKey(key)
    if (first !== undefined) places.set(first, [...(places.get(first) ?? []), key])
  }
  const listed = [...places.keys()].toSorted((a, b) => a - b)
  const known = new Set(listed)
  const keys = new Map<number, string>()
  const pick = async (first: number, root: Hash | undefined): Promise<Entry[] | undefined> => {
    const { key, entries } = await pickBatch(places.get(first) ?? [], { size: first, root, verifier }, add, objects)
    keys.set(first, key)
    return entries
  }
  const size = checkpoint?.size ?? Infinity
  const firsts: number[] = []
  const unreadable = new Set<number>()
  let tree = EMPTY_RANGE
  let last: number | undefined
  let end = 0
  while (end < size) {
    const next = listed[partitionPoint(listed, (first) => first <= end)]
    if (!known.has(end) && size === Infinity && next === undefined) break
    const entries = known.has(end) ? await pick(end, unreadable.size === 0 ? rootOf(tree) : undefined) : undefined
    if (!known.has(end)) add(batchKey(end), missingAfter(last))
    firsts.push(end)
    last = end
    if (entries === undefined) {
      unreadable.add(end)
      end = Math.min(next ?? size, size)
      if (end === Infinity) break
    } else {
      if (unreadable.size === 0) for (const { bytes } of entries) tree = appendLeaf(tree, leafHash(bytes))
      end += entries.length
    }
  }
  if (checkpoint !== undefined && end > checkpoint.size)
    add(
      checkpointKey,
      `it has ${checkpoint.size} leaves, and batch "${keys.get(last ?? 0) ?? batchKey(last ?? 0)}" goes on to leaf ${end - 1}`,
    )
  for (const first of listed.filter((one) => one < end && !firsts.includes(one)))
    for (const key of places.get(first) ?? []) {
      add(key, 'it begins inside another batch')
      const stored = verifier === undefined ? undefined : await objects.get(key)
      if (verifier === undefined || stored === undefined || !isClaimed(stored.body, { size: first }, verifier)) continue
      const outer = firsts.findLast((one) => one < first) ?? 0
      add(keys.get(outer) ?? batchKey(outer), `it has the place of "${key}", which the log's key claimed`)
    }
  const areWhole =
    unreadable.size === 0 &&
    (checkpoint === undefined || (end === checkpoint.size && areEqual(rootOf(tree), checkpoint.root)))
  const root = checkpoint?.size === end ? checkpoint.root : undefined
  const unfinished = await readUnfinished(listed, end, (first) => pick(first, root), add)
  return { firsts, keys, end: Math.min(end, size), unreadable, areWhole, unfinished }
}

/**
 * Picks from the objects in the places of one batch the one that the log's key claimed, or the first one in a log of a version without claims. The rest are not
 * batches. Without entries if it is damaged.
 */
async function pickBatch(
  keys: readonly string[],
  { size, root, verifier }: { size: number; root: Hash | undefined; verifier: Verifier | undefined },
  add: AddFinding,
  objects: Objects,
): Promise<{ readonly key: string; readonly entries: Entry[] | undefined }> {
  const place = { size, ...(root === undefined ? {} : { root }) }
  const bodies = new Map<string, Uint8Array>()
  for (const key of verifier === undefined ? keys.slice(0, 1) : keys) {
    const stored = await objects.get(key)
    if (stored !== undefined) bodies.set(key, stored.body)
  }
  const claimed = keys.find(
    (key) => verifier !== undefined && isClaimed(bodies.get(key) ?? Buffer.of(), place, verifier),
  )
  const picked = claimed ?? keys[0] ?? batchKey(size)
  if (verifier !== undefined && claimed === undefined && hasClaim(bodies.get(picked) ?? Buffer.of()))
    add(picked, "its claim is not one of the log's key for this place")
  for (const key of keys)
    if (key !== picked)
      add(
        key,
        `the log's key did not claim it, and "${picked}" has its place: somebody else wrote it, or a run of an earlier version died`,
      )
  return { key: picked, entries: await readBatch(picked, add, objects) }
}

/** If a batch is truncated exactly after a leaf, the next batch seems to be missing. */
function missingAfter(last: number | undefined): string {
  return last === undefined ? 'it is missing' : `it is missing, or "${batchKey(last)}" was cut`
}

/** Undefined if it is damaged. */
async function readBatch(key: string, add: AddFinding, objects: Objects): Promise<Entry[] | undefined> {
  const stored = await objects.get(key)
  try {
    if (stored !== undefined) return decodeBatch(key, stored.body)
    add(key, 'it is missing')
  } catch (error) {
    if (!(error instanceof BatchError)) throw error
    add(key, error.message)
  }
  return undefined
}

/** The objects after the end of the log: a batch that a run has yet to finish, and nothing else. */
async function readUnfinished(
  listed: readonly number[],
  end: number,
  pick: (first: number) => Promise<Entry[] | undefined>,
  add: AddFinding,
): Promise<readonly Entry[]> {
  const [first, ...rest] = listed.filter((one) => one >= end)
  for (const one of rest)
    add(
      batchKey(one),
      `it comes after a batch that "${checkpointKey}" does not reach: the checkpoint was put back to an earlier one`,
    )
  if (first === undefined) return []
  if (first !== end) add(batchKey(first), 'no batch ends where it begins')
  else
    add(
      batchKey(first),
      `"${checkpointKey}" does not reach it: a run of seal is under way or died, or the checkpoint was put back; run "ciphertrail seal"`,
    )
  return first === end ? ((await pick(first)) ?? []) : []
}

/** The leaves, a batch at a time, from their trusted copy. */
async function trustedSource(
  checkpoint: Checkpoint | undefined,
  survey: Survey,
  add: AddFinding,
  objects: Objects,
): Promise<AsyncGenerator<Bundle>> {
  if (survey.areWhole) return batches(survey, objects)
  if (checkpoint !== undefined && (await comeToRoot(checkpoint, objects))) return entries(survey, objects)
  if (checkpoint !== undefined) {
    add(checkpointKey, 'neither the batches nor the entries come to the root that was signed')
    await nameBundles(checkpoint.size, add, objects)
  }
  return batches(survey, objects)
}

/** Reports the entries that do not match their hash tiles. */
async function nameBundles(size: number, add: AddFinding, objects: Objects): Promise<void> {
  try {
    for await (const { key, problem } of bundlesThatDiffer(size, objects)) add(key, problem)
  } catch (error) {
    if (!(error instanceof PartError)) throw error
    add(error.key, error.problem)
  }
}

async function comeToRoot({ size, root }: Checkpoint, objects: Objects): Promise<boolean> {
  try {
    const { tree } = await treeOfEntries(size, [], objects)
    return areEqual(rootOf(tree), root)
  } catch (error) {
    if (error instanceof PartError) return false
    throw error
  }
}

/** Ends before the first unreadable batch. */
async function* batches({ firsts, keys, unreadable }: Survey, objects: Objects): AsyncGenerator<Bundle> {
  for (const first of firsts) {
    const key = keys.get(first) ?? batchKey(first)
    const stored = unreadable.has(first) ? undefined : await objects.get(key)
    if (stored === undefined) return
    yield { key, first, entries: decodeBatch(key, stored.body).map(({ bytes }) => bytes) }
  }
}

/** The entries of the log, grouped as in the batches. */
async function* entries({ firsts, keys, end }: Survey, objects: Objects): AsyncGenerator<Bundle> {
  let waiting: Uint8Array[] = []
  let next = 0
  for await (const bundle of readEntries(end, objects)) {
    waiting.push(...bundle.entries)
    for (;;) {
      const first = firsts[next]
      const width = (firsts[next + 1] ?? end) - (first ?? end)
      if (first === undefined || waiting.length < width) break
      yield { key: keys.get(first) ?? batchKey(first), first, entries: waiting.slice(0, width) }
      waiting = waiting.slice(width)
      next++
    }
  }
}

/** Whether a log with these batch ends has a tile, full or partial. */
export function hasTile(tile: Tile, ends: readonly number[]): boolean {
  const level = tile.level === 'entries' ? 0 : tile.level
  const upTo = tile.index * TILE_WIDTH + tile.width
  const first = ends[partitionPoint(ends, (end) => hashesAt(level, end) < upTo)]
  if (first === undefined) return false
  return tile.width === TILE_WIDTH || hashesAt(level, first) === upTo
}

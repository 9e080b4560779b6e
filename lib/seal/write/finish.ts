import { checkpointKey, headKey, indexKey, tileKey } from '../../store/log-keys.ts'
import { ConflictError, type Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'
import type { Entry } from './batch.ts'
import { openCheckpoint, signCheckpoint } from '../tlog/checkpoint.ts'
import { concurrently } from '../../concurrently.ts'
import { grow, rootOfFrontier } from '../tlog/frontier.ts'
import { type Head, LogError, readHead, readTail, type Tail } from './head.ts'
import { nameOf } from '../leaf.ts'
import type { LastHead } from './last-head.ts'
import { leafHash } from '../tlog/merkle.ts'
import { isPlanted } from './planted.ts'
import type { Signer, Verifier } from '../tlog/note.ts'
import { encodeBundle, TILE_WIDTH, tilePath } from '../tlog/tiles.ts'
import { type Unfinished, unfinishedAfter } from './unfinished.ts'

/** The store of a log, and its key. */
export type LogDeps = {
  readonly objects: Objects
  readonly signer: Signer
  /** Verifies what the signer signs. */
  readonly verifier: Verifier
  /** Where the last signed head is remembered; undefined: nowhere. */
  readonly last?: LastHead | undefined
}

/** A log that may be extended: its head, and its tail if this run has read or made it. */
export type Log = { readonly head: Head; readonly tail?: Tail }

/** Each leaf is one more object, so a run writes several at once. */
const MAX_WRITES_AT_ONCE = 32

/**
 * Publishes every batch that the log's key claimed. Afterwards the head covers all that this run can see, and the tail leads to it. `onUnfinished` receives
 * what each place on the way holds.
 */
export async function finishAll(
  log: Log,
  deps: LogDeps,
  onUnfinished: (found: Unfinished) => void,
): Promise<{ readonly log: Log; readonly found: Unfinished }> {
  let finished = log
  for (;;) {
    const tail = finished.tail ?? (await readTail(finished.head, deps.objects))
    const found = await unfinishedAfter(finished.head, deps)
    if (found.claimed === undefined) return { log: { head: finished.head, tail }, found }
    onUnfinished(found)
    finished = await finish({ head: finished.head, tail }, found.claimed.entries, deps)
  }
}

/**
 * Publishes the batch that begins at the head: entries, tiles, the numbers of its leaves, and only then the checkpoint. All of it is computed from the batch,
 * so repeated and concurrent runs write the same bytes. If another run writes the checkpoint first, the log is the one that this run signed or a longer one.
 * Throws {@link LogError} if the log has something else in a place.
 */
export async function finish({ head, tail }: Log, batch: readonly Entry[], deps: LogDeps): Promise<Log> {
  const { objects, signer, verifier, last } = deps
  const before = tail ?? (await readTail(head, objects))
  const named = batch.map(({ leaf, bytes }) => ({ bytes, name: nameOf(leaf) }))
  const { parts, tail: after } = partsOf(before, named)
  await concurrently(parts, MAX_WRITES_AT_ONCE, (part) => putPart(part, before.edge.size, objects))

  const { edge } = after
  const root = rootOfFrontier(edge)
  const note = await signCheckpoint({ size: edge.size, root }, signer)
  // A broken signer, or one with another key, must not spoil the log.
  openCheckpoint(note, verifier)
  // After the batch is written and before the head: a run that crashes in between is finished by the next one, not refused.
  await last?.write({ size: edge.size, root })
  if (batch.some(({ leaf }) => leaf.kind === 'report')) await keepHead(edge.size, note, objects)
  const etag = await swap(checkpointKey, note, head.etag, objects)
  if (etag !== null) return { head: { size: edge.size, root, etag }, tail: after }
  const theirs = await readHead(objects, verifier)
  if (theirs.size < edge.size)
    throw new LogError(
      `Cannot extend the log: "${checkpointKey}" went back to ${theirs.size} leaves while this run added to ${head.size}; find out who changed the store`,
    )
  return { head: theirs }
}

/**
 * Keeps the first head that covers a report, because the next run replaces the checkpoint: a report's pack is the same whenever it is made. An object planted
 * there beforehand blocks nothing: readers check the signature.
 */
async function keepHead(size: number, note: Uint8Array, objects: Objects): Promise<void> {
  try {
    await objects.putOnce(headKey(size), note)
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
  }
}

/** An object of the log, and its bytes. */
export type Part = { readonly key: string; readonly body: Uint8Array }

/** The objects that further entries add to a log, except its checkpoint, and the tail after them: bundles, tiles, numbers of leaves. */
export function partsOf(
  before: Tail,
  added: readonly { readonly bytes: Uint8Array; readonly name: string | undefined }[],
): { readonly parts: readonly Part[]; readonly tail: Tail } {
  const { edge, tiles } = grow(
    before.edge,
    added.map(({ bytes }) => leafHash(bytes)),
  )
  const entries = [...before.entries, ...added.map(({ bytes }) => bytes)]
  const bundles = tiles
    .filter(({ tile }) => tile.level === 0)
    .map(({ tile }, at) => ({
      key: tileKey(tilePath({ ...tile, level: 'entries' })),
      body: encodeBundle(entries.slice(at * TILE_WIDTH, (at + 1) * TILE_WIDTH)),
    }))
  const hashes = tiles.map(({ tile, bytes }) => ({ key: tileKey(tilePath(tile)), body: bytes }))
  const numbers = added.flatMap(({ name }, at) =>
    name === undefined ? [] : [{ key: indexKey(name), body: Buffer.from(String(before.edge.size + at)) }],
  )
  return {
    parts: [...bundles, ...hashes, ...numbers],
    tail: { edge, entries: entries.slice(entries.length - (edge.size % TILE_WIDTH)) },
  }
}

async function putPart({ key, body }: Part, size: number, objects: Objects): Promise<void> {
  try {
    await objects.putOnce(key, body)
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    // A planted number must not keep an object from being sealed; listing reports it.
    if (await isPlanted(key, size, objects)) return
    throw new LogError(
      `Cannot extend the log: "${key}" has other bytes than its batches make, so something was changed; find out who changed the store, and put back what it held`,
      { cause: error },
    )
  }
}

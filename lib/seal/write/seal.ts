import { RETENTION_SECONDS, toTime } from '../../time/windows.ts'
import { parseEvidenceKey } from '../../store/keys.ts'
import { batchKey, vkeyKey } from '../../store/log-keys.ts'
import { ConflictError, type ObjectDigest, type Objects, UnusableError } from '../../store/objects/objects.ts'
import { foldLines } from '../../text/fold-lines.ts'
import { type WatchedCluster, readWatched } from '../../store/registry/registry.ts'
import { claimOf, encodeBatch, leafEntry, isClaimed, MAX_LEAVES } from './batch.ts'
import { concurrently } from '../../concurrently.ts'
import { finish, finishAll, type Log, type LogDeps } from './finish.ts'
import { LogError, readHead } from './head.ts'
import { checkLastHead, type LastHead } from './last-head.ts'
import { leafKind, type Leaf, type LeafKind } from '../leaf.ts'
import type { Hash } from '../tlog/merkle.ts'
import { NoteError, type Signer, verifierOf } from '../tlog/note.ts'
import { type Pending, pendingOf } from './pending.ts'
import { readProgress, scopeFrom, writeProgress } from './progress.ts'
import { type SealedSoFar, leavesOfUnclaimed, type Unfinished } from './unfinished.ts'

/** Once a window has been lost for this long, its number is not checked again each time. */
const LATE_SECONDS = 26 * 60 * 60

/** Most lines about objects put aside. */
const MAX_LINES = 10

/** Number of objects that are hashed at once. */
const MAX_READS_AT_ONCE = 16

/** Number of concurrent runs that may be first, before something else must be wrong. */
const MAX_ROUNDS = 100

/** Time of sealing, and how far a run looks back. */
export type SealInput = {
  readonly now: Date
  /** Default six hours. */
  readonly retentionSeconds?: number
  /** Looks at every window, whatever earlier runs did. */
  readonly everything?: boolean
}

/** The store, the log's key, and a callback for progress. */
export type SealDeps = {
  readonly objects: Objects
  readonly signer: Signer
  /** Where the last signed head is remembered; undefined: nowhere, and a store restored to an earlier state is sealed further. */
  readonly last?: LastHead | undefined
  /** Receives the number of leaves that this run has sealed, after each batch. */
  readonly onProgress?: (leaves: number) => void
}

/** The log after a run. */
export type Sealed = {
  /** Leaves that this run sealed, by kind; a kind with none is absent. If two runs made the same batch, both count its leaves. */
  readonly leaves: Readonly<Partial<Record<LeafKind, number>>>
  readonly size: number
  readonly root: Hash
  /** What was left out, in lines: gaps if the registry is unreadable, and objects in the log that its key had not claimed. */
  readonly errors: readonly string[]
}

/**
 * Extends the log by everything stored since, and by a gap for each expected window that can no longer be collected; by a heartbeat if there is nothing.
 * Concurrent and crashed runs leave one log, in which each object has one leaf. If the log contradicts itself or has another key, throws {@link LogError} or a
 * `NoteError` and adds nothing.
 */
export async function seal(
  { now, retentionSeconds = RETENTION_SECONDS, everything = false }: SealInput,
  { objects, signer, last, onProgress }: SealDeps,
): Promise<Sealed> {
  const deps = { objects, signer, verifier: verifierOf(signer.vkey), last }
  await claimLog(deps)
  const seconds = now.getTime() / 1000
  const { clusters, errors } = await clustersOf(objects)
  const progress = await readProgress(objects)
  const from = everything ? null : scopeFrom(progress, { now: seconds, retentionSeconds, clusters })
  const scope = { from, clusters, lostUntil: seconds - retentionSeconds }
  const known = { ...scope, now: seconds, sealedAt: progress.progress?.sealedAt ?? null }
  // A window is at most an hour, and is collected at most a day late.
  const since = scope.lostUntil - LATE_SECONDS
  const planted = new Set<string>()
  const list = (size: number): AsyncIterable<Pending> => {
    planted.clear()
    return pendingOf(scope, objects, { size, since, isWhole: from === null, onPlanted: (key) => planted.add(key) })
  }
  const { log, leaves, putAside, unusable } = await extend(list, known, deps, onProgress)
  if (errors.length === 0) await writeProgress(progress, { now: seconds, isWhole: from === null }, objects)
  return {
    leaves,
    size: log.head.size,
    root: log.head.root,
    errors: [...errors, ...foldLines(unusable), ...fewLines(putAside), ...plantedLines(planted)],
  }
}

/**
 * Extends a log that belongs to its key: finish the existing batches, then list what is in none of them, then claim the next batch. The order matters: an
 * object listed before an unfinished batch is finished would be sealed twice. Calls `list` again whenever another run was first. Puts aside unclaimed objects
 * in a batch's place, which `putAside` reports in lines; their leaves are made again from the stored objects. Leaves out what cannot be read, which `unusable`
 * reports in lines.
 */
export async function extend(
  list: (size: number) => AsyncIterable<Pending>,
  known: SealedSoFar,
  deps: LogDeps,
  onProgress: (leaves: number) => void = () => {},
): Promise<{
  readonly log: Log
  readonly leaves: Partial<Record<LeafKind, number>>
  readonly putAside: readonly string[]
  readonly unusable: readonly string[]
}> {
  const leaves: Partial<Record<LeafKind, number>> = {}
  let log: Log = { head: await readHead(deps.objects, deps.verifier) }
  if (deps.last !== undefined) await checkLastHead(log.head, deps.last, deps)
  let isQuiet = true
  const aside = new Map<string, string>()
  const unusable = new Set<string>()

  function putAside(key: string, why: string): void {
    aside.set(key, `Put aside "${key}", which the log's key did not claim: ${why}; find out who wrote it`)
  }

  /** Claims the batch at the head, if that is still the end of the log afterwards. False if another run was first. */
  async function add(batch: readonly Leaf[], place = 1): Promise<boolean> {
    const entries = batch.map(leafEntry)
    const body = encodeBatch(entries, await claimOf(entries, log.head, deps.signer))
    // A broken signer, or one with another key, must not spoil the log.
    if (!isClaimed(body, log.head, deps.verifier))
      throw new NoteError('Cannot claim a batch of the log: the signature does not fit the key')
    isQuiet = false
    try {
      await deps.objects.putOnce(batchKey(log.head.size, place), body)
    } catch (error) {
      if (error instanceof ConflictError) return false
      throw error
    }
    for (const { kind } of batch) leaves[kind] = (leaves[kind] ?? 0) + 1
    onProgress(Object.values(leaves).reduce((sum, count) => sum + count, 0))
    const end = log.head.size + batch.length
    log = await finish(log, entries, deps)
    return log.head.size === end
  }

  /** Claims an unclaimed batch if it matches the store: nothing else could follow the tiles that an earlier version made from it. */
  async function addUnclaimed({ unclaimed, place }: Unfinished): Promise<'added' | 'beaten' | 'none'> {
    for (const one of unclaimed) {
      const found = await leavesOfUnclaimed(one, log.head.size, known, deps.objects)
      if (typeof found !== 'string') return (await add(found, place)) ? 'added' : 'beaten'
      putAside(one.key, found)
    }
    return 'none'
  }

  async function addListed(firstPlace: number): Promise<boolean> {
    let place = firstPlace
    for await (const group of groupsOf(list(log.head.size), MAX_LEAVES)) {
      const found = await concurrently(group, MAX_READS_AT_ONCE, (pending) => leafOf(pending, deps.objects))
      const batch = found.filter((leaf) => typeof leaf !== 'string')
      for (const line of found) if (typeof line === 'string') unusable.add(line)
      if (batch.length === 0) continue
      if (!(await add(batch, place))) return false
      place = 1
    }
    return !isQuiet || (await add([{ kind: 'heartbeat', time: toTime(Math.floor(known.now)) }], place))
  }

  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const { log: finished, found } = await finishAll(log, deps, ({ claimed, unclaimed }) => {
      for (const { key } of unclaimed) putAside(key, `"${claimed?.key ?? ''}" took its place`)
    })
    log = finished
    const outcome = await addUnclaimed(found)
    if (outcome === 'none' && (await addListed(found.place)))
      return { log, leaves, putAside: [...aside.values()], unusable: [...unusable] }
  }
  throw new LogError(`Cannot extend the log: other runs were first ${MAX_ROUNDS} times, run it again`)
}

/** Shortens a flood of lines, which anyone with write access could cause. */
function fewLines(lines: readonly string[]): readonly string[] {
  if (lines.length <= MAX_LINES) return lines
  return [
    ...lines.slice(0, MAX_LINES),
    `and ${lines.length - MAX_LINES} more were put aside; "ciphertrail log check" names each`,
  ]
}

/** One line for all numbers that contradict the log. */
function plantedLines([first, ...more]: Iterable<string>): string[] {
  if (first === undefined) return []
  const others = more.length === 0 ? '' : ` and ${more.length} more`
  return [
    `Sealed what "${first}"${others} hid: the number there is of no leaf that names it; find out who wrote it, and move it away`,
  ]
}

/** The leaf of a stored object; a line if it cannot be read. */
async function leafOf(pending: Pending, objects: Objects): Promise<Leaf | string> {
  if ('gap' in pending) return pending.gap
  const { key } = pending
  let stored: ObjectDigest | undefined
  try {
    stored = await objects.digest(key)
  } catch (error) {
    if (error instanceof UnusableError) return `Cannot seal "${key}": ${error.state}`
    throw error
  }
  const kind = leafKind(key)
  if (stored === undefined || kind === undefined || kind === 'gap' || kind === 'heartbeat')
    throw new LogError(`Cannot seal "${key}": it was listed, and is not there any more; find out who removed it`)
  const { version, ...digest } = stored
  // With the version, the sealed object can be read even after it was overwritten.
  const thing = { key, ...digest, ...(version === null ? {} : { versionId: version }) }
  const id = kind === 'snapshot' ? parseEvidenceKey(key) : undefined
  return kind === 'snapshot'
    ? { kind, ...thing, ...(id === undefined ? {} : { cluster: id.cluster, window: id.window }) }
    : { kind, ...thing }
}

/** Writes the public key beside a log that has none yet. Throws {@link LogError} if the log has another key. */
async function claimLog({ objects, signer: { vkey }, verifier }: LogDeps): Promise<void> {
  const theirs = await readVkey(objects)
  if (theirs === undefined) {
    // Not beside a log that another key signed.
    await readHead(objects, verifier)
    try {
      return await objects.putOnce(vkeyKey, Buffer.from(`${vkey}\n`))
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
    }
  }
  const stored = theirs ?? (await readVkey(objects))
  if (stored !== vkey)
    throw new LogError(
      `Cannot seal with key ${JSON.stringify(vkey)}: the log in this store is of key ${JSON.stringify(stored ?? '')}, use that one`,
    )
}

async function readVkey(objects: Objects): Promise<string | undefined> {
  const stored = await objects.get(vkeyKey)
  return stored === undefined ? undefined : Buffer.from(stored.body).toString().replace(/\n$/, '')
}

async function clustersOf(
  objects: Objects,
): Promise<{ clusters: readonly WatchedCluster[]; errors: readonly string[] }> {
  try {
    return { clusters: await readWatched({ objects }), errors: [] }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    // Stored objects are sealed even if the expected windows are unknown.
    return { clusters: [], errors: [`${error.message}; gaps are not sealed until then`] }
  }
}

async function* groupsOf<T>(items: AsyncIterable<T>, most: number): AsyncGenerator<T[]> {
  let group: T[] = []
  for await (const item of items) {
    group.push(item)
    if (group.length < most) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}

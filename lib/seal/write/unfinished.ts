import { toSeconds } from '../../time/windows.ts'
import type { Seconds } from '../../model/time.ts'
import { attemptsPrefix } from '../../store/keys.ts'
import { batchKey, indexKey } from '../../store/log-keys.ts'
import { type Objects, UnusableError } from '../../store/objects/objects.ts'
import type { WatchedCluster } from '../../store/registry/registry.ts'
import { BatchError, type BatchPlace, decodeBatch, type Entry, isClaimed } from './batch.ts'
import { concurrently } from '../../concurrently.ts'
import { expectedWindows } from './expected.ts'
import { LogError } from './head.ts'
import { type Leaf, nameOf } from '../leaf.ts'
import type { Verifier } from '../tlog/note.ts'
import { NO_ATTEMPT } from './pending.ts'

/** Most objects at one place that are skipped because they are not batches of the log. */
const MAX_PLACES = 1000

/** Number of leaves that are compared with the store at once. */
const AT_ONCE = 16

/** The objects in the place of the next batch of a log. */
export type Unfinished = {
  /** The batch that a run claimed and did not finish, or is finishing; undefined if there is none. */
  readonly claimed: { readonly key: string; readonly entries: readonly Entry[] } | undefined
  /** Objects before it that the log's key did not claim. */
  readonly unclaimed: readonly { readonly key: string; readonly body: Uint8Array }[]
  /** The first empty place, for {@link batchKey}. */
  readonly place: number
}

/**
 * Finds the batch that follows a head: the first one that the log's key claimed. Places are written once, and a run claims one only after it saw no claim
 * before it, so every run finds the same batch. Without the head's root, a claim is checked against its size alone. Throws a `BatchError` if a later version
 * claimed it.
 */
export async function unfinishedAfter(
  head: Pick<BatchPlace, 'size'> & Partial<BatchPlace>,
  { objects, verifier }: { readonly objects: Objects; readonly verifier: Verifier },
): Promise<Unfinished> {
  const unclaimed: { key: string; body: Uint8Array }[] = []
  for (let place = 1; place <= MAX_PLACES; place++) {
    const key = batchKey(head.size, place)
    const stored = await objects.get(key).catch((error: unknown) => {
      // It is no batch, whatever it is.
      if (error instanceof UnusableError) return { body: Buffer.of() }
      throw error
    })
    if (stored === undefined) return { claimed: undefined, unclaimed, place }
    if (isClaimed(stored.body, head, verifier))
      return { claimed: { key, entries: decodeBatch(key, stored.body) }, unclaimed, place }
    unclaimed.push({ key, body: stored.body })
  }
  throw new LogError(
    `Cannot extend the log: ${MAX_PLACES} objects from "${batchKey(head.size)}" on are none that its key claimed; find out who writes to the store`,
  )
}

/** The context in which a run judges leaves that it did not make. */
export type SealedSoFar = {
  readonly now: Seconds
  /** When the last completed run began; null if unknown. */
  readonly sealedAt: Seconds | null
  /** The same as in `Scope`. */
  readonly clusters: readonly WatchedCluster[]
  readonly lostUntil: Seconds
}

/**
 * The leaves of an unclaimed batch, if each is what this run would make from the store; else the reason, in words that follow its key. A version without claims
 * may have crashed after it wrote tiles of such a batch, so that no other can take its place.
 */
export async function leavesOfUnclaimed(
  { key, body }: Unfinished['unclaimed'][number],
  first: number,
  known: SealedSoFar,
  objects: Objects,
): Promise<readonly Leaf[] | string> {
  let leaves: readonly Leaf[]
  try {
    leaves = decodeBatch(key, body).map(({ leaf }) => leaf)
  } catch (error) {
    if (error instanceof BatchError) return 'it is no batch'
    throw error
  }
  const names = leaves.map(nameOf).filter((name) => name !== undefined)
  if (new Set(names).size < names.length) return 'it names something twice'
  const problems = await concurrently([...leaves.entries()], AT_ONCE, async ([at, leaf]) => {
    const name = nameOf(leaf)
    const index = name === undefined ? undefined : await objects.get(indexKey(name))
    if (index !== undefined && Buffer.from(index.body).toString() !== String(first + at))
      return `leaf ${first + at} names what the log has already`
    const problem = await disagreement(leaf, known, objects)
    return problem === undefined ? undefined : `leaf ${first + at} ${problem}`
  })
  return problems.find((problem) => problem !== undefined) ?? leaves
}

/** How a leaf differs from the store; undefined if it does not. */
async function disagreement(leaf: Leaf, known: SealedSoFar, objects: Objects): Promise<string | undefined> {
  if ('key' in leaf) {
    const stored = await objects.digest(leaf.key).catch((error: unknown) => {
      if (error instanceof UnusableError) return undefined
      throw error
    })
    const isThat =
      stored !== undefined &&
      stored.sha256 === leaf.sha256 &&
      stored.size === leaf.size &&
      (stored.version ?? undefined) === leaf.versionId
    return isThat ? undefined : `is not what is stored as "${leaf.key}"`
  }
  switch (leaf.kind) {
    case 'heartbeat': {
      const time = toSeconds(leaf.time)
      const isOfNow = known.sealedAt !== null && time >= Math.floor(known.sealedAt) && time <= known.now
      return isOfNow ? undefined : `tells of the time ${leaf.time}, at which nobody sealed`
    }
    case 'gap':
      return (await isLost(leaf, known, objects)) ? undefined : 'is a gap for a window that is none'
  }
}

/** Whether a window was expected, can no longer be collected, and has no attempt. */
async function isLost(
  { cluster, window, reason }: Extract<Leaf, { readonly kind: 'gap' }>,
  { clusters, lostUntil }: SealedSoFar,
  objects: Objects,
): Promise<boolean> {
  const until = Math.min(lostUntil, toSeconds(window.end))
  const expected = expectedWindows(
    clusters.filter(({ id }) => id === cluster),
    toSeconds(window.start),
    until,
  )
  const isExpected = [...expected].some((one) => one.window.start === window.start && one.window.end === window.end)
  if (reason !== NO_ATTEMPT || !isExpected) return false
  // What cannot be listed may hold an attempt.
  if (((await objects.unusable?.(`${attemptsPrefix(window, cluster)}_`)) ?? null) !== null) return false
  for await (const _ of objects.list(attemptsPrefix(window, cluster))) return false
  return true
}

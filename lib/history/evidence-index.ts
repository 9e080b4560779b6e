import type { AssessInput, ListsOfSnapshot } from '../assess/window/window.ts'
import { toSeconds, toTime } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Coverage, WindowResult } from '../model/window.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Window } from '../model/time.ts'
import { budget } from '../observed/budget.ts'
import { compareText } from '../text/order.ts'
import { type Archive, ArchiveNeededError, dayOf, digestOfKeys } from './archive.ts'
import { type ListedEvidence, newEvidence } from './listed-evidence.ts'
import { EvidenceError, readSnapshot } from '../store/evidence/evidence.ts'
import { evidenceBefore, evidenceKey, evidencePrefix, parseEvidenceKey } from '../store/keys.ts'
import type { EvidenceId } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readSetAside } from '../store/evidence/set-aside.ts'
import { windowId } from '../store/evidence/selected-attempt.ts'
import type { AttemptedWindow, KnownAttempt } from '../store/evidence/selected-attempt.ts'

/** Assesses a window. Never throws: `collected` and `errors` of the result report unreadable evidence. */
export type Assess = (input: AssessInput) => WindowResult

/** Indexed evidence can no longer be read, so it must be indexed again. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError'
  readonly key: string
  constructor(key: string, options: ErrorOptions) {
    super(`Cannot read "${key}" any more`, options)
    this.key = key
  }
}

/** How long after its window evidence may arrive: Prometheus is queried for windows up to 15 days old. */
const LATEST_SECONDS = 16 * 24 * 60 * 60

/** Replays may have times ahead of the clock. */
const AHEAD_SECONDS = 2 * 366 * 24 * 60 * 60

/** Nothing was collected before; a few years of windows without evidence fit into memory. */
const EARLIEST = '2020-01-01T00:00:00Z'

/** Number of decoded snapshots kept, because neighbouring windows share lists. */
const SNAPSHOTS_KEPT = 4

/** Dependencies for reading new evidence. */
export type IndexDeps = {
  readonly objects: Objects
  readonly assess: Assess
  /** Returned by {@link snapshotReader}. */
  readonly snapshots: (key: string) => Promise<Snapshot>
}

/** Known evidence, and where to look for more. */
export type IndexInput = {
  /** In time order. */
  readonly known: readonly AttemptedWindow[]
  /** Archived evidence, known only by digest; null if there is none. */
  readonly archive: Archive | null
  /** Keys of known attempts to read again. */
  readonly distrusted: ReadonlySet<string>
  /** The only attempts to check; if absent, all stored ones of windows that could still be collected at the last known window. */
  readonly attempts?: readonly EvidenceId[] | undefined
  /** Additional attempts to check. */
  readonly more: readonly EvidenceId[]
  /** An existing list of all clusters' evidence, which saves listing; absent if there is none. */
  readonly listed?: ListedEvidence | undefined
  /** Current time; if absent, no window is too far ahead. */
  readonly now?: Date | undefined
}

/**
 * Adds stored attempts that are not known yet to a cluster's evidence. Returns all evidence in time order, the attempts that were read, and a line if
 * attempts were left out. Attempts at impossible windows are left out, because all windows up to them would be created, and centuries do not fit into memory.
 * Throws {@link ArchiveNeededError} for an attempt from the archive's time that the archive does not contain.
 */
export async function indexEvidence(
  cluster: Cluster,
  { known, archive, distrusted, attempts, more, listed: all, now }: IndexInput,
  deps: IndexDeps,
): Promise<{ evidence: AttemptedWindow[]; added: KnownAttempt[]; impossible: readonly string[] }> {
  const latest = now === undefined ? undefined : toTime(Math.ceil(now.getTime() / 1000) + AHEAD_SECONDS)
  const isPossible = ({ start, end }: Window): boolean => start >= EARLIEST && (latest === undefined || end <= latest)
  const impossible: string[] = []
  const windows = new Map(known.map((window) => [windowId(window), window]))
  const indexed = new Set(known.flatMap((window) => window.attempts.map(({ key }) => key)))
  const added: KnownAttempt[] = []
  const isOld = ({ start }: Window): boolean => archive !== null && start < archive.until
  const named = [...(attempts ?? []), ...more]
  if (named.some(({ window }) => isOld(window))) throw new ArchiveNeededError()
  const since = dayToLookFrom(known, now)
  const listed =
    attempts === undefined
      ? ((all === undefined ? undefined : newEvidence(cluster.id, { since, archive }, all)) ??
        storedSince(since, deps.objects))
      : []
  const old: string[] = []
  // Distrusted attempts are always checked, or an unreadable one would fail again and again.
  const again = new Set(distrusted)
  for await (const key of eachOf(listed, [...named.map(evidenceKey), ...distrusted])) {
    const parsed = parseEvidenceKey(key)
    if (parsed?.cluster !== cluster.id || (indexed.has(key) && !again.has(key))) continue
    indexed.add(key)
    again.delete(key)
    if (!isPossible(parsed.window)) {
      impossible.push(key)
      continue
    }
    if (isOld(parsed.window)) {
      old.push(key)
      continue
    }
    const attempt = await readAttempt(key, parsed.attempt, deps)
    added.push(attempt)
    const window = windows.get(windowId(parsed.window)) ?? { ...parsed.window, attempts: [] }
    const others = window.attempts.filter((other) => other.key !== key)
    windows.set(windowId(window), {
      ...window,
      attempts: [...others, attempt].toSorted((a, b) => a.number - b.number),
    })
  }
  refuseUnarchived(old, archive)
  return {
    evidence: [...windows.values()].toSorted((a, b) => compareText(windowId(a), windowId(b))),
    added,
    impossible: impossibleLines(impossible),
  }
}

/** Throws if the listed keys of a day differ from those of the archive. */
function refuseUnarchived(keys: readonly string[], archive: Archive | null): void {
  const named = new Map(archive?.days.map((day) => [day.day, day.keys]))
  for (const [day, own] of Map.groupBy(keys, (key) => dayOf(parseEvidenceKey(key)?.window.start ?? '')))
    if (named.get(day) !== digestOfKeys(own)) throw new ArchiveNeededError()
}

function impossibleLines([first, ...more]: readonly string[]): string[] {
  if (first === undefined) return []
  const others = more.length === 0 ? '' : ` and ${more.length} more`
  return [`Cannot use "${first}"${others}: nobody can have collected such a window by now, find out who stored it`]
}

async function* eachOf(keys: AsyncIterable<string> | Iterable<string>, more: Iterable<string>): AsyncGenerator<string> {
  yield* keys
  yield* more
}

/**
 * Returns the first day to search for new evidence; undefined for all of it. A whole day, because the archive is compared by day. Planned windows are never
 * older; collecting older ones names them, and copied evidence needs a rebuild.
 */
function dayToLookFrom(known: readonly AttemptedWindow[], now: Date | undefined): string | undefined {
  // A window in the future must not hide evidence that is collected now.
  const isPast = ({ start }: Window): boolean => now === undefined || toSeconds(start) * 1000 <= now.getTime()
  const latest = known.findLast(isPast)?.start
  return latest === undefined ? undefined : dayOf(toTime(toSeconds(latest) - LATEST_SECONDS))
}

function storedSince(day: string | undefined, objects: Objects): AsyncIterable<string> {
  return objects.list(evidencePrefix, day === undefined ? undefined : evidenceBefore(`${day}T00:00:00Z`))
}

async function readAttempt(key: string, number: number, { assess, snapshots }: IndexDeps): Promise<KnownAttempt> {
  let snapshot: Snapshot
  try {
    snapshot = await snapshots(key)
  } catch (error) {
    if (!(error instanceof UnreadableError) || !(error.cause instanceof EvidenceError)) throw error
    const { message } = error.cause
    return {
      key,
      number,
      complete: false,
      startedAt: null,
      listsAt: null,
      observedSeconds: null,
      error: message,
    }
  }
  const { complete, startedAt } = snapshot
  const lists = listsOf(key, snapshot)
  // Uses only the attempt's own list, taken after the window, because other evidence must not decide between attempts.
  const observedSeconds = complete ? null : observedIn(assess({ key, snapshot, before: null, after: lists }).coverage)
  return { key, number, complete, startedAt, listsAt: lists?.takenAt ?? null, observedSeconds, error: null }
}

function observedIn(coverage: readonly Coverage[]): number {
  return coverage.reduce((sum, { observedSeconds }) => sum + observedSeconds, 0)
}

/** Returns the Kubernetes lists of a snapshot; null if they were not read completely. */
export function listsOf(key: string, { kubernetes, proxies, window }: Snapshot): ListsOfSnapshot | null {
  const { status, takenAt, lists } = kubernetes
  if (status !== 'complete' || takenAt === null) return null
  return { key, takenAt, lists, ...(proxies === undefined ? {} : { pages: { end: window.end, pages: proxies.pages } }) }
}

/**
 * Returns a reader of a cluster's snapshots that are not set aside. It keeps the last few. Throws {@link UnreadableError}, with the `EvidenceError` as its
 * cause.
 */
export function snapshotReader(cluster: string, objects: Objects): (key: string) => Promise<Snapshot> {
  const kept = new Map<string, Snapshot>()
  let setAside: ReadonlyMap<string, string> | undefined
  return async (key) => {
    let snapshot = kept.get(key)
    if (snapshot === undefined) {
      try {
        setAside ??= await readSetAside(cluster, objects)
        const problem = setAside.get(key)
        if (problem !== undefined) throw new EvidenceError(key, problem)
        snapshot = await readSnapshot(key, objects)
      } catch (error) {
        if (error instanceof EvidenceError) throw new UnreadableError(key, { cause: error })
        throw error
      }
    }
    // Move the snapshot to the end, so that the least recently used one is first.
    kept.delete(key)
    kept.set(key, snapshot)
    for (const oldest of kept.keys()) {
      if (oldest === key || (kept.size <= SNAPSHOTS_KEPT && lengthOf(kept.values()) <= budget().source)) break
      kept.delete(oldest)
    }
    return snapshot
  }
}

/** Total length of the snapshots' answers, because fewer large snapshots fit into memory. */
function lengthOf(snapshots: Iterable<Snapshot>): number {
  let length = 0
  for (const { metrics, cadvisor, proxies } of snapshots)
    for (const { body } of [...metrics.answers, ...(cadvisor?.answers ?? []), ...(proxies?.pages ?? [])])
      length += body.length
  return length
}

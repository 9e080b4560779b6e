import { isDeepStrictEqual } from 'node:util'
import { toSeconds } from '../time/windows.ts'
import { DERIVATION } from '../model/window.ts'
import type { Cluster } from '../model/registry.ts'
import type { Window } from '../model/time.ts'
import { ArchiveNeededError, type FoldedWindow, readUnarchived, settingsUntil } from './archive.ts'
import { type Assess, type IndexDeps, indexEvidence, snapshotReader, UnreadableError } from './evidence-index.ts'
import { archiveOf, parseWindowKey, stateKey, windowKey } from '../store/keys.ts'
import type { EvidenceId } from '../store/keys.ts'
import type { ListedEvidence } from './listed-evidence.ts'
import { foldMonths, settledCount, stillFolded, UNSETTLED_SECONDS } from './months.ts'
import { PreconditionFailedError } from '../store/objects/objects.ts'
import type { Objects } from '../store/objects/objects.ts'
import { makeResults } from './results.ts'
import { whileReading } from '../store/evidence/reading.ts'
import { BEFORE_SLACK_SECONDS, type KnownAttempt, listsIn, windowId } from '../store/evidence/selected-attempt.ts'
import { DamagedError } from '../store/objects/derived-object.ts'
import { readState } from './cluster-state.ts'
import type { ClusterState, StoredState } from './cluster-state.ts'
import { archiveLayout, stateWriter, writeLayout } from './write-derived.ts'
import { removeOrphans, keysUnder } from './remove-orphans.ts'

/** What the history of a cluster is derived with. */
export type DeriveDeps = {
  readonly objects: Objects
  readonly assess: Assess
  /** Default {@link UNSETTLED_SECONDS}. */
  readonly unsettledSeconds?: number
  /** When this is asked: evidence of windows years after it is not used. Absent: all is. */
  readonly now?: Date
}

/** What a run of deriving made. */
export type Derived = {
  /** The windows whose results were made, or made again, in time order. */
  readonly windows: readonly Window[]
  /** One line for each stored thing that could not be read. A window without other evidence is `not-collected`. */
  readonly errors: readonly string[]
}

/** How often others may be first: each time, they got on. */
const MAX_ROUNDS = 25

/**
 * Brings what is derived of one cluster up to its evidence: window results, then the state, which names them. Reads new evidence, and for each
 * window whose inputs changed the snapshots that it is made from. The months of the timeline stay as they are, since readers fold the windows
 * that are not in them yet; only where a window changed that is in them, they are made again.
 *
 * In whatever order evidence came, and whoever derives at the same time or dies, the same evidence ends in the same bytes once {@link compactCluster} ran:
 *
 * - A result is replaced only by one that knows all evidence that the present one was made from. Who knows less begins again.
 * - The state names every result and month by its hash, and is replaced by compare-and-swap before the months are. Only who
 *   wrote it may write them, until somebody else replaces it; it lists them until they are written.
 *
 * Evidence that cannot be read is told in `errors` and harms its own window only. Throws where the store fails, and where others
 * were first too often.
 *
 * @param attempts the only ones that may be new, as far as the caller knows; absent: all that is stored is looked through
 */
export async function deriveCluster(
  cluster: Cluster,
  deps: DeriveDeps,
  attempts?: readonly EvidenceId[],
): Promise<Derived> {
  return deriveInRounds(cluster, deps, {
    isRebuild: false,
    readsMonths: false,
    attempts,
    countOf: (windows, folded) => folded ?? settledCountOf(windows, deps),
  })
}

/**
 * Derives as {@link deriveCluster} does, from all evidence, and brings the months up to every window that is old enough not to change any more.
 *
 * @param more attempts that may be of windows so old that nothing new is looked for there
 * @param listed what was listed of all clusters a moment ago; absent: the evidence is listed for this one
 */
export async function compactCluster(
  cluster: Cluster,
  deps: DeriveDeps,
  more: readonly EvidenceId[] = [],
  listed?: ListedEvidence,
): Promise<Derived> {
  return deriveInRounds(cluster, deps, {
    isRebuild: false,
    readsMonths: true,
    more,
    listed,
    countOf: (windows, folded = 0) => Math.max(folded, settledCountOf(windows, deps)),
  })
}

/**
 * Derives all of a cluster again from evidence alone, whatever is stored, and removes derived objects that no evidence is behind.
 * An object that is right already stays as it is, so that readers find a history all the time.
 *
 * @param extent how far months and archive are to go; absent: as {@link compactCluster} has it
 */
export async function rebuildCluster(cluster: Cluster, deps: DeriveDeps, extent?: Extent): Promise<Derived> {
  const days = await keysUnder(archiveOf(cluster.id), deps.objects)
  const derived = await deriveInRounds(cluster, deps, {
    isRebuild: true,
    readsMonths: true,
    ...(extent === undefined ? {} : { archived: extent.archived }),
    countOf: (windows) =>
      extent === undefined
        ? settledCountOf(windows, deps)
        : windows.filter(({ end }) => extent.watermark !== null && end <= extent.watermark).length,
  })
  await removeOrphans(cluster.id, days, deps.objects)
  return derived
}

/** How far something that is derived goes. */
export type Extent = {
  /** The end of the last window that is in the months; null for none. */
  readonly watermark: string | null
  /** The last day that is in the archive, `2026-11-24`; null for none. */
  readonly archived: string | null
}

function settledCountOf(
  windows: readonly FoldedWindow[],
  { unsettledSeconds = UNSETTLED_SECONDS }: DeriveDeps,
): number {
  return settledCount(windows, unsettledSeconds)
}

type Task = {
  /** Nothing that is stored is believed but evidence. */
  readonly isRebuild: boolean
  /** Months that are up to date are looked at, too: somebody may have died before writing them. */
  readonly readsMonths: boolean
  readonly attempts?: readonly EvidenceId[] | undefined
  /** Attempts to look at besides. */
  readonly more?: readonly EvidenceId[]
  readonly listed?: ListedEvidence | undefined
  /** The last day that may go into the archive, null for none; absent: whatever is old enough. */
  readonly archived?: string | null
  /** How many of the windows go into the months; `folded` is how many are in them, if these still are what was folded. */
  readonly countOf: (windows: readonly FoldedWindow[], folded: number | undefined) => number
}

/** What the rounds before found out. */
type Found = {
  /** Keys of evidence to be read again, and of results to be made again. */
  readonly evidence: Set<string>
  readonly results: Set<string>
  /** Others know evidence that was not looked at. */
  looksEverywhere: boolean
  /** What changed may be in the archive, or needs it. */
  readsArchive: boolean
  /** The bytes of months that were made, by hash. */
  readonly bodies: Map<string, Uint8Array>
}

async function deriveInRounds(cluster: Cluster, deps: DeriveDeps, task: Task): Promise<Derived> {
  const found: Found = {
    evidence: new Set(),
    results: new Set(),
    looksEverywhere: false,
    readsArchive: false,
    bodies: new Map(),
  }
  for (let round = 0; round < MAX_ROUNDS; round++) {
    try {
      return await deriveOnce(cluster, deps, task, found)
    } catch (error) {
      if (error instanceof UnreadableError) found.evidence.add(error.key)
      else if (error instanceof DamagedError) found.results.add(error.key)
      else if (error instanceof ArchiveNeededError) found.readsArchive = true
      else if (!(error instanceof PreconditionFailedError)) throw error
      else if (parseWindowKey(error.key) !== undefined) found.looksEverywhere = true
    }
  }
  throw new Error(
    `Cannot derive "${cluster.id}": others changed it ${MAX_ROUNDS} times meanwhile, run it again when they are done`,
  )
}

async function deriveOnce(
  cluster: Cluster,
  { objects, assess, now }: DeriveDeps,
  { isRebuild, readsMonths, attempts, more = [], listed, archived, countOf }: Task,
  found: Found,
): Promise<Derived> {
  const stored = await readState(cluster.id, objects)
  const { base, damaged: damagedDay } = isRebuild
    ? { base: undefined, damaged: [] }
    : await baseOf(cluster, stored, found, objects)
  const deps: IndexDeps = {
    objects,
    assess: (input) => whileReading(input.key, () => assess(input)),
    snapshots: snapshotReader(cluster.id, objects),
  }
  const looked = base === undefined || found.looksEverywhere ? undefined : attempts
  const { evidence, added, impossible } = await indexEvidence(
    cluster,
    {
      known: base?.evidence ?? [],
      archive: base?.archive ?? null,
      distrusted: found.evidence,
      attempts: looked,
      more,
      // Others may know what came since.
      listed: found.looksEverywhere ? undefined : listed,
      now,
    },
    deps,
  )
  if (base !== undefined && changesArchive(added, base)) throw new ArchiveNeededError()
  // A rebuild mends whatever state there is: that it was damaged is no error of it.
  const damaged = isRebuild || stored.error === null ? [] : [stored.error]
  const errors = [...damaged, ...damagedDay, ...impossible, ...added.flatMap(({ error }) => error ?? [])]
  if (evidence.length === 0 && (base?.archive ?? null) === null) return { windows: [], errors }

  const current = stateWriter(cluster.id, stored, objects)
  const replacing = [...(stored.state?.replacing ?? [])]
  // Who looks at all evidence settles what somebody who died was about to replace; who does not, leaves it.
  const isWhole = looked === undefined
  const unsettled = isWhole ? replacing.map((window) => windowKey(cluster.id, window)) : []
  const { windows, made, overlapping } = await makeResults(
    cluster,
    {
      base,
      archive: base?.archive ?? null,
      evidence,
      distrustedEvidence: found.evidence,
      distrustedResults: new Set([...found.results, ...unsettled]),
      announce: async (next) => {
        if (stored.state === undefined) return
        if (!replacing.some((other) => windowId(other) === windowId(next) && other.sha256 === next.sha256))
          replacing.push(next)
        await current.replace({ ...stored.state, replacing })
      },
    },
    deps,
  )
  const folded = base === undefined ? undefined : stillFolded(base, windows)
  const count = countOf(windows, folded)
  const isKept = count === folded && !readsMonths
  const months =
    base !== undefined && isKept
      ? base
      : await foldMonths(cluster.id, base, windows.slice(0, count), { objects, bodies: found.bodies })
  const settled = new Set(made.map(windowId))
  const state: ClusterState = {
    derivation: DERIVATION,
    cluster: cluster.id,
    evidence,
    windows,
    replacing: isWhole ? [] : replacing.filter((window) => !settled.has(windowId(window))),
    timeline: months.timeline,
    months: months.months,
    unwritten: months.unwritten,
    archive: base?.archive ?? null,
  }
  const layout = archiveLayout(state, archived, cluster.windows, {
    isTrusted: base !== undefined,
    named: stored.state?.archive?.days ?? [],
  })
  await writeLayout(layout, current, { objects, bodies: found.bodies })
  return { windows: made, errors: [...errors, ...overlapping] }
}

/** What is known already, to be continued: with all that is archived where that may change, else without. Undefined where all is made again. */
async function baseOf(
  cluster: Cluster,
  { state, etag }: StoredState,
  { evidence, results, readsArchive }: Found,
  objects: Objects,
): Promise<{ readonly base: ClusterState | undefined; readonly damaged: readonly string[] }> {
  const archive = state?.archive ?? null
  if (state === undefined || archive === null) return { base: state, damaged: [] }
  const isSettled =
    evidence.size + results.size === 0 &&
    !readsArchive &&
    state.replacing.every(({ start }) => start >= archive.until) &&
    isDeepStrictEqual(archive.settings, settingsUntil(cluster.windows, archive.until))
  if (isSettled) return { base: state, damaged: [] }
  try {
    return { base: await readUnarchived(state, objects), damaged: [] }
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error
    const key = stateKey(cluster.id)
    // Whoever replaces a day replaces the state before.
    if ((await objects.get(key))?.etag !== etag) throw new PreconditionFailedError(key)
    return {
      base: undefined,
      damaged: [`Cannot read "${error.key}": damaged, so everything is derived again from evidence`],
    }
  }
}

/**
 * Whether the Kubernetes lists of new attempts may be those before or after an archived window. They are not where they were taken later than any
 * of these could use, and another one stands between.
 */
function changesArchive(added: readonly KnownAttempt[], { archive, evidence }: ClusterState): boolean {
  if (archive === null) return false
  const until = toSeconds(archive.until)
  const known = [...archive.lists, ...listsIn(evidence)]
    .map(({ takenAt }) => toSeconds(takenAt))
    .filter((takenAt) => takenAt >= until)
  const first = Math.min(...known)
  return added.some(
    ({ listsAt }) =>
      listsAt !== null && (toSeconds(listsAt) <= until + BEFORE_SLACK_SECONDS || toSeconds(listsAt) <= first),
  )
}

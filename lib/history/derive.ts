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
import { foldMonths, settledCount, stillFolded, UNSETTLED_SECONDS } from './fold-months.ts'
import { PreconditionFailedError } from '../store/objects/objects.ts'
import type { Objects } from '../store/objects/objects.ts'
import { makeResults } from './results.ts'
import { whileReading } from '../store/evidence/reading.ts'
import { BEFORE_SLACK_SECONDS, type KnownAttempt, listsIn, windowId } from '../store/evidence/selected-attempt.ts'
import { DamagedError } from '../store/objects/derived-object.ts'
import { readState } from './cluster-state.ts'
import type { ClusterState, StoredState } from './cluster-state.ts'
import { archiveLayout, stateWriter, writeLayout } from './write-months.ts'
import { writeRecent } from './recent/write-recent.ts'
import { removeOrphans, keysUnder } from './remove-orphans.ts'

/** Dependencies for deriving the history of a cluster. */
export type DeriveDeps = {
  readonly objects: Objects
  readonly assess: Assess
  /** Default {@link UNSETTLED_SECONDS}. */
  readonly unsettledSeconds?: number
  /** Current time: evidence of windows years later is not used. If absent, all evidence is used. */
  readonly now?: Date
}

/** Result of a run of deriving. */
export type Derived = {
  /** Windows whose results were made or remade, in time order. */
  readonly windows: readonly Window[]
  /** One line for each stored object that could not be read. A window without other evidence is `not-collected`. */
  readonly errors: readonly string[]
}

/** How often another run may win; each time, it made progress. */
const MAX_ROUNDS = 25

/**
 * Updates the derived objects of one cluster from its evidence: window results, then the state, which names them. Reads new evidence, and the snapshots of
 * each window whose inputs changed. Months are remade only if a window in them changed, since readers fold the windows that are not in a month yet.
 *
 * The same evidence gives the same bytes after {@link compactCluster}, whatever the order of evidence, and despite concurrent or crashed runs:
 *
 * - A result is replaced only by one made from all evidence of the present one. A run that knows less evidence starts again.
 * - The state names every result and month by its hash, and is replaced by compare-and-swap before the months are. Only the run that wrote it may write them,
 *   until another run replaces it. It lists them until they are written.
 *
 * Unreadable evidence is reported in `errors` and affects only its own window. Throws if the store fails, or other runs win too often.
 *
 * @param attempts the only attempts that may be new, as far as the caller knows; if absent, all stored evidence is checked
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
 * Derives as {@link deriveCluster} does, from all evidence, and folds into months every window that is too old to change.
 *
 * @param more attempts that may be at windows too old for the search for new evidence
 * @param listed a recent list of all clusters' evidence; if absent, this cluster's evidence is listed
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
 * Derives a cluster again from evidence alone, and removes derived objects without evidence. Correct objects stay, so that readers always find a history.
 *
 * @param extent how far months and archive go; if absent, as in {@link compactCluster}
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

/** How far months and archive go. */
export type Extent = {
  /** End of the last window in the months; null for none. */
  readonly watermark: string | null
  /** Last day in the archive, such as `2026-11-24`; null for none. */
  readonly archived: string | null
}

function settledCountOf(
  windows: readonly FoldedWindow[],
  { unsettledSeconds = UNSETTLED_SECONDS }: DeriveDeps,
): number {
  return settledCount(windows, unsettledSeconds)
}

type Task = {
  /** Trust only stored evidence. */
  readonly isRebuild: boolean
  /** Also check months that are up to date, because a run may have crashed before writing them. */
  readonly readsMonths: boolean
  readonly attempts?: readonly EvidenceId[] | undefined
  /** Additional attempts to check. */
  readonly more?: readonly EvidenceId[]
  readonly listed?: ListedEvidence | undefined
  /** Last day that may be archived, null for none; if absent, all days that are old enough. */
  readonly archived?: string | null
  /** Returns how many of the windows go into months; `folded` is how many are in them, if these are unchanged. */
  readonly countOf: (windows: readonly FoldedWindow[], folded: number | undefined) => number
}

/** Findings of earlier rounds. */
type Found = {
  /** Keys of evidence to read again, and of results to remake. */
  readonly evidence: Set<string>
  readonly results: Set<string>
  /** Other runs know evidence that this one did not check. */
  looksEverywhere: boolean
  /** The change may be in the archive, or needs it. */
  readsArchive: boolean
  /** Bytes of months that were made, by hash. */
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
      // Other runs may know newer evidence.
      listed: found.looksEverywhere ? undefined : listed,
      now,
    },
    deps,
  )
  if (base !== undefined && changesArchive(added, base)) throw new ArchiveNeededError()
  // A rebuild repairs any state, so a damaged one is not an error.
  const damaged = isRebuild || stored.error === null ? [] : [stored.error]
  const errors = [...damaged, ...damagedDay, ...impossible, ...added.flatMap(({ error }) => error ?? [])]
  if (evidence.length === 0 && (base?.archive ?? null) === null) return { windows: [], errors }

  const current = stateWriter(cluster.id, stored, objects)
  const replacing = [...(stored.state?.replacing ?? [])]
  // Only a run that checks all evidence finishes the replacements of a crashed run.
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
  await writeRecent(layout.state, isRebuild, { objects, bodies: found.bodies })
  return { windows: made, errors: [...errors, ...overlapping] }
}

/** Returns the state to continue from, with the archive if it may change. Undefined if everything is remade. */
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
    // A run replaces the state before it replaces a day.
    if ((await objects.get(key))?.etag !== etag) throw new PreconditionFailedError(key)
    return {
      base: undefined,
      damaged: [`Cannot read "${error.key}": damaged, so everything is derived again from evidence`],
    }
  }
}

/**
 * Whether the Kubernetes lists of new attempts may be next to an archived window. They are not if they were taken too late for any of these, or if another
 * list is in between.
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

import { DERIVATION } from '../model.ts'
import type { Cluster, Window } from '../model.ts'
import { type Assess, indexEvidence, snapshotReader, UnreadableError } from './evidence-index.ts'
import {
  evidencePrefix,
  parseEvidenceKey,
  parseTimelineKey,
  parseWindowKey,
  stateKey,
  timelineKey,
  timelinePrefix,
  windowKey,
  windowPrefix,
} from './keys.ts'
import type { EvidenceId } from './keys.ts'
import { foldMonths, settledCount, stillFolded, UNSETTLED_SECONDS } from './months.ts'
import { PreconditionFailedError } from './objects.ts'
import type { Objects } from './objects.ts'
import { makeResults } from './results.ts'
import { windowId } from './standing.ts'
import { DamagedError, encodeDerived, sha256Of } from './derived-object.ts'
import { readState } from './state.ts'
import type { FoldedWindow, State, StoredState } from './state.ts'

export type DeriveDeps = {
  readonly objects: Objects
  readonly assess: Assess
  /** Default {@link UNSETTLED_SECONDS}. */
  readonly unsettledSeconds?: number
  /** When this is asked: evidence of windows years after it is not used. Absent: all is. */
  readonly now?: Date
}

export type Derived = {
  /** The windows whose results were made, or made again, in time order. */
  readonly windows: readonly Window[]
  /** One line for each stored thing that could not be read. A window without other evidence is `not-collected`. */
  readonly errors: readonly string[]
}

/** How often others may be first: each time, they got on. */
const MOST_ROUNDS = 25

/**
 * Brings what is derived of one cluster up to its evidence: window results, then the state, which names them. Reads new evidence, and for each
 * window whose inputs changed the snapshots that it is made from. The months of the timeline stay as they are, since readers fold the windows
 * that are not in them yet; only where a window changed that is in them, they are made again.
 *
 * In whatever order evidence came, and whoever derives at the same time or dies, the same evidence ends in the same bytes once {@link compact} ran:
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
export async function derive(cluster: Cluster, deps: DeriveDeps, attempts?: readonly EvidenceId[]): Promise<Derived> {
  return deriveInRounds(cluster, deps, {
    isRebuild: false,
    readsMonths: false,
    attempts,
    countOf: (windows, folded) => folded ?? settledCountOf(windows, deps),
  })
}

/**
 * Derives as {@link derive} does, from all evidence, and brings the months up to every window that is old enough not to change any more.
 *
 * @param more attempts that may be of windows so old that nothing new is looked for there
 */
export async function compact(cluster: Cluster, deps: DeriveDeps, more: readonly EvidenceId[] = []): Promise<Derived> {
  return deriveInRounds(cluster, deps, {
    isRebuild: false,
    readsMonths: true,
    more,
    countOf: (windows, folded = 0) => Math.max(folded, settledCountOf(windows, deps)),
  })
}

/**
 * Derives all of a cluster again from evidence alone, whatever is stored, and removes derived objects that no evidence is behind.
 * An object that is right already stays as it is, so that readers find a history all the time.
 *
 * @param watermark the end of the last window that goes into the months, null for none; absent: as {@link compact} has it
 */
export async function rebuild(cluster: Cluster, deps: DeriveDeps, watermark?: string | null): Promise<Derived> {
  const derived = await deriveInRounds(cluster, deps, {
    isRebuild: true,
    readsMonths: true,
    countOf: (windows) =>
      watermark === undefined
        ? settledCountOf(windows, deps)
        : windows.filter(({ end }) => watermark !== null && end <= watermark).length,
  })
  await removeOrphans(cluster.id, deps.objects)
  return derived
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
  /** The bytes of months that were made, by hash. */
  readonly bodies: Map<string, Uint8Array>
}

async function deriveInRounds(cluster: Cluster, deps: DeriveDeps, task: Task): Promise<Derived> {
  const found: Found = { evidence: new Set(), results: new Set(), looksEverywhere: false, bodies: new Map() }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    try {
      return await deriveOnce(cluster, deps, task, found)
    } catch (error) {
      if (error instanceof UnreadableError) found.evidence.add(error.key)
      else if (error instanceof DamagedError) found.results.add(error.key)
      else if (!(error instanceof PreconditionFailedError)) throw error
      else if (parseWindowKey(error.key) !== undefined) found.looksEverywhere = true
    }
  }
  throw new Error(
    `Cannot derive "${cluster.id}": others changed it ${MOST_ROUNDS} times meanwhile, run it again when they are done`,
  )
}

async function deriveOnce(
  cluster: Cluster,
  { objects, assess, now }: DeriveDeps,
  { isRebuild, readsMonths, attempts, more = [], countOf }: Task,
  found: Found,
): Promise<Derived> {
  const stored = await readState(cluster.id, objects)
  const base = isRebuild ? undefined : stored.state
  const deps = { objects, assess, snapshots: snapshotReader(objects) }
  const looked = base === undefined || found.looksEverywhere ? undefined : attempts
  const { evidence, added, impossible } = await indexEvidence(
    cluster,
    { known: base?.evidence ?? [], distrusted: found.evidence, attempts: looked, more, now },
    deps,
  )
  // A rebuild mends whatever state there is: that it was damaged is no error of it.
  const damaged = isRebuild || stored.error === null ? [] : [stored.error]
  const errors = [...damaged, ...impossible, ...added.flatMap(({ error }) => error ?? [])]
  if (evidence.length === 0) return { windows: [], errors }

  const current = stateWriter(cluster.id, stored, objects)
  const replacing = [...(stored.state?.replacing ?? [])]
  // Who looks at all evidence settles what somebody who died was about to replace; who does not, leaves it.
  const isWhole = looked === undefined
  const unsettled = isWhole ? replacing.map((window) => windowKey(cluster.id, window)) : []
  const { windows, made, overlapping } = await makeResults(
    cluster,
    {
      base,
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
  const state: State = {
    format: 'ciphertrail/state/1',
    derivation: DERIVATION,
    cluster: cluster.id,
    evidence,
    windows,
    replacing: isWhole ? [] : replacing.filter((window) => !settled.has(windowId(window))),
    timeline: months.timeline,
    months: months.months,
    unwritten: months.unwritten,
  }
  await write(state, current, { objects, bodies: found.bodies })
  return { windows: made, errors: [...errors, ...overlapping] }
}

/** Replaces the state of a cluster by compare-and-swap, one time after the other; what is stored already is not written. */
type StateWriter = {
  readonly replace: (next: State) => Promise<void>
  /** Of the state that was written or read last. */
  readonly etag: () => string | null
}

function stateWriter(clusterId: string, stored: StoredState, objects: Objects): StateWriter {
  let { etag, sha256 } = stored
  return {
    async replace(next) {
      const body = encodeDerived(next)
      if (sha256Of(body) === sha256) return
      etag = await objects.putIf(stateKey(clusterId), body, etag)
      sha256 = sha256Of(body)
    },
    etag: () => etag,
  }
}

/** Stores the state, then the months that it lists as not written and whose bytes are there, then the state without these; nothing where all is stored. */
async function write(
  state: State,
  { replace, etag }: StateWriter,
  { objects, bodies }: { readonly objects: Objects; readonly bodies: ReadonlyMap<string, Uint8Array> },
): Promise<void> {
  const key = stateKey(state.cluster)
  await replace(state)
  const left = new Set(state.unwritten)
  for (const named of state.months) {
    const body = bodies.get(named.sha256)
    if (!left.has(named.month) || body === undefined) continue
    const monthKey = timelineKey(state.cluster, named.month)
    const before = await objects.get(monthKey)
    if (before === undefined || sha256Of(before.body) !== named.sha256) {
      // Looked at after the month was read: whoever replaces the state from now on also replaces the month, or finds it changed.
      if ((await objects.get(key))?.etag !== etag()) throw new PreconditionFailedError(key)
      await objects.putIf(monthKey, body, before?.etag ?? null)
    }
    left.delete(named.month)
  }
  await replace({ ...state, unwritten: state.unwritten.filter((month) => left.has(month)) })
}

/** Removes results of windows without evidence, and months before the first evidence and after the last folded window. */
async function removeOrphans(clusterId: string, objects: Objects): Promise<void> {
  // Listed before evidence and state are read: what others derive meanwhile is behind what these say then.
  const results = await keysUnder(windowPrefix(clusterId), objects)
  const months = await keysUnder(timelinePrefix(clusterId), objects)
  const windows: Window[] = []
  for await (const key of objects.list(evidencePrefix)) {
    const parsed = parseEvidenceKey(key)
    if (parsed?.cluster === clusterId) windows.push(parsed.window)
  }
  const kept = new Set(windows.map((window) => windowKey(clusterId, window)))
  const first = windows[0]?.start.slice(0, 7) ?? ''
  const { state } = await readState(clusterId, objects)
  const last = state?.months.at(-1)?.month ?? ''
  for (const key of results) if (!kept.has(key)) await objects.remove(key)
  for (const key of months) {
    const month = parseTimelineKey(key)?.month ?? ''
    if (month < first || month > last) await objects.remove(key)
  }
  if (windows.length === 0) await objects.remove(stateKey(clusterId))
}

async function keysUnder(prefix: string, objects: Objects): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

import { z } from 'zod'
import { unreadableWindow } from '../assess/unreadable.ts'
import type { AssessInput, ListsOfSnapshot } from '../assess/window.ts'
import { toSeconds, toTime } from '../collect/windows.ts'
import { DERIVATION } from '../model.ts'
import type { Cluster, Coverage, Snapshot, TimelineMonth, Window, WindowResult } from '../model.ts'
import { EvidenceError, readSnapshot } from './evidence.ts'
import {
  evidenceBefore,
  evidencePrefix,
  parseEvidenceKey,
  parseTimelineKey,
  stateKey,
  timelineKey,
  timelinePrefix,
  windowKey,
  windowPrefix,
} from './keys.ts'
import { PreconditionFailedError } from './objects.ts'
import type { Objects } from './objects.ts'
import { inputsOf, tile, windowId } from './standing.ts'
import type { AttemptedWindow, KnownAttempt } from './standing.ts'
import { parseJson } from './json.ts'
import { DamagedError, encodeDerived, readExpected, readMonths, readState, sha256Of } from './state.ts'
import type { FoldedWindow, State } from './state.ts'
import { emptyTimeline, foldWindows, hotMonths } from './timeline.ts'
import type { Timeline } from './timeline.ts'
import { compareText } from '../text-order.ts'

export type DeriveDeps = {
  readonly objects: Objects
  /** Pure, and total: what it cannot read is told by `collected` and `errors` of the result. */
  readonly assess: (input: AssessInput) => WindowResult
}

export type Derived = {
  /** The windows whose results were made, or made again, in time order. */
  readonly windows: readonly Window[]
  /** One line for each stored thing that could not be read. A window without other evidence is `not-collected`. */
  readonly errors: readonly string[]
}

/** How often others may be first: each time, they got on. */
const MOST_ROUNDS = 25

/** How many window results are in memory at once while a history is folded from its beginning. */
const CHUNK = 100

/** How long after its window evidence may come: Prometheus is asked for older windows for 15 days at most. */
const LATEST_SECONDS = 16 * 24 * 60 * 60

/** Snapshots kept decoded: neighbours in time share their lists. */
const SNAPSHOTS_KEPT = 4

/**
 * Brings what is derived of one cluster up to its evidence: window results, then the state, then the months of the
 * timeline. Reads new evidence, and for each window whose inputs changed the snapshots that it is made from.
 *
 * In whatever order evidence came, and whoever derives at the same time or dies, the same evidence ends in the same bytes:
 *
 * - A result is replaced only by one that knows all evidence that the present one was made from. Who knows less begins again.
 * - The state names every result and month by its hash, and is replaced by compare-and-swap before the months are. Only who
 *   wrote it may write them, until somebody else replaces it; it lists them until they are written.
 *
 * Evidence that cannot be read is told in `errors` and harms its own window only. Throws where the store fails, and where others
 * were first too often.
 */
export async function derive(cluster: Cluster, deps: DeriveDeps): Promise<Derived> {
  return deriveInRounds(cluster, deps, false)
}

/**
 * Derives all of a cluster again from evidence alone, whatever is stored, and removes derived objects that no evidence is behind.
 * An object that is right already stays as it is, so that readers find a history all the time.
 */
export async function rebuild(cluster: Cluster, deps: DeriveDeps): Promise<Derived> {
  const derived = await deriveInRounds(cluster, deps, true)
  await removeOrphans(cluster.id, deps.objects)
  return derived
}

/** Evidence that is in the index cannot be read any more, so that it must be indexed again. */
class UnreadableError extends Error {
  override readonly name = 'UnreadableError'
  readonly key: string
  constructor(key: string, options: ErrorOptions) {
    super(`Cannot read "${key}" any more`, options)
    this.key = key
  }
}

/** What the rounds before found out about stored objects, by key: evidence to be read again, results to be made again. */
type Distrust = { readonly evidence: Set<string>; readonly results: Set<string> }

async function deriveInRounds(cluster: Cluster, deps: DeriveDeps, isRebuild: boolean): Promise<Derived> {
  const distrust: Distrust = { evidence: new Set(), results: new Set() }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    try {
      return await deriveOnce(cluster, deps, isRebuild, distrust)
    } catch (error) {
      if (error instanceof UnreadableError) distrust.evidence.add(error.key)
      else if (error instanceof DamagedError) distrust.results.add(error.key)
      else if (!(error instanceof PreconditionFailedError)) throw error
    }
  }
  throw new Error(
    `Cannot derive "${cluster.id}": others changed it ${MOST_ROUNDS} times meanwhile, run it again when they are done`,
  )
}

async function deriveOnce(
  cluster: Cluster,
  deps: DeriveDeps,
  isRebuild: boolean,
  distrust: Distrust,
): Promise<Derived> {
  const { objects } = deps
  const stored = await readState(cluster.id, objects)
  const base = isRebuild ? undefined : stored.state
  const snapshots = snapshotReader(objects)
  const { evidence, added } = await readEvidence(cluster, base?.evidence ?? [], distrust, deps)
  // A rebuild mends whatever state there is: that it was damaged is no error of it.
  const damaged = isRebuild || stored.error === null ? [] : [stored.error]
  const errors = [...damaged, ...added.flatMap(({ error }) => error ?? [])]
  if (evidence.length === 0) return { windows: [], errors }

  const { windows, made, overlapping } = await makeResults(cluster, base, evidence, distrust, { ...deps, snapshots })
  const folded = await fold(cluster.id, base, windows, objects)
  const state: State = {
    format: 'ciphertrail/state/1',
    derivation: DERIVATION,
    cluster: cluster.id,
    evidence,
    windows,
    timeline: folded.timeline,
    months: folded.months,
    unwritten: folded.months.flatMap(({ month }) => (folded.unwritten.has(month) ? [month] : [])),
  }
  await write(state, folded.unwritten, stored.etag, objects)
  return { windows: made, errors: [...errors, ...overlapping] }
}

/** Adds to the index every attempt that is stored and not in it. */
async function readEvidence(
  cluster: Cluster,
  known: readonly AttemptedWindow[],
  distrust: Distrust,
  { objects, assess }: DeriveDeps,
): Promise<{ evidence: AttemptedWindow[]; added: KnownAttempt[] }> {
  const windows = new Map(known.map((window) => [windowId(window), window]))
  const indexed = new Set(known.flatMap(({ attempts }) => attempts.map(({ key }) => key)))
  const added: KnownAttempt[] = []
  // Nothing is collected so late that it would come before this; whoever copies older evidence into a store rebuilds.
  const latest = known.at(-1)?.start
  const startAfter = latest === undefined ? undefined : evidenceBefore(toTime(toSeconds(latest) - LATEST_SECONDS))
  for await (const key of objects.list(evidencePrefix, startAfter)) {
    const parsed = parseEvidenceKey(key)
    if (parsed?.cluster !== cluster.id || (indexed.has(key) && !distrust.evidence.has(key))) continue
    const attempt = await readAttempt(key, parsed.attempt, { objects, assess })
    added.push(attempt)
    const window = windows.get(windowId(parsed.window)) ?? { ...parsed.window, attempts: [] }
    const attempts = [...window.attempts.filter((other) => other.key !== key), attempt].toSorted(
      (a, b) => a.number - b.number,
    )
    windows.set(windowId(window), { ...window, attempts })
  }
  return { evidence: [...windows.values()].toSorted((a, b) => compareText(windowId(a), windowId(b))), added }
}

async function readAttempt(key: string, number: number, { objects, assess }: DeriveDeps): Promise<KnownAttempt> {
  let snapshot: Snapshot
  try {
    snapshot = await readSnapshot(key, objects)
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return {
      key,
      number,
      complete: false,
      startedAt: null,
      listsAt: null,
      observedSeconds: null,
      error: error.message,
    }
  }
  const { complete, startedAt } = snapshot
  const lists = listsOf(key, snapshot)
  // Its own list was taken after the window; whatever else is known must not decide between attempts.
  const observedSeconds = complete ? null : observedIn(assess({ key, snapshot, before: null, after: lists }).coverage)
  return { key, number, complete, startedAt, listsAt: lists?.takenAt ?? null, observedSeconds, error: null }
}

function observedIn(coverage: readonly Coverage[]): number {
  return coverage.reduce((sum, { observedSeconds }) => sum + observedSeconds, 0)
}

function listsOf(key: string, { kubernetes, proxies, window }: Snapshot): ListsOfSnapshot | null {
  const { status, takenAt, lists } = kubernetes
  if (status !== 'complete' || takenAt === null) return null
  return { key, takenAt, lists, ...(proxies === undefined ? {} : { pages: { end: window.end, pages: proxies.pages } }) }
}

type MakeDeps = DeriveDeps & { readonly snapshots: (key: string) => Promise<Snapshot> }

/** Makes the results of the windows whose inputs changed since the base, and names those of all windows. */
async function makeResults(
  cluster: Cluster,
  base: State | undefined,
  evidence: readonly AttemptedWindow[],
  distrust: Distrust,
  deps: MakeDeps,
): Promise<{ windows: FoldedWindow[]; made: Window[]; overlapping: string[] }> {
  const attempts = new Map(evidence.flatMap((window) => window.attempts.map((attempt) => [attempt.key, attempt])))
  const inputs = inputsOf(evidence)
  const inputsBefore = inputsOf(base?.evidence ?? [])
  const before = new Map(base?.windows.map((window) => [windowId(window), window]))

  const windows: FoldedWindow[] = []
  const made: Window[] = []
  for (const window of tile(cluster.windows, evidence)) {
    const own = inputs.get(windowId(window))
    if (own === undefined) {
      windows.push({ ...window, sha256: null })
      continue
    }
    const known = before.get(windowId(window))
    const isKnown = !distrust.results.has(windowKey(cluster.id, window))
    const keys = [own.evidence, own.before, own.after]
    const isUnchanged =
      isSame(own, inputsBefore.get(windowId(window))) && !keys.some((key) => key !== null && distrust.evidence.has(key))
    if (isKnown && isUnchanged && known !== undefined && known.sha256 !== null) windows.push(known)
    else {
      windows.push({ ...window, sha256: await makeResult(cluster.id, window, own, attempts, deps) })
      made.push(window)
    }
  }
  const tiled = new Set(windows.map(windowId))
  const overlapping = evidence
    .filter((window) => !tiled.has(windowId(window)))
    .map(
      ({ attempts: [first] }) =>
        `Cannot use "${first?.key}": its window overlaps the one before, for which there is evidence, too`,
    )
  return { windows, made, overlapping }
}

function isSame(a: WindowResult['inputs'], b: WindowResult['inputs'] | undefined): boolean {
  return a.evidence === b?.evidence && a.before === b.before && a.after === b.after
}

/** Gives the hash of the window's result, which is stored then. */
async function makeResult(
  clusterId: string,
  window: Window,
  inputs: WindowResult['inputs'],
  attempts: ReadonlyMap<string, KnownAttempt>,
  { objects, assess, snapshots }: MakeDeps,
): Promise<string> {
  const lists = async (key: string | null): Promise<ListsOfSnapshot | null> =>
    key === null ? null : listsOf(key, await snapshots(key))
  const error = attempts.get(inputs.evidence)?.error ?? null
  const result =
    error === null
      ? assess({
          key: inputs.evidence,
          snapshot: await snapshots(inputs.evidence),
          before: await lists(inputs.before),
          after: await lists(inputs.after),
        })
      : unreadableWindow(clusterId, window, inputs, [error])
  const body = encodeDerived(result)
  const key = windowKey(clusterId, window)
  const stored = await objects.get(key)
  if (stored === undefined || sha256Of(stored.body) !== sha256Of(body)) {
    if (stored !== undefined) await refuseIfNewer(key, stored.body, attempts, objects)
    await objects.putIf(key, body, stored?.etag ?? null)
  }
  return sha256Of(body)
}

const resultInputs = z.object({
  inputs: z.object({ evidence: z.string(), before: z.string().nullable(), after: z.string().nullable() }),
})

/** Throws PreconditionFailedError where a result was made from evidence that is not in this index, but in the store. */
async function refuseIfNewer(
  key: string,
  body: Uint8Array,
  attempts: ReadonlyMap<string, KnownAttempt>,
  objects: Objects,
): Promise<void> {
  const parsed = resultInputs.safeParse(parseJson(body))
  if (!parsed.success) return
  const { evidence, before, after } = parsed.data.inputs
  for (const other of [evidence, before, after]) {
    if (other === null || attempts.has(other) || parseEvidenceKey(other) === undefined) continue
    if ((await objects.get(other)) !== undefined) throw new PreconditionFailedError(key)
  }
}

type Folded = {
  readonly timeline: State['timeline']
  readonly months: State['months']
  /** The bytes of the months that may not be stored as they are, by month. */
  readonly unwritten: ReadonlyMap<string, Uint8Array>
}

/**
 * Folds the windows: onto the stored timeline where all that it was folded from is still so, else from the first window. Results are
 * read back from the store.
 */
async function fold(
  clusterId: string,
  base: State | undefined,
  windows: readonly FoldedWindow[],
  objects: Objects,
): Promise<Folded> {
  const start = await foldedSoFar(base, windows, objects)
  let timeline = start?.timeline ?? emptyTimeline(clusterId)
  const known = new Map(start?.months.map(({ month, sha256 }) => [month, sha256]))
  const months = new Map(known)
  const unwritten = new Map<string, Uint8Array>()
  const settle = (settled: readonly TimelineMonth[]): void => {
    for (const month of settled) {
      const body = encodeDerived(month)
      months.set(month.month, sha256Of(body))
      if (known.get(month.month) !== sha256Of(body)) unwritten.set(month.month, body)
    }
  }
  for (let index = start?.count ?? 0; index < windows.length; index += CHUNK) {
    timeline = foldWindows(timeline, await readExpected(clusterId, windows.slice(index, index + CHUNK), objects))
    const hot = new Set(hotMonths(timeline))
    settle(timeline.months.filter(({ month }) => !hot.has(month)))
    timeline = { ...timeline, months: timeline.months.filter(({ month }) => hot.has(month)) }
  }
  // Where nothing was folded, the stored months are as they were read.
  if (start?.count !== windows.length) settle(timeline.months)
  const { months: _, ...rest } = timeline
  return { timeline: rest, months: [...months].map(([month, sha256]) => ({ month, sha256 })), unwritten }
}

/** The stored timeline with the months that matter next; undefined where it cannot be continued. */
async function foldedSoFar(
  base: State | undefined,
  windows: readonly FoldedWindow[],
  objects: Objects,
): Promise<{ timeline: Timeline; months: State['months']; count: number } | undefined> {
  if (base === undefined || !base.windows.every((window, index) => isSameWindow(window, windows[index])))
    return undefined
  const hot = hotMonths({ ...base.timeline, months: base.months })
  const months = await readMonths(base, [...hot, ...base.unwritten], objects)
  if (months === undefined) return undefined
  const timeline = { ...base.timeline, months: months.filter(({ month }) => hot.includes(month)) }
  return { timeline, months: base.months, count: base.windows.length }
}

function isSameWindow(a: FoldedWindow, b: FoldedWindow | undefined): boolean {
  return a.start === b?.start && a.end === b.end && a.sha256 === b.sha256
}

/** Stores the state, then its months, then the state without months to be written; nothing where all is there already. */
async function write(
  state: State,
  unwritten: ReadonlyMap<string, Uint8Array>,
  etag: string | null,
  objects: Objects,
): Promise<void> {
  const key = stateKey(state.cluster)
  const replace = async (body: Uint8Array, last: string | null): Promise<string | null> => {
    const stored = await objects.get(key)
    // Nobody else's state is taken for the one that this was derived from.
    if ((stored?.etag ?? null) !== last) throw new PreconditionFailedError(key)
    if (stored !== undefined && sha256Of(stored.body) === sha256Of(body)) return last
    return objects.putIf(key, body, last)
  }
  let own = etag
  if (unwritten.size > 0) own = await replace(encodeDerived(state), own)
  for (const [month, body] of unwritten) {
    const monthKey = timelineKey(state.cluster, month)
    const stored = await objects.get(monthKey)
    if (stored !== undefined && sha256Of(stored.body) === sha256Of(body)) continue
    // Looked at after the month was read: whoever replaces the state from now on also replaces the month, or finds it changed.
    if ((await objects.get(key))?.etag !== own) throw new PreconditionFailedError(key)
    await objects.putIf(monthKey, body, stored?.etag ?? null)
  }
  await replace(encodeDerived({ ...state, unwritten: [] }), own)
}

/** Reads snapshots, and keeps the last few. */
function snapshotReader(objects: Objects): (key: string) => Promise<Snapshot> {
  const kept = new Map<string, Snapshot>()
  return async (key) => {
    let snapshot = kept.get(key)
    if (snapshot === undefined) {
      try {
        snapshot = await readSnapshot(key, objects)
      } catch (error) {
        if (error instanceof EvidenceError) throw new UnreadableError(key, { cause: error })
        throw error
      }
    }
    // The one used last comes last, so that the first is the one to go.
    kept.delete(key)
    kept.set(key, snapshot)
    for (const oldest of kept.keys()) {
      if (kept.size <= SNAPSHOTS_KEPT) break
      kept.delete(oldest)
    }
    return snapshot
  }
}

/** Removes results of windows without evidence, and months before the first and after the last with some. */
async function removeOrphans(clusterId: string, objects: Objects): Promise<void> {
  // Listed before evidence is: what others derive meanwhile has its evidence in the later list.
  const results = await keysUnder(windowPrefix(clusterId), objects)
  const months = await keysUnder(timelinePrefix(clusterId), objects)
  const windows: Window[] = []
  for await (const key of objects.list(evidencePrefix)) {
    const parsed = parseEvidenceKey(key)
    if (parsed?.cluster === clusterId) windows.push(parsed.window)
  }
  const kept = new Set(windows.map((window) => windowKey(clusterId, window)))
  const first = windows[0]?.start.slice(0, 7) ?? ''
  const last = windows.at(-1)?.start.slice(0, 7) ?? ''
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

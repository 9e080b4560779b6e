import { isDeepStrictEqual } from 'node:util'
import { recentKey } from '../../store/keys.ts'
import { DamagedError } from '../../store/objects/derived-object.ts'
import { type Objects, PreconditionFailedError } from '../../store/objects/objects.ts'
import type { TimelineMonth } from '../../model/history.ts'
import { CHUNK, type ClusterState, readExpected, readMonth, readState } from '../cluster-state.ts'
import { decodeMonth } from '../tables/timeline-table.ts'
import { foldWindows } from '../timeline.ts'
import { NO_FACTS, type RecentFacts, foldFacts } from './recent-facts.ts'
import {
  type RecentFold,
  countsOf,
  encodeRecent,
  isRecentOf,
  namedHotMonths,
  openRecent,
  windowsAfterMonths,
} from './recent-object.ts'

/** How often another run may win. */
const MAX_ROUNDS = 5

/** The store, and what a run made that may not be stored yet. */
type Deps = {
  readonly objects: Objects
  /** Bytes of months, by hash. */
  readonly bodies: ReadonlyMap<string, Uint8Array>
}

/**
 * Brings the object with the windows that are in no month yet up to date with a state that was written. Call it after each derivation, also after one that
 * changed nothing: an earlier run may have died before it. Never replaces the object of a later state by that of an earlier one. The object stays as it is
 * while results are being replaced, without the months that the state names, and if others win all the time: readers then read the results.
 *
 * Throws {@link DamagedError} for a damaged result, or if the store fails.
 *
 * @param isRebuild whether to fold again what is stored, too
 */
export async function writeRecent(written: ClusterState, isRebuild: boolean, deps: Deps): Promise<void> {
  const { objects } = deps
  const key = recentKey(written.cluster)
  let state: ClusterState | undefined = written
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const stored = await objects.get(key)
    const body = isRebuild ? undefined : stored?.body
    let opened = openStored(body, state)
    if (round > 0 || (stored !== undefined && !opened.areAll)) {
      // It may be of a later state. Whoever writes one from now on finds that the object changed, or replaces it afterwards.
      state = (await readState(written.cluster, objects)).state
      if (state === undefined) return
      opened = openStored(body, state)
    }
    if (state.replacing.length > 0) return
    const counts = countsOf(state)
    const isCurrent =
      opened.areAll &&
      isDeepStrictEqual(
        opened.folds.map(({ count }) => count),
        counts,
      )
    if (isCurrent) return
    try {
      const folds = await foldRecent(state, opened.folds, deps)
      if (folds === undefined) return
      const made = await encodeRecent(state, folds)
      if (stored === undefined || Buffer.compare(stored.body, made) !== 0)
        await objects.putIf(key, made, stored?.etag ?? null)
      return
    } catch (error) {
      const isReplaced = error instanceof DamagedError && (await isChanged(state, objects))
      if (!isReplaced && !(error instanceof PreconditionFailedError)) throw error
    }
  }
}

function openStored(body: Uint8Array | undefined, state: ClusterState): ReturnType<typeof openRecent> {
  return body === undefined ? { folds: [], areAll: false } : openRecent(body, state)
}

/** Whether another run changed the results of a state, or is about to. */
async function isChanged({ cluster, windows }: ClusterState, objects: Objects): Promise<boolean> {
  const { state } = await readState(cluster, objects)
  return state === undefined || state.replacing.length > 0 || !isDeepStrictEqual(state.windows, windows)
}

/**
 * Folds the windows of a state that are in no month yet, as its object has them. Goes on from known folds where there are any. Undefined if the state's months
 * cannot be read. Throws {@link DamagedError} for a result that is not the state's.
 */
async function foldRecent(
  state: ClusterState,
  known: readonly RecentFold[],
  deps: Deps,
): Promise<readonly RecentFold[] | undefined> {
  const folds: RecentFold[] = []
  for (const count of countsOf(state)) {
    const longest = [...known, ...folds].reduce<RecentFold | undefined>(
      (best, fold) => (fold.count <= count && fold.count > (best?.count ?? 0) ? fold : best),
      undefined,
    )
    const start = longest ?? (await foldOfMonths(state, deps))
    if (start === undefined) return undefined
    folds.push(start.count === count ? start : await foldTo(count, start, state, deps.objects))
  }
  return folds
}

/** Returns the fold of no window. */
async function foldOfMonths(state: ClusterState, { objects, bodies }: Deps): Promise<RecentFold | undefined> {
  const months: TimelineMonth[] = []
  for (const named of namedHotMonths(state)) {
    const body = bodies.get(named.sha256)
    const month = body === undefined ? await readMonth(state.cluster, named, objects) : await decodeMonth(body)
    if (month === undefined) return undefined
    months.push(month)
  }
  return { count: 0, known: state.timeline, facts: NO_FACTS, months: () => Promise.resolve(months) }
}

async function foldTo(count: number, start: RecentFold, state: ClusterState, objects: Objects): Promise<RecentFold> {
  const windows = windowsAfterMonths(state).slice(0, count)
  // Only results with the state's hashes may be folded.
  const named = { cluster: state.cluster, replacing: [] }
  // Made once: a stored fold makes each part when it is asked for.
  const known = { ...start.known }
  let timeline = { ...known, months: await start.months() }
  let facts = { ...known, ...start.facts }
  for (let index = start.count; index < count; index += CHUNK) {
    const expected = await readExpected(named, windows.slice(index, index + CHUNK), objects)
    timeline = foldWindows(timeline, expected)
    facts = foldFacts(facts, expected)
  }
  const { months, ...folded } = timeline
  return { count, known: folded, facts: onlyFacts(facts), months: () => Promise.resolve(months) }
}

function onlyFacts({ seen, windows, unlisted, labelled, namespaces, last }: RecentFacts): RecentFacts {
  return { seen, windows, unlisted, labelled, namespaces, last }
}

/**
 * Returns what is wrong with a cluster's object: it is not there, or it is damaged or says something else than the results. Undefined if nothing is. An object
 * of earlier windows is as its writer left it who died then: of it, what readers use is checked. Where results or months cannot be read, that is what is wrong.
 */
export async function recentProblem(clusterId: string, objects: Objects): Promise<'missing' | 'changed' | undefined> {
  const stored = await objects.get(recentKey(clusterId))
  const { state } = await readState(clusterId, objects)
  if (stored === undefined) return state === undefined ? undefined : 'missing'
  if (!isRecentOf(clusterId, stored.body)) return 'changed'
  if (state === undefined) return undefined
  const { folds, areAll } = openRecent(stored.body, state)
  try {
    const start = await foldOfMonths(state, { objects, bodies: new Map() })
    if (start === undefined) return undefined
    const made: RecentFold[] = []
    for (const { count } of folds) made.push(await foldTo(count, made.at(-1) ?? start, state, objects))
    const told = areAll ? stored.body : await encodeRecent(state, folds)
    return Buffer.compare(told, await encodeRecent(state, made)) === 0 ? undefined : 'changed'
  } catch (error) {
    if (error instanceof DamagedError) return undefined
    throw error
  }
}

import * as z from 'zod'
import { atMost, concurrently } from '../concurrently.ts'
import { excessOfEdges } from '../assess/window/unreadable.ts'
import { DERIVATION } from '../model/window.ts'
import type { TimelineMonth } from '../model/history.ts'
import type { Seconds, Window } from '../model/time.ts'
import type { WindowResult } from '../model/window.ts'
import {
  archiveSchema,
  type FoldedWindow,
  latestFirst,
  readUnarchived,
  readWindowFrom,
  readWindowHolding,
  sinceOf,
} from './archive.ts'
import { DamagedError, encodeDerived, sha256Of, whileItChanges } from '../store/objects/derived-object.ts'
import { parseJson } from '../text/parse-json.ts'
import { stateKey, timelineKey, windowKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { type AskedIntervals, decodeAsked, decodeMonth } from './tables/timeline-table.ts'
import { foldWindows } from './timeline.ts'
import { emptyTimeline, foldedCount, timelineSchema } from './fold-state.ts'
import { namedHotMonths, readRecentFold } from './recent/recent-object.ts'
import type { ExpectedWindow, Timeline } from './fold-state.ts'

const stateSchema = z.object({
  derivation: z.int(),
  cluster: z.string(),
  /** All evidence that was read and is not archived, in time order. */
  evidence: z
    .array(
      z.object({
        start: z.string(),
        end: z.string(),
        attempts: z
          .array(
            z.object({
              key: z.string(),
              number: z.int(),
              complete: z.boolean(),
              startedAt: z.string().nullable(),
              listsAt: z.string().nullable(),
              observedSeconds: z.number().nullable(),
              error: z.string().nullable(),
            }),
          )
          .readonly(),
      }),
    )
    .readonly(),
  /**
   * All windows up to the last with evidence, in time order, with the SHA-256 of their results; null if there is no attempt. They begin with the first with
   * evidence, or where the archive ends. Those up to the timeline's watermark are folded into months; readers fold the rest.
   */
  windows: z.array(z.object({ start: z.string(), end: z.string(), sha256: z.string().nullable() })).readonly(),
  /** Results that are about to replace those in `windows`; readers accept these, too. Empty unless a run is replacing one, or crashed then. */
  replacing: z.array(z.object({ start: z.string(), end: z.string(), sha256: z.string() })).readonly(),
  timeline: timelineSchema,
  /** The months of the timeline, oldest first. */
  months: z.array(z.object({ month: z.string(), sha256: z.string() })).readonly(),
  /** Months that may not be written yet; the next run writes them. */
  unwritten: z.array(z.string()).readonly(),
  /** Windows and evidence moved out of `windows` and `evidence`; null, and not stored, if there are none. */
  archive: archiveSchema.nullable(),
})

/** Format 1 has no archive. It is written while nothing is archived, and reads states from before archives existed. */
const storedSchema = z.union([
  stateSchema.extend({ format: z.literal('ciphertrail/state/2'), archive: archiveSchema }),
  stateSchema
    .omit({ archive: true })
    .extend({ format: z.literal('ciphertrail/state/1') })
    .transform((state) => ({ ...state, archive: null })),
])

const derivationSchema = z.object({ derivation: z.int() })

/** Content of `state/<cluster>`: how far a cluster's evidence is read and folded, and the hashes of the results. */
export type ClusterState = z.infer<typeof stateSchema>

/** A history as read from the store, the input of `rows()` and `stripsOf()`. */
export type History = Pick<Timeline, 'watermark' | 'months' | 'episodes'> & {
  /** Start of the first window with evidence. */
  readonly since: string | null
}

/** Number of window results read at once. */
const MAX_READS = 16

/** Number of window results in memory at once while a history is folded: one with 2,000 paths takes some megabytes. */
export const CHUNK = MAX_READS

/** The same for a question, which reads several clusters at once. */
const RECENT_CHUNK = 6

/** Number of months read at once: of each, the bytes wait to be decoded. */
const MAX_MONTHS = 4

/** Of however many clusters a process reads, those whose results it folds at once. */
const folding = atMost(2)

/** Encodes a state. */
export function encodeState({ archive, ...state }: ClusterState): Buffer {
  return encodeDerived(
    archive === null
      ? { ...state, format: 'ciphertrail/state/1' }
      : { ...state, format: 'ciphertrail/state/2', archive },
  )
}

/** The stored state, with the ETag that shows whether it changed. */
export type StoredState = {
  readonly state: ClusterState | undefined
  /** Null if nothing is stored. */
  readonly etag: string | null
  /** The stored bytes; null if nothing is stored. */
  readonly body: Uint8Array | null
  /** Why it cannot be read, in one line; null if it can. */
  readonly error: string | null
}

/**
 * Reads the state of a cluster. The state is undefined if there is none, an earlier version of ciphertrail derived it, or it cannot be read, as `error` says:
 * then everything is derived again. Throws if a later version derived it.
 */
export async function readState(clusterId: string, objects: Objects): Promise<StoredState> {
  const key = stateKey(clusterId)
  const stored = await objects.get(key)
  if (stored === undefined) return { state: undefined, etag: null, body: null, error: null }
  const found = { etag: stored.etag, body: stored.body }
  const content = parseJson(stored.body)
  const derivation = derivationSchema.safeParse(content).data?.derivation
  // An earlier derivation may have another schema: it is old, not damaged.
  if (derivation !== undefined && derivation < DERIVATION) return { state: undefined, ...found, error: null }
  const parsed = storedSchema.safeParse(content)
  if (!parsed.success || parsed.data.cluster !== clusterId) {
    return { state: undefined, ...found, error: `Cannot read "${key}": damaged, so it is derived again from evidence` }
  }
  if (parsed.data.derivation > DERIVATION) {
    throw new Error(
      `Cannot use "${key}": derived by a later version of ciphertrail (${parsed.data.derivation}, this one makes ${DERIVATION}), update this one`,
    )
  }
  const { format: _, ...state } = parsed.data
  return { state, ...found, error: null }
}

/**
 * Reads the history of a cluster; undefined if nothing was derived yet. What the windows come to that are not in a month yet is in an object of its own; those
 * that it does not cover are folded in memory. If a month's hash differs from the state's, because a run is writing it or crashed, everything is folded. Throws
 * {@link DamagedError} if the window results for that are damaged.
 *
 * @param isWanted whether to read a month (`2026-11`); by default all. The latest month is always read.
 */
export async function readHistory(
  clusterId: string,
  objects: Objects,
  isWanted?: (month: string) => boolean,
): Promise<History | undefined> {
  return (await readTaggedHistory(clusterId, objects, isWanted))?.history
}

/**
 * Reads a history as {@link readHistory} does, with the tag of its state: the same state is the same history, and its months. The tag is null while results are
 * being replaced, because the state allows the old and the new ones.
 *
 * @param asked what is not asked for may be left out; all if absent
 */
export async function readTaggedHistory(
  clusterId: string,
  objects: Objects,
  isWanted: (month: string) => boolean = () => true,
  asked?: AskedIntervals,
): Promise<{ readonly history: History; readonly etag: string | null } | undefined> {
  return whileItChanges(async () => {
    const { state, etag, body } = await readState(clusterId, objects)
    if (state === undefined) return undefined
    const { watermark, episodes, months } = await foldedFurther(state, { body, isWanted, asked }, objects)
    const isSettled = state.replacing.length === 0
    return { history: { watermark, episodes, months, since: sinceOf(state) }, etag: isSettled ? etag : null }
  })
}

async function foldedFurther(
  state: ClusterState,
  {
    body,
    isWanted,
    asked,
  }: {
    /** The bytes of the state. */
    readonly body: Uint8Array | null
    readonly isWanted: (month: string) => boolean
    readonly asked: AskedIntervals | undefined
  },
  objects: Objects,
): Promise<Pick<Timeline, 'watermark' | 'months' | 'episodes'>> {
  const hot = new Set(namedHotMonths(state).map(({ month }) => month))
  const isCold = (month: string): boolean => !hot.has(month) && isWanted(month)
  const [recent, cold] = await Promise.all([
    readRecentFold(state, body, objects),
    readMonths(state, isCold, { objects, asked }),
  ])
  const from = foldedCount(state) + (recent?.count ?? 0)
  const known = recent?.known ?? state.timeline
  const readHot = (some?: AskedIntervals): Promise<readonly TimelineMonth[] | undefined> =>
    recent?.months(some) ?? readMonths(state, (month) => hot.has(month), { objects, asked: some })
  if (cold !== undefined && from === state.windows.length) {
    const months = await readHot(asked)
    if (months !== undefined)
      return { watermark: known.watermark, episodes: known.episodes, months: [...cold, ...months] }
  }
  return folding(async () => {
    // Folding goes on with every interval of the hot months.
    const months = cold === undefined ? undefined : await readHot()
    if (cold === undefined || months === undefined) {
      const { windows } = await readUnarchived(state, objects)
      return foldResults(emptyTimeline(state.cluster), { state, windows }, objects)
    }
    const onto = { ...known, months: [...cold, ...months] }
    return foldResults(onto, { state, windows: state.windows.slice(from) }, objects)
  })
}

async function foldResults(
  onto: Timeline,
  { state, windows }: { readonly state: ClusterState; readonly windows: readonly FoldedWindow[] },
  objects: Objects,
): Promise<Timeline> {
  let timeline = onto
  for (let index = 0; index < windows.length; index += RECENT_CHUNK)
    timeline = foldWindows(timeline, await readExpected(state, windows.slice(index, index + RECENT_CHUNK), objects))
  return timeline
}

/** Reads the result of the window that begins at `start`; undefined if there is none. Throws {@link DamagedError}. */
export async function readWindow(
  clusterId: string,
  start: string,
  objects: Objects,
): Promise<WindowResult | undefined> {
  return readResultOf(clusterId, (state) => readWindowFrom(state, start, objects), objects)
}

async function readResultOf(
  clusterId: string,
  windowIn: (state: ClusterState) => Promise<FoldedWindow | undefined>,
  objects: Objects,
): Promise<WindowResult | undefined> {
  return whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    if (state === undefined) return undefined
    const window = await windowIn(state)
    if (window === undefined) return undefined
    const [expected] = await readExpected(state, [window], objects)
    return expected?.result ?? undefined
  })
}

/** Reads the result of the window that holds a time; undefined if there is none. Throws {@link DamagedError}. */
export async function readWindowAt(
  clusterId: string,
  time: Seconds,
  objects: Objects,
): Promise<WindowResult | undefined> {
  return readResultOf(clusterId, (state) => readWindowHolding(state, time, objects), objects)
}

/** Reads the latest wanted window result; undefined if there is none. Throws {@link DamagedError}. */
export async function readLatest(
  clusterId: string,
  isWanted: (result: WindowResult) => boolean,
  objects: Objects,
): Promise<WindowResult | undefined> {
  return whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    if (state === undefined) return undefined
    for await (const windows of latestFirst(state, objects)) {
      for (const window of windows.toReversed()) {
        const [expected] = await readExpected(state, [window], objects)
        if (expected !== undefined && expected.result !== null && isWanted(expected.result)) return expected.result
      }
    }
    return undefined
  })
}

/** Reads the wanted months, oldest first; undefined if one of them is missing or has another hash than in the state. `asked`: as of {@link readMonth}. */
async function readMonths(
  { cluster, months }: ClusterState,
  isWanted: (month: string) => boolean,
  { objects, asked }: { readonly objects: Objects; readonly asked: AskedIntervals | undefined },
): Promise<readonly TimelineMonth[] | undefined> {
  const wanted = months.filter(({ month }) => isWanted(month))
  const read = await concurrently(wanted, MAX_MONTHS, (named) => readMonth(cluster, named, objects, asked))
  const found = read.filter((month) => month !== undefined)
  return found.length === wanted.length ? found : undefined
}

/** Reads a month; undefined if it is missing or has another hash than in the state. `asked`: as of {@link decodeAsked}; all of it if absent. */
export async function readMonth(
  cluster: string,
  { month, sha256 }: ClusterState['months'][number],
  objects: Objects,
  asked?: AskedIntervals,
): Promise<TimelineMonth | undefined> {
  const stored = await objects.get(timelineKey(cluster, month))
  if (stored === undefined || sha256Of(stored.body) !== sha256) return undefined
  // The hash proves that ciphertrail derived these bytes, so they need no schema check.
  return asked === undefined ? decodeMonth(stored.body) : decodeAsked(stored.body, asked)
}

/**
 * Reads window results, a few at once, and returns them in the given order. Throws {@link DamagedError} if a result's hash is neither its window's nor that
 * of its replacement.
 */
export async function readExpected(
  { cluster, replacing }: Pick<ClusterState, 'cluster' | 'replacing'>,
  windows: readonly FoldedWindow[],
  objects: Objects,
): Promise<ExpectedWindow[]> {
  return concurrently(windows, MAX_READS, async ({ sha256, ...window }) => ({
    window,
    result:
      sha256 === null ? null : await readResult(cluster, window, [sha256, ...hashesOf(window, replacing)], objects),
  }))
}

function hashesOf({ start, end }: Window, replacing: ClusterState['replacing']): string[] {
  return replacing.filter((one) => one.start === start && one.end === end).map(({ sha256 }) => sha256)
}

/** Four times the size of a window with the maximum number of paths. */
const MAX_RESULT_BYTES = 256_000_000

async function readResult(
  clusterId: string,
  window: Window,
  hashes: readonly string[],
  objects: Objects,
): Promise<WindowResult> {
  const key = windowKey(clusterId, window)
  const stored = await objects.get(key)
  if (stored === undefined || stored.body.length > MAX_RESULT_BYTES || !hashes.includes(sha256Of(stored.body)))
    throw new DamagedError(key)
  const result = parseJson(stored.body) as WindowResult | undefined
  // A writer could forge the hash, too, so check the limits that every derived result keeps.
  const isDerived = Array.isArray(result?.paths) && Array.isArray(result.edges) && excessOfEdges(result) === null
  if (!isDerived) throw new DamagedError(key)
  return result
}

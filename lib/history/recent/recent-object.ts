/**
 * The object with what the windows come to that are in no month yet, folded onto the months that may still change: readers need neither these months nor the
 * results of the windows. It names what it was made from and has a digest of its own. What it does not cover is read from the results, so it can only save
 * reading: a missing, damaged or outdated object hides nothing.
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { gzipSync } from 'fflate'
import * as z from 'zod'
import { DERIVATION } from '../../model/window.ts'
import type { Episode, TimelineMonth } from '../../model/history.ts'
import type { Unread } from '../../assess/window/episode-lifecycle.ts'
import { compareText } from '../../text/order.ts'
import { parseJson } from '../../text/parse-json.ts'
import { encodeDerived, sha256Of } from '../../store/objects/derived-object.ts'
import type { FoldedWindow } from '../archive.ts'
import { recentKey } from '../../store/keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { type EndIdentity, type KnownPath, foldedCount } from '../fold-state.ts'
import { type AskedIntervals, decodeAsked, decodeMonth, encodeMonth } from '../tables/timeline-table.ts'
import { hotMonths } from '../timeline.ts'
import type { NamespaceSight, NamespaceStatuses } from '../namespaces.ts'
import type { KnownTimeline, RecentFacts } from './recent-facts.ts'

/** The parts of a cluster's state onto which windows are folded. */
export type FoldBase = {
  readonly cluster: string
  readonly timeline: KnownTimeline
  readonly months: readonly { readonly month: string; readonly sha256: string }[]
  readonly windows: readonly FoldedWindow[]
}

/** What some of the windows come to that are in no month yet: the first ones. */
export type RecentFold = {
  /** How many these are. */
  readonly count: number
  readonly known: KnownTimeline
  readonly facts: RecentFacts
  /**
   * The months that the windows may have changed, and later ones, oldest first, as {@link hotMonths} of the state names them. `asked`: as of
   * {@link decodeAsked}, to be read and not folded further; may be ignored.
   */
  readonly months: (asked?: AskedIntervals) => Promise<readonly TimelineMonth[]>
}

/**
 * How many of the last windows the earlier of two folds leaves out. A window is asked again two windows later, after that one was derived, and may be replaced
 * then: the fold before it is where to go on from.
 */
export const REPLACEABLE = 3

/** Beyond this, an object is not read. */
const MAX_BYTES = 256_000_000

/** A fold as it is stored: of paths, episodes and ends only those that are not in the state as they are. */
type StoredFold = {
  readonly count: number
  /** Digest of the windows. */
  readonly windows: string
  readonly watermark: string | null
  readonly paths: readonly KnownPath[]
  readonly episodes: readonly Episode[]
  readonly ends: Readonly<Record<string, EndIdentity>>
  readonly unread: Unread
  /** In Base64. */
  readonly months: readonly string[]
  readonly facts: StoredFacts
}

/** The entries of a map, by key. */
type Entries<M> = M extends ReadonlyMap<string, infer T> ? readonly (readonly [string, T])[] : never

type StoredFacts = Pick<RecentFacts, 'windows' | 'labelled' | 'last'> & {
  readonly seen: Entries<RecentFacts['seen']>
  readonly unlisted: readonly string[]
  readonly namespaces: {
    readonly before: Entries<NamespaceStatuses>
    readonly last: readonly (Omit<NamespaceSight, 'seconds'> & {
      readonly seconds: Entries<NamespaceSight['seconds']>
    })[]
  }
}

type StoredRecent = {
  readonly format: 'ciphertrail/recent/1'
  readonly derivation: number
  readonly cluster: string
  /** Digest of what the windows are folded onto. */
  readonly base: string
  /** The shortest first. */
  readonly folds: readonly StoredFold[]
}

/** Returns the windows of a state that are in no month yet. */
export function windowsAfterMonths(state: FoldBase): readonly FoldedWindow[] {
  return state.windows.slice(foldedCount(state))
}

/** Returns how many windows each fold of a state's object has, the shortest first. */
export function countsOf(state: FoldBase): readonly number[] {
  const count = windowsAfterMonths(state).length
  return [count - REPLACEABLE, count].filter((one) => one > 0)
}

/** Returns the names of the months that windows are folded onto. */
export function namedHotMonths({ timeline, months }: FoldBase): FoldBase['months'] {
  const hot = new Set(hotMonths({ ...timeline, months }))
  return months.filter(({ month }) => hot.has(month))
}

/** Digest of what the windows of a state are folded onto: equal if the months that may still change are, and all that is known of paths and episodes. */
function baseDigest(state: FoldBase): string {
  return sha256Of(encodeDerived([DERIVATION, state.timeline, namedHotMonths(state)]))
}

/** Returns whether a digest is {@link baseDigest}. `stored` are the bytes of the state: its timeline is hashed as it stands in them, if that gives the digest. */
function isBase(digest: string, state: FoldBase, stored: Uint8Array | null): boolean {
  const text =
    stored === null ? undefined : timelineIn(Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength))
  const asStored =
    text === undefined
      ? undefined
      : createHash('sha256')
          .update(`[${DERIVATION},`)
          .update(text)
          .update(`,${encodeDerived(namedHotMonths(state)).toString()}]`)
          .digest('hex')
  return digest === asStored || digest === baseDigest(state)
}

const TIMELINE = { before: Buffer.from('"timeline":'), after: Buffer.from(',"unwritten":') }

/** Finds the timeline in the bytes of a state, whose names are sorted: `unwritten` is the next, and no text has a bare quote. */
function timelineIn(stored: Buffer): Uint8Array | undefined {
  const [before, end] = [stored.indexOf(TIMELINE.before), stored.lastIndexOf(TIMELINE.after)]
  return before === -1 || end === -1 ? undefined : stored.subarray(before + TIMELINE.before.length, end)
}

function windowsDigest(windows: readonly FoldedWindow[]): string {
  return sha256Of(Buffer.from(JSON.stringify(windows.map(({ start, end, sha256 }) => [start, end, sha256]))))
}

/** Encodes the object of a state. The same state gives the same bytes, however its windows were folded. */
export async function encodeRecent(state: FoldBase, folds: readonly RecentFold[]): Promise<Buffer> {
  const windows = windowsAfterMonths(state)
  const stored: StoredFold[] = []
  for (const { count, known, facts, months } of folds)
    stored.push({
      count,
      windows: windowsDigest(windows.slice(0, count)),
      watermark: known.watermark,
      paths: changedOf(state.timeline.paths, known.paths, ({ pathId }) => pathId),
      episodes: changedOf(state.timeline.episodes, known.episodes, ({ id }) => id),
      ends: changedEndsOf(state.timeline.ends, known.ends),
      unread: known.unread,
      months: (await months()).map((month) => encodeMonth(month).toString('base64')),
      facts: storedFacts(facts),
    })
  const content: StoredRecent = {
    format: 'ciphertrail/recent/1',
    derivation: DERIVATION,
    cluster: state.cluster,
    base: baseDigest(state),
    folds: stored,
  }
  const text = encodeDerived(content)
  return Buffer.from(gzipSync(Buffer.concat([Buffer.from(`${sha256Of(text)}\n`), text]), { level: 6, mtime: 0 }))
}

/**
 * Reads the fold of as many windows of a state as there is one of; undefined if nothing usable is stored. One request, and none if all windows are in months.
 *
 * @param body the bytes that the state was read from, so that they need not be made again; null if it was not
 */
export async function readRecentFold(
  state: FoldBase,
  body: Uint8Array | null,
  objects: Objects,
): Promise<RecentFold | undefined> {
  if (windowsAfterMonths(state).length === 0) return undefined
  const stored = await objects.get(recentKey(state.cluster))
  return stored === undefined ? undefined : openRecent(stored.body, state, body).folds.at(-1)
}

/** Whether bytes are a whole object of a cluster, of whatever state. */
export function isRecentOf(cluster: string, body: Uint8Array): boolean {
  return contentOf(body)?.cluster === cluster
}

/** What an object has for a state. */
type OpenedRecent = {
  /** Those that go on from the state and fold only windows that it names, the shortest first. */
  readonly folds: readonly RecentFold[]
  /** Whether these are all. If not, the object is of another state, damaged, or another version's. */
  readonly areAll: boolean
}

/** Opens an object. Bytes of whatever kind give no fold but one that was made from this state's windows. `stored`: as `body` of {@link readRecentFold}. */
export function openRecent(body: Uint8Array, state: FoldBase, stored: Uint8Array | null = null): OpenedRecent {
  const content = contentOf(body)
  if (content?.cluster !== state.cluster || !isBase(content.base, state, stored)) return { folds: [], areAll: false }
  const windows = windowsAfterMonths(state)
  const own = content.folds.filter(
    (fold) => fold.count <= windows.length && fold.windows === windowsDigest(windows.slice(0, fold.count)),
  )
  return { folds: own.map((fold) => foldOf(fold, state)), areAll: own.length === content.folds.length }
}

/** Undefined for damaged bytes and for another version's. */
function contentOf(body: Uint8Array): StoredRecent | undefined {
  if (body.length > MAX_BYTES) return undefined
  let lines: Buffer
  try {
    lines = gunzipSync(body, { maxOutputLength: MAX_BYTES })
  } catch {
    return undefined
  }
  const end = lines.indexOf('\n')
  const text = lines.subarray(end + 1)
  if (lines.subarray(0, end).toString('latin1') !== sha256Of(text)) return undefined
  // Anybody can make the digest: whoever writes to the store must not stop those who derive it again.
  const content = parseJson(text)
  return SHAPE.safeParse(content).success ? (content as StoredRecent) : undefined
}

const ENTRIES = z.array(z.tuple([z.string(), z.unknown()]))

/** An array of objects with a text of a name. Nothing is copied, as zod does with objects: there are hundreds. */
const arrayWith = (name: string) =>
  z.custom<unknown>(
    (value) =>
      Array.isArray(value) &&
      value.every((one) => typeof one === 'object' && one !== null && typeof Reflect.get(one, name) === 'string'),
  )

/** As much as reading an object rests on. */
const SHAPE = z.looseObject({
  format: z.literal('ciphertrail/recent/1'),
  cluster: z.string(),
  base: z.string(),
  folds: z.array(
    z.looseObject({
      count: z.int(),
      windows: z.string(),
      watermark: z.nullable(z.string()),
      paths: arrayWith('pathId'),
      episodes: arrayWith('id'),
      ends: z.record(z.string(), z.unknown()),
      unread: z.nullable(z.object({ workloads: z.array(z.string()), paths: z.array(z.string()) })),
      months: z.array(z.string()),
      facts: z.looseObject({
        windows: z.array(z.unknown()),
        seen: ENTRIES,
        unlisted: z.array(z.string()),
        namespaces: z.looseObject({ before: ENTRIES, last: z.array(z.looseObject({ seconds: ENTRIES })) }),
      }),
    }),
  ),
})

/** What a question does not ask for is not made: each part is made when it is asked for. */
function foldOf(
  { count, watermark, paths, episodes, ends, unread, months, facts }: StoredFold,
  state: FoldBase,
): RecentFold {
  const { cluster, timeline } = state
  return {
    count,
    known: {
      cluster,
      watermark,
      unread,
      get paths() {
        return unitedBy(timeline.paths, paths, ({ pathId }) => pathId)
      },
      get episodes() {
        return unitedBy(timeline.episodes, episodes, ({ id }) => id)
      },
      get ends() {
        return Object.fromEntries(
          Object.entries({ ...timeline.ends, ...ends }).toSorted(([a], [b]) => compareText(a, b)),
        )
      },
    },
    get facts() {
      return factsOf(facts)
    },
    async months(asked) {
      const read: TimelineMonth[] = []
      for (const month of months) {
        const body = Buffer.from(month, 'base64')
        read.push(await (asked === undefined ? decodeMonth(body) : decodeAsked(body, asked)))
      }
      return read
    },
  }
}

function changedOf<T>(before: readonly T[], now: readonly T[], idOf: (one: T) => string): T[] {
  const known = new Map(before.map((one) => [idOf(one), one]))
  return now.filter((one) => !isDeepStrictEqual(known.get(idOf(one)), one))
}

function changedEndsOf(before: KnownTimeline['ends'], now: KnownTimeline['ends']): KnownTimeline['ends'] {
  const known = new Map(Object.entries(before))
  return Object.fromEntries(Object.entries(now).filter(([key, end]) => !isDeepStrictEqual(known.get(key), end)))
}

function unitedBy<T>(before: readonly T[], changed: readonly T[], idOf: (one: T) => string): T[] {
  if (changed.length === 0) return [...before]
  const all = new Map([...before, ...changed].map((one) => [idOf(one), one]))
  return [...all].toSorted(([a], [b]) => compareText(a, b)).map(([, one]) => one)
}

function storedFacts({ seen, windows, unlisted, labelled, namespaces, last }: RecentFacts): StoredFacts {
  return {
    seen: entriesOf(seen),
    windows,
    unlisted: [...unlisted],
    labelled,
    namespaces: {
      before: entriesOf(namespaces.before),
      last: namespaces.last.map((sight) => ({ ...sight, seconds: entriesOf(sight.seconds) })),
    },
    last,
  }
}

function factsOf({ seen, unlisted, namespaces: { before, last }, ...facts }: StoredFacts): RecentFacts {
  return {
    ...facts,
    seen: new Map(seen),
    unlisted: new Set(unlisted),
    namespaces: {
      before: new Map(before),
      last: last.map((sight) => ({ ...sight, seconds: new Map(sight.seconds) })),
    },
  }
}

function entriesOf<T>(map: ReadonlyMap<string, T>): (readonly [string, T])[] {
  return [...map].toSorted(([a], [b]) => compareText(a, b))
}

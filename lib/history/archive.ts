/**
 * Archives old days of a cluster's state, so that the state does not grow for ever. Each day that is already in a month becomes one object, which the state
 * names by its hash. Deriving new windows needs none of them; reading old windows reads only their days.
 */
import { hash } from 'node:crypto'
import * as z from 'zod'
import { partitionPoint } from '../partition-point.ts'
import { toSeconds, toTime } from '../time/windows.ts'
import { concurrently } from '../concurrently.ts'
import { DERIVATION } from '../model/window.ts'
import type { Seconds, Window, WindowSetting } from '../model/time.ts'
import { compareText } from '../text/order.ts'
import { DamagedError, encodeDerived, sha256Of } from '../store/objects/derived-object.ts'
import { parseJson } from '../text/parse-json.ts'
import { archiveKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { type AttemptedWindow, distinctLists, type KnownList, listsIn } from '../store/evidence/selected-attempt.ts'

/** The archive in a state. */
export const archiveSchema = z.object({
  /** Start of the very first window. */
  since: z.string(),
  /** End of the last archived window; everything archived ended by then. */
  until: z.string(),
  /** Window sizes up to then. If the settings for that time change, the archived windows change, too. */
  settings: z.array(z.object({ since: z.string(), minutes: z.int() })).readonly(),
  /** Kubernetes lists in archived evidence that windows after `until` may need: those taken since then, and the last one before. */
  lists: z.array(z.object({ key: z.string(), takenAt: z.string() })).readonly(),
  /** Oldest first. A day on which no window begins has no entry. */
  days: z
    .array(
      z.object({
        /** UTC. */
        day: z.string(),
        /** Hash of the object. */
        sha256: z.string(),
        /** Digest of the keys of its evidence, {@link digestOfKeys}. */
        keys: z.string(),
        /** When the first and the last Kubernetes list of its evidence were taken; null if there are none. */
        lists: z.object({ first: z.string(), last: z.string() }).nullable(),
      }),
    )
    .readonly(),
})

/** A state's index of its archive. */
export type Archive = z.infer<typeof archiveSchema>

/** A day of the archive in a state. */
export type NamedDay = Archive['days'][number]

/** A window between the first and the last with evidence, with the SHA-256 of its result; null if there is no attempt. */
export type FoldedWindow = Window & { readonly sha256: string | null }

/** Windows and evidence in a state after the archive, and the archive; null if nothing was archived. */
export type Remembered = {
  readonly cluster: string
  readonly evidence: readonly AttemptedWindow[]
  readonly windows: readonly FoldedWindow[]
  readonly archive: Archive | null
}

/** A stored day. */
type ArchivedDay = {
  readonly format: 'ciphertrail/archive/1'
  readonly derivation: number
  readonly cluster: string
  readonly day: string
  /** In time order. Evidence of a window that ended within a later day's last window is in that day. */
  readonly evidence: readonly AttemptedWindow[]
  /** Windows that begin on the day, in time order. */
  readonly windows: readonly FoldedWindow[]
}

/** The question cannot be answered without the archive. */
export class ArchiveNeededError extends Error {
  override readonly name = 'ArchiveNeededError'
}

const DAY_SECONDS = 24 * 60 * 60

/** Number of days read at once. */
const MAX_READS = 16

/**
 * Returns the first day that stays in the state, such as `2026-11-24`: the day of the months' watermark, or of the last window if earlier. Windows that may
 * still be collected stay, and the same history is always cut at the same place. Undefined if there are no months.
 */
export function firstKeptDay(
  windows: readonly FoldedWindow[],
  { watermark }: { readonly watermark: string | null },
): string | undefined {
  const last = windows.at(-1)
  if (watermark === null || last === undefined) return undefined
  return dayOf(watermark) < dayOf(last.start) ? dayOf(watermark) : dayOf(last.start)
}

/**
 * Moves the windows of all days before a day into the archive, with the evidence that ended by the end of the last of them. Returns the bytes of newly
 * archived days, by day. Moving in one or several steps gives the same result.
 *
 * @param day the first day that is not moved
 * @param settings of the cluster
 */
export function archiveBefore<T extends Remembered>(
  state: T,
  day: string,
  settings: readonly WindowSetting[],
): { readonly state: T; readonly bodies: ReadonlyMap<string, Uint8Array> } {
  const bodies = new Map<string, Uint8Array>()
  const moved = state.windows.filter(({ start }) => dayOf(start) < day)
  const [first, last] = [moved[0], moved.at(-1)]
  if (first === undefined || last === undefined) return { state, bodies }
  const days = [...(state.archive?.days ?? [])]
  const lists: KnownList[] = [...(state.archive?.lists ?? [])]
  let waiting: readonly AttemptedWindow[] = []
  let taken = 0
  for (const [name, windows] of Map.groupBy(moved, ({ start }) => dayOf(start))) {
    const over = windows.at(-1)?.end ?? ''
    const begun = taken + partitionPoint(state.evidence.slice(taken), ({ start }) => dayOf(start) <= name)
    const candidates = [...waiting, ...state.evidence.slice(taken, begun)]
    taken = begun
    const evidence = candidates.filter(({ end }) => end <= over)
    waiting = candidates.filter(({ end }) => end > over)
    const own = distinctLists(listsIn(evidence))
    lists.push(...own)
    const content: ArchivedDay = {
      format: 'ciphertrail/archive/1',
      derivation: DERIVATION,
      cluster: state.cluster,
      day: name,
      evidence,
      windows,
    }
    const body = encodeDerived(content)
    bodies.set(name, body)
    const [earliest, latest] = [own[0], own.at(-1)]
    days.push({
      day: name,
      sha256: sha256Of(body),
      keys: digestOfKeys(evidence.flatMap(({ attempts }) => attempts.map(({ key }) => key))),
      lists: earliest === undefined || latest === undefined ? null : { first: earliest.takenAt, last: latest.takenAt },
    })
  }
  const archive: Archive = {
    since: state.archive?.since ?? first.start,
    until: last.end,
    settings: settingsUntil(settings, last.end),
    lists: listsFrom(lists, toSeconds(last.end)),
    days,
  }
  const evidence = [...waiting, ...state.evidence.slice(taken)]
  return { state: { ...state, evidence, windows: state.windows.slice(moved.length), archive }, bodies }
}

/** Returns the settings for windows up to a time: those that began by then, and the first one, which also applies to all earlier windows. */
export function settingsUntil(settings: readonly WindowSetting[], until: string): WindowSetting[] {
  return settings
    .filter(({ since }, index) => index === 0 || toSeconds(since) <= toSeconds(until))
    .map(({ since, minutes }) => ({ since, minutes }))
}

/** Returns the lists taken at a time or later, and the last one before. */
function listsFrom(lists: readonly KnownList[], from: Seconds): KnownList[] {
  const ordered = distinctLists(lists)
  const before = ordered.findLast(({ takenAt }) => toSeconds(takenAt) < from)
  return [...(before === undefined ? [] : [before]), ...ordered.filter(({ takenAt }) => toSeconds(takenAt) >= from)]
}

/** Returns a digest of the keys of a day's evidence, 64 hex digits. It is equal if the store lists the same keys, in any order. */
export function digestOfKeys(keys: readonly string[]): string {
  return hash('sha256', keys.toSorted(compareText).join('\n'), 'hex')
}

/** Returns the UTC day of RFC 3339 text, such as `2026-11-24`. */
export function dayOf(time: string): string {
  return time.slice(0, 10)
}

/** Returns the next UTC day. */
export function dayAfter(day: string): string {
  return dayOf(toTime(toSeconds(`${day}T00:00:00Z`) + DAY_SECONDS))
}

/** Returns the start of the first window with evidence; null if there is none. */
export function sinceOf({ archive, windows }: Pick<Remembered, 'archive' | 'windows'>): string | null {
  return archive?.since ?? windows[0]?.start ?? null
}

/**
 * Returns when a cluster was first collected, for whatever window, RFC 3339 by the collector's clock; null if unknown. In the archive, the first Kubernetes
 * list shows it.
 */
export function firstLookOf({ archive, evidence }: Pick<Remembered, 'archive' | 'evidence'>): string | null {
  const listed = archive?.days.flatMap(({ lists }) => lists?.first ?? [])
  // The remaining evidence does not show what was before.
  if (listed?.length === 0) return null
  const begun = evidence.flatMap(({ attempts }) => attempts.flatMap(({ startedAt }) => startedAt ?? []))
  return [...(listed ?? []), ...begun].toSorted((a, b) => toSeconds(a) - toSeconds(b))[0] ?? null
}

/** Reads a state as if nothing had been archived. Throws {@link DamagedError} for a day that is missing or has another hash. */
export async function readUnarchived<T extends Remembered>(state: T, objects: Objects): Promise<T> {
  if (state.archive === null) return state
  const days = await readDays(state.cluster, state.archive.days, objects)
  return {
    ...state,
    evidence: [...days.flatMap(({ evidence }) => evidence), ...state.evidence].toSorted(
      (a, b) => compareText(a.start, b.start) || compareText(a.end, b.end),
    ),
    windows: [...days.flatMap(({ windows }) => windows), ...state.windows],
    archive: null,
  }
}

/** Reads the attempts at windows that begin at a time or later, and possibly some earlier ones. Throws {@link DamagedError}. */
export async function readEvidenceSince(
  { cluster, archive, evidence }: Remembered,
  from: string,
  objects: Objects,
): Promise<AttemptedWindow[]> {
  const days = (archive?.days ?? []).filter(({ day }) => day >= dayOf(from))
  const read = await readDays(cluster, days, objects)
  return [...read.flatMap((day) => day.evidence), ...evidence]
}

/** Reads the window that begins at a time; undefined if there is none. Throws {@link DamagedError}. */
export async function readWindowFrom(
  { cluster, archive, windows }: Remembered,
  start: string,
  objects: Objects,
): Promise<FoldedWindow | undefined> {
  const days = (archive?.days ?? []).filter(({ day }) => day === dayOf(start))
  const read = await readDays(cluster, days, objects)
  return [...read.flatMap((day) => day.windows), ...windows].find((window) => window.start === start)
}

/**
 * Reads the window `(start, end]` that holds a time, of whatever length it was; undefined if there is none. Throws {@link DamagedError}.
 */
export async function readWindowHolding(
  { cluster, archive, windows }: Remembered,
  time: Seconds,
  objects: Objects,
): Promise<FoldedWindow | undefined> {
  // No window goes beyond midnight, which belongs to the last one of its day.
  const own = dayOf(toTime(Math.ceil(time) - 1))
  const days = (archive?.days ?? []).filter(({ day }) => day === own)
  const read = await readDays(cluster, days, objects)
  return [...read.flatMap((day) => day.windows), ...windows].find(
    ({ start, end }) => toSeconds(start) < time && time <= toSeconds(end),
  )
}

/** Reads the windows that end in `(from, to]` in time order, preceded by the last one that ends by `from`. Throws {@link DamagedError}. */
export async function readWindowsOf(
  state: Remembered,
  { from, to }: { readonly from: string; readonly to: string },
  objects: Objects,
): Promise<FoldedWindow[]> {
  const [after, until] = [toSeconds(from), toSeconds(to)]
  const found: FoldedWindow[] = []
  for await (const windows of latestFirst(state, objects, to)) {
    found.unshift(...windows.filter(({ end }) => toSeconds(end) <= until))
    const before = found.findLastIndex(({ end }) => toSeconds(end) <= after)
    if (before !== -1) return found.slice(before)
  }
  return found
}

/**
 * Reads all windows of a state in batches, latest batch first, each in time order. Throws {@link DamagedError}.
 *
 * @param to windows entirely after it need not be read
 */
export async function* latestFirst(
  { cluster, archive, windows }: Remembered,
  objects: Objects,
  to?: string,
): AsyncGenerator<readonly FoldedWindow[]> {
  yield windows
  for (const named of archive?.days.toReversed() ?? []) {
    if (to !== undefined && named.day > dayOf(toTime(toSeconds(to)))) continue
    yield (await readDay(cluster, named, objects)).windows
  }
}

/**
 * Reads the last Kubernetes list that was taken at a time or before it, and the first after it, of any attempt; undefined if there is none. Throws
 * {@link DamagedError}.
 */
export async function readListsAround(
  { cluster, archive, evidence }: Remembered,
  time: Seconds,
  objects: Objects,
): Promise<{ readonly before: KnownList | undefined; readonly after: KnownList | undefined }> {
  let lists = distinctLists([...(archive?.lists ?? []), ...listsIn(evidence)])
  const found = () => ({
    before: lists.findLast(({ takenAt }) => toSeconds(takenAt) <= time),
    after: lists.find(({ takenAt }) => toSeconds(takenAt) > time),
  })
  /** Whether a day may contain a list that is nearer than those found, or from the same moment. */
  const mayBeNearer = ({ lists: own }: NamedDay): boolean => {
    if (own === null) return false
    const { before, after } = found()
    const [first, last] = [toSeconds(own.first), toSeconds(own.last)]
    const isBefore = first <= time && (before === undefined || Math.min(last, time) >= toSeconds(before.takenAt))
    const isAfter = last > time && (after === undefined || Math.max(first, time) <= toSeconds(after.takenAt))
    return isBefore || isAfter
  }
  const distance = ({ lists: own }: NamedDay): Seconds =>
    own === null ? Infinity : Math.max(toSeconds(own.first) - time, time - toSeconds(own.last), 0)
  for (const named of archive?.days.toSorted((a, b) => distance(a) - distance(b)) ?? []) {
    if (!mayBeNearer(named)) continue
    const day = await readDay(cluster, named, objects)
    lists = distinctLists([...lists, ...listsIn(day.evidence)])
  }
  return found()
}

async function readDays(cluster: string, days: readonly NamedDay[], objects: Objects): Promise<ArchivedDay[]> {
  return concurrently(days, MAX_READS, (named) => readDay(cluster, named, objects))
}

async function readDay(cluster: string, { day, sha256 }: NamedDay, objects: Objects): Promise<ArchivedDay> {
  const key = archiveKey(cluster, day)
  const stored = await objects.get(key)
  if (stored === undefined || sha256Of(stored.body) !== sha256) throw new DamagedError(key)
  // The hash proves that ciphertrail derived these bytes, so they need no schema check.
  return parseJson(stored.body) as ArchivedDay
}

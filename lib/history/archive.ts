/**
 * What leaves the state of a cluster, so that it does not grow with every window for ever: days that are in months already, each as one object that
 * the state names by its hash. Who derives news needs none of them; whoever is asked for what is old reads the days that he is asked for.
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

/** The archive as a state names it. */
export const archiveSchema = z.object({
  /** Start of the first window of all. */
  since: z.string(),
  /** End of the last archived window: whatever is archived ended by then. */
  until: z.string(),
  /** The sizes of windows that counted up to then: where these are others now, the archived windows are, too. */
  settings: z.array(z.object({ since: z.string(), minutes: z.int() })).readonly(),
  /** Of the Kubernetes lists in archived evidence those that windows after `until` may need: all that were taken since then, and the last one before. */
  lists: z.array(z.object({ key: z.string(), takenAt: z.string() })).readonly(),
  /** Oldest first. A day on which no window begins has none. */
  days: z
    .array(
      z.object({
        /** UTC. */
        day: z.string(),
        /** Of the object. */
        sha256: z.string(),
        /** Of the keys of its evidence, {@link digestOfKeys}. */
        keys: z.string(),
        /** When the first and the last Kubernetes list of its evidence were taken; null where it has none. */
        lists: z.object({ first: z.string(), last: z.string() }).nullable(),
      }),
    )
    .readonly(),
})

/** What a state says of what has left it. */
export type Archive = z.infer<typeof archiveSchema>

/** A day of the archive as a state names it. */
export type NamedDay = Archive['days'][number]

/** A window from the first to the last with evidence; the SHA-256 of its result, null where there is no attempt. */
export type FoldedWindow = Window & { readonly sha256: string | null }

/** What a state knows of windows: what came after the archive, and the archive; null where nothing has left. */
export type Remembered = {
  readonly cluster: string
  readonly evidence: readonly AttemptedWindow[]
  readonly windows: readonly FoldedWindow[]
  readonly archive: Archive | null
}

/** A day as it is stored. */
type ArchivedDay = {
  readonly format: 'ciphertrail/archive/1'
  readonly derivation: number
  readonly cluster: string
  readonly day: string
  /** In time order. Evidence whose window ended only in a later day's last window is in that day. */
  readonly evidence: readonly AttemptedWindow[]
  /** Those that begin on the day, in time order. */
  readonly windows: readonly FoldedWindow[]
}

/** What is asked cannot be answered without the archive. */
export class ArchiveNeededError extends Error {
  override readonly name = 'ArchiveNeededError'
}

const DAY_SECONDS = 24 * 60 * 60

/** So many days are read at once. */
const MAX_READS = 16

/**
 * The first day that is to stay in the state, `2026-11-24`: that of the watermark of the months, or of the last window where it is earlier. So what
 * may still be collected stays, and the same history is always cut in the same place. Undefined where there are no months.
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
 * Moves the windows of all days before a day into the archive, and the evidence of these days that had ended when the last of the windows had. Gives the
 * bytes of the days that are new in it, by day. Moving them at once or in any number of steps comes to the same.
 *
 * @param day the first that is not moved
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

/** The settings that decide about windows up to a time: those that began by then, and the first, which counts for whatever is before all. */
export function settingsUntil(settings: readonly WindowSetting[], until: string): WindowSetting[] {
  return settings
    .filter(({ since }, index) => index === 0 || toSeconds(since) <= toSeconds(until))
    .map(({ since, minutes }) => ({ since, minutes }))
}

/** Those that were taken at a time or later, and the last before. */
function listsFrom(lists: readonly KnownList[], from: Seconds): KnownList[] {
  const ordered = distinctLists(lists)
  const before = ordered.findLast(({ takenAt }) => toSeconds(takenAt) < from)
  return [...(before === undefined ? [] : [before]), ...ordered.filter(({ takenAt }) => toSeconds(takenAt) >= from)]
}

/** Stands for the keys of a day's evidence, 64 hex digits: equal where a list of the store shows the same ones. Their order does not matter. */
export function digestOfKeys(keys: readonly string[]): string {
  return hash('sha256', keys.toSorted(compareText).join('\n'), 'hex')
}

/** The UTC day of RFC 3339 text, `2026-11-24`. */
export function dayOf(time: string): string {
  return time.slice(0, 10)
}

/** The UTC day after a day. */
export function dayAfter(day: string): string {
  return dayOf(toTime(toSeconds(`${day}T00:00:00Z`) + DAY_SECONDS))
}

/** Start of the first window with evidence; null where there is none. */
export function sinceOf({ archive, windows }: Pick<Remembered, 'archive' | 'windows'>): string | null {
  return archive?.since ?? windows[0]?.start ?? null
}

/**
 * When a cluster was looked at first, whatever window was asked for, RFC 3339 by the clock of who collected; null where nobody knows. What is in the archive
 * says it by its first Kubernetes list.
 */
export function firstLookOf({ archive, evidence }: Pick<Remembered, 'archive' | 'evidence'>): string | null {
  const listed = archive?.days.flatMap(({ lists }) => lists?.first ?? [])
  // What is left says nothing of what was before.
  if (listed?.length === 0) return null
  const begun = evidence.flatMap(({ attempts }) => attempts.flatMap(({ startedAt }) => startedAt ?? []))
  return [...(listed ?? []), ...begun].toSorted((a, b) => toSeconds(a) - toSeconds(b))[0] ?? null
}

/** Reads a state as it would be if nothing had ever left it. Throws {@link DamagedError} for a day that is missing or not the one that it names. */
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

/** Reads the attempts at windows that begin at a time or later, and maybe some before. Throws {@link DamagedError}. */
export async function readEvidenceSince(
  { cluster, archive, evidence }: Remembered,
  from: string,
  objects: Objects,
): Promise<AttemptedWindow[]> {
  const days = (archive?.days ?? []).filter(({ day }) => day >= dayOf(from))
  const read = await readDays(cluster, days, objects)
  return [...read.flatMap((day) => day.evidence), ...evidence]
}

/** Reads the window that begins at a time; undefined where there is none. Throws {@link DamagedError}. */
export async function readWindowFrom(
  { cluster, archive, windows }: Remembered,
  start: string,
  objects: Objects,
): Promise<FoldedWindow | undefined> {
  const days = (archive?.days ?? []).filter(({ day }) => day === dayOf(start))
  const read = await readDays(cluster, days, objects)
  return [...read.flatMap((day) => day.windows), ...windows].find((window) => window.start === start)
}

/** Reads the windows that end in `(from, to]` in time order, and before them the last one that ends by `from`. Throws {@link DamagedError}. */
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
 * Reads the windows that a state knows, the latest first: some at a time, and these in time order. Throws {@link DamagedError}.
 *
 * @param to of what lies wholly after it nothing needs to be read
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
 * Reads the last Kubernetes list that was taken at a time or before it, and the first after it, of any attempt; undefined where there is none. Throws
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
  /** Whether a day may hold one that is nearer than what is found, or stands for the same moment. */
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
  // The hash says that these are the bytes that were derived, so their shape needs no second proof.
  return parseJson(stored.body) as ArchivedDay
}

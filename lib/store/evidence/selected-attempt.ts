import { partitionPoint } from '../../partition-point.ts'
import { toSeconds, toTime, windowOf, windowsBetween } from '../../time/windows.ts'
import type { Window, WindowSetting } from '../../model/time.ts'
import type { WindowResult } from '../../model/window.ts'
import { compareText } from '../../text/order.ts'

/** The facts remembered about an attempt, so that choosing among attempts and lists does not read it again. */
export type KnownAttempt = {
  readonly key: string
  readonly number: number
  /** Every source answered everything that was asked. */
  readonly complete: boolean
  /** When it was begun, RFC 3339 by the collector's clock; null if unreadable. */
  readonly startedAt: string | null
  /** When its Kubernetes lists were begun; null if they were not read completely. */
  readonly listsAt: string | null
  /** Seconds in which proxies were seen, by an assessment of this attempt alone; null if it is complete or unreadable. */
  readonly observedSeconds: number | null
  /** Why it is unreadable, in one line; null if it is readable. */
  readonly error: string | null
}

/** A window with evidence. */
export type AttemptedWindow = Window & {
  /** At least one; sorted by number. */
  readonly attempts: readonly KnownAttempt[]
}

/** Complete Kubernetes lists of an attempt, of any window. */
export type KnownList = {
  /** Key of the attempt. */
  readonly key: string
  /** When they were begun, RFC 3339. */
  readonly takenAt: string
}

/** Identifies a window. */
export function windowId({ start, end }: Window): string {
  return `${start}/${end}`
}

/** The Kubernetes lists of all attempts, in their order. */
export function listsIn(windows: readonly AttemptedWindow[]): KnownList[] {
  return windows
    .flatMap(({ attempts }) => attempts)
    .flatMap(({ key, listsAt }) => (listsAt === null ? [] : [{ key, takenAt: listsAt }]))
}

/** Lists in the order in which they were taken. Of several at the same moment the first by key is used, so that a repeated collection changes nothing. */
export function distinctLists(lists: readonly KnownList[]): KnownList[] {
  return lists
    .map((list) => ({ list, at: toSeconds(list.takenAt) }))
    .toSorted((a, b) => a.at - b.at || compareText(a.list.key, b.list.key))
    .filter(({ at }, index, all) => at !== all[index - 1]?.at)
    .map(({ list }) => list)
}

/** How long after a window's start a list still counts as taken before it. */
export const BEFORE_SLACK_SECONDS = 2 * 60

/**
 * The attempt to use for a window: the first complete one, else the one that saw most, ties to the lowest number; an unreadable one only if there is no other.
 * Undefined if there are no attempts.
 */
export function selectedAttempt(attempts: readonly KnownAttempt[]): KnownAttempt | undefined {
  const rank = ({ complete, error, observedSeconds }: KnownAttempt): number =>
    complete ? Infinity : error === null ? (observedSeconds ?? 0) : -1
  return attempts.toSorted((a, b) => rankOrder(rank(b), rank(a)) || a.number - b.number)[0]
}

/**
 * The inputs of each window, by its {@link windowId}: its chosen attempt and, if that is complete, all other complete ones, the latest Kubernetes list before
 * the window and the first after it, from any attempt of the cluster. A pure function of all evidence: its order of arrival changes nothing.
 *
 * @param windows in time order
 * @param others lists of attempts at other windows that these may need
 */
export function inputsOf(
  windows: readonly AttemptedWindow[],
  others: readonly KnownList[] = [],
): Map<string, WindowResult['inputs']> {
  const lists = distinctLists([...listsIn(windows), ...others]).map(({ key, takenAt }) => ({
    key,
    takenAt: toSeconds(takenAt),
  }))
  const inputs = new Map<string, WindowResult['inputs']>()
  for (const window of windows) {
    const { start, end } = window
    const standing = selectedAttempt(window.attempts)
    if (standing === undefined) continue
    const begun = toSeconds(start) + BEFORE_SLACK_SECONDS
    const over = toSeconds(end)
    const before = lists[partitionPoint(lists, ({ takenAt }) => takenAt <= begun) - 1]
    const after = lists[partitionPoint(lists, ({ takenAt }) => takenAt < over)]
    const also = window.attempts
      .filter(({ complete, key }) => complete && standing.complete && key !== standing.key)
      .toSorted((a, b) => a.number - b.number)
      .map(({ key }) => key)
    inputs.set(windowId(window), {
      evidence: standing.key,
      before: before?.key ?? null,
      after: after?.key ?? null,
      ...(also.length === 0 ? {} : { also }),
    })
  }
  return inputs
}

/**
 * Every window from the first to the last with evidence, in time order and without a gap: those with evidence, and between them those that the settings expect.
 * One of several overlapping windows is kept, since two would count the same time twice: the one that the settings expect, so that a window of another size
 * hides none of these, else the earlier one.
 *
 * @param windows in time order
 * @param from end of the last window before these, so that none of them begins earlier; absent: there is none
 */
export function tile(settings: readonly WindowSetting[], windows: readonly AttemptedWindow[], from?: string): Window[] {
  const expected = windows.filter((window) => isExpected(settings, window))
  const tiles: Window[] = []
  for (const { start, end } of windows) {
    const lastEnd = tiles.at(-1)?.end ?? from
    if (lastEnd !== undefined && start < lastEnd) continue
    const next = expected[partitionPoint(expected, (one) => one.end <= start)]
    if (next !== undefined && next.start < end && !(next.start === start && next.end === end)) continue
    if (lastEnd !== undefined && start > lastEnd) tiles.push(...fill(settings, lastEnd, start))
    tiles.push({ start, end })
  }
  return tiles
}

function isExpected(settings: readonly WindowSetting[], { start, end }: Window): boolean {
  const own = windowOf(settings, toSeconds(end))
  return own.start === start && own.end === end
}

/** The expected windows in a gap, the last one shortened if the gap ends within it. */
function fill(settings: readonly WindowSetting[], from: string, to: string): Window[] {
  const ends = windowsBetween(settings, toSeconds(from), toSeconds(to)).map(({ end }) => end)
  if (ends.at(-1) !== to) ends.push(toTime(toSeconds(to)))
  return ends.map((end, index) => ({ start: ends[index - 1] ?? from, end }))
}

function rankOrder(a: number, b: number): number {
  return a === b ? 0 : a - b
}

import * as z from 'zod'
import { againAt, LOOKBACK_SECONDS, RETENTION_SECONDS, SETTLE_SECONDS, toSeconds, windowOf } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Seconds, Window } from '../model/time.ts'
import { MAX_ATTEMPTS } from '../store/keys.ts'
import type { KnownAttempt } from '../store/evidence/selected-attempt.ts'

/**
 * The message that requests one attempt: `{"cluster":"shop","window":{"start":"…","end":"…"},"attempt":1}`. Its attempt is the number after those stored at the
 * time of the request, so that a repeated or late message finds its attempt stored.
 */
export const dueWindowSchema = z.object({
  cluster: z.string(),
  /** RFC 3339 in UTC, whole seconds, as in the registry's windows. */
  window: z.object({ start: z.iso.datetime(), end: z.iso.datetime() }),
  /** 1 and up. */
  attempt: z.int().min(1).max(MAX_ATTEMPTS),
})

/** The request for one attempt at a window. */
export type DueWindow = z.infer<typeof dueWindowSchema>

const MINUTE = 60

/**
 * Pause after each incomplete attempt before the next one; after the last of these, hourly. A source that only restarted is queried again soon, and one that is
 * down is queried for the same window seven times within Prometheus' retention of six hours.
 */
const PAUSES = [15 * MINUTE, 45 * MINUTE, 60 * MINUTE] as const

/** The facts about an attempt that decide whether to query again. */
export type Tried = Pick<KnownAttempt, 'number' | 'complete' | 'startedAt'>

/**
 * Whether an ended window is to be collected (again): no complete attempt is stored, and the pause after the last one is over.
 *
 * @param attempts all stored ones; with none it is due at once
 */
export function isWindowDue({ end }: Window, attempts: readonly Tried[], now: Seconds): boolean {
  if (toSeconds(end) + SETTLE_SECONDS > now) return false
  if (attempts.some(({ complete }) => complete)) return false
  const last = attempts.toSorted((a, b) => a.number - b.number).at(-1)
  if (last === undefined) return true
  return last.number < MAX_ATTEMPTS && begunAt(last, end, attempts.length, now) + pauseAfter(attempts.length) <= now
}

/** When the last attempt was begun; if unknown, or if its clock was ahead of ours, when it was due. */
function begunAt({ startedAt }: Tried, end: string, count: number, now: Seconds): Seconds {
  const at = startedAt === null ? Infinity : toSeconds(startedAt)
  if (at <= now) return at
  let planned = toSeconds(end) + SETTLE_SECONDS
  for (let earlier = 1; earlier < count; earlier++) planned += pauseAfter(earlier)
  return planned
}

/** The pause after this number of attempts. */
function pauseAfter(count: number): Seconds {
  return PAUSES[Math.min(count, PAUSES.length) - 1] ?? 0
}

/**
 * Whether a window with a complete attempt is due to be queried again: its time has come, no complete attempt was begun since, and Prometheus still has all the
 * data of the first one, or expired data would look like a different answer.
 */
export function isDueAgain(window: Window, attempts: readonly Tried[], now: Seconds): boolean {
  const at = againAt(window)
  const complete = attempts.filter((one) => one.complete)
  if (complete.length === 0 || now < at) return false
  if (toSeconds(window.start) - LOOKBACK_SECONDS <= now - RETENTION_SECONDS) return false
  return complete.every(({ startedAt }) => startedAt === null || toSeconds(startedAt) < at)
}

/** The first requested window of a cluster: the last one that ended before it was registered. */
export function firstWindow({ windows, registeredAt }: Pick<Cluster, 'windows' | 'registeredAt'>): Window {
  const own = windowOf(windows, toSeconds(registeredAt))
  return toSeconds(own.end) <= toSeconds(registeredAt) ? own : windowOf(windows, toSeconds(own.start))
}

/**
 * Why a window of a cluster cannot be collected, in one line; undefined if it can. Only ended windows that the cluster's settings define, from the last one
 * that ended before its registration on: no evidence is expected of others.
 */
export function refusalOf(
  { id, windows, registeredAt }: Cluster,
  { start, end }: Window,
  now: Seconds,
): string | undefined {
  const refused = `Cannot collect the window ${start} to ${end} of cluster "${id}"`
  const own = windowOf(windows, toSeconds(end))
  if (own.start !== start || own.end !== end)
    return `${refused}: it has none such, its window at that time is ${own.start} to ${own.end}; ask for that one`
  if (toSeconds(end) < toSeconds(firstWindow({ windows, registeredAt }).end))
    return `${refused}: it was over when the cluster was registered, at ${registeredAt}; collect it with "ciphertrail collect --at"`
  if (toSeconds(end) + SETTLE_SECONDS > now)
    return `${refused}: it is not over, ask for it ${SETTLE_SECONDS} s after its end`
  return undefined
}

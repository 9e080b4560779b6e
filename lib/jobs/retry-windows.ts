/** When a window without a complete attempt is asked again. */
import type { Seconds, Window } from '../model/time.ts'
import type { KnownAttempt } from '../store/evidence/selected-attempt.ts'
import { MAX_ATTEMPTS } from '../store/keys.ts'
import { SETTLE_SECONDS, toSeconds } from '../time/windows.ts'

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

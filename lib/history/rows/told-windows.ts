/** How much of a period the windows of a cluster tell. */
import type { TimelineMonth } from '../../model/history.ts'
import type { Seconds } from '../../model/time.ts'
import { partitionPoint } from '../../partition-point.ts'
import { lengthOf, toSeconds } from '../../time/windows.ts'

type TimelineWindow = TimelineMonth['windows'][number]

/** Windows of a period, and of how many of them nothing, or not everything that was asked for, is known. */
export type ToldWindows = {
  readonly windows: number
  readonly notCollected: number
  /** Seconds of the period that no window covers, from its first window on: nobody was to look then. */
  readonly uncoveredSeconds: number
}

/** Whether anything is known of a window: of a collected one in which no proxy was observed, or metrics were not all answered, silence says nothing. */
export function isWindowTold({ collected, ratio }: Pick<TimelineWindow, 'collected' | 'ratio'>): boolean {
  return collected && ratio !== 0
}

/**
 * Counts the windows of a period. That its end lies in a window that is not over is no lack: `now` decides which.
 *
 * @param own those that end in the period, oldest first
 * @param all the known windows of the cluster, oldest first, those after the period among them
 * @param to end of the period, RFC 3339; undefined: without a bound
 * @param isEnded nothing is expected after the last window: a replay, of which others say so
 */
export function toldWindows(
  own: readonly TimelineWindow[],
  all: readonly TimelineWindow[],
  to: string | undefined,
  { now, isEnded }: { readonly now: Date; readonly isEnded: boolean },
): ToldWindows {
  const until = Math.min(to === undefined ? Infinity : toSeconds(to), now.getTime() / 1000)
  return {
    windows: own.length,
    notCollected: own.filter((window) => !isWindowTold(window)).length,
    uncoveredSeconds: holesIn(own) + (isEnded ? 0 : uncoveredAtEnd(own, all, { until, now: now.getTime() / 1000 })),
  }
}

function holesIn(windows: readonly TimelineWindow[]): Seconds {
  return windows.reduce((sum, { start }, index) => {
    const before = windows[index - 1]
    // Nearly all follow each other: only of a hole the times are read.
    return before === undefined || before.end === start
      ? sum
      : sum + Math.max(0, toSeconds(start) - toSeconds(before.end))
  }, 0)
}

/** What lies between the last window and the end of the period, unless another of the same length is not over there or not collected yet. */
function uncoveredAtEnd(
  own: readonly TimelineWindow[],
  all: readonly TimelineWindow[],
  { until, now }: { readonly until: Seconds; readonly now: Seconds },
): Seconds {
  const last = own.at(-1)
  if (last === undefined) return 0
  const left = until - toSeconds(last.end)
  if (left <= 0) return 0
  const next = all[partitionPoint(all, ({ end }) => end <= last.end)]
  const isCut = next !== undefined && toSeconds(next.start) < until
  const isOver = toSeconds(last.end) + lengthOf(last) + MOST_LATE <= now
  return isCut || isOver ? left : 0
}

/** A window is collected within this after its end. */
const MOST_LATE: Seconds = 600

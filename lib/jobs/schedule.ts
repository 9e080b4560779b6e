/** The schedule of a service on one machine, as decisions on given times: it keeps no state that a restart would lose. */
import { RETENTION_SECONDS, toSeconds } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Seconds } from '../model/time.ts'
import { lastWeek } from '../time/week.ts'

/** How often a log grows at least, even without news: a heartbeat shows that sealing ran. */
const SEAL_SECONDS = 60 * 60

/** Number of missed weeks that are made up for: as far as the trend of a report reaches. */
const MAX_WEEKS = 8

/** Number of windows without a plan before something must be wrong. */
const STUCK_WINDOWS = 2

/** If no cluster is registered. */
const USUAL_MINUTES = 60

/** A week whose report is due. */
export type EndedWeek = {
  /** ISO week, `2026-W47`. */
  readonly week: string
  /** The earliest time to make it: its data does not grow any more. */
  readonly at: Date
}

/**
 * The weeks whose reports are due, oldest first: they ended so long ago that none of their windows can be collected any more, and a registered cluster was
 * expected in them.
 */
export function endedWeeks(
  clusters: readonly Pick<Cluster, 'registeredAt'>[],
  now: Date,
  timeZone: string,
): readonly EndedWeek[] {
  const since = Math.min(...clusters.map(({ registeredAt }) => toSeconds(registeredAt)))
  const weeks: EndedWeek[] = []
  let before = now.getTime() / 1000 - RETENTION_SECONDS
  while (weeks.length < MAX_WEEKS) {
    const { week, to } = lastWeek(new Date(before * 1000), timeZone)
    const end = toSeconds(to)
    if (end <= since || since === Infinity) break
    weeks.unshift({ week, at: new Date((end + RETENTION_SECONDS) * 1000) })
    // A time within that week, so that the next round finds the one before it.
    before = end - 1
  }
  return weeks
}

/** Whether to extend the log now. `lastAt` is null if nothing was sealed since the start. */
export function isSealDue(now: Seconds, lastAt: Seconds | null, hasNews: boolean): boolean {
  return lastAt === null || hasNews || now - lastAt >= SEAL_SECONDS
}

/** Whether a new UTC day began since the last time. `lastAt` is null if there was none. */
export function isDailyDue(now: Date, lastAt: Date | null): boolean {
  return lastAt === null || now.toISOString().slice(0, 10) !== lastAt.toISOString().slice(0, 10)
}

/** Seconds without a plan after which the scheduler counts as stuck: two windows of the cluster with the shortest ones. */
export function stuckAfter(clusters: readonly Pick<Cluster, 'windows'>[]): Seconds {
  const minutes = clusters.map(({ windows }) => windows.at(-1)?.minutes ?? USUAL_MINUTES)
  return STUCK_WINDOWS * Math.min(USUAL_MINUTES, ...minutes) * 60
}

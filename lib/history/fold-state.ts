import type { Window } from '../model/time.ts'
import type { PathEnds } from '../model/path.ts'
import type { WindowResult } from '../model/window.ts'
import type { Episode, TimelineMonth } from '../model/history.ts'
import { ALL_READ, type Unread } from '../assess/window/episode-lifecycle.ts'
import * as z from 'zod'

/** An expected window; `result` is null if there is no attempt. */
export type ExpectedWindow = { readonly window: Window; readonly result: WindowResult | null }

/** State of a path in the fold, besides its intervals. A path is known from the first window in which it was seen. */
export type KnownPath = PathEnds & {
  /** Id of the open episode. */
  readonly episode: string | null
  /** Start of the current run of quiet windows; null if the last window was not quiet. */
  readonly quietSince: string | null
  /** Start of the current run of quiet windows in which every connection was observed, never before `quietSince`; null if the last window was not such. */
  readonly watchedSince: string | null
  /** An end of the path was gone in the last collected window: no row until the path is seen again. */
  readonly isGone: boolean
}

/** Whether it is meshed (`yes`, `no` or `partly`), and its ServiceAccount; null if its pods have several or it is unknown. */
export type EndIdentity = readonly [meshed: string, serviceAccount: string | null]

/** How far the windows of a cluster are folded, and the data that the next fold needs. All of it is JSON. */
export type Timeline = {
  readonly cluster: string
  /** End of the last folded window; null before the first. */
  readonly watermark: string | null
  /** Sorted by path id. */
  readonly paths: readonly KnownPath[]
  /** Every episode of the cluster in its current status, sorted by id. */
  readonly episodes: readonly Episode[]
  /** Workloads at the ends of known paths as last listed: meshed or not, and the ServiceAccount; by `kind/namespace/name`. */
  readonly ends: Readonly<Record<string, EndIdentity>>
  /** What was not read wholly in the last window. */
  readonly unread: Unread
  /**
   * Oldest first. The next fold reads and changes only those in {@link hotMonths}; older ones may be left out.
   *
   * An interval has its episode as it was when it opened, since it may end long after the month was written. `episodes` has the current status under the same
   * id.
   */
  readonly months: readonly TimelineMonth[]
}

const source = z.object({
  kind: z.string(),
  namespace: z.string(),
  name: z.string(),
  serviceAccount: z.string().nullable(),
})

/** Schema of a stored {@link Timeline} without its months. */
export const timelineSchema = z.object({
  cluster: z.string(),
  watermark: z.string().nullable(),
  paths: z
    .array(
      z.object({
        pathId: z.string(),
        source,
        destination: source.extend({ cluster: z.string().nullable() }),
        port: z.int(),
        episode: z.string().nullable(),
        quietSince: z.string().nullable(),
        watchedSince: z.string().nullable(),
        isGone: z.boolean(),
      }),
    )
    .readonly(),
  episodes: z
    .array(
      z.object({
        id: z.string(),
        openedAt: z.string(),
        sinceUnknown: z.boolean(),
        mayBeEarlier: z.boolean(),
        endedAt: z.string().nullable(),
        ending: z.enum(['fixed', 'refused', 'gone', 'quiet']).nullable(),
      }),
    )
    .readonly(),
  ends: z.record(z.string(), z.tuple([z.string(), z.string().nullable()]).readonly()).readonly(),
  unread: z.object({ workloads: z.array(z.string()).readonly(), paths: z.array(z.string()).readonly() }).nullable(),
})

/** Returns the timeline of a cluster before its first window. */
export function emptyTimeline(cluster: string): Timeline {
  return { cluster, watermark: null, paths: [], episodes: [], ends: {}, unread: ALL_READ, months: [] }
}

/**
 * Returns how many of a state's windows are folded into its months: the first ones, up to the watermark. Archived windows are folded, too, but not counted.
 */
export function foldedCount({
  windows,
  timeline: { watermark },
}: {
  readonly windows: readonly Window[]
  readonly timeline: Pick<Timeline, 'watermark'>
}): number {
  return watermark === null ? 0 : windows.findLastIndex(({ end }) => end <= watermark) + 1
}

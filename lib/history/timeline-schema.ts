import type { Window } from '../model/time.ts'
import type { PathEnds } from '../model/path.ts'
import type { WindowResult } from '../model/window.ts'
import type { Episode, TimelineMonth } from '../model/history.ts'
import * as z from 'zod'

/** An expected window; `result` is null where there is no standing attempt. */
export type ExpectedWindow = { readonly window: Window; readonly result: WindowResult | null }

/** What the fold remembers of a path beside its intervals. A path is known from the first window in which it was seen. */
export type KnownPath = PathEnds & {
  /** Id of the open episode. */
  readonly episode: string | null
  /** Start of the first window of the present run of quiet windows; null where the last window was not quiet. */
  readonly quietSince: string | null
  /** Start of the present run of quiet windows of which every connection was seen, which never begins before the quiet one; null where the last window was not such. */
  readonly watchedSince: string | null
  /** An end of the path was gone in the last collected window: no row until the path is seen again. */
  readonly isGone: boolean
}

/** `yes`, `no` or `partly`; the ServiceAccount, null where its pods have several or that is not known. */
export type EndStanding = readonly [meshed: string, serviceAccount: string | null]

/** How far the windows of a cluster are folded, and what the next one is folded onto. All of it is JSON. */
export type Timeline = {
  readonly cluster: string
  /** End of the last window folded; null before the first. */
  readonly watermark: string | null
  /** Sorted by path id. */
  readonly paths: readonly KnownPath[]
  /** Every episode of the cluster, as it stands; sorted by id. */
  readonly episodes: readonly Episode[]
  /** How the lists last showed the workloads at the ends of known paths: in the mesh or not, and the ServiceAccount; by `kind/namespace/name`. */
  readonly ends: Readonly<Record<string, EndStanding>>
  /**
   * Oldest first. Only those that {@link hotMonths} names are read or changed by the next fold; older ones may be left out.
   *
   * An interval holds its episode as it stood when it opened, since it may end long after the month was written: how it stands
   * now is in `episodes`, under the same id.
   */
  readonly months: readonly TimelineMonth[]
}

const source = z.object({
  kind: z.string(),
  namespace: z.string(),
  name: z.string(),
  serviceAccount: z.string().nullable(),
})

/** A {@link Timeline} without its months, as it is read back from the store. */
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
        endedAt: z.string().nullable(),
        ending: z.enum(['fixed', 'refused', 'gone', 'quiet']).nullable(),
      }),
    )
    .readonly(),
  ends: z.record(z.string(), z.tuple([z.string(), z.string().nullable()]).readonly()).readonly(),
})

/** The timeline of a cluster before its first window. */
export function emptyTimeline(cluster: string): Timeline {
  return { cluster, watermark: null, paths: [], episodes: [], ends: {}, months: [] }
}

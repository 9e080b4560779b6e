/** How things stand now, as numbers and lists: the words stand where it is shown. */
import type { Standing } from './standing.ts'
import type { Summary } from './summary.ts'

/** A day. */
export const DAY_SECONDS = 24 * 60 * 60

/** How a cluster is collected. Shares are of pod time, 0 to 1; null where they are not known. */
export type StatusCluster = {
  readonly id: string
  /** End of the last window that was collected; null where none was. */
  readonly lastWindow: string | null
  /** The last window that was expected was collected. */
  readonly isUpToDate: boolean
  /** Of the last 24 hours. */
  readonly seenInDay: number | null
  /** Of the whole span. */
  readonly seenInSpan: number | null
  /** Windows of the span that were expected and not collected. */
  readonly missingWindows: number
  readonly missingSeconds: number
}

/** How things stand, with all that is known of the clusters together. */
export type Status = StatusFacts & {
  /** The last seven days, or since the first window. It ends with the last window that is over. */
  readonly period: { readonly from: string; readonly to: string }
  readonly replay: string | null
  readonly summary: Summary
}

/** How things stand on any number of clusters, over the same period. */
export type FleetStatus = StatusFacts & { readonly standing: Standing }

type StatusFacts = {
  readonly clusters: readonly StatusCluster[]
  /** The next mail and its channel; null without a channel. */
  readonly mail: { readonly channel: string; readonly at: string } | null
}

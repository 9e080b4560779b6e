/** What a report is made from. Whoever reads the store gives it; nothing in this folder reads anything. */
import type { ClusterPast, ClusterPeriod, PrintedHead } from '../model/period.ts'
import type { Judgement, ReportSettings } from '../model/judgement.ts'

/** A period `(from, to]`: it holds the windows that end in it. */
export type ReportPeriod = {
  readonly from: string
  readonly to: string
  /** `Week 2026-W47`, or a range. */
  readonly label: string
  /** IANA name of the zone in which times are shown. */
  readonly timeZone: string
}

/** What somebody said of an earlier report. */
export type ReportReview = {
  /** Key of its record. */
  readonly report: string
  readonly period: ReportPeriod
  readonly reviewer: string
  readonly note: string
  /** RFC 3339. */
  readonly at: string
}

/** All that a report says is made from this. */
export type ReportInput = {
  readonly period: ReportPeriod
  /** Version of ciphertrail. */
  readonly version: string
  /** Every cluster that was asked, also if nothing came of it. */
  readonly clusters: readonly ClusterPeriod[]
  /** What was before, of the same clusters. One that is absent has no past that is known. */
  readonly past: readonly ClusterPast[]
  readonly settings: ReportSettings
  readonly judgement: Judgement
  /** Null where nothing was ever sealed. */
  readonly checkpoint: PrintedHead | null
  /** Ids of clusters that were registered once and are not asked here any more, although they may have been in the period. */
  readonly removed?: readonly string[]
  /** Reviews of the reports of earlier periods, oldest first; absent: none. */
  readonly reviews?: readonly ReportReview[]
  /** A sentence that is shown on top where the data is a replay. */
  readonly replay?: string
}

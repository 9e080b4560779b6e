/** What a report is made from. Whoever reads the store gives it; nothing in this folder reads anything. */
import type { ClusterPast, ClusterPeriod } from '../model/period.ts'
import type { Judgement } from '../model/judgement.ts'

/** A period `(from, to]`: it holds the windows that end in it. */
export type ReportPeriod = {
  readonly from: string
  readonly to: string
  /** `Week 2026-W47`, or a range. */
  readonly label: string
  /** IANA name of the zone in which times are shown. */
  readonly timeZone: string
}

/** The signed head of the log when the report was made. */
type Checkpoint = {
  readonly origin: string
  /** How many entries the log had. */
  readonly size: number
  /** The root hash, base64. */
  readonly root: string
  /** The key by which `text` is verified, as `name+id+key`. */
  readonly vkey: string
  /** The checkpoint as it was signed. */
  readonly text: string
  /** How many attempts to collect the report rests on, and how many of them the log does not hold yet. */
  readonly attempts: number
  readonly unsealed: number
}

export type ReportInput = {
  readonly period: ReportPeriod
  /** Version of ciphertrail. */
  readonly version: string
  /** Every cluster that was asked, also if nothing came of it. */
  readonly clusters: readonly ClusterPeriod[]
  /** What was before, of the same clusters. One that is absent has no past that is known. */
  readonly past: readonly ClusterPast[]
  readonly judgement: Judgement
  /** Null where nothing was ever sealed. */
  readonly checkpoint: Checkpoint | null
  /** Ids of clusters that were registered once and are not asked here any more, although they may have been in the period. */
  readonly removed?: readonly string[]
  /** A sentence that is shown on top where the data is a replay. */
  readonly replay?: string
}

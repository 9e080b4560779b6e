/** The stored history of a cluster: intervals and episodes of each path, by month. */
import type { Cause, Corroborated, Enforcement, Outcome, PathClass, PathEnds, Setting, Source, State } from './path.ts'
import type { LabelledNamespaces } from './window.ts'

/** A time in which a path was not encrypted. */
export type Episode = {
  /** `<pathId>-<opened at, basic format>` */
  readonly id: string
  readonly openedAt: string
  /** It was not seen to begin: it is older than `openedAt`, by an unknown time. */
  readonly sinceUnknown: boolean
  /** Its path was not read wholly in the window before: it may be older than `openedAt`, unseen. False where it is older by all means. */
  readonly mayBeEarlier: boolean
  /** Null while open. */
  readonly endedAt: string | null
  readonly ending: 'fixed' | 'refused' | 'gone' | 'quiet' | null
}

/** What a path did in a window, or in several: sums, and of `openAtScrape` the most. */
export type Activity = {
  readonly opens: number
  readonly openAtScrape: number
  readonly bytes: number
  readonly clearBytes: number
}

/** A stretch of windows, without a hole, in which a path kept state, outcome, reason, cause and enforcement. */
export type Interval = PathEnds & {
  readonly cluster: string
  readonly from: string
  readonly to: string
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  readonly cause: Cause | null
  /** Settings of workloads on which the cause rests, in the last window in which the path was seen; absent: none. A change of them alone starts no new interval. */
  readonly settings?: readonly Setting[]
  readonly enforcement: Enforcement
  readonly corroborated: Corroborated
  /** In the last window in which the path was seen. A change of them alone starts no new interval. */
  readonly candidates: readonly Source[]
  readonly clientId: string | null
  readonly serverId: string | null
  readonly episode: Episode | null
  /** How many windows it has. */
  readonly windows: number
  /** A bit for each window, the first in the lowest bit of the first byte: set where the window was collected and nothing was seen of the path. */
  readonly quiet: Uint8Array
  /** Of all its windows. */
  readonly total: Activity
  /** Of each window that was not quiet, oldest first, where the path was not encrypted: what a part of it moved is asked of such. Else empty. */
  readonly activity: readonly Activity[]
}

/** One row of `paths --json` and of the API. */
export type PathRow = PathEnds & {
  readonly cluster: string
  /** The path's class, from the namespaces in the months of the period. */
  readonly class: PathClass
  readonly from: string
  readonly to: string
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  readonly cause: Cause | null
  /** Settings of workloads on which the cause rests; absent: none. */
  readonly settings?: readonly Setting[]
  /** The change that would fix it, or what to look at where that is not known, in words that can be pasted; null where nothing is to be fixed. */
  readonly fix: string | null
  /** Part of the bytes that the mesh did not encrypt, 0 to 1; null where no bytes were counted, or where `bytes` is null. */
  readonly clearShare: number | null
  /** This and the next two: null where the asked period holds a part of a stretch of which only the sums are kept. What was not encrypted is kept by window. */
  readonly opens: number | null
  readonly openAtScrape: number | null
  readonly bytes: number | null
  readonly corroborated: Corroborated
  readonly enforcement: Enforcement
  readonly candidates: readonly Source[]
  readonly episode: Episode | null
  /** Id of the waiver in force that accepts that the path is not encrypted, or null. */
  readonly waiver: string | null
  /** Keys of the snapshots behind the first and the last window of the row, all attempts that were used; empty where nothing was collected. */
  readonly evidence: readonly string[]
}

/** A row of which it is known what moved. */
export type CountedRow = PathRow & { readonly [Count in 'opens' | 'openAtScrape' | 'bytes']: number }

/** One month of one cluster: the windows that were expected and the intervals of its paths. Cut at month ends. */
export type TimelineMonth = {
  readonly format: 'ciphertrail/timeline/2'
  readonly derivation: number
  readonly cluster: string
  /** `2026-11` */
  readonly month: string
  /**
   * Every expected window, oldest first. `evidence` is null where there is no standing attempt; `also` names the others that were used. Seconds are the sums of the
   * cluster's coverage, 0 where nothing is known of it; `ratio` is observed over expected, null where nothing was expected.
   */
  readonly windows: readonly {
    readonly start: string
    readonly end: string
    readonly evidence: string | null
    readonly also?: readonly string[]
    readonly collected: boolean
    readonly expectedSeconds: number
    readonly observedSeconds: number
    readonly ratio: number | null
  }[]
  /** Namespaces in the lists around these windows; null without a complete list. */
  readonly namespaces: LabelledNamespaces | null
  /** Sorted by path id, then time. */
  readonly intervals: readonly Interval[]
}

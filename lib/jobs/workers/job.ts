/** Work in a separate process, so that hostile evidence of a cluster or agent can kill that process and nothing else. */
import type { Window } from '../../model/time.ts'
import type { CollectedDue } from '../collect-window.ts'
import type { DueWindow } from '../due-windows.ts'

/** Something to be done. As JSON it goes to the worker. */
export type Job =
  /** As `collectDue`. */
  | { readonly kind: 'collect'; readonly message: DueWindow }
  /** Derives from the attempts that are stored of a window. */
  | { readonly kind: 'derive'; readonly cluster: string; readonly window: Window }
  /** Brings all derived data of these clusters up to date, several clusters at once. */
  | { readonly kind: 'compact'; readonly clusters: readonly string[]; readonly now: string; readonly atOnce: number }

/** The outcome of compacting a cluster. */
export type Compacted = {
  readonly cluster: string
  /** How many windows were made. */
  readonly windows: number
  /** One line for each stored thing that could not be derived from. */
  readonly errors: readonly string[]
  /** Why it was not compacted, where another try may do better; null where it was. */
  readonly problem: string | null
}

/** Messages of a worker, on the way and at the end. */
export type Told =
  /** It parses or assesses this evidence from now on. */
  | { readonly told: 'begin'; readonly key: string }
  | { readonly told: 'end' }
  /** It asks a cluster, or begins with another one: what happens now is not of the evidence before. */
  | { readonly told: 'forget' }
  | { readonly told: 'compacted'; readonly outcome: Compacted }
  /** `rss`: how many bytes of memory it has by then. */
  | { readonly told: 'done'; readonly result: CollectedDue | null; readonly rss: number }
  | { readonly told: 'failed'; readonly message: string; readonly rss: number }

/** Work in a separate process, so that hostile evidence of a cluster or agent can kill that process and nothing else. */
import type { Window } from '../../model/time.ts'
import type { CollectedDue } from '../collect-window.ts'
import type { DueWindow } from '../due-windows.ts'

/** A job. It is sent to the worker as JSON. */
export type Job =
  /** The same as `collectDue`. */
  | { readonly kind: 'collect'; readonly message: DueWindow }
  /** Derives from the stored attempts of a window. */
  | { readonly kind: 'derive'; readonly cluster: string; readonly window: Window }
  /** Brings all derived data of these clusters up to date, several clusters at once. */
  | { readonly kind: 'compact'; readonly clusters: readonly string[]; readonly now: string; readonly atOnce: number }

/** The outcome of compacting a cluster. */
export type Compacted = {
  readonly cluster: string
  /** Number of derived windows. */
  readonly windows: number
  /** One line for each stored object that could not be derived. */
  readonly errors: readonly string[]
  /** Why it was not compacted, if a retry may help; null if it was. */
  readonly problem: string | null
}

/** Messages of a worker, on the way and at the end. */
export type WorkerMessage =
  /** Parsing or assessing of this evidence begins. */
  | { readonly told: 'begin'; readonly key: string }
  | { readonly told: 'end' }
  /** It queries a cluster, or begins with another one: a later crash is not caused by earlier evidence. */
  | { readonly told: 'forget' }
  | { readonly told: 'compacted'; readonly outcome: Compacted }
  /** `rss`: its memory in bytes. */
  | { readonly told: 'done'; readonly result: CollectedDue | null; readonly rss: number }
  | { readonly told: 'failed'; readonly message: string; readonly rss: number }

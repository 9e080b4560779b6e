import type { Interval, Activity, TimelineMonth, Episode } from '../model/history.ts'
import type { LabelledNamespaces } from '../model/window.ts'
import type { KnownPath, EndIdentity } from './fold-state.ts'
import type { Unread } from '../assess/window/episode-lifecycle.ts'

type DraftInterval = { -readonly [Key in keyof Interval]: Interval[Key] } & { activity: Activity[] }

/** A known path while windows are folded into it. */
export type DraftPath = { -readonly [Key in keyof KnownPath]: KnownPath[Key] } & {
  /** Intervals in the loaded months, oldest first. */
  readonly intervals: DraftInterval[]
}

/** A month while windows are folded into it; its intervals are with their paths. */
export type DraftMonth = Omit<TimelineMonth, 'windows' | 'intervals' | 'namespaces'> & {
  readonly windows: TimelineMonth['windows'][number][]
  namespaces: LabelledNamespaces | null
}

/** A timeline while windows are folded into it: known paths, months that stay unchanged (`cold`), and months that grow (`hot`). */
export type Fold = {
  readonly cluster: string
  watermark: string | null
  readonly paths: Map<string, DraftPath>
  readonly episodes: Map<string, Episode>
  readonly ends: Map<string, EndIdentity>
  unread: Unread
  readonly cold: readonly TimelineMonth[]
  readonly hot: DraftMonth[]
}

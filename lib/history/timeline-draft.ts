import type { Interval, Activity, TimelineMonth, Episode } from '../model/history.ts'
import type { KnownPath, EndStanding } from './timeline-schema.ts'

type DraftInterval = { -readonly [Key in keyof Interval]: Interval[Key] } & { activity: Activity[] }

export type DraftPath = { -readonly [Key in keyof KnownPath]: KnownPath[Key] } & {
  /** Those in the months loaded, oldest first. */
  readonly intervals: DraftInterval[]
}

export type DraftMonth = Omit<TimelineMonth, 'windows' | 'intervals'> & {
  readonly windows: TimelineMonth['windows'][number][]
}

export type Fold = {
  readonly cluster: string
  watermark: string | null
  readonly paths: Map<string, DraftPath>
  readonly episodes: Map<string, Episode>
  readonly ends: Map<string, EndStanding>
  readonly cold: readonly TimelineMonth[]
  readonly hot: DraftMonth[]
}

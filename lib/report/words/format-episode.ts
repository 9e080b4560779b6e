/** How long something has been so that no end of it is known. */
import type { Episode } from '../../model/history.ts'
import { type Dates, durationWords } from '../../time/dates.ts'
import type { Exposure } from '../summary/path-summary.ts'
import type { Summary } from '../summary/summary.ts'

/**
 * Since when a path of a cluster is not encrypted, of an episode that has not ended, and for how long. It is told up to the last window that was
 * collected: that it went on after that is not known, and neither is that it ended.
 */
export function openWords(cluster: string, began: Began, summary: Summary, dates: Dates): string {
  const { openedAt, sinceUnknown, mayBeEarlier } = began
  const since = sinceUnknown
    ? `not encrypted since an unknown time; first seen ${dates.moment(openedAt)}`
    : `not encrypted since ${beganWords(began, dates)}`
  const lasted = openFor(cluster, openedAt, summary)
  if (lasted === null) return `${since}; nothing was collected after that, so for how long is not known`
  const upTo = lasted.isUpToDate ? '' : ` up to the last window collected, ${dates.moment(lasted.until)}`
  if (sinceUnknown) return `${since}, at least ${lasted.words}${upTo}`
  return `${since} (${mayBeEarlier ? 'at least ' : ''}${lasted.words}${upTo})`
}

/**
 * How long an episode that has not ended was seen to last, and up to when that is: up to date where no window was expected after it. Null where nothing
 * was collected of the cluster after it began.
 */
export function openFor(
  cluster: string,
  openedAt: string,
  { clusters }: Pick<Summary, 'clusters'>,
): { readonly words: string; readonly until: string; readonly isUpToDate: boolean } | null {
  const own = clusters.find(({ id }) => id === cluster)
  const until = own?.collectedUntil ?? null
  if (until === null || Date.parse(until) <= Date.parse(openedAt)) return null
  const words = durationWords((Date.parse(until) - Date.parse(openedAt)) / 1000)
  return { words, until, isUpToDate: until === own?.windows.at(-1)?.end }
}

/** When something began, as far as is known. */
type Began = Pick<Episode, 'openedAt' | 'sinceUnknown' | 'mayBeEarlier'>

/** When a path or an action began. */
export const beganOf = ({
  since,
  isSinceUnknown,
  mayBeEarlier,
}: Pick<Exposure, 'since' | 'isSinceUnknown' | 'mayBeEarlier'>): Began => ({
  openedAt: since,
  sinceUnknown: isSinceUnknown,
  mayBeEarlier,
})

/** When something began: `Tue 4 Nov 09:00`, `Tue 4 Nov 09:00 or earlier`, or `before Tue 4 Nov 09:00`. */
export function beganWords({ openedAt, sinceUnknown, mayBeEarlier }: Began, { moment }: Pick<Dates, 'moment'>): string {
  if (sinceUnknown) return `before ${moment(openedAt)}`
  return `${moment(openedAt)}${mayBeEarlier ? ' or earlier' : ''}`
}

/**
 * How long something open has been so, to follow a word for it: `since Tue 4 Nov 09:00 (26 d)`, `since Tue 4 Nov 09:00 or earlier (at least 26 d)`, or
 * `since before Tue 4 Nov 09:00 (at least 35 min)` where it began before it was first looked at.
 */
export function sinceWords(cluster: string, began: Began, summary: Pick<Summary, 'clusters'>, dates: Dates): string {
  const { openedAt, sinceUnknown, mayBeEarlier } = began
  const lasted = openFor(cluster, openedAt, summary)
  if (lasted === null)
    return `since ${sinceUnknown ? 'before ' : ''}${dates.moment(openedAt)}; nothing was collected after that`
  const upTo = lasted.isUpToDate ? '' : ` up to the last collected window, ${dates.moment(lasted.until)}`
  const atLeast = sinceUnknown || mayBeEarlier ? 'at least ' : ''
  return `since ${beganWords(began, dates)} (${atLeast}${lasted.words}${upTo})`
}

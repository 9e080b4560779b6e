/** What every section needs to word itself. */
import { calendarMarks, datesOf } from '../../time/dates.ts'
import type { Dates } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { axisOf } from '../drawing/strip-layout.ts'
import type { Axis } from '../drawing/strip-layout.ts'
import type { Summary } from '../summary/summary.ts'
import { sum } from '../summary/sums.ts'
import { countWords, plural } from './vocabulary.ts'

/** What the words of every section are chosen by. */
export type Wording = {
  readonly dates: Dates
  readonly summary: Summary
  readonly axes: ReadonlyMap<string, ClusterAxis>
  /** What the lines in a strip mark: `midnight`. */
  readonly unit: string
  /** It is a page of the site that is worded, which has no data files beside it and not all sections of a report. */
  readonly isPage: boolean
}

/** Names a data file: it is beside a report, and a page says so. */
export const dataFile = ({ isPage }: Pick<Wording, 'isPage'>, name: string): string =>
  isPage ? `${name} of a report` : name

/** The time axis of a cluster, and where the calendar is marked on it. */
export type ClusterAxis = {
  readonly axis: Axis
  /** Of its first window; 0 without one. */
  readonly windowSeconds: number
  readonly marks: readonly { readonly x: number; readonly label: string }[]
}

/** The dates, axes and marks of a report, or of a page. */
export function wordingOf(summary: Summary, { isPage = false } = {}): Wording {
  const { period, clusters } = summary
  const calendar = calendarMarks(period.from, period.to, period.timeZone)
  const axes = new Map(
    clusters.map(({ id, windows }) => {
      const axis = axisOf(windows, period)
      const [first] = windows
      const windowSeconds = first === undefined ? 0 : (Date.parse(first.end) - Date.parse(first.start)) / 1000
      return [id, { axis, windowSeconds, marks: calendar.marks.map(({ at, label }) => ({ x: axis.xOf(at), label })) }]
    }),
  )
  return { dates: datesOf(period), summary, axes, unit: calendar.unit, isPage }
}

/** Names the cluster where there is more than one. */
export function clusterNote({ clusters }: Summary, id: string): string | null {
  return clusters.length > 1 ? `cluster ${printable(id)}` : null
}

/** The first of a long list, and a sentence that says how many there are and where the rest stands; empty where all are shown. */
export function firstLines<T>(
  items: readonly T[],
  most: number,
  where: string,
): { readonly shown: readonly T[]; readonly note: string } {
  if (items.length <= most) return { shown: items, note: '' }
  return {
    shown: items.slice(0, most),
    note: ` The first ${countWords(most)} of ${countWords(items.length)} are shown; all stand in ${where}.`,
  }
}

/**
 * As {@link firstLines}, of rows that each stand for several items: people count these. `noun` is what an item is called, such as `path`, and `countOf` how many
 * a row has.
 */
export function firstRows<T>(
  rows: readonly T[],
  most: number,
  where: string,
  noun: string,
  countOf: (row: T) => number,
): { readonly shown: readonly T[]; readonly note: string } {
  const shown = rows.slice(0, most)
  if (shown.length === rows.length) return { shown, note: '' }
  return {
    shown,
    note: ` ${countWords(sum(shown, countOf))} of ${plural(sum(rows, countOf), noun)} are shown, in ${plural(shown.length, 'row')}; all stand in ${where}.`,
  }
}

import { printable } from '../lib/text/printable.ts'
import type { ReportPeriod } from '../lib/report/report-input.ts'
import { datesOf } from '../lib/time/dates.ts'
import { PERIOD_FORMS } from '../lib/time/period-forms.ts'
import { parsePeriod } from '../lib/time/period-text.ts'
import { type WeekPeriod, lastWeek, weekPeriod } from '../lib/time/week.ts'
import { checkedZone } from '../lib/time/checked-zone.ts'
import { toSeconds } from '../lib/time/windows.ts'
import { UsageError } from './console.ts'
import { readTime } from './option-values.ts'

/** How a period is given. */
export type PeriodOptions = {
  readonly week?: string
  readonly period?: string
  readonly timeZone?: string
  readonly from?: string
  readonly to?: string
}

/** The words of --week in the help. */
export const WEEK_HELP = 'an ISO week, such as 2026-W47; default: the last one that is over'

/** The words of --period in the help. */
export const PERIOD_HELP =
  'a week 2026-W47, a month 2026-11, a quarter 2026-Q4, a day 2026-11-24, or two times with a slash between them: 2026-11-01/2026-12-01'

/**
 * Reads what `--period` says in one word, or `--from` and `--to`; in UTC. What is not given is undefined. Throws UsageError.
 *
 * @param verb what the command does with the period: `show paths`
 */
export function readSpanOptions(
  { period, from, to }: Pick<PeriodOptions, 'period' | 'from' | 'to'>,
  verb: string,
): { readonly from: string | undefined; readonly to: string | undefined } {
  if (period !== undefined) {
    if (from !== undefined || to !== undefined)
      throw new UsageError('Cannot use --period together with --from or --to: give one of them')
    return wholePeriod(period, 'UTC')
  }
  const span = {
    from: from === undefined ? undefined : readTime('--from', from),
    to: to === undefined ? undefined : readTime('--to', to),
  }
  if (span.from !== undefined && span.to !== undefined && toSeconds(span.from) >= toSeconds(span.to))
    throw new UsageError(`Cannot ${verb} from ${span.from} to ${span.to}: wanted --from before --to`)
  return span
}

function wholePeriod(period: string, timeZone: string): WeekPeriod {
  try {
    return parsePeriod(period, timeZone)
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(printable(error.message)) : error
  }
}

/**
 * Reads the period of a command; without one it is the last week that is over. Throws UsageError.
 *
 * @param verb what the command does with the period: `report`
 */
export function readPeriodOptions(options: PeriodOptions, now: Date, verb: string): ReportPeriod {
  const { week, timeZone = 'UTC', from, to } = unfolded(options, verb)
  try {
    const zone = checkedZone(timeZone)
    if (week !== undefined) {
      if (from !== undefined || to !== undefined)
        throw new UsageError('Cannot use --week together with --from or --to: give one of them')
      return { ...weekPeriod(week, zone), label: `Week ${week}`, timeZone: zone }
    }
    if (from === undefined && to === undefined) {
      const { week: last, ...period } = lastWeek(now, zone)
      return { ...period, label: `Week ${last}`, timeZone: zone }
    }
    if (from === undefined || to === undefined)
      throw new UsageError(
        `Cannot tell the period of the ${verb}: give --week 2026-W47, or both --from and --to, or nothing for the last week that is over`,
      )
    const period = { from: readTime('--from', from), to: readTime('--to', to) }
    if (toSeconds(period.from) >= toSeconds(period.to))
      throw new UsageError(`Cannot ${verb} from ${period.from} to ${period.to}: wanted --from before --to`)
    const label = datesOf({ ...period, timeZone: zone }).fullRange(period.from, period.to)
    return { ...period, label, timeZone: zone }
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(printable(error.message))
    throw error
  }
}

/** `--period` says what `--week`, or `--from` and `--to`, say in two words. */
function unfolded({ period, ...options }: PeriodOptions, verb: string): Omit<PeriodOptions, 'period'> {
  if (period === undefined) return options
  if (options.week !== undefined || options.from !== undefined || options.to !== undefined)
    throw new UsageError('Cannot use --period together with --week, --from or --to: give one of them')
  const [from = '', to, ...more] = period.split('/')
  // Of the calendar, as `diff` takes them.
  if (/^\d{4}-(Q\d|\d\d(-\d\d)?)$/.test(period))
    return { ...options, ...wholePeriod(period, options.timeZone ?? 'UTC') }
  if (to === undefined) {
    if (!/^\d{4}-W/.test(period)) wholePeriod(period, 'UTC')
    return { ...options, week: from }
  }
  if (more.length > 0)
    throw new UsageError(`Cannot ${verb} over --period "${printable(period)}": wanted ${PERIOD_FORMS}`)
  return { ...options, from, to }
}

/** A period as it is given to `report`. */
export function periodArguments({ from, to, label, timeZone }: ReportPeriod): string {
  const zone = timeZone === 'UTC' ? '' : ` --time-zone ${timeZone}`
  const week = /^Week (\d{4}-W\d\d)$/.exec(label)?.[1]
  return `${week === undefined ? `--from ${from} --to ${to}` : `--week ${week}`}${zone}`
}

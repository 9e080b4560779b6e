import { Temporal } from 'temporal-polyfill'
import { checkedZone } from './checked-zone.ts'
import { YEARS, isInYears } from './windows.ts'

/** A period as `(from, to]`, RFC 3339 in UTC. */
export type WeekPeriod = { readonly from: string; readonly to: string }

/**
 * The begin and end of an ISO week (`2026-W47`) in a time zone: Monday 00:00 to Monday 00:00, which is 167 or 169 hours if clocks change. Throws a RangeError
 * with the wanted form for a week that does not exist or lies outside of the known years, or an unknown IANA zone.
 */
export function weekPeriod(week: string, timeZone: string): WeekPeriod {
  const [, year, number] = /^(\d{4})-W(\d\d)$/.exec(week) ?? []
  if (year === undefined || number === undefined)
    throw new RangeError(`Cannot read week "${week}": wanted an ISO week, such as 2026-W47`)
  if (!isInYears(week)) throw new RangeError(`Cannot read week "${week}": wanted a year ${YEARS}`)
  // January 4 is always in week 1.
  const fourth = Temporal.PlainDate.from({ year: Number(year), month: 1, day: 4 })
  const monday = fourth.subtract({ days: fourth.dayOfWeek - 1 }).add({ weeks: Number(number) - 1 })
  if (monday.yearOfWeek !== Number(year) || monday.weekOfYear !== Number(number))
    throw new RangeError(`Cannot read week "${week}": ${year} has no such week`)
  const start = (day: Temporal.PlainDate) =>
    day
      .toZonedDateTime({ timeZone: checkedZone(timeZone) })
      .toInstant()
      .toString({ smallestUnit: 'second' })
  return { from: start(monday), to: start(monday.add({ weeks: 1 })) }
}

/** The last ISO week that ended by a time, in a time zone, and its name. */
export function lastWeek(at: Date, timeZone: string): WeekPeriod & { readonly week: string } {
  const today = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone).toPlainDate()
  const day = today.subtract({ weeks: 1 })
  const week = `${day.yearOfWeek}-W${String(day.weekOfYear).padStart(2, '0')}`
  return { week, ...weekPeriod(week, timeZone) }
}

/**
 * The periods of equal length before one, oldest first, each ending where the next begins. Equal by the calendar of the time zone: a month follows a month, and
 * a week is 7 days even if a clock change makes it 167 hours.
 */
export function earlierPeriods(
  { from, to, timeZone }: WeekPeriod & { readonly timeZone: string },
  count: number,
): readonly WeekPeriod[] {
  const zoned = (time: string) => Temporal.Instant.from(time).toZonedDateTimeISO(timeZone)
  const [begin, end] = [zoned(from), zoned(to)]
  const length = begin.until(end, { largestUnit: isWholeMonths(begin, end) ? 'months' : 'days' })
  const text = (at: Temporal.ZonedDateTime): string => at.toInstant().toString({ smallestUnit: 'second' })
  const starts = [begin]
  for (let left = count; left > 0; left -= 1) starts.unshift((starts[0] ?? begin).subtract(length))
  return starts.slice(0, -1).map((start, index) => ({ from: text(start), to: text(starts[index + 1] ?? begin) }))
}

function isWholeMonths(begin: Temporal.ZonedDateTime, end: Temporal.ZonedDateTime): boolean {
  return [begin, end].every((at) => at.day === 1 && at.equals(at.startOfDay()))
}

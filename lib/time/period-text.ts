import { Temporal } from 'temporal-polyfill'
import { parseTime, toSeconds } from './windows.ts'
import { type WeekPeriod, checkedZone, weekPeriod } from './week.ts'

/** The accepted forms of a period, in words. */
export const PERIOD_FORMS =
  'a week such as 2026-W47, a month such as 2026-11, a quarter such as 2026-Q4, a day such as 2026-11-24, or two times such as 2026-11-24T12:00:00Z/2026-11-24T13:00:00Z'

/**
 * Parses a period: an ISO week, a month, a quarter of the calendar year or a day in a time zone, or two times with their zones, separated by a slash (ISO 8601).
 * Throws a RangeError that names the accepted forms.
 */
export function parsePeriod(text: string, timeZone: string): WeekPeriod {
  if (/^\d{4}-W\d\d$/.test(text)) return weekPeriod(text, timeZone)
  const wrong = new RangeError(`Cannot read period "${text}": wanted ${PERIOD_FORMS}`)
  const [, year, quarter] = /^(\d{4})-Q([1-4])$/.exec(text) ?? []
  const day =
    quarter !== undefined
      ? `${year}-${String(Number(quarter) * 3 - 2).padStart(2, '0')}-01`
      : /^\d{4}-\d\d$/.test(text)
        ? `${text}-01`
        : text
  if (/^\d{4}-\d\d-\d\d$/.test(day)) {
    const zone = checkedZone(timeZone)
    const first = dayOf(day)
    if (first === undefined) throw wrong
    const start = (of: Temporal.PlainDate) =>
      of.toZonedDateTime({ timeZone: zone }).toInstant().toString({ smallestUnit: 'second' })
    const length = quarter !== undefined ? { months: 3 } : day === text ? { days: 1 } : { months: 1 }
    return { from: start(first), to: start(first.add(length)) }
  }
  const [from, to, ...more] = text.split('/').map(parseTime)
  if (from === undefined || to === undefined || more.length > 0 || toSeconds(from) >= toSeconds(to)) throw wrong
  return { from, to }
}

function dayOf(text: string): Temporal.PlainDate | undefined {
  try {
    return Temporal.PlainDate.from(text, { overflow: 'reject' })
  } catch {
    return undefined
  }
}

import { Temporal } from 'temporal-polyfill'
import { isInYears, parseTime, toSeconds } from './windows.ts'
import { type WeekPeriod, weekPeriod } from './week.ts'
import { PERIOD_FORMS } from './period-forms.ts'
import { checkedZone } from './checked-zone.ts'

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
    const first = isInYears(day) ? dayOf(day) : undefined
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

/** A period and the one before it, each as {@link parsePeriod} reads it, and what the later one is called. */
export type ComparablePeriods = { readonly title: string; readonly before: string; readonly period: string }

/** The calendar periods (UTC) that people compare at a time: the ones under way and the last ones that are over, each with the one before, shortest first. */
export function comparablePeriods(at: string): readonly ComparablePeriods[] {
  const today = Temporal.Instant.from(at).toZonedDateTimeISO('UTC').toPlainDate()
  const words = {
    week: (day: Temporal.PlainDate) => `${day.yearOfWeek}-W${String(day.weekOfYear).padStart(2, '0')}`,
    month: (day: Temporal.PlainDate) => day.toPlainYearMonth().toString(),
    quarter: (day: Temporal.PlainDate) => `${day.year}-Q${Math.ceil(day.month / 3)}`,
  }
  const lengths = { week: { weeks: 1 }, month: { months: 1 }, quarter: { months: 3 } }
  return (['week', 'month', 'quarter'] as const).flatMap((unit) => {
    // From the first day of a month, so that a month back is the month before.
    const from = unit === 'week' ? today : today.with({ day: 1 })
    const [now, last, earlier] = [0, 1, 2].map((back) =>
      words[unit](Array.from({ length: back }).reduce<Temporal.PlainDate>((day) => day.subtract(lengths[unit]), from)),
    )
    return [
      { title: `this ${unit}`, before: last ?? '', period: now ?? '' },
      { title: `last ${unit}`, before: earlier ?? '', period: last ?? '' },
    ]
  })
}

function dayOf(text: string): Temporal.PlainDate | undefined {
  try {
    return Temporal.PlainDate.from(text, { overflow: 'reject' })
  } catch {
    return undefined
  }
}

import { Temporal } from 'temporal-polyfill'

/** A period as `(from, to]`, RFC 3339 in UTC. */
export type WeekPeriod = { readonly from: string; readonly to: string }

/**
 * The begin and end of an ISO week (`2026-W47`) in a time zone: Monday 00:00 to Monday 00:00, which is 167 or 169 hours where clocks change.
 * Throws a RangeError that says what was wanted, for no week of that year and for no IANA zone.
 */
export function weekPeriod(week: string, timeZone: string): WeekPeriod {
  const [, year, number] = /^(\d{4})-W(\d\d)$/.exec(week) ?? []
  if (year === undefined || number === undefined)
    throw new RangeError(`Cannot read week "${week}": wanted an ISO week, such as 2026-W47`)
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

/** An IANA time zone. Throws a RangeError that says what was wanted. */
export function checkedZone(timeZone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone
  } catch (error) {
    throw new RangeError(`Cannot use time zone "${timeZone}": wanted an IANA name, such as Europe/Berlin or UTC`, {
      cause: error,
    })
  }
}

/** Draws the day on which the suite is run once more from the commit that it is run for: the same one each time, and among them those on which calendars and clocks do something. */
import { Temporal } from 'temporal-polyfill'

const YEARS = 4

/** The suite begins so long before what a special day is for, so that it happens while tests run. */
const BEFORE = { minutes: 2 }

/**
 * Moments at which the suite may begin, by what they are for: RFC 3339 in UTC, all of the four years after a time. A kind that these years do not have is empty.
 *
 * @param from RFC 3339
 */
export function specialDays(from: string): Readonly<Record<string, readonly string[]>> {
  const first = Temporal.Instant.from(from).toZonedDateTimeISO('UTC')
  const days: Temporal.PlainDate[] = []
  for (
    let at = first.toPlainDate().add({ days: 1 }), end = at.add({ years: YEARS });
    at.toString() < end.toString();
    at = at.add({ days: 1 })
  )
    days.push(at)
  const before = (moment: Temporal.Instant) => moment.subtract(BEFORE).toString({ smallestUnit: 'second' })
  const beforeDays = (isIt: (day: Temporal.PlainDate) => boolean) =>
    days.filter(isIt).map((day) => before(day.toZonedDateTime('UTC').toInstant()))
  return {
    'the last day of a year': beforeDays(({ month, day }) => month === 1 && day === 1),
    'a day of week 53': beforeDays(({ weekOfYear }) => weekOfYear === 53),
    'Monday 00:00': beforeDays(({ dayOfWeek }) => dayOfWeek === 1),
    'the clocks of Europe change': changes(first, 'Europe/Berlin').map(before),
    'the clocks of the United States change': changes(first, 'America/New_York').map(before),
  }
}

/** When the clocks of a time zone are changed. */
function changes(first: Temporal.ZonedDateTime, timeZone: string): Temporal.Instant[] {
  const found: Temporal.Instant[] = []
  const end = first.add({ years: YEARS })
  for (let at = first.withTimeZone(timeZone); ;) {
    const next = at.getTimeZoneTransition('next')
    if (next === null || Temporal.ZonedDateTime.compare(next, end) >= 0) return found
    found.push(next.toInstant())
    at = next
  }
}

/**
 * The moment that a commit's hash draws: as likely one of each kind of special day as any second of the four years after the commit.
 *
 * @param committedAt RFC 3339
 */
export function dayOfCommit(hash: string, committedAt: string): { readonly at: string; readonly what: string } {
  const [kindNumber, number] = [Number.parseInt(hash.slice(0, 6), 16), Number.parseInt(hash.slice(6, 18), 16)]
  const first = Temporal.Instant.from(committedAt).toZonedDateTimeISO('UTC')
  const seconds = first.until(first.add({ years: YEARS }), { largestUnit: 'second' }).seconds
  const any = first
    .add({ seconds: number % seconds })
    .toInstant()
    .toString({ smallestUnit: 'second' })
  const special = Object.entries(specialDays(committedAt)).filter(([, moments]) => moments.length > 0)
  const [what, moments] = special[kindNumber % (special.length + 1)] ?? ['any day', [any]]
  return { at: moments[number % moments.length] ?? any, what }
}

if (import.meta.main) {
  const [hash = '', committedAt = ''] = process.argv.slice(2)
  const { at, what } = dayOfCommit(hash, committedAt)
  process.stderr.write(`Drawn from commit ${hash}: ${what}\n`)
  process.stdout.write(`${at}\n`)
}

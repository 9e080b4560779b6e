/** Dates and durations in words, in the period's time zone. Independent of the machine's locale and zone. */
import { Temporal } from 'temporal-polyfill'

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Words for times of one period in one zone. All times given are RFC 3339 UTC. */
export type Dates = {
  /** `Tue 17 Nov 09:00`; with the year unless it is the one in which the period ends. */
  readonly moment: (time: string) => string
  /** `Tue 17 Nov 09:00 to 11:00`, or both in full if the days differ. */
  readonly range: (from: string, to: string) => string
  /** `Tue 1 Dec 2026 09:00`: where no period with its year stands beside it. */
  readonly full: (time: string) => string
  /** `Tue 1 Dec 2026 09:00 to 11:00`, or both in full if the days differ. */
  readonly fullRange: (from: string, to: string) => string
  /** `17 Nov`, or `09:00` if the period is shorter than a day: the beginning of a period in a row of equally long ones. */
  readonly short: (time: string) => string
  /** `Europe/Berlin (UTC+02:00 until Sun 25 Oct 03:00, then UTC+01:00)` */
  readonly zone: string
}

/** Makes the formatters of a period. Throws a RangeError for a time zone that is not in the IANA database. */
export function datesOf(period: { readonly from: string; readonly to: string; readonly timeZone: string }): Dates {
  const zoned = (time: string): Temporal.ZonedDateTime =>
    Temporal.Instant.from(time).toZonedDateTimeISO(period.timeZone)
  const lastYear = zoned(period.to).year
  const known = new Map<string, string>()

  const moment = (time: string): string => {
    const said = known.get(time)
    if (said !== undefined) return said
    const at = zoned(time)
    const words = at.year === lastYear ? `${dayOf(at)} ${clockOf(at)}` : full(time)
    known.set(time, words)
    return words
  }

  const full = (time: string): string => {
    const at = zoned(time)
    return `${dayOf(at)} ${at.year} ${clockOf(at)}`
  }

  const rangeOf = (from: string, to: string, words: (time: string) => string): string => {
    const [begin, end] = [zoned(from), zoned(to)]
    const isSameDay = begin.toPlainDate().equals(end.toPlainDate())
    return `${words(from)} to ${isSameDay ? clockOf(end) : words(to)}`
  }

  return {
    moment,
    range: (from, to) => rangeOf(from, to, moment),
    full,
    fullRange: (from, to) => rangeOf(from, to, full),
    short: (time) => {
      const at = zoned(time)
      const isShort = Date.parse(period.to) - Date.parse(period.from) < 86_400_000
      return isShort ? clockOf(at) : `${at.day} ${MONTHS[at.month - 1]}`
    },
    zone: zoneWords(zoned(period.from), zoned(period.to)),
  }
}

/** `Tue 1 Dec 2026 09:00`: a time (RFC 3339) in UTC, where no period stands beside it. */
export function utcTime(time: string): string {
  return datesOf({ from: time, to: time, timeZone: 'UTC' }).full(time)
}

/** `Tue 1 Dec 2026 09:00 to 09:10`: a window in UTC, where no period stands beside it. */
export function utcRange({ start, end }: { readonly start: string; readonly end: string }): string {
  return datesOf({ from: start, to: end, timeZone: 'UTC' }).fullRange(start, end)
}

function dayOf(at: Temporal.ZonedDateTime): string {
  return `${DAYS[at.dayOfWeek - 1]} ${at.day} ${MONTHS[at.month - 1]}`
}

/** `09:00`; with seconds if there are any, and with the offset if the clock shows that time twice that day. */
function clockOf(at: Temporal.ZonedDateTime): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const local = at.toPlainDateTime()
  const isTwice =
    local.toZonedDateTime(at.timeZoneId, { disambiguation: 'earlier' }).epochMilliseconds !==
    local.toZonedDateTime(at.timeZoneId, { disambiguation: 'later' }).epochMilliseconds
  return `${two(at.hour)}:${two(at.minute)}${at.second === 0 ? '' : `:${two(at.second)}`}${isTwice ? ` ${at.offset}` : ''}`
}

function zoneWords(from: Temporal.ZonedDateTime, to: Temporal.ZonedDateTime): string {
  if (from.timeZoneId === 'UTC') return 'UTC'
  let offset = from.offset
  let words = `UTC${offset}`
  let change = from.getTimeZoneTransition('next')
  while (change !== null && Temporal.ZonedDateTime.compare(change, to) < 0) {
    // In the clock time before the change.
    const before = change.withTimeZone(offset)
    words += ` until ${dayOf(before)} ${clockOf(before)}, then UTC${change.offset}`
    offset = change.offset
    change = change.getTimeZoneTransition('next')
  }
  return `${from.timeZoneId} (${words})`
}

/** How long something has lasted: `6 d 2 h`, or `at least 6 d 2 h` if its beginning was not seen. */
export function ageWords(seconds: number, isAtLeast: boolean): string {
  return `${isAtLeast ? 'at least ' : ''}${durationWords(seconds)}`
}

/** `6 d 2 h`, `5 min`, `40 s`: the two largest units, rounded down. */
export function durationWords(seconds: number): string {
  const whole = Math.floor(seconds)
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ] as const
  const first = parts.findIndex(([value]) => value > 0)
  if (first === -1) return '0 s'
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ')
}

/** Positions and labels of the marks of a strip: hours, days, weeks or months, whichever gives few enough. */
export function calendarMarks(
  from: string,
  to: string,
  timeZone: string,
): { readonly unit: string; readonly marks: readonly { readonly at: string; readonly label: string }[] } {
  const begin = Temporal.Instant.from(from).toZonedDateTimeISO(timeZone)
  const end = Temporal.Instant.from(to).toZonedDateTimeISO(timeZone)
  const hours = (end.epochMilliseconds - begin.epochMilliseconds) / 3_600_000
  const scale = SCALES.find(({ upToHours }) => hours <= upToHours) ?? MONTHLY
  const marks: { at: string; label: string }[] = []
  let at = scale.first(begin)
  while (Temporal.ZonedDateTime.compare(at, end) < 0) {
    if (Temporal.ZonedDateTime.compare(at, begin) >= 0)
      marks.push({ at: at.toInstant().toString(), label: scale.label(at) })
    // By local time, so that marks stay at full hours when the offset changes.
    const next = at.toPlainDateTime().add(scale.step).toZonedDateTime(timeZone)
    at = scale.isWithinDay ? next : next.startOfDay()
  }
  return { unit: scale.unit, marks }
}

const dayLabel = (at: Temporal.ZonedDateTime): string => `${DAYS[at.dayOfWeek - 1]} ${at.day}`
const monthLabel = (at: Temporal.ZonedDateTime): string => MONTHS[at.month - 1] ?? ''
const timeLabel = (at: Temporal.ZonedDateTime): string => clockOf(at)
const midnight = (at: Temporal.ZonedDateTime): Temporal.ZonedDateTime => at.startOfDay()

const MONTHLY = {
  upToHours: Infinity,
  unit: 'the first of each month',
  isWithinDay: false,
  first: (at: Temporal.ZonedDateTime) => midnight(at.with({ day: 1 })),
  step: { months: 1 },
  label: monthLabel,
}
const SCALES = [
  {
    upToHours: 1,
    unit: 'every tenth minute',
    isWithinDay: true,
    first: midnight,
    step: { minutes: 10 },
    label: timeLabel,
  },
  { upToHours: 6, unit: 'each hour', isWithinDay: true, first: midnight, step: { hours: 1 }, label: timeLabel },
  { upToHours: 36, unit: 'every sixth hour', isWithinDay: true, first: midnight, step: { hours: 6 }, label: timeLabel },
  { upToHours: 8 * 24 + 1, unit: 'midnight', isWithinDay: false, first: midnight, step: { days: 1 }, label: dayLabel },
  {
    upToHours: 65 * 24,
    unit: 'each Monday',
    isWithinDay: false,
    first: (at: Temporal.ZonedDateTime) => midnight(at.subtract({ days: at.dayOfWeek - 1 })),
    step: { days: 7 },
    label: (at: Temporal.ZonedDateTime) => `${at.day} ${monthLabel(at)}`,
  },
  MONTHLY,
]

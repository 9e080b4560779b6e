import type { Seconds, Window, WindowSetting } from '../model/time.ts'

/** How far a query reaches back beyond the window: longer than the ten minutes after which Linkerd evicts idle series. */
export const LOOKBACK_SECONDS = 15 * 60

/** How long after its end a window can be collected: Prometheus of linkerd-viz has a retention of six hours. */
export const RETENTION_SECONDS = 6 * 60 * 60

const DAY = 24 * 60 * 60

/** Seconds since the epoch of RFC 3339 text. Throws a RangeError that quotes the value if it is invalid. */
export function toSeconds(time: string): Seconds {
  const milliseconds = Date.parse(time)
  if (Number.isNaN(milliseconds))
    throw new RangeError(`Cannot read time "${time}": wanted RFC 3339, such as 2026-11-24T12:30:00Z`)
  return milliseconds / 1000
}

/** The first and the last millisecond of years of four digits: only among these text order is time order. */
const FIRST_MS = Date.parse('0000-01-01T00:00:00Z')
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * RFC 3339 text in UTC, without a fraction for whole seconds. Throws a RangeError with the number if it is outside of years of four digits: check numbers from
 * outside with {@link isMoment} first.
 */
export function toTime(seconds: Seconds): string {
  const milliseconds = Math.round(seconds * 1000)
  if (!(milliseconds >= FIRST_MS && milliseconds <= LAST_MS))
    throw new RangeError(`Cannot write ${seconds} s as a time: wanted a year from 0 to 9999`)
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z')
}

/** About as many times as the windows of five minutes in a quarter of a year have. */
const MAX_REMEMBERED = 1 << 15

const remembered = new Map<Seconds, string>()

/** Returns the same as {@link toTime}, from memory where it was asked for lately: windows of all clusters begin and end at the same moments. */
export function rememberedTime(seconds: Seconds): string {
  let time = remembered.get(seconds)
  if (time === undefined) {
    time = toTime(seconds)
    if (remembered.size >= MAX_REMEMBERED) remembered.clear()
    remembered.set(seconds, time)
  }
  return time
}

/** Whether a number from outside can be a moment: from 1970 to the year 9999. */
export function isMoment(seconds: number): boolean {
  return seconds >= 0 && Math.round(seconds * 1000) <= LAST_MS
}

/** A moment of a clock as {@link toTime} writes it, rounded down to whole seconds. */
export function timeOf(at: Date): string {
  return toTime(Math.floor(at.getTime() / 1000))
}

/** The years that a person may name. Times some years before and after them can still be written, such as the window or the period around a time. */
const FIRST_YEAR = 1970
const LAST_YEAR = 9998

/** Those years, in words. */
export const YEARS = `from ${FIRST_YEAR} to ${LAST_YEAR}`

/** The form of a time that {@link parseTime} accepts, in words. */
export const TIME_FORM = `a time with its zone, such as 2026-11-24T12:30:00Z, or a UTC date, ${YEARS}`

/** Whether a person may name a time: whether the year in UTC that RFC 3339 text, or the name of a period, begins with is one of {@link YEARS}. */
export function isInYears(text: string): boolean {
  const year = /^\d{4}(?=-)/.exec(text)
  return year !== null && Number(year[0]) >= FIRST_YEAR && Number(year[0]) <= LAST_YEAR
}

/** Parses a time that a person wrote, with its zone or as a UTC date, to RFC 3339 in UTC; undefined if it has another form than {@link TIME_FORM}. */
export function parseTime(text: string): string | undefined {
  const isTime = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
  if (!isTime) return undefined
  try {
    // Dates that do not exist, such as 30 February, would be read as days of the next month.
    const [date = ''] = text.split(/[T ]/)
    if (!new Date(date).toISOString().startsWith(date)) return undefined
    const time = toTime(toSeconds(text.replace(' ', 'T')))
    return isInYears(time) ? time : undefined
  } catch {
    return undefined
  }
}

/** The window `(start, end]` that contains a time: a window's end belongs to that window, not the next. */
export function windowOf(settings: readonly WindowSetting[], time: Seconds): Window {
  // The moment just before decides the day, so that midnight belongs to the last window of its day.
  const day = Math.ceil(time / DAY - 1) * DAY
  const length = minutesAt(settings, day) * 60
  const start = day + (Math.ceil((time - day) / length) - 1) * length
  return { start: toTime(start), end: toTime(start + length) }
}

/** The windows that end in `(from, to]`, oldest first. */
export function windowsBetween(settings: readonly WindowSetting[], from: Seconds, to: Seconds): Window[] {
  const windows: Window[] = []
  let window = windowOf(settings, from)
  if (toSeconds(window.end) <= from) window = windowAfter(settings, window)
  while (toSeconds(window.end) <= to) {
    windows.push(window)
    window = windowAfter(settings, window)
  }
  return windows
}

/** The window that begins where another ends. */
export function windowAfter(settings: readonly WindowSetting[], window: Window): Window {
  return windowOf(settings, toSeconds(window.end) + 1)
}

/**
 * How long after its end a window may be collected: late enough for the last scrape and its remote write to arrive. `max(60 s, 2 x scrape timeout)` with viz's
 * timeout of 10 s is 60 s.
 */
export const SETTLE_SECONDS = 60

/** Limits of how long after its end a window is queried again. */
const AGAIN_LEAST_SECONDS: Seconds = 10 * 60
const AGAIN_MOST_SECONDS: Seconds = 30 * 60

/**
 * When a window is queried again: two windows later, but after at least ten and at most thirty minutes. Late remote writes have arrived by then, and a
 * Prometheus with a retention of six hours still has all the data of the first query.
 */
export function againAt({ start, end }: Window): Seconds {
  const over = toSeconds(end)
  const length = over - toSeconds(start)
  return over + Math.min(Math.max(2 * length, AGAIN_LEAST_SECONDS), AGAIN_MOST_SECONDS)
}

/** A new size takes effect at the next UTC midnight, so within a day all windows have one size. */
function minutesAt(settings: readonly WindowSetting[], day: Seconds): number {
  const inForce = settings.findLast(({ since }) => toSeconds(since) <= day) ?? settings[0]
  if (inForce === undefined) throw new RangeError('Cannot tile the day: the cluster has no window setting')
  return inForce.minutes
}

/** Seconds of a window, or between any two times. */
export function lengthOf({ start, end }: Window): Seconds {
  return (Date.parse(end) - Date.parse(start)) / 1000
}

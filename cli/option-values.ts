import { TIME_FORM, parseTime } from '../lib/time/windows.ts'
import { pagesUrl } from '../lib/deliver/send/pages-url.ts'
import type { ProxiesSetting } from '../lib/model/registry.ts'
import { type StateFilter, STATE_FILTERS } from '../lib/model/path.ts'
import { WINDOW_MINUTES } from '../lib/model/time.ts'
import type { WindowMinutes } from '../lib/model/time.ts'
import { printable } from '../lib/text/printable.ts'
import { type WeekPeriod, weekPeriod } from '../lib/time/week.ts'
import { type Console, UsageError } from './console.ts'

/** Reads a time of the command line. Throws UsageError. */
export function readTime(option: string, text: string): string {
  const time = parseTime(text)
  if (time !== undefined) return time
  throw new UsageError(`Cannot read ${option} "${printable(text)}": wanted ${TIME_FORM}`)
}

/** The present: what `--now` says, else the clock. Throws UsageError. */
export function readNow({ now }: { readonly now?: string }, console: Pick<Console, 'now'>): Date {
  return now === undefined ? console.now() : new Date(readTime('--now', now))
}

/** The begin and end of an ISO week in a time zone. Throws UsageError. */
export function readWeek(week: string, timeZone: string): WeekPeriod {
  try {
    return weekPeriod(week, timeZone)
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(printable(error.message)) : error
  }
}

/** Reads `5m`, `15m`, `30m` or `60m`. Throws UsageError. */
export function readWindowMinutes(text: string): WindowMinutes {
  const minutes = WINDOW_MINUTES.find((one) => text === `${one}m`)
  if (minutes === undefined)
    throw new UsageError(
      `Cannot use a window of "${printable(text)}": wanted ${WINDOW_MINUTES.map((one) => `${one}m`).join(', ')}`,
    )
  return minutes
}

/** Reads a state, `not-encrypted` or `refused`. Throws UsageError. */
export function parseState(text: string): StateFilter {
  const state = STATE_FILTERS.find((one) => one === text)
  if (state === undefined)
    throw new UsageError(`Cannot filter by state "${printable(text)}": wanted one of ${STATE_FILTERS.join(', ')}`)
  return state
}

/** Reads a port, 1 to 65535. Throws UsageError. */
export function readPort(text: string): number {
  return readNumber('--port', text, 65_535)
}

/** Reads `30s` or `5m` as seconds. Throws UsageError. */
export function readDuration(option: string, text: string, mostSeconds: number): number {
  const [, digits = '', unit] = /^(\d{1,6})(s|m)$/.exec(text) ?? []
  const seconds = Number(digits) * (unit === 'm' ? 60 : 1)
  if (seconds < 1 || seconds > mostSeconds)
    throw new UsageError(
      `Cannot read ${option} "${printable(text)}": wanted a time such as 30s or 5m, at most ${mostSeconds}s`,
    )
  return seconds
}

/** Reads a whole number, 1 or more. Throws UsageError. */
export function readNumber(option: string, text: string, most: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number < 1 || number > most)
    throw new UsageError(`Cannot read ${option} "${printable(text)}": wanted a number from 1 to ${most}`)
  return number
}

/** The longest that one request may be waited for. */
const MAX_TIMEOUT_SECONDS = 3600

/** Reads a time to wait in seconds, and gives the deadlines of both sources. Throws UsageError. */
export function readTimeout(text: string | undefined): {
  readonly kubernetesDeadlineMs?: number
  readonly prometheusDeadlineMs?: number
} {
  if (text === undefined) return {}
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0
  if (seconds <= 0 || seconds > MAX_TIMEOUT_SECONDS)
    throw new UsageError(
      `Cannot wait for "${printable(text)}": wanted --timeout in seconds, more than 0 and at most ${MAX_TIMEOUT_SECONDS}`,
    )
  return { kubernetesDeadlineMs: seconds * 1000, prometheusDeadlineMs: seconds * 1000 }
}

/** The words of --timeout in the help. */
export const TIMEOUT_HELP =
  'give up on a request after this time, its retries included (default 30 for the API server, 60 for Prometheus)'

/** For options that may be given several times. */
export function collectValues(value: string, values: readonly string[] = []): string[] {
  return [...values, value]
}

/** Which proxies are read by name; null: none. Throws UsageError. */
export function parseProxies(text: string): ProxiesSetting | null {
  if (text === 'off') return null
  if (text === 'auto' || text === 'all') return text
  throw new UsageError(`Cannot use --proxies ${JSON.stringify(text)}: wanted auto, all or off`)
}

/** An address that links begin with, without a slash at its end; null where none is given. Throws UsageError. */
export function readUrl(text: string | undefined): string | null {
  if (text === undefined) return null
  const url = pagesUrl(text)
  if (url !== undefined) return url
  throw new UsageError(
    `Cannot use --url "${printable(text)}": wanted the address of the pages, such as https://ciphertrail.example.com`,
  )
}

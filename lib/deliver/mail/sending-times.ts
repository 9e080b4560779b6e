/** Which week's mail is due, on the calendar and the clock of a channel's time zone. */
import { Temporal } from 'temporal-polyfill'
import { toSeconds } from '../../time/windows.ts'
import { weekPeriod } from '../../time/week.ts'
import type { Channel } from '../channel/channel.ts'

/** The mail of one week of one channel. */
export type WeekMail = {
  /** ISO week, such as `2026-W47`. */
  readonly week: string
  /** Monday 00:00 of the zone to the next one: `(from, to]`, RFC 3339 in UTC. */
  readonly from: string
  readonly to: string
  /** When it is to be sent, RFC 3339 in UTC: on the Monday on which its week ended. */
  readonly sendAt: string
}

/**
 * The latest mail that is due at a time; null where the channel is younger than that. Decided once and then a name: a delivery that begins
 * before a midnight and ends after it is of one week all the same.
 *
 * @param now RFC 3339
 */
export function dueMail(channel: Pick<Channel, 'timeZone' | 'sendAt' | 'addedAt'>, now: string): WeekMail | null {
  const mail = lastMail(channel, now)
  return toSeconds(mail.sendAt) < toSeconds(channel.addedAt) ? null : mail
}

/**
 * The first mail that is sent after a time.
 *
 * @param now RFC 3339
 */
export function nextMail(channel: Pick<Channel, 'timeZone' | 'sendAt'>, now: string): WeekMail {
  return mailOf(channel, mondayAt(channel, now).add({ weeks: 1 }))
}

function lastMail(channel: Pick<Channel, 'timeZone' | 'sendAt'>, now: string): WeekMail {
  return mailOf(channel, mondayAt(channel, now))
}

/** The Monday whose sending time was last. */
function mondayAt({ timeZone, sendAt }: Pick<Channel, 'timeZone' | 'sendAt'>, now: string): Temporal.PlainDate {
  const instant = Temporal.Instant.from(now)
  const day = instant.toZonedDateTimeISO(timeZone).toPlainDate()
  const monday = day.subtract({ days: day.dayOfWeek - 1 })
  const isOver = Temporal.Instant.compare(sendingTime(monday, sendAt, timeZone), instant) <= 0
  return isOver ? monday : monday.subtract({ weeks: 1 })
}

function mailOf({ timeZone, sendAt }: Pick<Channel, 'timeZone' | 'sendAt'>, monday: Temporal.PlainDate): WeekMail {
  const last = monday.subtract({ weeks: 1 })
  const week = `${String(last.yearOfWeek).padStart(4, '0')}-W${String(last.weekOfYear).padStart(2, '0')}`
  return {
    week,
    ...weekPeriod(week, timeZone),
    sendAt: sendingTime(monday, sendAt, timeZone).toString({ smallestUnit: 'second' }),
  }
}

/** A time that the clock skips is taken after the gap by as much, one that it shows twice the first time (RFC 5545). */
function sendingTime(monday: Temporal.PlainDate, sendAt: string, timeZone: string): Temporal.Instant {
  const time = Temporal.PlainTime.from(sendAt)
  return monday.toPlainDateTime(time).toZonedDateTime(timeZone, { disambiguation: 'compatible' }).toInstant()
}

/**
 * Decides urgent alerts from the current conditions and those reported before. Pure. Unknown ends nothing: a path is reported as fixed only if it was observed
 * so.
 */
import { createHash } from 'node:crypto'
import { toSeconds } from '../../time/windows.ts'
import { knownOf, presentOf } from './conditions.ts'
import { type Ended, acceptedWords, endedNotice } from './endings.ts'
import { alertWebhook, type Channel } from '../channel/channel.ts'
import type { AlertFacts, Condition, Present, Watched, KnownFacts } from './condition-kinds.ts'

/** The content of one alert. */
export type Notice = {
  /** 32 hex digits. */
  readonly id: string
  /** RFC 3339. */
  readonly at: string
  /** Conditions of whole clusters before paths. */
  readonly began: readonly Condition[]
  readonly ended: readonly Ended[]
  /** Its recipients, as claims name them: later recipients do not get earlier alerts. */
  readonly to: readonly string[]
}

/** The alerts sent to a channel. */
export type AlertState = {
  /** Number of notices so far. */
  readonly sequence: number
  readonly watched: readonly Watched[]
  /** Notices of the last days, oldest first: their delivery is checked for that long. */
  readonly notices: readonly Notice[]
}

/** The state of a channel before its first look. */
export const NO_ALERTS: AlertState = { sequence: 0, watched: [], notices: [] }

/** The beginning of one condition is reported at most once in this time, however often it comes and goes. */
const COOL_DOWN_SECONDS = 6 * 60 * 60

/** How long notices are kept, and their delivery checked. */
const NOTICE_SECONDS = 3 * 24 * 60 * 60

/** Number of conditions whose fix is kept: no form of an alert shows more. */
const MAX_DETAILED = 200

/** Longer than any run takes from its start to its decision. */
const SLOW_SECONDS = 60 * 60

/** Whether the last notice is younger than a look that began at a time: then the look has older data, and must not decide. */
export function isStale({ notices }: AlertState, now: string): boolean {
  const ahead = toSeconds(notices.at(-1)?.at ?? now) - toSeconds(now)
  return ahead > 0 && ahead < SLOW_SECONDS
}

/** Decides what to report to a channel, and the state after it. The notice is null if there is nothing to report. */
export function decideAlerts(
  channel: Channel,
  state: AlertState,
  facts: AlertFacts,
): { readonly state: AlertState; readonly notice: Notice | null } {
  const { now } = facts
  const known = knownOf(channel, facts)
  const before = new Map(state.watched.map((one) => [one.key, one]))
  const current = new Map(presentOf(known, before).map((one) => [one.key, one]))
  // Also true far in the future, as a wrong clock or a replay leaves it: that must not suppress alerts.
  const isLongAgo = (time: string, seconds: number): boolean => Math.abs(toSeconds(now) - toSeconds(time)) >= seconds
  const isCool = (toldAt: string | null): boolean => toldAt === null || isLongAgo(toldAt, COOL_DOWN_SECONDS)
  const began: Condition[] = []
  const ended: Ended[] = []
  const watched: Watched[] = []
  for (const one of state.watched) {
    if (current.has(one.key)) continue
    const isOpen = one.isActive || one.waiver !== null
    const end = isOpen ? endedNotice(one, known) : undefined
    if (end === null) watched.push(one)
    else {
      if (end !== undefined && one.isTold) ended.push({ ...conditionOf(one), ...end })
      // Keeps its time, so that it is not reported again at once when it returns.
      if (!isCool(one.toldAt)) watched.push({ ...one, isActive: false, isTold: false, waiver: null })
    }
  }
  for (const one of current.values()) {
    const was = before.get(one.key)
    const wasTold = was?.isTold === true
    const toldAt = was?.toldAt ?? null
    if (one.waiver !== null) {
      if (wasTold) ended.push({ ...conditionOf(one), line: acceptedWords(one, known), ending: 'waived' })
      const { details: _, tellAgainAt: _again, ...accepted } = one
      watched.push({ ...accepted, isActive: false, isTold: false, toldAt })
      continue
    }
    const { details, tellAgainAt, ...found } = one
    const isSame = was?.isActive === true && !isAnother(was, one, known)
    // A condition that returns before its end was reported is reported again if its time has come; otherwise it was reported and still holds.
    const isWorse = tellAgainAt.some((time) => isBetween(time, toldAt ?? now, now))
    const isNew = (!(isSame && wasTold) || isWorse) && isCool(toldAt)
    const condition = isSame ? { ...found, ...keptOf(was, one) } : found
    if (isNew) began.push(conditionOf(condition, began.length < MAX_DETAILED ? details : []))
    watched.push({ ...condition, isActive: true, isTold: isNew || wasTold, toldAt: isNew ? now : toldAt })
  }
  const recent = state.notices.filter(({ at }) => !isLongAgo(at, NOTICE_SECONDS))
  if (began.length + ended.length === 0) return { state: { ...state, watched, notices: recent }, notice: null }
  const sequence = state.sequence + 1
  const notice = { id: noticeId(channel.id, sequence, now), at: now, began, ended, to: addresseesOf(channel) }
  return { state: { sequence, watched, notices: [...recent, notice] }, notice }
}

/** Whether a time is after the first of two times, and not after the second. */
const isBetween = (time: string, from: string, to: string): boolean =>
  toSeconds(from) < toSeconds(time) && toSeconds(time) <= toSeconds(to)

/** All recipients and endpoints of a channel, as claims name them. */
function addresseesOf(channel: Channel): readonly string[] {
  const { recipients, snsTopic } = channel
  const webhook = alertWebhook(channel)
  const places = [...(webhook === null ? [] : [webhook.url]), ...(snsTopic === null ? [] : [snsTopic])]
  return [...recipients, ...places.map(endpointPseudonym)]
}

/** The pseudonym of an endpoint, as claims name it. */
export function endpointPseudonym(address: string): string {
  return `r${createHash('sha256').update(address).digest('hex').slice(0, 32)}`
}

/** Includes the time, so that after a lost state no two notices have one id. */
function noticeId(channel: string, sequence: number, now: string): string {
  return createHash('sha256').update(`${channel} ${sequence} ${now}`).digest('hex').slice(0, 32)
}

/** The reported part of a condition. One that ended has no details. */
const conditionOf = (
  { key, kind, cluster, since, line }: Omit<Condition, 'details'>,
  details: readonly string[] = [],
): Condition => ({
  key,
  kind,
  cluster,
  since,
  line,
  details,
})

/** Whether the known episode is over and this is another episode of its path. A renamed episode is the same one. */
function isAnother(was: Watched, { cluster, episode }: Present, { clusters }: KnownFacts): boolean {
  if (was.episode === null || was.episode === episode) return false
  const known = clusters.get(cluster ?? '')?.byEpisode.get(was.episode)
  return known !== undefined && known.episode.endedAt !== null
}

/** The start of a path comes from its history, that of any other condition is when it was found. A path keeps the text of its first report. */
function keptOf(was: Watched, one: Present): Partial<Pick<Condition, 'since' | 'line'>> {
  if (one.kind !== 'path') return { since: was.since }
  return was.episode === one.episode ? { line: was.line } : {}
}

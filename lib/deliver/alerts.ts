/**
 * What cannot wait until Monday: decided from what is so now and what was told before. Pure. What is not known ends nothing: a path is told as fixed only
 * where it was seen so.
 */
import { createHash } from 'node:crypto'
import type { Episode, PathEpisode } from '../model.ts'
import { toSeconds } from '../collect/windows.ts'
import { datesOf, durationWords } from '../report/dates.ts'
import { printable } from '../report/printable.ts'
import { endingWords } from '../report/sections/not-encrypted.ts'
import { destinationName, endpointName } from '../report/table.ts'
import { type Channel, isOfChannel } from './channel.ts'

export const CONDITION_KINDS = ['path', 'coverage', 'certificate', 'trust-anchor', 'seal', 'unreadable'] as const
export type ConditionKind = (typeof CONDITION_KINDS)[number]

/** Something that is so, or was. */
export type Condition = {
  /** Names it for as long as it lasts. */
  readonly key: string
  readonly kind: ConditionKind
  /** Null where it is of no single cluster. */
  readonly cluster: string | null
  /** RFC 3339: since when it is known. */
  readonly since: string
  /** In words, printable, one line. */
  readonly line: string
}

/** A condition and what was told of it. */
export type Watched = Condition & {
  readonly isActive: boolean
  /** Whether it was told that it is so; what was not told to begin is not told to end. */
  readonly isTold: boolean
  /** RFC 3339: when it was last told to begin; null for never. */
  readonly toldAt: string | null
}

/** What is told at one time, all of it together. */
export type Notice = {
  /** 32 hex digits. */
  readonly id: string
  /** RFC 3339. */
  readonly at: string
  readonly began: readonly Condition[]
  /** With how they ended in their lines. */
  readonly ended: readonly Condition[]
}

/** What a channel was told. */
export type AlertState = {
  /** How many notices there were. */
  readonly sequence: number
  readonly watched: readonly Watched[]
  /** Of the last days, oldest first: so long it is looked whether each of them was delivered. */
  readonly notices: readonly Notice[]
}

export const NO_ALERTS: AlertState = { sequence: 0, watched: [], notices: [] }

/** What is known of a cluster. */
export type ClusterFacts = {
  readonly id: string
  /** Why its history cannot be read; then nothing else of it is known. One line. */
  readonly problem: string | null
  readonly episodes: readonly PathEpisode[]
  /** The last expected windows that should be collected by now, oldest first. */
  readonly windows: readonly { readonly end: string; readonly isObserved: boolean }[]
  /** The earliest end of a proxy's certificate, as of the end of the window that told it; null where that is not known. */
  readonly certificate: { readonly expires: string; readonly asOf: string } | null
  /** Null where they are not known. */
  readonly trustAnchors:
    | readonly { readonly subject: string; readonly sha256: string; readonly notAfter: string }[]
    | null
}

export type AlertFacts = {
  /** RFC 3339. */
  readonly now: string
  readonly clusters: readonly ClusterFacts[]
  /** Since when nothing was sealed, RFC 3339, or null where that is not known; null where it is in time, or nobody seals. */
  readonly unsealed: { readonly since: string | null } | null
}

/** The same thing is told to begin at most once in this time, however often it comes and goes. */
export const COOL_DOWN_SECONDS = 6 * 60 * 60

/** So long notices are kept, and looked after. */
const NOTICE_SECONDS = 3 * 24 * 60 * 60

const DAY = 24 * 60 * 60
/** Linkerd renews a proxy's certificate of a day with seven hours left; with less than two it does not. */
const CERTIFICATE_SECONDS = 2 * 60 * 60
/** A new anchor takes weeks to be everywhere. */
const TRUST_ANCHOR_SECONDS = 30 * DAY

/** Decides what is to be told to a channel, and what is known to be told then. The notice is null where nothing is. */
export function decideAlerts(
  channel: Channel,
  state: AlertState,
  facts: AlertFacts,
): { readonly state: AlertState; readonly notice: Notice | null } {
  const { now } = facts
  const current = new Map(conditionsOf(channel, facts).map((condition) => [condition.key, condition]))
  const isUnknown = unknownConditions(facts)
  const isCool = ({ toldAt }: Watched): boolean =>
    toldAt === null || toSeconds(now) - toSeconds(toldAt) >= COOL_DOWN_SECONDS
  const began: Condition[] = []
  const ended: Condition[] = []
  const watched: Watched[] = []
  const known = new Map(state.watched.map((one) => [one.key, one]))
  for (const before of state.watched) {
    const still = current.get(before.key)
    if (still === undefined && before.isActive && isUnknown(before)) watched.push(before)
    else if (still === undefined && before.isActive) {
      if (before.isTold) ended.push({ ...conditionOf(before), line: endLine(before, channel, facts) })
      if (!isCool(before)) watched.push({ ...before, isActive: false, isTold: false })
    } else if (still === undefined && !isCool(before)) watched.push(before)
  }
  for (const condition of current.values()) {
    const before = known.get(condition.key) ?? { ...condition, isActive: false, isTold: false, toldAt: null }
    const isTold = before.isActive && before.isTold
    const isNew = !isTold && isCool(before)
    if (isNew) began.push(condition)
    const since = before.isActive ? before.since : condition.since
    watched.push({ ...condition, since, isActive: true, isTold: isTold || isNew, toldAt: isNew ? now : before.toldAt })
  }
  const recent = state.notices.filter(({ at }) => toSeconds(now) - toSeconds(at) < NOTICE_SECONDS)
  if (began.length + ended.length === 0) return { state: { ...state, watched, notices: recent }, notice: null }
  const sequence = state.sequence + 1
  const notice = { id: noticeId(channel.id, sequence, now), at: now, began, ended }
  return { state: { sequence, watched, notices: [...recent, notice] }, notice }
}

/** With the time, so that a state that was lost does not give two notices one name. */
function noticeId(channel: string, sequence: number, now: string): string {
  return createHash('sha256').update(`${channel} ${sequence} ${now}`).digest('hex').slice(0, 32)
}

const conditionOf = ({ key, kind, cluster, since, line }: Watched): Condition => ({ key, kind, cluster, since, line })

/** What is not known now stays as it was: all of a cluster whose history cannot be read, and what no proxy or list told. */
function unknownConditions({ clusters }: AlertFacts): (watched: Watched) => boolean {
  const known = new Map(clusters.map((one) => [one.id, one]))
  return ({ cluster, kind }) => {
    const facts = cluster === null ? undefined : known.get(cluster)
    if (facts === undefined || kind === 'unreadable') return false
    if (facts.problem !== null) return true
    return (
      (kind === 'certificate' && facts.certificate === null) || (kind === 'trust-anchor' && facts.trustAnchors === null)
    )
  }
}

function conditionsOf(channel: Channel, facts: AlertFacts): readonly Condition[] {
  const { now, clusters, unsealed } = facts
  const dates = datesOf({ from: now, to: now, timeZone: channel.timeZone })
  const all = clusters.flatMap((cluster) => clusterConditions(channel, cluster, facts, dates))
  if (unsealed === null) return all
  const since = unsealed.since === null ? 'nobody knows since when' : `since ${dates.moment(unsealed.since)}`
  const line = `nothing was sealed ${since}: what is stored meanwhile can be changed unseen`
  return [...all, { key: 'seal', kind: 'seal', cluster: null, since: unsealed.since ?? now, line }]
}

function clusterConditions(
  channel: Channel,
  { id, problem, episodes, windows, certificate, trustAnchors }: ClusterFacts,
  { now }: AlertFacts,
  dates: ReturnType<typeof datesOf>,
): readonly Condition[] {
  const where = `cluster ${printable(id)}`
  if (problem !== null)
    return [
      {
        key: `unreadable/${id}`,
        kind: 'unreadable',
        cluster: id,
        since: now,
        line: `the history of ${where} cannot be read: ${printable(problem)}`,
      },
    ]
  const conditions: Condition[] = []
  for (const path of episodes) {
    const { episode, source, destination, pathId } = path
    // What was there before the channel is no news; the mail of the week tells it.
    if (episode.endedAt !== null || toSeconds(episode.openedAt) <= toSeconds(channel.addedAt)) continue
    if (!isOfChannel(channel, [source, destination])) continue
    const isAgain = episodes.some(
      (other) => other.pathId === pathId && toSeconds(other.episode.openedAt) < toSeconds(episode.openedAt),
    )
    const since = episode.sinceUnknown
      ? `first seen ${dates.moment(episode.openedAt)}`
      : `since ${dates.moment(episode.openedAt)}`
    conditions.push({
      key: `path/${id}/${episode.id}`,
      kind: 'path',
      cluster: id,
      since: episode.openedAt,
      line: `${isAgain ? 'again ' : ''}not encrypted ${since}: ${pathWords(path)} on ${where}`,
    })
  }
  const [last, before] = [windows.at(-1), windows.at(-2)]
  if (last !== undefined && before !== undefined && !last.isObserved && !before.isObserved) {
    const seen = windows.findLast(({ isObserved }) => isObserved)
    conditions.push({
      key: `coverage/${id}`,
      kind: 'coverage',
      cluster: id,
      since: seen?.end ?? windows[0]?.end ?? now,
      line: `nothing was observed on ${where} ${seen === undefined ? 'in all windows that were looked at' : `after ${dates.moment(seen.end)}`}`,
    })
  }
  if (channel.namespaces.length > 0) return conditions
  if (certificate !== null && toSeconds(certificate.expires) - toSeconds(certificate.asOf) < CERTIFICATE_SECONDS)
    conditions.push({
      key: `certificate/${id}`,
      kind: 'certificate',
      cluster: id,
      since: certificate.asOf,
      line: `the certificate of a proxy on ${where} ends ${dates.full(certificate.expires)} and is not renewed`,
    })
  for (const { subject, sha256, notAfter } of trustAnchors ?? []) {
    const left = toSeconds(notAfter) - toSeconds(now)
    if (left >= TRUST_ANCHOR_SECONDS) continue
    conditions.push({
      key: `trust-anchor/${id}/${sha256}`,
      kind: 'trust-anchor',
      cluster: id,
      since: now,
      line: `the trust anchor ${printable(subject)} of ${where} ${left <= 0 ? 'ended' : 'ends'} ${dates.full(notAfter)}`,
    })
  }
  return conditions
}

function pathWords({ source, destination, port }: PathEpisode): string {
  const [from, to] = [endpointName(source), destinationName({ destination, port })].map(({ kind, pieces }) =>
    `${kind} ${pieces.join('')}`.trim(),
  )
  return `${from ?? ''} to ${to ?? ''}`
}

function endLine(
  { key, kind, cluster, line, since }: Watched,
  channel: Channel,
  { clusters, now }: AlertFacts,
): string {
  const facts = clusters.find(({ id }) => id === cluster)
  if (cluster !== null && facts === undefined) return `no longer watched, since the cluster left the channel: ${line}`
  const lasted = durationWords(toSeconds(now) - toSeconds(since))
  switch (kind) {
    case 'path': {
      const path = facts?.episodes.find(({ episode }) => `path/${cluster ?? ''}/${episode.id}` === key)
      return path === undefined || path.episode.endedAt === null
        ? `no longer known, since the history was derived again: ${line}`
        : endedWords(path, path.episode, channel)
    }
    case 'coverage':
      return `observed again after ${lasted}: ${line}`
    case 'certificate':
    case 'trust-anchor':
    case 'seal':
    case 'unreadable':
      return `over: ${line}`
  }
}

function endedWords(path: PathEpisode, { openedAt, endedAt, ending }: Episode, channel: Channel): string {
  const to = endedAt ?? openedAt
  const dates = datesOf({ from: openedAt, to, timeZone: channel.timeZone })
  const how = ending === null ? 'its end is not known' : endingWords(ending, path)
  return `${how}, at ${dates.moment(to)} after ${durationWords(toSeconds(to) - toSeconds(openedAt))}: ${pathWords(path)}`
}

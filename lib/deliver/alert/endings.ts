/** How a reported condition ended, as text: `over` only if that was observed. Pure. */
import { toSeconds } from '../../time/windows.ts'
import { type Dates, durationWords } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { endingWords } from '../../report/sections/not-encrypted.ts'
import { shareWords } from '../../text/share-words.ts'
import { namespaceKey } from './conditions.ts'
import { isOfChannel } from '../channel/channel.ts'
import type { ClusterFacts, Condition, Present, Watched, KnownFacts, KnownCluster } from './condition-kinds.ts'
import { pathWords } from './path-conditions.ts'
import { cut } from './condition-kinds.ts'

/**
 * Why a reported condition is no longer reported. `fixed`, `refused`, `gone` and `quiet`: as a path's episode ends; `gone` also if it is no longer seen but not
 * everything was observed. `over`: any other condition that was observed to end. `waived`: it holds, and is accepted. `not-watched`: unknown.
 */
export const ENDINGS = ['fixed', 'refused', 'gone', 'quiet', 'over', 'waived', 'not-watched'] as const

/** How a reported condition ended. */
export type ConditionEnding = (typeof ENDINGS)[number]

/** A reported condition and its ending, which its line includes. */
export type Ended = Condition & { readonly ending: ConditionEnding }

/** How a condition that is no longer present ended; null if unknown, so that it stays. If its end was not observed, it is reported as not watched. */
export function endedNotice(watched: Watched, known: KnownFacts): Pick<Ended, 'line' | 'ending'> | null {
  const end = endedAs(watched, known)
  return end === null ? null : { ...end, line: cut(end.line) }
}

function endedAs(watched: Watched, known: KnownFacts): Pick<Ended, 'line' | 'ending'> | null {
  const { kind, cluster: id, since } = watched
  const told = toldWords(watched)
  const { channel, facts, dates } = known
  if (id === null) {
    if (kind === 'seal') return facts.seal === null ? null : { ending: 'over', line: `sealed again ${told}` }
    return { ending: 'over', line: `it can be read again ${told}` }
  }
  const cluster = known.clusters.get(id)
  if (cluster === undefined) return left('the cluster', told)
  if (kind === 'unreadable') return { ending: 'over', line: `it can be read again ${told}` }
  if (cluster.problem !== null) return null
  switch (kind) {
    case 'path':
      return pathEnd(watched, cluster, known)
    case 'coverage': {
      const last = cluster.windows.at(-1)
      if (last?.isObserved !== true || toSeconds(last.end) <= toSeconds(since)) return null
      return { ending: 'over', line: `observed again, up to ${dates.moment(last.end)}${shareOf(last.share)} ${told}` }
    }
    case 'namespace-coverage':
      return namespaceEnd(watched, cluster, known)
    case 'certificate':
      if (channel.namespaces.length > 0) return left('what is of a whole cluster', told)
      return certificateEnd(cluster.certificate, dates, told)
    case 'trust-anchor':
      if (channel.namespaces.length > 0) return left('what is of a whole cluster', told)
      // If it is still trusted and expires later than before, only the clock differs.
      return cluster.trustAnchors === null ||
        cluster.trustAnchors.some(({ sha256 }) => watched.key === `trust-anchor/${id}/${sha256}`)
        ? null
        : { ending: 'over', line: `no longer one of the trust anchors ${told}` }
    case 'seal':
      return null
  }
}

/** Unless a list says that there is nothing left to observe, an unobserved namespace stays so. */
function namespaceEnd(
  watched: Watched,
  { id, namespaces, windows, isListed }: KnownCluster,
  { channel, dates }: KnownFacts,
): Pick<Ended, 'line' | 'ending'> | null {
  const told = toldWords(watched)
  const name = watched.key.slice(`coverage/${id}/`.length)
  if (!isOfChannel(channel, [{ namespace: name }])) return left('its namespace', told)
  const found = namespaces.find((one) => namespaceKey(id, one.name) === watched.key)
  const last = found === undefined ? windows.at(-1) : found.windows.at(-1)
  if (last === undefined || toSeconds(last.end) <= toSeconds(watched.since)) return null
  if (found === undefined ? isListed : last.isObserved === null)
    return { ending: 'gone', line: `it has no more pods with a proxy, up to ${dates.moment(last.end)} ${told}` }
  if (found === undefined || last.isObserved !== true) return null
  return { ending: 'over', line: `observed again, up to ${dates.moment(last.end)}${shareOf(last.share)} ${told}` }
}

/** One proxy of a hundred ends it, too, so the share is stated. */
const shareOf = (share: number | null): string =>
  share === null || share === 1 ? '' : `, ${shareWords(share)} of pod time`

/** An unread proxy may still have it. */
function certificateEnd(
  certificate: ClusterFacts['certificate'],
  dates: Dates,
  told: string,
): Pick<Ended, 'line' | 'ending'> | null {
  if (certificate === null) return null
  const seen = `no proxy observed up to ${dates.moment(certificate.asOf)} has a certificate that expires so soon`
  return certificate.isOfAll
    ? { ending: 'over', line: `${seen} ${told}` }
    : { ending: 'gone', line: `${seen}, but not every proxy was observed ${told}` }
}

/** The channel no longer covers it, so its state is unknown. */
const left = (what: string, told: string): Pick<Ended, 'line' | 'ending'> => ({
  ending: 'not-watched',
  line: `no longer watched, because ${what} left the channel ${told}`,
})

/** The text with which the beginning was reported. */
const toldWords = ({ line }: Pick<Condition, 'line'>): string => `(reported: ${line})`

function pathEnd(
  watched: Watched,
  { id, byEpisode, byPath }: KnownCluster,
  { channel, dates }: KnownFacts,
): Pick<Ended, 'line' | 'ending'> | null {
  const { key, since, episode } = watched
  const told = toldWords(watched)
  const own = byPath.get(key.slice(`path/${id}/`.length)) ?? []
  // After a late window the same stretch may begin earlier, under another name.
  const path =
    byEpisode.get(episode ?? '') ??
    own.findLast(({ episode: { endedAt } }) => endedAt !== null && toSeconds(endedAt) > toSeconds(since))
  if (path === undefined)
    return {
      ending: 'not-watched',
      line: `no longer known, because its history was derived again or scope.yaml does not judge it any more ${told}`,
    }
  const { openedAt, endedAt, ending } = path.episode
  if (endedAt === null)
    return isOfChannel(channel, [path.source, path.destination]) ? null : left('its namespaces', told)
  const how = ending === null ? 'its end is not known' : endingWords(ending, path)
  const lasted = durationWords(toSeconds(endedAt) - toSeconds(openedAt))
  return {
    ending: ending ?? 'not-watched',
    line: `${how}, at ${dates.moment(endedAt)} after ${lasted}: ${pathWords(path, id)}`,
  }
}

/** The line of an accepted condition: its state is unchanged. */
export function acceptedWords({ line, waiver }: Present, { facts, dates }: KnownFacts): string {
  const accepting = facts.waivers.all.find(({ id }) => id === waiver)
  const until =
    accepting === undefined ? '' : ` until ${dates.full(accepting.expires)}, by ${printable(accepting.owner)}`
  return cut(`accepted by waiver ${printable(waiver ?? '')}${until}; ${line}`)
}

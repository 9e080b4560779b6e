/** The episodes of a period, and how long it took to fix those that were. */
import type { ClusterPast, PathEpisode } from '../../model/period.ts'
import type { Episode } from '../../model/history.ts'
import { byName, episodeAsOf, pathKey } from './path-summary.ts'
import type { Exposure, Named } from './path-summary.ts'
import { lengthOf } from '../../time/windows.ts'
import { isBefore, median } from './sums.ts'

/** An episode as it stood at the end of the period, with its path. */
export type EpisodeSummary = Named & {
  readonly episode: Episode
  /** It is known to have begun in the period. */
  readonly isNew: boolean
}

/** How long episodes lasted that ended as fixed or refused in the period. What is gone or quiet was not fixed. */
export type TimeToFix = {
  /** Those that were fixed or refused, and of which the beginning is known. */
  readonly episodes: number
  /** Fixed or refused, but begun at an unknown time: in no figure below. */
  readonly sinceUnknown: number
  /** Seconds; null for none. */
  readonly median: number | null
  readonly longest: number | null
  /** One that is counted may have begun earlier, unseen: median and longest are lower bounds. */
  readonly isAtLeast: boolean
}

/** The episodes of a period. */
export type Episodes = {
  /** Open ones first, then those that ended last. */
  readonly all: readonly EpisodeSummary[]
  readonly open: number
  readonly endings: Readonly<Record<NonNullable<Episode['ending']>, number>>
  readonly timeToFix: TimeToFix
}

type Span = { readonly from: string; readonly to: string }

/** The episodes that were open at some time of the period. */
export function summarizeEpisodes(past: readonly ClusterPast[], period: Span): Episodes {
  const all = past
    .flatMap(({ id, episodes }) => episodes.map((known) => summarise(id, known, period)))
    .filter(({ episode }) => isWithin(episode, period))
    .sort(byEnd)
  const endings = { fixed: 0, refused: 0, gone: 0, quiet: 0 }
  for (const { episode } of all) if (episode.ending !== null) endings[episode.ending] += 1
  return { all, open: all.filter(({ episode }) => episode.endedAt === null).length, endings, timeToFix: timeToFix(all) }
}

/** Those that are open at the end of the period, by the key of their path. */
export function openEpisodes(episodes: Episodes['all']): ReadonlyMap<string, Episode> {
  return new Map(
    episodes.flatMap((one) => (one.episode.endedAt === null ? [[pathKey(one), one.episode] as const] : [])),
  )
}

/** Those that are open at the end of the period and whose path was not seen open in it: it was open when it was last seen. */
export function openUnseen(
  episodes: Episodes['all'],
  exposures: readonly Pick<Exposure, 'cluster' | 'pathId' | 'isOpen'>[],
): readonly EpisodeSummary[] {
  const seen = new Set(exposures.filter(({ isOpen }) => isOpen).map(pathKey))
  return episodes.filter((one) => one.episode.endedAt === null && !seen.has(pathKey(one)))
}

function summarise(cluster: string, { episode, ...path }: PathEpisode, { from, to }: Span): EpisodeSummary {
  const isNew = !episode.sinceUnknown && !isBefore(episode.openedAt, from)
  return { ...path, cluster, episode: episodeAsOf(episode, to), isNew }
}

/** A window that ends when the period begins is not of the period, nor is an episode that ended with it. */
function isWithin({ openedAt, endedAt }: Episode, { from, to }: Span): boolean {
  return isBefore(openedAt, to) && (endedAt === null || isBefore(from, endedAt))
}

function timeToFix(episodes: readonly EpisodeSummary[]): TimeToFix {
  const fixed = episodes.filter(({ episode: { ending } }) => ending === 'fixed' || ending === 'refused')
  const counted = fixed.filter(({ episode }) => !episode.sinceUnknown)
  const lengths = counted.flatMap(({ episode: { openedAt, endedAt } }) =>
    endedAt === null ? [] : [lengthOf({ start: openedAt, end: endedAt })],
  )
  return {
    episodes: lengths.length,
    sinceUnknown: fixed.length - lengths.length,
    median: median(lengths),
    longest: lengths.length === 0 ? null : Math.max(...lengths),
    isAtLeast: counted.some(({ episode }) => episode.mayBeEarlier),
  }
}

function byEnd(a: EpisodeSummary, b: EpisodeSummary): number {
  const endOf = ({ episode: { endedAt } }: EpisodeSummary): number =>
    endedAt === null ? Infinity : Date.parse(endedAt)
  const [left, right] = [endOf(a), endOf(b)]
  return (
    (left === right ? 0 : right - left) ||
    Date.parse(a.episode.openedAt) - Date.parse(b.episode.openedAt) ||
    byName(a, b)
  )
}

/**
 * The numbers that every surface shows, each defined once (docs/words.md): reports, mails, alerts, commands, the API and CSV take them from here, and
 * add nothing up themselves.
 */
import type { TimelineMonth } from '../../model/history.ts'
import { type Episodes, openEpisodes } from './episode-summary.ts'
import type { Exposure, PathSummary } from './path-summary.ts'
import { pathKey } from './path-summary.ts'
import { compareText } from '../../text/order.ts'
import { lengthOf } from '../../time/windows.ts'
import { ratio, sum } from './sums.ts'

/** Counts of paths of the judged classes over a period. */
export type Figures = {
  /** Paths that were not encrypted at the end of the period, or when they were last seen. */
  readonly openNow: number
  /** Those of `openNow` of which plaintext was seen in the period. */
  readonly openPlaintext: number
  /** Those of `openNow` of which `no-mesh-tls` was the worst that was seen in the period. The rest of `openNow` was not seen again in it. */
  readonly openNoMeshTls: number
  /** As many at the beginning of the period; null where some cluster has no period before to compare with. */
  readonly openBefore: number | null
  /** Paths that were not encrypted in at least one window of the period. */
  readonly atSomeTime: number
  /** Those of them that a waiver in force accepts. */
  readonly waived: number
  /** Those of `openNow` that a waiver in force accepts. */
  readonly waivedNow: number
  /** Paths of which less than the wanted share was seen, or what was seen cannot be told, and nothing was seen in the clear. */
  readonly notEnoughEvidence: number
  /** Paths that were encrypted in all that was seen of them, and of which the wanted share was seen. */
  readonly encrypted: number
  /** `atSomeTime`, `notEnoughEvidence` and `encrypted` together. */
  readonly judged: number
  /** Ids of clusters whose history cannot be read, so that `openNow` is at least what it says; absent: none. */
  readonly openUnknownOn?: readonly string[]
}

/** How much of the calendar was looked at. */
export type Monitored = {
  /** Time of windows that were collected, over all clusters. */
  readonly seconds: number
  /** The time of the period, for each cluster. */
  readonly periodSeconds: number
  /** Null without a cluster. */
  readonly share: number | null
}

/**
 * Counts the judged paths of a period.
 *
 * @param episodes those of these paths that were open at some time of it
 * @param from its beginning; null where it cannot be compared with the period before
 */
export function figuresOf(
  paths: readonly PathSummary[],
  exposures: readonly Exposure[],
  {
    episodes,
    from,
    unread,
  }: {
    readonly episodes: Episodes['all']
    readonly from: string | null
    /** Ids of clusters whose history cannot be read. */
    readonly unread: readonly string[]
  },
): Figures {
  const by = (verdict: PathSummary['verdict']) => paths.filter((path) => path.verdict === verdict).length
  const [notEnoughEvidence, encrypted] = [by('not-enough-evidence'), by('pass')]
  const before =
    from === null
      ? null
      : new Set(episodes.filter(({ episode }) => Date.parse(episode.openedAt) < Date.parse(from)).map(pathKey))
  const open = openPaths(exposures, episodes)
  const openAs = (mark: PathSummary['mark']) =>
    exposures.filter((path) => path.mark === mark && open.has(pathKey(path))).length
  return {
    openNow: open.size,
    openPlaintext: openAs('plaintext'),
    openNoMeshTls: openAs('no-mesh-tls'),
    openBefore: before === null ? null : before.size,
    atSomeTime: exposures.length,
    waived: exposures.filter(isWaived).length,
    waivedNow: exposures.filter((path) => path.isOpen && isWaived(path)).length,
    notEnoughEvidence,
    encrypted,
    judged: exposures.length + notEnoughEvidence + encrypted,
    ...(unread.length === 0 ? {} : { openUnknownOn: unread }),
  }
}

/** Adds up the figures of clusters that were counted one at a time. */
export function joinFigures(parts: readonly Figures[]): Figures {
  const all = (count: (figures: Figures) => number) => sum(parts, count)
  const before = parts.map(({ openBefore }) => openBefore)
  const unread = parts.flatMap(({ openUnknownOn = [] }) => openUnknownOn).toSorted(compareText)
  return {
    openNow: all(({ openNow }) => openNow),
    openPlaintext: all(({ openPlaintext }) => openPlaintext),
    openNoMeshTls: all(({ openNoMeshTls }) => openNoMeshTls),
    openBefore: before.includes(null) ? null : sum(before, (count) => count ?? 0),
    atSomeTime: all(({ atSomeTime }) => atSomeTime),
    waived: all(({ waived }) => waived),
    waivedNow: all(({ waivedNow }) => waivedNow),
    notEnoughEvidence: all(({ notEnoughEvidence }) => notEnoughEvidence),
    encrypted: all(({ encrypted }) => encrypted),
    judged: all(({ judged }) => judged),
    ...(unread.length === 0 ? {} : { openUnknownOn: unread }),
  }
}

/** Keys of the paths that were not encrypted at the end of the period, or when they were last seen: also of those that nobody saw in it. */
function openPaths(exposures: readonly Exposure[], episodes: Episodes['all']): ReadonlySet<string> {
  return new Set([...exposures.filter(({ isOpen }) => isOpen).map(pathKey), ...openEpisodes(episodes).keys()])
}

/** A waiver accepts that it is not encrypted. It stays listed and counted. */
export function isWaived({ failures }: Pick<PathSummary, 'failures'>): boolean {
  return failures.some(({ rule, waiver }) => rule === 'path-is-encrypted' && waiver !== null)
}

/** How much of a period was looked at, by its calendar: time in which no window was expected counts as not monitored. */
export function monitoredOf(
  clusters: readonly { readonly windows: TimelineMonth['windows'] }[],
  { from, to }: { readonly from: string; readonly to: string },
): Monitored {
  const seconds = sum(clusters, ({ windows }) =>
    sum(
      windows.filter(({ collected }) => collected),
      lengthOf,
    ),
  )
  const periodSeconds = clusters.length * lengthOf({ start: from, end: to })
  return { seconds, periodSeconds, share: ratio(seconds, periodSeconds) }
}

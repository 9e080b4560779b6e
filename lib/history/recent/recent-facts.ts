/** What the windows that are in no month yet say beside paths and episodes: facts for frequent checks, which read no month. */
import { isNotEncrypted } from '../../assess/window/episode-lifecycle.ts'
import { isCoveredBy } from '../../assess/window/gap-covers.ts'
import { uniteNamespaces } from '../../assess/pods/labelled-namespaces.ts'
import type { Interval, TimelineMonth } from '../../model/history.ts'
import type { LabelledNamespaces, WindowResult } from '../../model/window.ts'
import type { ExpectedWindow, Timeline } from '../fold-state.ts'
import { type NamespaceSight, type NamespaceStatuses, nextStatuses, sightOf } from '../namespaces.ts'
import { foldWindows } from '../timeline.ts'

/** How far a history is folded, without its months. */
export type KnownTimeline = Omit<Timeline, 'months'>

/** Facts from the windows that are in no month yet. */
export type RecentFacts = {
  /** The last unencrypted reading of an episode's path, by the episode's id; absent if it is already in a month. */
  readonly seen: ReadonlyMap<string, Pick<Interval, 'state' | 'outcome' | 'reason' | 'cause' | 'settings'>>
  /** Those windows, oldest first. */
  readonly windows: TimelineMonth['windows']
  /** Starts of those windows without a complete Kubernetes list. */
  readonly unlisted: ReadonlySet<string>
  /** Labelled namespaces in the lists around those windows; null if there is no complete list. */
  readonly labelled: LabelledNamespaces | null
  /** Status of each namespace before the last few windows, and the facts in these, because the last ones may be too young to judge. */
  readonly namespaces: { readonly before: NamespaceStatuses; readonly last: readonly NamespaceSight[] }
  /** The last window with a stored result; null if it is already in a month. */
  readonly last:
    | (Pick<WindowResult, 'window' | 'collected' | 'crypto'> & {
        /** Whether each expected proxy was observed in all of it. */
        readonly isWhole: boolean
      })
    | null
}

/** The facts before the first of those windows. */
export const NO_FACTS: RecentFacts = {
  seen: new Map(),
  windows: [],
  unlisted: new Set(),
  labelled: null,
  namespaces: { before: new Map(), last: [] },
  last: null,
}

/** Folds new windows without earlier months: neither paths and episodes nor the facts depend on earlier intervals. Any number of steps gives the same result. */
export function foldFacts(
  before: KnownTimeline & RecentFacts,
  news: readonly ExpectedWindow[],
): KnownTimeline & RecentFacts {
  const { cluster, watermark, paths, episodes, ends, unread } = before
  const { months, ...after } = foldWindows({ cluster, watermark, paths, episodes, ends, unread, months: [] }, news)
  const seen = new Map(before.seen)
  for (const { intervals } of months)
    for (const { episode, state, outcome, reason, cause, settings } of intervals)
      if (episode !== null && isNotEncrypted({ state, outcome }))
        seen.set(episode.id, { state, outcome, reason, cause, ...(settings === undefined ? {} : { settings }) })
  const last = news.findLast(({ result }) => result !== null)?.result
  const unlisted = news.filter(({ result }) => result?.collected === true && result.existing === null)
  return {
    ...after,
    seen,
    windows: [...before.windows, ...months.flatMap((month) => month.windows)],
    unlisted: new Set([...before.unlisted, ...unlisted.map(({ window }) => window.start)]),
    labelled: uniteNamespaces([before.labelled, ...months.map((month) => month.namespaces)]),
    namespaces: namespacesAfter(before.namespaces, news),
    last: last === undefined || last === null ? before.last : lastOf(last),
  }
}

/** More than the number of windows that are too young to judge. */
const LAST_SIGHTS = 4

function namespacesAfter(
  { before, last }: RecentFacts['namespaces'],
  news: readonly ExpectedWindow[],
): RecentFacts['namespaces'] {
  const sights = [...last, ...news.map(sightOf)]
  const kept = sights.slice(-LAST_SIGHTS)
  return { before: sights.slice(0, sights.length - kept.length).reduce(nextStatuses, before), last: kept }
}

/** Returns {@link RecentFacts.last} of a window. */
export function lastOf({ window, collected, crypto, coverage, partial = false }: WindowResult): RecentFacts['last'] {
  const isWhole =
    collected && !partial && coverage.every(({ gaps, pods }) => isCoveredBy(gaps) && pods.scraped === pods.meshed)
  return { window, collected, crypto, isWhole }
}

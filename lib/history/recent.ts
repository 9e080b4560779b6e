/** Reads the current status of a cluster, for frequent checks: from its state and the results of windows that are in no month yet, without reading months. */
import { isNotEncrypted } from '../assess/window/episode-lifecycle.ts'
import { isCoveredBy } from '../assess/window/gap-covers.ts'
import type { Episode, Interval, TimelineMonth } from '../model/history.ts'
import { uniteNamespaces } from '../assess/pods/labelled-namespaces.ts'
import type { LabelledNamespaces, WindowResult } from '../model/window.ts'
import { type FoldedWindow, firstLookOf, sinceOf } from './archive.ts'
import { type NamespaceSight, type NamespaceStatuses, nextStatuses, sightOf } from './namespaces.ts'
import type { Objects } from '../store/objects/objects.ts'
import { sha256Of, whileItChanges } from '../store/objects/derived-object.ts'
import { CHUNK, type ClusterState, foldedCount, readExpected, readMonth, readState } from './cluster-state.ts'
import { foldWindows } from './timeline.ts'
import type { ExpectedWindow, Timeline } from './fold-state.ts'

/** The end of a history. */
export type Recent = {
  /** Start of the first window with evidence. */
  readonly since: string | null
  /** When the cluster was first collected, RFC 3339; null if unknown. */
  readonly firstLookAt: string | null
  /** End of the last known window. */
  readonly watermark: string | null
  /** Every path ever seen, by id, with its ends as last seen. */
  readonly paths: Timeline['paths']
  /** Every episode, by id. */
  readonly episodes: readonly Episode[]
  /** Only for the next fold. */
  readonly ends: Timeline['ends']
  /** The last unencrypted reading of an episode's path, by the episode's id; absent if it is already in a month. */
  readonly seen: ReadonlyMap<string, Pick<Interval, 'state' | 'outcome' | 'reason' | 'cause' | 'settings'>>
  /** Windows that are in no month yet, oldest first. */
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

/** Cache of a reader between checks, by cluster, so that each result is read once. Losing it costs only reads. */
export type Memory = Map<
  string,
  { readonly base: string; readonly folded: readonly FoldedWindow[]; readonly recent: Recent }
>

/** Reads the current status of a cluster; undefined if nothing was derived yet, or not by this version. Throws `DamagedError` for a damaged result. */
export async function readRecent(clusterId: string, objects: Objects, memory: Memory): Promise<Recent | undefined> {
  return whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    if (state === undefined) {
      memory.delete(clusterId)
      return undefined
    }
    const base = sha256Of(Buffer.from(JSON.stringify(state.timeline)))
    const windows = state.windows.slice(foldedCount(state))
    const known = memory.get(clusterId)
    const isKnown = known?.base === base && isBeginning(known.folded, windows)
    const asOf = { since: sinceOf(state), firstLookAt: firstLookOf(state) }
    let recent: Recent = { ...(isKnown ? known.recent : startOf(state)), ...asOf }
    for (let index = isKnown ? known.folded.length : 0; index < windows.length; index += CHUNK) {
      recent = foldFurther(clusterId, recent, await readExpected(state, windows.slice(index, index + CHUNK), objects))
    }
    memory.set(clusterId, { base, folded: windows, recent })
    return recent
  })
}

function startOf({
  timeline: { watermark, paths, episodes, ends },
}: ClusterState): Omit<Recent, 'since' | 'firstLookAt'> {
  return {
    watermark,
    paths,
    episodes,
    ends,
    seen: new Map(),
    windows: [],
    unlisted: new Set(),
    labelled: null,
    namespaces: { before: new Map(), last: [] },
    last: null,
  }
}

/** Whether the remembered windows are the first ones, each with the same result. */
function isBeginning(folded: readonly FoldedWindow[], windows: readonly FoldedWindow[]): boolean {
  return (
    folded.length <= windows.length &&
    folded.every(({ start, end, sha256 }, index) => {
      const window = windows[index]
      return window?.start === start && window.end === end && window.sha256 === sha256
    })
  )
}

/** Folds new windows without earlier months: paths and episodes do not depend on earlier intervals. */
function foldFurther(cluster: string, before: Recent, news: readonly ExpectedWindow[]): Recent {
  const { paths, episodes, ends, watermark, months } = foldWindows({ ...before, cluster, months: [] }, news)
  const seen = new Map(before.seen)
  for (const { intervals } of months)
    for (const { episode, state, outcome, reason, cause, settings } of intervals)
      if (episode !== null && isNotEncrypted({ state, outcome }))
        seen.set(episode.id, { state, outcome, reason, cause, ...(settings === undefined ? {} : { settings }) })
  const last = news.findLast(({ result }) => result !== null)?.result
  const unlisted = news.filter(({ result }) => result?.collected === true && result.existing === null)
  return {
    since: before.since,
    firstLookAt: before.firstLookAt,
    watermark,
    paths,
    episodes,
    ends,
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
  { before, last }: Recent['namespaces'],
  news: readonly ExpectedWindow[],
): Recent['namespaces'] {
  const sights = [...last, ...news.map(sightOf)]
  const kept = sights.slice(-LAST_SIGHTS)
  return { before: sights.slice(0, sights.length - kept.length).reduce(nextStatuses, before), last: kept }
}

function lastOf({ window, collected, crypto, coverage, partial = false }: WindowResult): Recent['last'] {
  const isWhole =
    collected && !partial && coverage.every(({ gaps, pods }) => isCoveredBy(gaps) && pods.scraped === pods.meshed)
  return { window, collected, crypto, isWhole }
}

/** Reads only `Recent.last`, from the state and one result. Also null if nothing was derived yet. */
export async function readLast(clusterId: string, objects: Objects): Promise<Recent['last']> {
  return whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    const window = state?.windows.slice(foldedCount(state)).findLast(({ sha256 }) => sha256 !== null)
    if (state === undefined || window === undefined) return null
    const [last] = await readExpected(state, [window], objects)
    return last === undefined || last.result === null ? null : lastOf(last.result)
  })
}

/** Reads the labelled namespaces of the latest month; null if there is none. One request. Throws `DamagedError` as {@link readRecent} does. */
export async function readLabelledOfMonths(clusterId: string, objects: Objects): Promise<LabelledNamespaces | null> {
  const { state } = await readState(clusterId, objects)
  const named = state?.months.at(-1)
  return named === undefined ? null : ((await readMonth(clusterId, named, objects))?.namespaces ?? null)
}

/** Reads the last wanted window in a month, starting with the latest month; undefined if there is none or it is unknown. */
export async function readLastOfMonths(
  clusterId: string,
  isWanted: (window: TimelineMonth['windows'][number]) => boolean,
  objects: Objects,
): Promise<TimelineMonth['windows'][number] | undefined> {
  const { state } = await readState(clusterId, objects)
  for (const named of state?.months.toReversed() ?? []) {
    const found = (await readMonth(clusterId, named, objects))?.windows.findLast(isWanted)
    if (found !== undefined) return found
  }
  return undefined
}

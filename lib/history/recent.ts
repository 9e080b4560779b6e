/** Reads the current status of a cluster, for frequent checks: from its state and what the windows come to that are in no month yet, without reading months. */
import type { TimelineMonth } from '../model/history.ts'
import type { LabelledNamespaces } from '../model/window.ts'
import { type FoldedWindow, firstLookOf, sinceOf } from './archive.ts'
import type { Objects } from '../store/objects/objects.ts'
import { sha256Of, whileItChanges } from '../store/objects/derived-object.ts'
import { CHUNK, type ClusterState, readExpected, readMonth, readState } from './cluster-state.ts'
import { foldedCount } from './fold-state.ts'
import { type KnownTimeline, NO_FACTS, type RecentFacts, foldFacts, lastOf } from './recent/recent-facts.ts'
import { readRecentFold, windowsAfterMonths } from './recent/recent-object.ts'

/** The end of a history: every path ever seen, with its ends as last seen, every episode, and facts from the windows that are in no month yet. */
export type Recent = KnownTimeline &
  RecentFacts & {
    /** Start of the first window with evidence. */
    readonly since: string | null
    /** When the cluster was first collected, RFC 3339; null if unknown. */
    readonly firstLookAt: string | null
  }

/** Cache of a reader between checks, by cluster, so that each result is read at most once. Losing it costs only reads. */
export type Memory = Map<
  string,
  { readonly base: string; readonly folded: readonly FoldedWindow[]; readonly recent: Recent }
>

/** Reads the current status of a cluster; undefined if nothing was derived yet, or not by this version. Throws `DamagedError` for a damaged result. */
export async function readRecent(clusterId: string, objects: Objects, memory: Memory): Promise<Recent | undefined> {
  return whileItChanges(async () => {
    const { state, body } = await readState(clusterId, objects)
    if (state === undefined) {
      memory.delete(clusterId)
      return undefined
    }
    const base = sha256Of(Buffer.from(JSON.stringify(state.timeline)))
    const windows = windowsAfterMonths(state)
    const known = memory.get(clusterId)
    const isKnown = known?.base === base && isBeginning(known.folded, windows)
    const start = isKnown ? { ...known.recent, count: known.folded.length } : await startOf(state, body, objects)
    const { count, ...from } = start
    let recent: KnownTimeline & RecentFacts = from
    for (let index = count; index < windows.length; index += CHUNK)
      recent = foldFacts(recent, await readExpected(state, windows.slice(index, index + CHUNK), objects))
    const found = { ...recent, since: sinceOf(state), firstLookAt: firstLookOf(state) }
    memory.set(clusterId, { base, folded: windows, recent: found })
    return found
  })
}

/** Returns how far the windows are folded that are in no month yet, and the facts from these; `count` is how many there are. */
async function startOf(
  state: ClusterState,
  body: Uint8Array | null,
  objects: Objects,
): Promise<KnownTimeline & RecentFacts & { readonly count: number }> {
  const fold = await readRecentFold(state, body, objects)
  return { ...(fold?.known ?? state.timeline), ...(fold?.facts ?? NO_FACTS), count: fold?.count ?? 0 }
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

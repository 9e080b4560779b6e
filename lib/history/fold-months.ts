import { toSeconds } from '../time/windows.ts'
import type { TimelineMonth } from '../model/history.ts'
import { ArchiveNeededError, type FoldedWindow } from './archive.ts'
import type { Objects } from '../store/objects/objects.ts'
import { sha256Of } from '../store/objects/derived-object.ts'
import { CHUNK, readExpected, readMonth } from './cluster-state.ts'
import type { ClusterState } from './cluster-state.ts'
import { decodeMonth, encodeMonth } from './tables/timeline-table.ts'
import { foldWindows, hotMonths } from './timeline.ts'
import { emptyTimeline, foldedCount } from './fold-state.ts'
import type { Timeline } from './fold-state.ts'

/**
 * How long before the end of the last window windows stay out of the months. They may still be collected, and a change in a month means folding the whole
 * history again. Prometheus keeps six hours; the rest is for queues and clocks.
 */
export const UNSETTLED_SECONDS = 8 * 60 * 60

/** The months in a state. */
export type Folded = Pick<ClusterState, 'timeline' | 'months' | 'unwritten'>

/** Returns how many of the windows, in time order, are old enough for the months. */
export function settledCount(windows: readonly FoldedWindow[], unsettledSeconds: number): number {
  const last = windows.at(-1)
  if (last === undefined) return 0
  const until = toSeconds(last.end) - unsettledSeconds
  return windows.findLastIndex(({ end }) => toSeconds(end) <= until) + 1
}

/** Returns how many of the windows are folded into a state's months; undefined if they changed since. */
export function stillFolded(base: ClusterState, windows: readonly FoldedWindow[]): number | undefined {
  const count = foldedCount(base)
  const isSame = (window: FoldedWindow, other: FoldedWindow | undefined) =>
    window.start === other?.start && window.end === other.end && window.sha256 === other.sha256
  return base.windows.slice(0, count).every((window, index) => isSame(window, windows[index])) ? count : undefined
}

/**
 * Folds windows into months: onto the state's months if their windows are unchanged, or else from the first window. Reads results from the store. Throws
 * {@link ArchiveNeededError} if everything must be folded and a part is archived.
 *
 * @param windows the windows to fold, in time order, from the first that is not archived
 * @param bodies bytes of months that this run made and that may not be stored yet, by hash; new ones are added
 */
export async function foldMonths(
  clusterId: string,
  base: ClusterState | undefined,
  windows: readonly FoldedWindow[],
  { objects, bodies }: { readonly objects: Objects; readonly bodies: Map<string, Uint8Array> },
): Promise<Folded> {
  const start = await foldedSoFar(base, windows, { objects, bodies })
  if (start === undefined && (base?.archive ?? null) !== null) throw new ArchiveNeededError()
  let timeline = start?.timeline ?? emptyTimeline(clusterId)
  const months = new Map(start?.months.map(({ month, sha256 }) => [month, sha256]))
  const unwritten = new Set(start?.unwritten)
  // Only results with the state's hashes may be folded.
  const named = { cluster: clusterId, replacing: [] }
  const settle = (settled: readonly TimelineMonth[]): void => {
    for (const month of settled) {
      const body = encodeMonth(month)
      const sha256 = sha256Of(body)
      if (months.get(month.month) === sha256) continue
      months.set(month.month, sha256)
      bodies.set(sha256, body)
      unwritten.add(month.month)
    }
  }
  for (let index = start?.count ?? 0; index < windows.length; index += CHUNK) {
    timeline = foldWindows(timeline, await readExpected(named, windows.slice(index, index + CHUNK), objects))
    const hot = new Set(hotMonths(timeline))
    settle(timeline.months.filter(({ month }) => !hot.has(month)))
    timeline = { ...timeline, months: timeline.months.filter(({ month }) => hot.has(month)) }
  }
  // If nothing was folded, the stored months are unchanged.
  if (start?.count !== windows.length) settle(timeline.months)
  const { months: _, ...rest } = timeline
  return {
    timeline: rest,
    months: [...months].map(([month, sha256]) => ({ month, sha256 })),
    unwritten: [...months.keys()].filter((month) => unwritten.has(month)),
  }
}

/** Returns the months that the next fold needs, and those not stored yet; undefined if they cannot be continued. */
async function foldedSoFar(
  base: ClusterState | undefined,
  windows: readonly FoldedWindow[],
  { objects, bodies }: { readonly objects: Objects; readonly bodies: ReadonlyMap<string, Uint8Array> },
): Promise<{ timeline: Timeline; months: ClusterState['months']; unwritten: string[]; count: number } | undefined> {
  const count = base === undefined ? undefined : stillFolded(base, windows)
  if (base === undefined || count === undefined) return undefined
  const hot = hotMonths({ ...base.timeline, months: base.months })
  const read: TimelineMonth[] = []
  const unwritten: string[] = []
  for (const named of base.months) {
    const isHot = hot.includes(named.month)
    if (!isHot && !base.unwritten.includes(named.month)) continue
    let month = await readMonth(base.cluster, named, objects)
    if (month === undefined) {
      const body = bodies.get(named.sha256)
      if (body === undefined) return undefined
      month = await decodeMonth(body)
      unwritten.push(named.month)
    }
    if (isHot) read.push(month)
  }
  return { timeline: { ...base.timeline, months: read }, months: base.months, unwritten, count }
}

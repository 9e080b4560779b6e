/** The derived objects of clusters as they might be, drawn by a seed: what `compact` leaves of a year, and the latest windows that it does not fold yet. */
import { archiveBefore, firstKeptDay } from '../lib/history/archive.ts'
import { type ClusterState, encodeState } from '../lib/history/cluster-state.ts'
import { writeRecent } from '../lib/history/recent/write-recent.ts'
import { updateNotEncrypted } from '../lib/history/not-encrypted.ts'
import { coverageIn, encodeMonth } from '../lib/history/tables/timeline-table.ts'
import { emptyTimeline } from '../lib/history/fold-state.ts'
import type { ExpectedWindow } from '../lib/history/fold-state.ts'
import { foldWindows, hotMonths } from '../lib/history/timeline.ts'
import type { WindowSetting } from '../lib/model/time.ts'
import { DERIVATION } from '../lib/model/window.ts'
import type { AttemptedWindow } from '../lib/store/evidence/selected-attempt.ts'
import { archiveKey, coverageKey, parseEvidenceKey, stateKey, timelineKey, windowKey } from '../lib/store/keys.ts'
import { encodeDerived, sha256Of } from '../lib/store/objects/derived-object.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../lib/store/registry/registry.ts'
import { toSeconds, toTime } from '../lib/time/windows.ts'
import { syntheticWindows } from './synthetic-cluster.ts'

/** When the history begins. */
export const BEGINS = '2026-01-01T00:00:00Z'

/** As many of the latest windows are in no month as just before `compact` runs again. */
const RECENT = 20

/** So many windows are folded at once. */
const CHUNK = 168

/** How much of it there is. */
export type Extent = {
  readonly clusters: number
  readonly days: number
  readonly paths: number
  /** Of how many of the last days every window has a result; absent: of those that are in no month yet, and the first of each month. */
  readonly resultDays?: number
}

/** When the history ends. */
export function endOf({ days }: Pick<Extent, 'days'>): string {
  return toTime(toSeconds(BEGINS) + days * 86_400)
}

/** The ids of the clusters, in order. */
export function clusterIds({ clusters }: Pick<Extent, 'clusters'>): string[] {
  return Array.from({ length: clusters }, (_, index) => `cluster-${String(index).padStart(4, '0')}`)
}

/**
 * Writes the store. Of folded windows there is no result, but for those that are asked for and the first one of each month, and their hashes are invented: nothing reads them. Returns how
 * many intervals there are.
 */
export async function writeSyntheticStore(extent: Extent, objects: Objects): Promise<number> {
  const ids = clusterIds(extent)
  const author = { now: new Date(BEGINS), by: 'bench' }
  for (const id of ids) await addCluster({ id, windowMinutes: 60 }, author, { objects })
  const settings = (await readClusters({ objects }))[0]?.windows ?? []
  let intervals = 0
  for (const [index, id] of ids.entries())
    intervals += await writeCluster(id, { ...extent, seed: index + 1 }, settings, objects)
  await updateNotEncrypted(ids, objects)
  return intervals
}

async function writeCluster(
  id: string,
  { seed, days, paths, resultDays = 0 }: Omit<Extent, 'clusters'> & { readonly seed: number },
  settings: readonly WindowSetting[],
  objects: Objects,
): Promise<number> {
  let timeline = emptyTimeline(id)
  let waiting: ExpectedWindow[] = []
  let intervals = 0
  const months: ClusterState['months'][number][] = []
  const windows: ClusterState['windows'][number][] = []
  const evidence: AttemptedWindow[] = []
  const settle = async (settled: typeof timeline.months): Promise<void> => {
    for (const month of settled) {
      const body = encodeMonth(month)
      intervals += month.intervals.length
      months.push({ month: month.month, sha256: sha256Of(body) })
      await objects.putIf(timelineKey(id, month.month), body, null)
      await objects.putIf(coverageKey(id, month.month), coverageIn(body), null)
    }
  }
  const fold = async (): Promise<void> => {
    timeline = foldWindows(timeline, waiting)
    waiting = []
    const hot = new Set(hotMonths(timeline))
    await settle(timeline.months.filter(({ month }) => !hot.has(month)))
    timeline = { ...timeline, months: timeline.months.filter(({ month }) => hot.has(month)) }
  }
  const hours = days * 24
  let hour = 0
  for (const { window, result } of syntheticWindows(id, { seed, from: BEGINS, hours, paths })) {
    const isRecent = ++hour > hours - RECENT
    const isKept = isRecent || hour > hours - resultDays * 24 || window.start.endsWith('-01T00:00:00Z')
    const body = isKept ? encodeDerived(result) : Buffer.from(result.inputs.evidence)
    if (isKept) await objects.putIf(windowKey(id, window), body, null)
    windows.push({ ...window, sha256: sha256Of(body) })
    const takenAt = toTime(toSeconds(window.end) + 60)
    evidence.push({
      ...window,
      attempts: [
        {
          key: result.inputs.evidence,
          number: parseEvidenceKey(result.inputs.evidence)?.attempt ?? 1,
          complete: true,
          startedAt: takenAt,
          listsAt: takenAt,
          observedSeconds: null,
          error: null,
        },
      ],
    })
    if (!isRecent && waiting.push({ window, result }) === CHUNK) await fold()
  }
  await fold()
  await settle(timeline.months)
  const { months: _, ...rest } = timeline
  const state: ClusterState = {
    derivation: DERIVATION,
    cluster: id,
    evidence,
    windows,
    replacing: [],
    timeline: rest,
    months,
    unwritten: [],
    archive: null,
  }
  const day = firstKeptDay(windows, rest)
  const { state: kept, bodies } = day === undefined ? { state, bodies: [] } : archiveBefore(state, day, settings)
  for (const [name, body] of bodies) await objects.putIf(archiveKey(id, name), body, null)
  await objects.putIf(stateKey(id), encodeState(kept), null)
  await writeRecent(kept, false, { objects, bodies: new Map() })
  return intervals
}

/** Reads a period from months alone, without window results, for views of up to a year that show no seen shares. */
import { fixOf } from '../../assess/fixes/fix-text.ts'
import type { PathRow } from '../../model/history.ts'
import type { ClusterPast, ClusterPeriod } from '../../model/period.ts'
import type { Cluster } from '../../model/registry.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { SETTLE_SECONDS, toSeconds, windowOf } from '../../time/windows.ts'
import { sinceOf } from '../archive.ts'
import { readState, readWindow } from '../cluster-state.ts'
import { missingWindows } from '../missing-windows.ts'
import { classesIn, rows, stateStripsOf, within } from './path-history.ts'
import { episodesOf, readPresent } from '../period.ts'

/** A period of a cluster, and the episodes of its past. */
export type PeriodRows = {
  /** Counts of a row are 0 if the months do not contain them, so do not sum them. */
  readonly current: ClusterPeriod
  /** The same rows, with unknown counts as null. */
  readonly rows: readonly PathRow[]
  readonly past: ClusterPast
}

/**
 * Returns the end of a cluster's latest finished window, collected or not; for a replay, at most the end of its last window. Undefined for a replay without
 * stored windows.
 */
export async function presentEnd(cluster: Cluster, now: Date, objects: Objects): Promise<string | undefined> {
  const latest = now.getTime() / 1000 - SETTLE_SECONDS
  const { start, end } = windowOf(cluster.windows, latest)
  const border = toSeconds(end) <= latest ? end : start
  if (cluster.replay === undefined) return border
  const { state } = await readState(cluster.id, objects)
  const last = state?.windows.at(-1)?.end
  return last === undefined || toSeconds(last) < toSeconds(border) ? last : border
}

/** Returns the start of a cluster's first expected window; undefined if there is none. Reads the state alone. */
export async function presentStart(cluster: Cluster, now: Date, objects: Objects): Promise<string | undefined> {
  const { state } = await readState(cluster.id, objects)
  const since = state === undefined ? null : sinceOf(state)
  const watermark = state?.windows.at(-1)?.end ?? state?.timeline.watermark ?? null
  const [first] = missingWindows(cluster, { since, watermark }, now)
  return since === null || (first !== undefined && first.start < since) ? first?.start : since
}

/**
 * Reads the paths of a cluster in a period, with the workloads of its last collected window. It contains no coverage and no facts: a judgement of it has no
 * seen share, so nothing passes.
 */
export async function readPeriodRows(
  cluster: Cluster,
  period: { readonly from: string; readonly to: string },
  { now, platformNamespaces }: { readonly now: Date; readonly platformNamespaces: readonly string[] },
  objects: Objects,
): Promise<PeriodRows> {
  const { id } = cluster
  const { months, episodes } = await readPresent(cluster, now, objects, period)
  const windows = months.flatMap((month) => month.windows).filter(within(period))
  const collected = windows.findLast((window) => window.collected)
  const result = collected === undefined ? undefined : await readWindow(id, collected.start, objects)
  const told = rows(months, episodes, period, { fixOf, platformNamespaces })
  return {
    rows: told,
    current: {
      id,
      classes: classesIn(months, period, platformNamespaces),
      windows,
      rows: told.map(({ opens, openAtScrape, bytes, ...row }) => ({
        ...row,
        opens: opens ?? 0,
        openAtScrape: openAtScrape ?? 0,
        bytes: bytes ?? 0,
      })),
      strips: stateStripsOf(months, period),
      coverage: [],
      workloads: result?.workloads ?? [],
      crypto: null,
      errors: [],
    },
    past: {
      id,
      periods: [],
      episodes: episodesOf(
        months.flatMap(({ intervals }) => intervals),
        episodes,
        period,
      ),
    },
  }
}

/** A period as the months tell it, without the results of its windows: for whoever looks over a year and asks for no share that was seen. */
import { fixOf } from '../assess/window/causes-and-fixes.ts'
import type { PathRow } from '../model/history.ts'
import type { ClusterPast, ClusterPeriod } from '../model/period.ts'
import type { Cluster } from '../model/registry.ts'
import type { Objects } from '../store/objects/objects.ts'
import { SETTLE_SECONDS, toSeconds, windowOf } from '../time/windows.ts'
import { readState, readWindow } from './cluster-state.ts'
import { classesIn, rows, stripsOf, within } from './path-history.ts'
import { episodesOf, readPresent } from './period.ts'

/** A period of a cluster, and of its past the episodes. */
export type PeriodRows = {
  /** What a row moved is 0 in it where the months do not tell it: nothing may be added up from it. */
  readonly current: ClusterPeriod
  /** The same rows, as the months tell them. */
  readonly rows: readonly PathRow[]
  readonly past: ClusterPast
}

/**
 * The end of the latest window of a cluster that is over by then, whether it was collected or not; of a replay that of its last window at most. Undefined for a
 * replay of which nothing is kept.
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

/**
 * Reads what the paths of a cluster were in a period, with the workloads of the last window that was collected in it. It holds no coverage of workloads and
 * no facts: whoever judges it finds no share that was seen, so that nothing passes.
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
  const strips = [...stripsOf(months, period)].map(
    ([pathId, cells]) => [pathId, cells.map(({ state }) => state)] as const,
  )
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
      strips: Object.fromEntries(strips),
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

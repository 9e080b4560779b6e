import { fixOf } from '../assess/causes.ts'
import { periodFacts } from '../assess/period-facts.ts'
import type { Cluster, ClusterPeriod } from '../model.ts'
import { rows, stripsOf, within } from './history.ts'
import type { Objects } from './objects.ts'
import { missingWindows, withMissing } from './missing.ts'
import { type History, readExpected, readHistory, readState } from './state.ts'

/** Reads the history of a cluster up to now, with the windows that were expected and never came. */
export async function readPresent(
  cluster: Cluster,
  now: Date,
  objects: Objects,
): Promise<Pick<History, 'months' | 'episodes'>> {
  const history = (await readHistory(cluster.id, objects)) ?? { months: [], episodes: [] }
  return withMissing(cluster.id, history, missingWindows(cluster, history.months, now))
}

/** Reads what is kept of a cluster over the windows whose end lies in `(from, to]`. Windows that were expected and never came are among them. */
export async function readPeriod(
  cluster: Cluster,
  period: { readonly from: string; readonly to: string },
  now: Date,
  objects: Objects,
): Promise<ClusterPeriod> {
  const clusterId = cluster.id
  const { months, episodes } = await readPresent(cluster, now, objects)
  const { state } = await readState(clusterId, objects)
  const isWithin = within(period)
  const expected = await readExpected(clusterId, (state?.windows ?? []).filter(isWithin), objects)
  const results = expected.flatMap(({ result }) => result ?? [])
  const strips = [...stripsOf(months, period)].map(
    ([pathId, cells]) => [pathId, cells.map((cell) => cell.state)] as const,
  )
  return {
    id: clusterId,
    windows: months.flatMap(({ windows }) => windows).filter(isWithin),
    rows: rows(months, episodes, period, fixOf),
    strips: Object.fromEntries(strips),
    coverage: results.flatMap(({ coverage }) => coverage),
    workloads: results.findLast(({ workloads }) => workloads.length > 0)?.workloads ?? [],
    crypto: results.findLast(({ collected }) => collected)?.crypto ?? null,
    errors: results.flatMap(({ window, errors }) => errors.map((line) => ({ window: window.end, line }))),
    facts: periodFacts(results),
  }
}

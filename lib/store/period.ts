import { fixOf } from '../assess/causes.ts'
import { toSeconds } from '../collect/windows.ts'
import type { Coverage, Crypto, PathRow, State, TimelineMonth, Workload } from '../model.ts'
import { rows, stripsOf } from './history.ts'
import type { Objects } from './objects.ts'
import { readExpected, readHistory, readState } from './state.ts'

/** All that is kept of one cluster over a period: what a report is made from. */
export type ClusterPeriod = {
  readonly id: string
  readonly windows: TimelineMonth['windows']
  readonly rows: readonly PathRow[]
  readonly strips: Readonly<Record<string, readonly (State | null)[]>>
  readonly coverage: readonly Coverage[]
  /** As of the latest window in which the Kubernetes lists could be read; empty without one. */
  readonly workloads: readonly Workload[]
  /** As of the latest window with metrics; null without one. */
  readonly crypto: Crypto | null
  readonly errors: readonly { readonly window: string; readonly line: string }[]
}

/** Reads what is kept of a cluster over the windows whose end lies in `(from, to]`. A cluster of which nothing is kept has no window. */
export async function readPeriod(
  clusterId: string,
  period: { readonly from: string; readonly to: string },
  objects: Objects,
): Promise<ClusterPeriod> {
  const history = await readHistory(clusterId, objects)
  const { state } = await readState(clusterId, objects)
  const isWithin = ({ end }: { readonly end: string }) =>
    toSeconds(end) > toSeconds(period.from) && toSeconds(end) <= toSeconds(period.to)
  const expected = await readExpected(clusterId, (state?.windows ?? []).filter(isWithin), objects)
  const results = expected.flatMap(({ result }) => result ?? [])
  const months = history?.months ?? []
  const strips = [...stripsOf(months, period)].map(
    ([pathId, cells]) => [pathId, cells.map((cell) => cell.state)] as const,
  )
  return {
    id: clusterId,
    windows: months.flatMap(({ windows }) => windows).filter(isWithin),
    rows: rows(months, history?.episodes ?? [], period, fixOf),
    strips: Object.fromEntries(strips),
    coverage: results.flatMap(({ coverage }) => coverage),
    workloads: results.findLast(({ workloads }) => workloads.length > 0)?.workloads ?? [],
    crypto: results.findLast(({ collected }) => collected)?.crypto ?? null,
    errors: results.flatMap(({ window, errors }) => errors.map((line) => ({ window: window.end, line }))),
  }
}

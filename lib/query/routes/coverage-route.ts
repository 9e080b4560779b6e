import { concurrently } from '../../concurrently.ts'
import { readWindow } from '../../history/cluster-state.ts'
import { historyProblem } from '../../history/history-problem.ts'
import { within } from '../../history/rows/path-history.ts'
import { readPresent } from '../../history/period.ts'
import type { TimelineMonth } from '../../model/history.ts'
import type { Coverage } from '../../model/window.ts'
import { DamagedError } from '../../store/objects/derived-object.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { Grant } from '../access/access.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { CoverageQuery } from '../parameters.ts'
import { ProblemError } from '../problem.ts'
import { namedCluster } from './asked-clusters.ts'
import { type ClusterAnswer, clusterAnswer } from './cluster-history.ts'

/** How many window results are read at once. */
const AT_ONCE = 8

/** What should have been seen in a window, and what was. */
export type CoverageItem = {
  readonly window: { readonly start: string; readonly end: string }
  readonly collected: boolean
  readonly expectedSeconds: number
  readonly observedSeconds: number
  /** Null where nothing was expected, or nothing is known of it. */
  readonly ratio: number | null
  /** Of each workload; empty where the window was not collected. */
  readonly workloads: readonly Omit<Coverage, 'cluster' | 'window'>[]
}

/** A page of the windows of a cluster, newest first. */
export type CoverageAnswer = Page<CoverageItem> & {
  readonly period: { readonly from: string; readonly to: string }
  readonly cluster: ClusterAnswer
}

/** Answers how much of a cluster was seen, window by window. Throws a `ProblemError` for one that must not be seen, and where it cannot be read. */
export async function answerCoverage(
  id: string,
  { from, to, limit, cursor }: CoverageQuery,
  grant: Grant,
  { objects, now }: { readonly objects: Objects; readonly now: Date },
): Promise<CoverageAnswer> {
  const question = ['coverage', id, grant.clusters, from, to]
  checkCursor({ cursor, question })
  const cluster = await namedCluster(id, grant, objects)
  const problem = await historyProblem(cluster, objects)
  if (problem !== undefined) throw new ProblemError('unreadable', problem)
  try {
    const { months } = await readPresent(cluster, now, objects, { from, to })
    const windows = months.flatMap((month) => month.windows).filter(within({ from, to }))
    const page = pageOf(windows.toReversed(), { limit, cursor, question, until: to }, ({ start, end, evidence }) => [
      start,
      end,
      evidence,
    ])
    return {
      ...page,
      items: await concurrently(page.items, AT_ONCE, (window) => itemOf(id, window, objects)),
      period: { from, to },
      cluster: clusterAnswer(cluster, months, { from, to }, now).cluster,
    }
  } catch (error) {
    if (error instanceof DamagedError) throw new ProblemError('unreadable', error.message)
    throw error
  }
}

async function itemOf(
  id: string,
  { start, end, collected, evidence, expectedSeconds, observedSeconds, ratio }: TimelineMonth['windows'][number],
  objects: Objects,
): Promise<CoverageItem> {
  const result = evidence === null ? undefined : await readWindow(id, start, objects)
  return {
    window: { start, end },
    collected,
    expectedSeconds,
    observedSeconds,
    ratio,
    workloads: (result?.coverage ?? []).map(({ cluster: _, window: __, ...coverage }) => coverage),
  }
}

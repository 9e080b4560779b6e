import { assessWindow } from '../assess/window/window.ts'
import { oldestSample } from '../collect/prometheus/oldest-scrape.ts'
import { PAGE_SLACK_SECONDS } from '../observed/page-times.ts'
import { planOf } from './uncollected-windows.ts'
import { SETTLE_SECONDS, toSeconds, toTime, windowAfter, windowOf, windowsBetween } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Seconds, Window } from '../model/time.ts'
import { readUnarchived } from '../history/archive.ts'
import { deriveCluster } from '../history/derive.ts'
import { whileItChanges } from '../store/objects/derived-object.ts'
import type { Objects } from '../store/objects/objects.ts'
import { selectedAttempt } from '../store/evidence/selected-attempt.ts'
import { readState } from '../history/cluster-state.ts'
import type { ClusterAccess } from '../collect/cluster/cluster-access.ts'

/** The windows that a person requests: the one that contains a time, those that end in `(from, to]`, or with neither all missing ones. */
export type WindowSelection = {
  readonly at?: string | undefined
  readonly period?: { readonly from: string; readonly to: string } | undefined
}

/** The requested windows. */
export type SelectedWindows = {
  /** Windows to collect, oldest first. */
  readonly due: readonly Window[]
  /** Notes to print, in lines. */
  readonly notes: readonly string[]
  /** False if a requested window cannot be collected. */
  readonly isWhole: boolean
  /** The next due window, if all missing ones were requested; `isFirst` if none was collected before. */
  readonly next?: { readonly end: string; readonly isFirst: boolean }
}

/**
 * Decides which windows of a cluster a person's request means. Missing ones are decided with the cluster's help: its Prometheus is asked how far back it can
 * still answer, which `plan` never does. Throws if the store fails.
 */
export async function selectWindows(
  cluster: Cluster,
  { at, period }: WindowSelection,
  now: Date,
  { objects, access }: { readonly objects: Objects; readonly access: ClusterAccess },
): Promise<SelectedWindows> {
  const seconds = now.getTime() / 1000
  const latest = seconds - SETTLE_SECONDS
  const unsettled = (window: Window) =>
    `Not collected: the window ${window.start} to ${window.end} of cluster "${cluster.id}" is not over, collect it after ${toTime(toSeconds(window.end) + SETTLE_SECONDS)}`
  const byAgent = `cluster "${cluster.id}" is collected by its agent, and by nobody else`
  if (at !== undefined) {
    if (cluster.agent === true) return { due: [], notes: [`Not collected: ${byAgent}`], isWhole: false }
    const window = windowOf(cluster.windows, toSeconds(at))
    return toSeconds(window.end) <= latest
      ? { due: [window], notes: [], isWhole: true }
      : { due: [], notes: [unsettled(window)], isWhole: false }
  }
  if (cluster.agent === true) {
    // Evidence that an agent stored is derived here, and nowhere else.
    await deriveCluster(cluster, { objects, assess: assessWindow, now })
    const isAsked = period !== undefined
    return { due: [], notes: isAsked ? [`Not collected: ${byAgent}`] : [], isWhole: !isAsked }
  }
  const known = await completeWindows(cluster, now, objects)
  if (period !== undefined) {
    const windows = windowsBetween(cluster.windows, toSeconds(period.from), toSeconds(period.to)).filter(
      ({ end }) => !known.complete.has(end),
    )
    const early = windows.filter(({ end }) => toSeconds(end) > latest)
    return {
      due: windows.filter((window) => !early.includes(window)),
      notes: early.slice(0, 1).map(unsettled),
      isWhole: early.length === 0,
    }
  }
  const oldest =
    cluster.noPrometheus === true
      ? { at: pagesSince(seconds), problem: null }
      : await oldestSample(access.prometheus, cluster, seconds)
  const plan = planOf({
    settings: cluster.windows,
    // A first run reaches back before the registration; windows that it could not read there are still due.
    registeredAt: Math.min(toSeconds(cluster.registeredAt), known.since ?? Infinity),
    now: seconds,
    oldestSample: oldest.at,
    complete: known.complete,
    isFirstRun: known.isFirstRun,
  })
  const [first] = plan.lost
  const last = plan.lost.at(-1)
  const lost =
    first === undefined || last === undefined
      ? []
      : [
          `Lost: ${plan.lost.length} ${plan.lost.length === 1 ? 'window' : 'windows'} of cluster "${cluster.id}" between ${first.start} and ${last.end} have no complete attempt, and ${cluster.noPrometheus === true ? 'proxies tell nothing of the past' : 'Prometheus no longer has them'}`,
        ]
  // With nothing due, nothing else would report that Prometheus cannot be asked about older windows.
  const problem = plan.due.length === 0 && oldest.problem !== null ? [oldest.problem] : []
  const current = windowOf(cluster.windows, latest)
  const { end } = toSeconds(current.end) > latest ? current : windowAfter(cluster.windows, current)
  return {
    due: plan.due,
    notes: [...lost, ...problem],
    isWhole: problem.length === 0,
    next: { end, isFirst: known.isFirstRun },
  }
}

/** Windows that ended before this cannot be read any more: proxies keep no history. */
function pagesSince(now: Seconds): Seconds {
  return now - PAGE_SLACK_SECONDS - 1
}

async function completeWindows(
  cluster: Cluster,
  now: Date,
  objects: Objects,
): Promise<{ complete: ReadonlySet<string>; isFirstRun: boolean; since: Seconds | undefined }> {
  // Evidence stored by other processes counts, too.
  await deriveCluster(cluster, { objects, assess: assessWindow, now })
  const evidence = await whileItChanges(async () => {
    const { state } = await readState(cluster.id, objects)
    return state === undefined ? [] : (await readUnarchived(state, objects)).evidence
  })
  return {
    complete: new Set(
      evidence.filter(({ attempts }) => selectedAttempt(attempts)?.complete === true).map(({ end }) => end),
    ),
    isFirstRun: evidence.length === 0,
    since: evidence[0] === undefined ? undefined : toSeconds(evidence[0].start),
  }
}

import { type AssessInput, assessWindow } from '../assess/window/window.ts'
import type { ClusterAccess } from '../collect/cluster/cluster-access.ts'
import { type CollectDeps, type CollectOptions, collectWindow } from '../collect/snapshot.ts'
import type { Cluster } from '../model/registry.ts'
import type { ProxyPage, Snapshot } from '../model/snapshot.ts'
import type { Seconds, Window } from '../model/time.ts'
import type { WindowResult } from '../model/window.ts'
import { PageError, parsePage } from '../observed/metrics-page.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from '../time/windows.ts'

/** The state of a cluster in its last minutes. */
export type Look = {
  /** Every source answered everything that was asked. */
  readonly complete: boolean
  readonly result: WindowResult
}

/**
 * The longest look at pages of proxies. A page holds what was used in the ten minutes before it was read, and may be read two minutes after the window's end;
 * readings more than 400 s apart count as undated (lib/assess/counters/page-readings.ts).
 */
const PAGES_SECONDS: Seconds = 6 * 60

/** The minutes that a look covers: they end a minute ago, so that the last scrape has arrived, as for a collected window. */
export function lookWindow(
  { proxies, noPrometheus }: Pick<Cluster, 'proxies' | 'noPrometheus'>,
  lastSeconds: Seconds,
  now: Date,
): Window {
  const end = Math.floor(now.getTime() / 1000) - SETTLE_SECONDS
  const hasPages = proxies !== undefined || noPrometheus === true
  return { start: toTime(end - (hasPages ? Math.min(lastSeconds, PAGES_SECONDS) : lastSeconds)), end: toTime(end) }
}

/**
 * Queries the last minutes of a cluster as a collection does, and assesses the answers with one current Kubernetes list. Stores nothing. Skips slow sources and
 * those that say nothing about these minutes (tap, viz). Never throws for failures of a source.
 */
export async function lookAtCluster(
  cluster: Cluster,
  window: Window,
  options: CollectOptions,
  { access, ...deps }: CollectDeps,
): Promise<Look> {
  const { tapSeconds, ...untapped } = cluster
  const withoutViz: ClusterAccess = { ...access, viz: null }
  const snapshot = await collectWindow(untapped, window, options, { ...deps, access: withoutViz })
  return { complete: snapshot.complete, result: assessLook(snapshot) }
}

/**
 * Assesses one snapshot without any list from before its window. Pods that ran in it and are gone are known from cAdvisor or not at all: then a path stays
 * unknown wherever that matters.
 */
export function assessLook(snapshot: Snapshot): WindowResult {
  return assessWindow(inputOf(snapshot))
}

function inputOf(snapshot: Snapshot): AssessInput {
  const { kubernetes, proxies, window } = snapshot
  const { takenAt, lists } = kubernetes
  return {
    key: '',
    snapshot: proxies === undefined ? snapshot : { ...snapshot, proxies: withBegins(proxies, toSeconds(window.start)) },
    before: null,
    after: takenAt === null || kubernetes.status !== 'complete' ? null : { key: 'now', takenAt, lists },
  }
}

/**
 * Puts an empty page of the same process before each page, at the window's start. Linkerd drops a series after ten minutes without use, so whatever a proxy
 * counted in the window is on its current page; series last used a few minutes before the window are on it, too, and count as the window's. So one page is
 * enough, and errs by reporting too much. Its counts are meaningless.
 */
function withBegins(proxies: NonNullable<Snapshot['proxies']>, start: Seconds): NonNullable<Snapshot['proxies']> {
  return { ...proxies, pages: [...proxies.pages.flatMap((page) => beginOf(page, start)), ...proxies.pages] }
}

function beginOf(page: ProxyPage, start: Seconds): ProxyPage[] {
  try {
    const { processStart } = parsePage(page.body)
    // A process that started later was observed for its whole life.
    return processStart > start
      ? []
      : [{ ...page, readAt: toTime(start), body: `process_start_time_seconds ${processStart}\n` }]
  } catch (error) {
    if (!(error instanceof PageError)) throw error
    return []
  }
}

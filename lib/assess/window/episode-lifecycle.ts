import { toSeconds } from '../../time/windows.ts'
import type { Coverage, PathWindow, WindowResult } from '../../model/window.ts'
import { type PathEnds, type State, UNENCRYPTED_STATES } from '../../model/path.ts'
import type { Episode } from '../../model/history.ts'
import type { Window } from '../../model/time.ts'
import { workloadKey } from '../pods/facts.ts'
import { isCoveredBy } from './gap-covers.ts'
import { compareText } from '../../text/order.ts'

/** Whether a state counts as encrypted. `exempt` does not: it is listed, not scored. */
export function isEncrypted(state: State): boolean {
  return state === 'mtls' || state === 'tls-anonymous' || state === 'app-tls'
}

/** Whether a path counts as `not-encrypted` everywhere: `plaintext` and `no-mesh-tls` with outcome `allowed`. */
export function isNotEncrypted({ state, outcome }: Pick<PathWindow, 'state' | 'outcome'>): boolean {
  return UNENCRYPTED_STATES.has(state) && outcome === 'allowed'
}

/** Facts of one window that decide episodes, prepared once for all paths by {@link readingsOf}. */
export type Readings = {
  readonly window: Window
  /** By path id. */
  readonly paths: ReadonlyMap<string, PathWindow>
  /** Ports of fully covered workloads that had traffic, all of it encrypted. This ends the episode of an unnamed source; silence alone would not. */
  readonly clean: ReadonlySet<string>
  /** Ports on which policy refused plaintext according to both lists around the window, and that received no plaintext or unknown traffic. */
  readonly refusing: ReadonlySet<string>
  /** Workloads (`kind/namespace/name`) whose every connection was observed: fully covered, and nothing bypasses their proxies. */
  readonly watched: ReadonlySet<string>
  /** True: some metrics could not be read, so this window ends no episode. */
  readonly isPartial: boolean
}

/** How long a path must be quiet, with every window fully covered, before its episode ends as `quiet`. */
export const QUIET_SECONDS = 7 * 24 * 60 * 60

/** Prepares a window for {@link nextEpisode}. */
export function readingsOf(result: WindowResult): Readings {
  const paths = new Map(result.paths.map((path) => [path.pathId, path]))
  // A workload that may override metric labels may hide part of its traffic.
  const doubted = new Set(result.workloads.filter(({ overriding }) => overriding !== undefined).map(workloadKey))
  const covered = new Set(
    result.coverage
      .filter(isFullyCovered)
      .map(({ workload }) => workloadKey(workload))
      .filter((key) => !doubted.has(key)),
  )
  const clean = new Map<string, boolean>()
  const refusing = new Map<string, boolean>()
  for (const path of paths.values()) {
    const key = portKey(path)
    const isLetIn = path.outcome === 'allowed' && path.state !== 'exempt'
    refusing.set(
      key,
      (refusing.get(key) ?? true) && path.enforcement === 'plaintext-refused' && !(isLetIn && !isEncrypted(path.state)),
    )
    // Refused traffic delivered nothing and exempt traffic is not judged, so neither shows whether a port is clean.
    if (!isLetIn) continue
    // `unknown` may have been plaintext, so it fails closed.
    clean.set(key, (clean.get(key) ?? true) && isEncrypted(path.state) && covered.has(workloadKey(path.destination)))
  }
  return {
    window: result.window,
    paths,
    clean: keysThatHold(clean),
    refusing: keysThatHold(refusing),
    watched: watchedOf(result, covered),
    isPartial: result.partial ?? false,
  }
}

function keysThatHold(map: ReadonlyMap<string, boolean>): ReadonlySet<string> {
  return new Set([...map].filter(([, holds]) => holds).map(([key]) => key))
}

/** Fully covered workloads that are in the lists and have no port or subnet that bypasses their proxies. */
function watchedOf({ workloads }: WindowResult, covered: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(
    workloads
      .filter(({ meshed, blindSpots }) => meshed === 'yes' && !blindSpots.some(({ kind }) => kind.startsWith('skip-')))
      .map(workloadKey)
      .filter((key) => covered.has(key)),
  )
}

/**
 * Returns a path's episode after a collected window: null if there is none, an open one, or the given one with its end in this window. Do not call this for
 * windows that were not collected, because a gap ends nothing. {@link silentEpisode} handles silence.
 *
 * - Opens at the first window that is not encrypted. `openedAt` is that window's start, the earliest moment its connections can have been made
 *   (`sinceUnknown` if they may be older), so that a duration is never too short. `before` tells what was not read in the window before (`mayBeEarlier`).
 * - Ends as `fixed` if the path was observed encrypted. An unnamed source may be many clients, so its episode ends only if the destination was fully covered
 *   and had traffic on that port, none of it plaintext or unknown.
 * - Ends as `refused` if policy refuses plaintext on the port in the lists on both sides of the window, and no plaintext or unknown traffic was let in. Only
 *   paths observed on a port show its policy, so at least one must have been.
 * - `endedAt` is that window's start, because the whole window was encrypted or refused unencrypted traffic.
 * - `unknown`, `exempt` and quiet windows by themselves neither open, continue nor end one.
 */
export function nextEpisode(open: Episode | null, path: PathEnds, readings: Readings, before: Unread): Episode | null {
  const { window, paths, clean, refusing, isPartial } = readings
  const seen = paths.get(path.pathId)
  if (open === null) {
    if (seen === undefined || !isNotEncrypted(seen)) return null
    const id = `${path.pathId}-${window.start.replaceAll(/[-:]/g, '')}`
    const { sinceUnknown } = seen
    const mayBeEarlier = !sinceUnknown && isUnread(path, before)
    return { id, openedAt: window.start, sinceUnknown, mayBeEarlier, endedAt: null, ending: null }
  }
  if (isPartial) return open
  const isRefused = refusing.has(portKey(path))
  // Refused plaintext attempts do not show that the client was fixed.
  if (isRefused && seen?.outcome === 'refused') return { ...open, endedAt: window.start, ending: 'refused' }
  const isFixed =
    path.source.kind === 'unmeshed'
      ? clean.has(portKey(path))
      : seen !== undefined && seen.outcome === 'allowed' && isEncrypted(seen.state)
  if (isFixed) return { ...open, endedAt: window.start, ending: 'fixed' }
  return isRefused ? { ...open, endedAt: window.start, ending: 'refused' } : open
}

/** What was not read wholly in a window: these workloads, and the paths whose state was unknown; null: nothing was, or not everything was asked for. */
export type Unread = { readonly workloads: readonly string[]; readonly paths: readonly string[] } | null

/** What stands before the first window of a cluster: how long connections of that one are open is known by themselves. */
export const ALL_READ: Unread = { workloads: [], paths: [] }

/** Returns what was not read wholly in a window; `result` is null if there is no attempt. That a pod had no proxy is no lack of reading. */
export function unreadIn(result: WindowResult | null): Unread {
  if (result === null || !result.collected || result.partial === true) return null
  const lacking = result.coverage.filter(({ gaps }) => !isCoveredBy(gaps.filter(({ reason }) => reason !== 'no-proxy')))
  const workloads = new Set([...lacking.map(({ workload }) => workloadKey(workload)), ...(result.overridden ?? [])])
  const paths = result.paths.filter(({ state }) => state === 'unknown').map(({ pathId }) => pathId)
  return { workloads: [...workloads].toSorted(compareText), paths: paths.toSorted(compareText) }
}

/** Whether a path may have been unencrypted, unseen. An end behind a gateway is read in another cluster. */
function isUnread({ pathId, source, destination }: PathEnds, unread: Unread): boolean {
  if (unread === null || unread.paths.includes(pathId)) return true
  const ends = destination.cluster === null ? [source, destination] : [source]
  return ends.some((end) => unread.workloads.includes(workloadKey(end)))
}

/** Facts about a path that had no traffic in a collected window. */
export type Silence = {
  /** A complete Kubernetes list after the window does not contain an end of the path. */
  readonly isGone: boolean
  /** Start of the run of quiet windows, up to this one, in which every connection was observed; null if this window does not qualify. */
  readonly watchedSince: string | null
}

/**
 * Returns an open episode after a silent window: ended as `gone` if an end of the path is gone, ended as `quiet` after seven fully observed days without a
 * connection, or else unchanged. `endedAt` is the window's end, so that a duration is never too short and reports of earlier periods stay true. Neither
 * ending counts into the time to fix.
 */
export function silentEpisode(open: Episode, { isGone, watchedSince }: Silence, window: Window): Episode {
  if (isGone) return { ...open, endedAt: window.end, ending: 'gone' }
  const isQuiet = watchedSince !== null && toSeconds(window.end) - toSeconds(watchedSince) >= QUIET_SECONDS
  return isQuiet ? { ...open, endedAt: window.end, ending: 'quiet' } : open
}

/**
 * Whether coverage has no gap except the brief end of a pod's life, and each pod has a scraped proxy. The ratio may be under 1 without a gap, since the time
 * before a pod's first scrape is never observed.
 */
function isFullyCovered({ ratio, gaps, pods }: Coverage): boolean {
  return ratio !== null && isCoveredBy(gaps) && pods.meshed === pods.total && pods.scraped === pods.meshed
}

function portKey({
  destination: { cluster, kind, namespace, name },
  port,
}: Pick<PathEnds, 'destination' | 'port'>): string {
  return JSON.stringify([cluster, kind, namespace, name, port])
}

import { toSeconds } from '../../time/windows.ts'
import type { Coverage, PathWindow, WindowResult } from '../../model/window.ts'
import type { PathEnds, State } from '../../model/path.ts'
import type { Episode } from '../../model/history.ts'
import type { Window } from '../../model/time.ts'
import { workloadKey } from '../pods/facts.ts'
import { isCoveredBy } from './gap-covers.ts'

/** Whether a state counts as encrypted. `exempt` does not: it is listed, not scored. */
export function isEncrypted(state: State): boolean {
  return state === 'mtls' || state === 'tls-anonymous' || state === 'app-tls'
}

/** What `not-encrypted` means everywhere: `plaintext` and `no-mesh-tls` with outcome `allowed`. */
export function isNotEncrypted({ state, outcome }: Pick<PathWindow, 'state' | 'outcome'>): boolean {
  return (state === 'plaintext' || state === 'no-mesh-tls') && outcome === 'allowed'
}

/** What episodes are decided by, of one window: made once for all paths by {@link readingsOf}. */
export type Readings = {
  readonly window: Window
  /** By path id. */
  readonly paths: ReadonlyMap<string, PathWindow>
  /**
   * Fully covered workloads' ports on which there was traffic, all of it encrypted: what ends the episode of an unnamed
   * source, whose silence alone would say nothing.
   */
  readonly clean: ReadonlySet<string>
  /** Ports on which policy refused plain text, as the lists around the window agree, and let nothing in that was or may have been clear. */
  readonly refusing: ReadonlySet<string>
  /** Workloads (`kind/namespace/name`) of which every connection was seen: fully covered, and with nothing that goes around a proxy. */
  readonly watched: ReadonlySet<string>
  /** Some metrics could not be read: nothing ends here. */
  readonly isPartial: boolean
}

/** How long a path must have been quiet, with every window of it fully covered, for its episode to end so. */
export const QUIET_SECONDS = 7 * 24 * 60 * 60

/** Prepares a window for {@link nextEpisode}. */
export function readingsOf(result: WindowResult): Readings {
  const paths = new Map(result.paths.map((path) => [path.pathId, path]))
  // Whose labels may lie is not known to have told all that reached it.
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
    // Refused traffic delivered nothing and exempt traffic is not judged: neither is traffic that shows a port clean or not.
    if (!isLetIn) continue
    // `unknown` may have been in the clear, so it fails closed.
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

/** Of the fully covered workloads those that lists show, and with no port or subnet that goes around their proxies. */
function watchedOf({ workloads }: WindowResult, covered: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(
    workloads
      .filter(({ meshed, blindSpots }) => meshed === 'yes' && !blindSpots.some(({ kind }) => kind.startsWith('skip-')))
      .map(workloadKey)
      .filter((key) => covered.has(key)),
  )
}

/**
 * Says how a path's episode stands after a collected window, by what was seen in it: null where there is none, an open one, or the open one given
 * as it ended in this window. Windows that were not collected are never asked about: a gap ends nothing. How silence ends one is told by
 * {@link silentEpisode}.
 *
 * - Opens at the first window that is not encrypted. `openedAt` is that window's start, the earliest moment its connections
 *   can have been made (`sinceUnknown` where they may be older still), so that a duration is never shorter than the truth.
 * - Ends as `fixed` where the path is seen encrypted; for an unnamed source, which is many clients at once, only where the
 *   destination was fully covered, had traffic on that port, and none of it was clear or unknown: seen or not seen itself.
 * - Ends as `refused` where policy refuses plain text on the port, in the lists on both sides of the window, and nothing was let in on it that
 *   was or may have been clear. What is told of a port is told by the paths that were seen on it, so one of them must have been.
 * - `endedAt` is that window's start: all of that window was encrypted, or refused what was not.
 * - `unknown`, `exempt` and quiet windows by themselves neither open, continue nor end one.
 */
export function nextEpisode(open: Episode | null, path: PathEnds, readings: Readings): Episode | null {
  const { window, paths, clean, refusing, isPartial } = readings
  const seen = paths.get(path.pathId)
  if (open === null) {
    if (seen === undefined || !isNotEncrypted(seen)) return null
    const id = `${path.pathId}-${window.start.replaceAll(/[-:]/g, '')}`
    return { id, openedAt: window.start, sinceUnknown: seen.sinceUnknown, endedAt: null, ending: null }
  }
  if (isPartial) return open
  const isRefused = refusing.has(portKey(path))
  // Attempts in the clear that policy stopped are no sign that the client was mended.
  if (isRefused && seen?.outcome === 'refused') return { ...open, endedAt: window.start, ending: 'refused' }
  const isFixed =
    path.source.kind === 'unmeshed'
      ? clean.has(portKey(path))
      : seen !== undefined && seen.outcome === 'allowed' && isEncrypted(seen.state)
  if (isFixed) return { ...open, endedAt: window.start, ending: 'fixed' }
  return isRefused ? { ...open, endedAt: window.start, ending: 'refused' } : open
}

/** What is known of the silence of a path after a collected window in which nothing was seen of it. */
export type Silence = {
  /** A complete Kubernetes list after the window lacks an end of the path. */
  readonly isGone: boolean
  /** Start of the run of windows, up to this one, that were quiet and of which every connection was seen; null where this one was not. */
  readonly watchedSince: string | null
}

/**
 * Says how an open episode stands after a silent window: as `gone` where an end of the path is, as `quiet` after seven days without a connection
 * in which every one would have been seen; else as it was. `endedAt` is the window's end, when it was known, so that a duration is never shorter
 * than the truth and a report of an earlier period keeps saying what was true then. Neither counts into the time to fix.
 */
export function silentEpisode(open: Episode, { isGone, watchedSince }: Silence, window: Window): Episode {
  if (isGone) return { ...open, endedAt: window.end, ending: 'gone' }
  const isQuiet = watchedSince !== null && toSeconds(window.end) - toSeconds(watchedSince) >= QUIET_SECONDS
  return isQuiet ? { ...open, endedAt: window.end, ending: 'quiet' } : open
}

/**
 * No gap but the brief end of a life, and a scraped proxy in each pod. The ratio may stay under 1 without a gap, since the time from the start of a pod's
 * life to its first scrape is never observed.
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

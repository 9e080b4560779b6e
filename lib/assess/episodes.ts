import type { Coverage, Destination, Episode, PathWindow, Source, State, Window, WindowResult } from '../model.ts'
import { workloadKey } from './facts.ts'

/** Whether a state counts as encrypted. `exempt` does not: it is listed, not scored. */
export function isEncrypted(state: State): boolean {
  return state === 'mtls' || state === 'tls-anonymous' || state === 'app-tls'
}

/** What `not-encrypted` means everywhere: `plaintext` and `no-mesh-tls` with outcome `allowed`. */
export function isNotEncrypted({ state, outcome }: Pick<PathWindow, 'state' | 'outcome'>): boolean {
  return (state === 'plaintext' || state === 'no-mesh-tls') && outcome === 'allowed'
}

/** The ends and port of a path, with its id. */
export type PathEnds = {
  readonly pathId: string
  readonly source: Source
  readonly destination: Destination
  readonly port: number
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
  /** Some metrics could not be read: nothing ends here. */
  readonly isPartial: boolean
}

/** Prepares a window for {@link nextEpisode}. */
export function readingsOf(result: WindowResult): Readings {
  const paths = new Map(result.paths.map((path) => [path.pathId, path]))
  const covered = new Set(result.coverage.filter(isFullyCovered).map(({ workload }) => workloadKey(workload)))
  const clean = new Map<string, boolean>()
  for (const path of paths.values()) {
    // Refused traffic delivered nothing and exempt traffic is not judged: neither is traffic that shows a port clean or not.
    if (path.outcome === 'refused' || path.state === 'exempt') continue
    const key = portKey(path)
    // `unknown` may have been in the clear, so it fails closed.
    clean.set(key, (clean.get(key) ?? true) && isEncrypted(path.state) && covered.has(workloadKey(path.destination)))
  }
  return {
    window: result.window,
    paths,
    clean: new Set([...clean].filter(([, isClean]) => isClean).map(([key]) => key)),
    isPartial: result.partial ?? false,
  }
}

/**
 * Says how a path's episode stands after a collected window: null where there is none, an open one, or the open one given as
 * it ended in this window. Windows that were not collected are never asked about: a gap ends nothing.
 *
 * - Opens at the first window that is not encrypted. `openedAt` is that window's start, the earliest moment its connections
 *   can have been made (`sinceUnknown` where they may be older still), so that a duration is never shorter than the truth.
 * - Ends as `fixed` where the path is seen encrypted; for an unnamed source, which is many clients at once, only where the
 *   destination was fully covered, had traffic on that port, and none of it was clear or unknown: seen or not seen itself.
 *   `endedAt` is that window's start: all of that window was encrypted.
 * - `unknown`, `exempt`, refused and quiet windows neither open, continue nor end one.
 */
export function nextEpisode(open: Episode | null, path: PathEnds, readings: Readings): Episode | null {
  const { window, paths, clean, isPartial } = readings
  const seen = paths.get(path.pathId)
  if (open === null) {
    if (seen === undefined || !isNotEncrypted(seen)) return null
    const id = `${path.pathId}-${window.start.replaceAll(/[-:]/g, '')}`
    return { id, openedAt: window.start, sinceUnknown: seen.sinceUnknown, endedAt: null, ending: null }
  }
  const isFixed =
    path.source.kind === 'unmeshed'
      ? clean.has(portKey(path))
      : seen !== undefined && seen.outcome === 'allowed' && isEncrypted(seen.state)
  return isFixed && !isPartial ? { ...open, endedAt: window.start, ending: 'fixed' } : open
}

/**
 * No gap, and a scraped proxy in each pod. The ratio may stay under 1 without a gap, since the time from the start of a pod's
 * life to its first scrape is never observed.
 */
function isFullyCovered({ ratio, gaps, pods }: Coverage): boolean {
  return ratio !== null && gaps.length === 0 && pods.meshed === pods.total && pods.scraped === pods.meshed
}

function portKey({
  destination: { cluster, kind, namespace, name },
  port,
}: Pick<PathEnds, 'destination' | 'port'>): string {
  return JSON.stringify([cluster, kind, namespace, name, port])
}

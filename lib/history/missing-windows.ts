import { SETTLE_SECONDS, toSeconds, windowsBetween } from '../time/windows.ts'
import { DERIVATION } from '../model/window.ts'
import type { Cluster } from '../model/registry.ts'
import type { Interval } from '../model/history.ts'
import type { Window } from '../model/time.ts'
import type { History } from './cluster-state.ts'
import { MISSING, NOTHING_SEEN } from './rows/path-readings.ts'
import { noneQuiet } from './rows/quiet-windows.ts'

/**
 * Returns the expected windows without any evidence: from the registration to the first evidence, and after the last. The timeline already has those in
 * between. Silence is not evidence, so readers must see these windows.
 */
export function missingWindows(
  cluster: Cluster,
  { since, watermark }: Pick<History, 'since' | 'watermark'>,
  now: Date,
): Window[] {
  if (cluster.replay !== undefined) return []
  const registered = toSeconds(cluster.registeredAt)
  const settled = now.getTime() / 1000 - SETTLE_SECONDS
  if (since === null || watermark === null) return windowsBetween(cluster.windows, registered, settled)
  const before = registered < toSeconds(since) ? windowsBetween(cluster.windows, registered, toSeconds(since)) : []
  // Evidence from before the registration (a first run, a replay) creates no expectation for later windows.
  const after = windowsBetween(cluster.windows, Math.max(toSeconds(watermark), registered), settled)
  return [...before, ...after]
}

/** Adds missing windows to a history: every path known at its end is `not-collected` in the later ones. */
export function withMissing(
  clusterId: string,
  history: Pick<History, 'months' | 'episodes'>,
  missing: readonly Window[],
): Pick<History, 'months' | 'episodes'> {
  if (missing.length === 0) return history
  const months = new Map(history.months.map((month) => [month.month, month]))
  const watermark = history.months.findLast(({ windows }) => windows.length > 0)?.windows.at(-1)?.end
  const known = [
    ...new Map(
      history.months.flatMap(({ intervals }) => intervals).map((interval) => [interval.pathId, interval]),
    ).values(),
  ].filter(({ to }) => to === watermark)
  const ended = new Set(history.episodes.filter(({ endedAt }) => endedAt !== null).map(({ id }) => id))
  for (const [name, windows] of Map.groupBy(missing, ({ start }) => start.slice(0, 7))) {
    const month = months.get(name) ?? {
      format: 'ciphertrail/timeline/2',
      derivation: DERIVATION,
      cluster: clusterId,
      month: name,
      windows: [],
      namespaces: null,
      intervals: [],
    }
    const after = windows.filter(({ start }) => watermark !== undefined && start >= watermark)
    const [begin, end] = [after[0]?.start, after.at(-1)?.end]
    const intervals =
      begin === undefined || end === undefined
        ? []
        : known.map((interval) => notCollected(interval, { from: begin, to: end, windows: after.length }, ended))
    months.set(name, {
      ...month,
      windows: [
        ...month.windows,
        ...windows.map((window) => ({
          ...window,
          evidence: null,
          collected: false,
          expectedSeconds: 0,
          observedSeconds: 0,
          ratio: null,
        })),
      ].sort((a, b) => (a.start < b.start ? -1 : 1)),
      intervals: [...month.intervals, ...intervals],
    })
  }
  return { ...history, months: [...months.values()].sort((a, b) => (a.month < b.month ? -1 : 1)) }
}

/**
 * Returns the interval of a known path in windows that were not collected. An open episode stays open; one that ended with the last window is not continued.
 */
function notCollected(
  last: Interval,
  span: Pick<Interval, 'from' | 'to' | 'windows'>,
  ended: ReadonlySet<string>,
): Interval {
  return {
    ...last,
    ...MISSING,
    ...span,
    episode: last.episode === null || ended.has(last.episode.id) ? null : last.episode,
    quiet: noneQuiet(span.windows),
    total: NOTHING_SEEN,
    activity: [],
  }
}

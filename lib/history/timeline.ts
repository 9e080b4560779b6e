import {
  QUIET_SECONDS,
  isNotEncrypted,
  nextEpisode,
  readingsOf,
  silentEpisode,
  unreadIn,
} from '../assess/window/episode-lifecycle.ts'
import type { Readings, Unread } from '../assess/window/episode-lifecycle.ts'
import { workloadKey } from '../assess/pods/facts.ts'
import { uniteNamespaces } from '../assess/pods/labelled-namespaces.ts'
import { toSeconds } from '../time/windows.ts'
import { DERIVATION } from '../model/window.ts'
import type { Activity, Episode, Interval } from '../model/history.ts'
import type { PathWindow } from '../model/window.ts'
import type { Window } from '../model/time.ts'
import { compareText } from '../text/order.ts'
import type { ExpectedWindow, Timeline } from './fold-state.ts'
import type { WindowReading } from './rows/path-readings.ts'
import { allQuiet, firstOf, noneQuiet, quietAtEnd, setQuiet } from './rows/quiet-windows.ts'
import {
  QUIET,
  MISSING,
  NOTHING_SEEN,
  UNREADABLE,
  OVERRIDDEN,
  endsOf,
  changedEnds,
  unreadWorkloads,
  witnessOf,
  isSame,
  isGone,
  worstCorroboration,
  uniteCandidates,
  secondsOf,
  activityOf,
  addActivity,
} from './rows/path-readings.ts'
import type { DraftPath, DraftMonth, Fold } from './timeline-draft.ts'

/** Returns the months (`2026-11`, oldest first) that the next fold may change: a short quiet run may reach back into the previous month. */
export function hotMonths({
  watermark,
  paths,
  months,
}: Omit<Timeline, 'months'> & { months: readonly { month: string }[] }): string[] {
  if (watermark === null) return []
  const lastWindow = months.at(-1)?.month ?? ''
  let oldest = lastWindow
  for (const { quietSince, isGone } of paths) {
    if (quietSince === null || isGone || toSeconds(watermark) - toSeconds(quietSince) >= QUIET_SECONDS) continue
    if (monthOf(quietSince) < oldest) oldest = monthOf(quietSince)
  }
  return months.map(({ month }) => month).filter((month) => month >= oldest)
}

/**
 * Folds expected windows, in time order and without gaps, onto the timeline. Any number of steps gives the same result. Throws a RangeError for a window that
 * does not begin at the watermark.
 *
 * In one window a known path is seen, quiet (collected, not among its paths) or not collected:
 *
 * - Seen extends the path's interval if state, outcome, reason, cause and enforcement are equal, or else begins another. An interval has the worst
 *   corroboration of its windows, all their candidates, and the identities and ServiceAccounts of the latest window that showed one.
 * - Quiet extends the interval without activity, until the run of quiet windows is seven days long. Then the run becomes a separate interval `not-observed`,
 *   from its first window on. After a gap, or once other traffic on the port ended the interval's episode, the run is `not-observed` at once.
 * - Not collected begins or extends an interval `not-collected`.
 *
 * If the lists show that an end of a path joined or left the mesh, or has another ServiceAccount, no interval continues. A reading in that window begins
 * another. A quiet run around or before it is `not-observed` from its first window on, since the moment of the change is unknown.
 *
 * Traffic ends an episode at the start of its window ({@link nextEpisode}), silence at the end of its window ({@link silentEpisode}): the last quiet window
 * still belongs to the episode.
 */
export function foldWindows(timeline: Timeline, expected: Iterable<ExpectedWindow>): Timeline {
  const fold = startFold(timeline)
  for (const next of expected) addWindow(fold, next)
  return finishFold(fold)
}

function startFold(timeline: Timeline): Fold {
  const hot = new Set(hotMonths(timeline))
  const paths = new Map(timeline.paths.map((path): [string, DraftPath] => [path.pathId, { ...path, intervals: [] }]))
  const months: DraftMonth[] = []
  for (const { intervals, windows, ...month } of timeline.months) {
    if (!hot.has(month.month)) continue
    months.push({ ...month, windows: [...windows] })
    for (const interval of intervals) {
      const { quiet, activity } = interval
      paths.get(interval.pathId)?.intervals.push({ ...interval, quiet: quiet.slice(), activity: [...activity] })
    }
  }
  return {
    cluster: timeline.cluster,
    watermark: timeline.watermark,
    paths,
    episodes: new Map(timeline.episodes.map((episode) => [episode.id, episode])),
    ends: new Map(Object.entries(timeline.ends)),
    unread: timeline.unread,
    cold: timeline.months.filter(({ month }) => !hot.has(month)),
    hot: months,
  }
}

function finishFold({ cluster, watermark, paths, episodes, ends, unread, cold, hot }: Fold): Timeline {
  const sorted = [...paths.values()].toSorted((a, b) => compareText(a.pathId, b.pathId))
  const intervals = new Map(hot.map(({ month }): [string, Interval[]] => [month, []]))
  for (const path of sorted)
    for (const { quiet, ...interval } of path.intervals)
      intervals.get(monthOf(interval.from))?.push({ ...interval, quiet: firstOf(quiet, interval.windows) })
  return {
    cluster,
    watermark,
    paths: sorted.map(({ intervals: _, ...path }) => path),
    episodes: [...episodes.values()].toSorted((a, b) => compareText(a.id, b.id)),
    ends: Object.fromEntries([...ends].toSorted(([a], [b]) => compareText(a, b))),
    unread,
    months: [...cold, ...hot.map((month) => ({ ...month, intervals: intervals.get(month.month) ?? [] }))],
  }
}

function addWindow(fold: Fold, { window, result }: ExpectedWindow): void {
  if (fold.watermark !== null && fold.watermark !== window.start) {
    throw new RangeError(`Cannot fold the window from "${window.start}": the timeline ends at ${fold.watermark}`)
  }
  fold.watermark = window.end
  const before = fold.unread
  fold.unread = unreadIn(result)
  const month = monthDraft(fold, window)
  month.namespaces = uniteNamespaces([month.namespaces, result?.namespaces ?? null])
  month.windows.push({
    start: window.start,
    end: window.end,
    evidence: result?.inputs.evidence ?? null,
    ...(result?.inputs.also === undefined ? {} : { also: result.inputs.also }),
    collected: result?.collected ?? false,
    ...secondsOf(result?.coverage ?? []),
  })
  if (!result?.collected) {
    const reading = result === null ? MISSING : UNREADABLE
    for (const path of fold.paths.values()) addGap(fold, path, window, reading)
    return
  }

  for (const { pathId, source: from, destination, port } of result.paths) {
    if (fold.paths.has(pathId)) continue
    const ends = { pathId, source: from, destination, port }
    fold.paths.set(pathId, {
      ...ends,
      episode: null,
      quietSince: null,
      watchedSince: null,
      isGone: false,
      intervals: [],
    })
  }
  const readings = readingsOf(result)
  const existing = result.existing === null ? null : new Set(result.existing)
  const overridden = new Set(result.overridden)
  const unread = unreadWorkloads(result.coverage)
  const changed = changedEnds(fold, result)
  for (const path of fold.paths.values()) {
    followEpisode(fold, path, readings, before)
    const isCut = endsOf(path).some((end) => changed.has(end))
    if (isCut && path.quietSince !== null) separateQuiet(path, path.quietSince)
    const seen = readings.paths.get(path.pathId)
    if (seen !== undefined) addSeen(fold, path, window, seen, isCut)
    else if (overridden.size > 0 && [path.source, path.destination].some((end) => overridden.has(workloadKey(end)))) {
      addReading(fold, path, window, OVERRIDDEN, { activity: NOTHING_SEEN, isCut })
      path.quietSince = null
      path.watchedSince = null
      path.isGone = false
    } else if (readings.isPartial) addGap(fold, path, window, UNREADABLE)
    else if (unread.has(witnessOf(path))) {
      // The proxy that would have seen the path was not read, so silence is not quiet.
      addGap(fold, path, window, { ...UNREADABLE, reason: unread.get(witnessOf(path)) ?? UNREADABLE.reason })
    } else {
      addQuiet(fold, path, window, { existing, isCut })
      followSilence(fold, path, readings)
    }
  }
}

function addSeen(fold: Fold, path: DraftPath, window: Window, seen: PathWindow, isCut: boolean): void {
  path.source = { ...seen.source, serviceAccount: seen.source.serviceAccount ?? path.source.serviceAccount }
  path.destination = {
    ...seen.destination,
    serviceAccount: seen.destination.serviceAccount ?? path.destination.serviceAccount,
  }
  path.quietSince = null
  path.watchedSince = null
  path.isGone = false
  const reading = { ...seen, candidates: uniteCandidates([], seen.candidates) }
  addReading(fold, path, window, reading, {
    activity: activityOf(seen),
    isCut,
  })
}

function addGap(fold: Fold, path: DraftPath, window: Window, reading: WindowReading): void {
  if (path.isGone) return
  path.quietSince = null
  path.watchedSince = null
  addReading(fold, path, window, reading)
}

function addQuiet(
  fold: Fold,
  path: DraftPath,
  window: Window,
  { existing, isCut }: { readonly existing: ReadonlySet<string> | null; readonly isCut: boolean },
): void {
  if (path.isGone) return
  if (isGone(path, existing)) {
    path.isGone = true
    path.quietSince = null
    path.watchedSince = null
    return
  }
  path.quietSince ??= window.start
  const last = path.intervals.at(-1)
  const isEnded = last?.episode !== null && last?.episode.id !== path.episode
  if (isEnded) separateQuiet(path, path.quietSince)
  const isExtensible = last !== undefined && last.state !== 'not-collected' && !isEnded && !isCut
  addReading(fold, path, window, isExtensible ? last : QUIET)
  if (toSeconds(window.end) - toSeconds(path.quietSince) >= QUIET_SECONDS) separateQuiet(path, path.quietSince)
}

/** Makes the quiet run since a time a separate interval; across a month end it is two, one in each month. */
function separateQuiet({ intervals }: DraftPath, since: string): void {
  for (let index = intervals.length - 1; index >= 0; index--) {
    const interval = intervals[index]
    if (interval === undefined || interval.to <= since) return
    if (interval.state === 'not-observed') continue
    if (interval.from >= since) {
      Object.assign(interval, QUIET)
      delete interval.settings
    } else {
      const { settings: _, ...kept } = interval
      // The run began after the last window with traffic.
      const windows = quietAtEnd(interval.quiet, interval.windows)
      const none = { windows, quiet: allQuiet(windows), total: NOTHING_SEEN, activity: [] }
      intervals.splice(index + 1, 0, { ...kept, ...QUIET, ...none, from: since })
      interval.to = since
      interval.windows -= windows
      interval.quiet = firstOf(interval.quiet, interval.windows)
    }
  }
}

/**
 * Extends the path's interval by a window, or begins another if a field that cuts intervals differs, or if asked to. Uses only the {@link WindowReading}
 * fields of `reading`.
 */
function addReading(
  fold: Fold,
  path: DraftPath,
  window: Window,
  reading: WindowReading,
  { activity, isCut = false }: { readonly activity?: Activity; readonly isCut?: boolean } = {},
): void {
  const last = path.intervals.at(-1)
  const { source: from, destination } = path
  const isQuiet = activity === undefined && reading.state !== 'not-collected'
  if (
    isCut ||
    last?.to !== window.start ||
    monthOf(last.from) !== monthOf(window.start) ||
    !isSame(last, reading, path.episode)
  ) {
    const { state, outcome, reason, cause, settings, enforcement, corroborated, candidates, clientId, serverId } =
      reading
    path.intervals.push({
      cluster: fold.cluster,
      pathId: path.pathId,
      source: from,
      destination,
      port: path.port,
      from: window.start,
      to: window.end,
      state,
      outcome,
      reason,
      cause,
      ...(settings === undefined ? {} : { settings }),
      enforcement,
      corroborated,
      candidates,
      clientId,
      serverId,
      episode: openForm(path.episode === null ? undefined : fold.episodes.get(path.episode)),
      windows: 1,
      quiet: isQuiet ? allQuiet(1) : noneQuiet(1),
      total: activity ?? NOTHING_SEEN,
      activity: activity !== undefined && isNotEncrypted(reading) ? [activity] : [],
    })
    return
  }
  // Values carried over from the previous month are not readings of this interval.
  const isFirst = quietAtEnd(last.quiet, last.windows) === last.windows
  last.to = window.end
  last.windows++
  if (isQuiet) last.quiet = setQuiet(last.quiet, last.windows - 1)
  if (activity === undefined) return
  last.source = from
  last.destination = destination
  if (reading.settings === undefined) delete last.settings
  else last.settings = reading.settings
  last.corroborated = isFirst ? reading.corroborated : worstCorroboration(last.corroborated, reading.corroborated)
  last.candidates = isFirst ? reading.candidates : uniteCandidates(last.candidates, reading.candidates)
  last.clientId = reading.clientId ?? (isFirst ? null : last.clientId)
  last.serverId = reading.serverId ?? (isFirst ? null : last.serverId)
  last.total = addActivity(last.total, activity)
  if (isNotEncrypted(reading)) last.activity.push(activity)
}

function followEpisode(fold: Fold, path: DraftPath, readings: Readings, before: Unread): void {
  const open = openEpisode(fold, path)
  setEpisode(fold, path, open, nextEpisode(open, path, readings, before))
}

/** Updates an episode after a silent window. */
function followSilence(fold: Fold, path: DraftPath, { window, watched }: Readings): void {
  const isWatched = !path.isGone && watched.has(witnessOf(path))
  path.watchedSince = isWatched ? (path.watchedSince ?? window.start) : null
  const open = openEpisode(fold, path)
  if (open !== null) setEpisode(fold, path, open, silentEpisode(open, path, window))
}

function openEpisode({ episodes }: Fold, { episode }: DraftPath): Episode | null {
  return episode === null ? null : (episodes.get(episode) ?? null)
}

function setEpisode(fold: Fold, path: DraftPath, open: Episode | null, next: Episode | null): void {
  if (next === open || next === null) return
  fold.episodes.set(next.id, next)
  path.episode = next.endedAt === null ? next.id : null
}

function monthDraft(fold: Fold, { start }: Window): DraftMonth {
  const last = fold.hot.at(-1)
  if (last?.month === monthOf(start)) return last
  const month: DraftMonth = {
    format: 'ciphertrail/timeline/2',
    derivation: DERIVATION,
    cluster: fold.cluster,
    month: monthOf(start),
    windows: [],
    namespaces: null,
  }
  fold.hot.push(month)
  return month
}

function openForm(episode: Episode | undefined): Episode | null {
  return episode === undefined ? null : { ...episode, endedAt: null, ending: null }
}

/** Returns the month, such as `2026-11`, of RFC 3339 text in UTC. */
function monthOf(time: string): string {
  return time.slice(0, 7)
}

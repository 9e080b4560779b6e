import { isNotEncrypted } from '../../assess/window/episode-lifecycle.ts'
import { classNamespaces, pathClass } from '../../assess/ends/path-class.ts'
import { partitionPoint } from '../../partition-point.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import { STATES } from '../../model/path.ts'
import type { ClassNamespaces, Endpoint, Outcome, State, StateFilter } from '../../model/path.ts'
import type { Activity, Episode, Interval, PathRow, TimelineMonth } from '../../model/history.ts'
import type { Window } from '../../model/time.ts'
import { compareText } from '../../text/order.ts'
import { NOTHING_SEEN, QUIET, addActivity } from './path-readings.ts'
import { countQuiet, isQuietAt } from './quiet-windows.ts'

/** The windows that end in `(from, to]`, RFC 3339; if absent, from the first or to the last. */
export type QueriedPeriod = { readonly from?: string | undefined; readonly to?: string | undefined }

/** Filters for rows; all rows if absent. */
export type HistoryQuery = QueriedPeriod & {
  /** Namespace of either end. */
  readonly namespace?: string | undefined
  /** Workload at either end; with a namespace, at the end in that namespace. */
  readonly workload?: { readonly kind?: string | undefined; readonly name: string } | undefined
  readonly state?: StateFilter | undefined
  /** Rows that end before this time are left out, for a reader who has enough newer ones. */
  readonly endsFrom?: string | undefined
}

/** A path in one expected window. */
export type StripCell = {
  readonly start: string
  readonly end: string
  /** `not-observed` if it was quiet; null before the path was first seen, and after an end of it was gone. */
  readonly state: State | null
  readonly outcome: Outcome
}

/** Additional input for rows. */
export type RowSources = {
  readonly fixOf: (row: Omit<PathRow, 'fix'>) => string | null
  readonly platformNamespaces: readonly string[]
}

type MonthWindow = TimelineMonth['windows'][number]

/** Windows of a month from an index to before another one: without a copy, since a year of paths has millions. */
type Stretch = { readonly windows: readonly MonthWindow[]; readonly begin: number; readonly end: number }

/** The part of an interval in a period: at least one window. */
type Piece = {
  readonly interval: Interval
  /** In time order; several, of different months, where quiet pieces are joined. */
  readonly stretches: readonly [Stretch, ...Stretch[]]
  /** Index of the first window in the interval, from 0. */
  readonly first: number
  /** All these windows are quiet. */
  readonly isQuiet: boolean
  readonly told: Told
}

/** Counts of a piece; null if only the sums of the whole interval are stored. */
type Told = { readonly [Count in keyof Activity]: number | null }

/**
 * Returns the paths in a period, one row for each interval of equal state, sorted by cluster, worst state, path id and time.
 *
 * An interval that was only quiet in the period is `not-observed` there; otherwise its quiet ends stay in its row. A path that was quiet in the whole period
 * is one row, even across months, unless its episode ended meanwhile.
 *
 * @param months of any clusters, each at most once
 * @param episodes of those clusters, because the months contain episodes only as they were when they opened
 * @param told additional input: `fixOf` returns the change that would fix a row, as text, or null; `platformNamespaces` are patterns of platform namespaces
 * besides kube-system
 */
export function rows(
  months: readonly TimelineMonth[],
  episodes: readonly Episode[],
  query: HistoryQuery,
  { fixOf, platformNamespaces }: RowSources,
): PathRow[] {
  const episodesById = new Map(episodes.map((episode) => [episode.id, episode]))
  const classesOf = new Map(
    [...Map.groupBy(months, ({ cluster }) => cluster)].map(
      ([cluster, own]) => [cluster, classesIn(own, query, platformNamespaces)] as const,
    ),
  )
  const found: PathRow[] = []
  for (const pieces of piecesByPath(months, query).values()) {
    for (const piece of pieces.every(({ isQuiet }) => isQuiet) ? joinQuiet(pieces) : pieces) {
      if (query.endsFrom !== undefined && (lastOf(piece)?.end ?? '') < query.endsFrom) continue
      const { interval } = piece
      const classes = classesOf.get(interval.cluster) ?? classNamespaces([], platformNamespaces)
      const row = { ...rowOf(piece, episodesById), class: pathClass(interval, classes) }
      if (isWanted(row, query)) found.push({ ...row, fix: fixOf(row) })
    }
  }
  return found.toSorted(
    (a, b) =>
      compareText(a.cluster, b.cluster) ||
      STATES.indexOf(a.state) - STATES.indexOf(b.state) ||
      compareText(a.pathId, b.pathId) ||
      compareText(a.from, b.from),
  )
}

/**
 * Returns the namespaces that decide classes in a period of one cluster. Uses only months with windows in the period, so that reading more months gives the
 * same result.
 */
export function classesIn(
  months: readonly TimelineMonth[],
  period: QueriedPeriod,
  platformNamespaces: readonly string[],
): ClassNamespaces {
  const own = months.filter(({ windows }) => windows.some(within(period)))
  return classNamespaces(
    own.map(({ namespaces }) => namespaces),
    platformNamespaces,
  )
}

/** Returns the strips of one cluster's paths over a period: by path id, one cell for each expected window, oldest first. */
export function stripsOf(months: readonly TimelineMonth[], period: QueriedPeriod): Map<string, StripCell[]> {
  return stripsWith(months, period, ({ start, end }, { state, outcome }) => ({ start, end, state, outcome }))
}

/** Returns the states of the cells of {@link stripsOf} alone: without an object for each of a million cells. */
export function stateStripsOf(
  months: readonly TimelineMonth[],
  period: QueriedPeriod,
): Readonly<Record<string, readonly StripCell['state'][]>> {
  return Object.fromEntries(stripsWith(months, period, (_, { state }) => state))
}

/** Makes the strip of each path from a cell for each window, by what was seen of the path in it; {@link UNKNOWN_CELL} where nothing is known of it. */
function stripsWith<Cell>(
  months: readonly TimelineMonth[],
  period: QueriedPeriod,
  cellOf: (window: MonthWindow, seen: Pick<StripCell, 'state' | 'outcome'>) => Cell,
): Map<string, Cell[]> {
  const windows = inTimeOrder(months).flatMap((month) => month.windows.filter(within(period)))
  const indexes = new Map(windows.map(({ end }, index) => [end, index]))
  const strips = new Map<string, Cell[]>()
  for (const [pathId, pieces] of piecesByPath(months, period)) {
    const cells = windows.map((window) => cellOf(window, UNKNOWN_CELL))
    for (const piece of pieces) {
      for (const [index, window] of windowsOf(piece).entries()) {
        const seen = isQuietAt(piece.interval.quiet, piece.first + index) ? QUIET : piece.interval
        cells[indexes.get(window.end) ?? -1] = cellOf(window, seen)
      }
    }
    strips.set(pathId, cells)
  }
  return strips
}

const UNKNOWN_CELL = { state: null, outcome: 'allowed' } as const

/** Returns the pieces by cluster and path, in time order. */
function piecesByPath(months: readonly TimelineMonth[], period: QueriedPeriod): Map<string, Piece[]> {
  const byPath = new Map<string, Piece[]>()
  for (const month of inTimeOrder(months)) {
    const windows = month.windows.filter(within(period))
    // Intervals start and end at window boundaries, but the period may start and end inside a window.
    const first = windows[0]
    const last = windows.at(-1)
    if (first === undefined || last === undefined) continue
    for (const interval of month.intervals) {
      if (interval.to <= first.start || interval.from >= last.end) continue
      const own = { windows, begin: countBefore(windows, interval.from), end: countBefore(windows, interval.to) }
      if (own.begin >= own.end) continue
      const begins = windows[own.begin]?.start ?? ''
      const place = countBefore(month.windows, begins) - countBefore(month.windows, interval.from)
      const piece = pieceOf(interval, own, place)
      const pieces = byPath.get(interval.pathId)
      if (pieces === undefined) byPath.set(interval.pathId, [piece])
      else pieces.push(piece)
    }
  }
  return byPath
}

/** Returns how many windows, in time order, begin before a time. No window need begin at the time itself, because there are gaps. */
function countBefore(windows: readonly MonthWindow[], time: string): number {
  return partitionPoint(windows, ({ start }) => start < time)
}

/** Returns a predicate: whether a window ends in a period. */
export function within({ from, to }: QueriedPeriod): (window: Pick<Window, 'end'>) => boolean {
  // Windows end at whole seconds, so that the order of the texts is that of the times.
  const text = (time: string): string => toTime(Math.floor(toSeconds(time)))
  const after = from === undefined ? '' : text(from)
  const until = to === undefined ? undefined : text(to)
  return ({ end }) => end > after && (until === undefined || end <= until)
}

function pieceOf(interval: Interval, stretch: Stretch, first: number): Piece {
  const count = stretch.end - stretch.begin
  const isQuiet = countQuiet(interval.quiet, first, first + count) === count
  return {
    interval,
    stretches: [stretch],
    first,
    isQuiet,
    told: isQuiet ? NOTHING_SEEN : toldOf(interval, first, count),
  }
}

function windowsOf({ stretches }: Pick<Piece, 'stretches'>): readonly MonthWindow[] {
  return stretches.flatMap(({ windows, begin, end }) => windows.slice(begin, end))
}

function firstOf({ stretches: [{ windows, begin }] }: Pick<Piece, 'stretches'>): MonthWindow | undefined {
  return windows[begin]
}

function lastOf({ stretches }: Pick<Piece, 'stretches'>): MonthWindow | undefined {
  const { windows, end } = stretches.at(-1) ?? stretches[0]
  return windows[end - 1]
}

/**
 * Returns the counts of some windows of an interval. Unless each window's counts are stored, a part's counts are unknown, except that a part of zero is zero.
 */
function toldOf({ total, activity, quiet, windows }: Interval, first: number, count: number): Told {
  if (count === windows) return total
  if (activity.length > 0) {
    const before = first - countQuiet(quiet, 0, first)
    const own = count - countQuiet(quiet, first, first + count)
    return activity.slice(before, before + own).reduce(addActivity, NOTHING_SEEN)
  }
  const part = (whole: number): number | null => (whole === 0 ? 0 : null)
  const { opens, openAtScrape, bytes, clearBytes } = total
  return {
    opens: part(opens),
    openAtScrape: part(openAtScrape),
    bytes: part(bytes),
    clearBytes: part(clearBytes),
  }
}

function joinQuiet(pieces: readonly Piece[]): Piece[] {
  const joined: Piece[] = []
  for (const piece of pieces) {
    const last = joined.at(-1)
    const touches = last !== undefined && lastOf(last)?.end === firstOf(piece)?.start
    if (last !== undefined && touches && last.interval.episode?.id === piece.interval.episode?.id) {
      joined[joined.length - 1] = { ...piece, stretches: [...last.stretches, ...piece.stretches] }
    } else joined.push(piece)
  }
  return joined
}

function rowOf(piece: Piece, episodes: ReadonlyMap<string, Episode>): Omit<PathRow, 'class' | 'fix'> {
  const { interval, isQuiet } = piece
  const { cluster, pathId, source, destination, port, episode } = interval
  const { state, outcome, reason, cause, settings, enforcement, corroborated, candidates } = isQuiet ? QUIET : interval
  const { opens, openAtScrape, bytes, clearBytes } = piece.told
  return {
    cluster,
    pathId,
    source,
    destination,
    port,
    from: firstOf(piece)?.start ?? '',
    to: lastOf(piece)?.end ?? '',
    state,
    outcome,
    reason,
    cause,
    ...(settings === undefined ? {} : { settings }),
    clearShare: bytes === null || bytes === 0 || clearBytes === null ? null : clearBytes / bytes,
    opens,
    openAtScrape,
    bytes,
    corroborated,
    enforcement,
    candidates,
    episode: episode === null ? null : (episodes.get(episode.id) ?? episode),
    waiver: null,
    evidence: firstAndLast(piece),
  }
}

/** Whether an end of a path is the namespace or workload that is asked for. */
export function hasAskedEnd(
  { source, destination }: Pick<PathRow, 'source' | 'destination'>,
  { namespace, workload }: Pick<HistoryQuery, 'namespace' | 'workload'>,
): boolean {
  return [source, destination].some(
    (end: Endpoint) =>
      (namespace === undefined || end.namespace === namespace) &&
      (workload === undefined ||
        (end.name === workload.name && (workload.kind === undefined || end.kind === workload.kind))),
  )
}

function isWanted(row: Omit<PathRow, 'fix'>, { namespace, workload, state }: HistoryQuery): boolean {
  if (!hasAskedEnd(row, { namespace, workload })) return false
  if (state === undefined) return true
  if (state === 'refused') return row.outcome === 'refused'
  return state === 'not-encrypted' ? isNotEncrypted(row) : row.state === state
}

/** Returns the distinct keys of the attempts at the first and the last window with any. */
function firstAndLast({ stretches }: Pick<Piece, 'stretches'>): string[] {
  const [first, last] = [firstAttempted(stretches), lastAttempted(stretches)]
  const keys = [first, last].flatMap((window) =>
    window === undefined || window.evidence === null ? [] : [window.evidence, ...(window.also ?? [])],
  )
  return [...new Set(keys)]
}

function firstAttempted(stretches: readonly Stretch[]): MonthWindow | undefined {
  for (const { windows, begin, end } of stretches)
    for (let index = begin; index < end; index++) if (windows[index]?.evidence !== null) return windows[index]
  return undefined
}

function lastAttempted(stretches: readonly Stretch[]): MonthWindow | undefined {
  for (const { windows, begin, end } of stretches.toReversed())
    for (let index = end - 1; index >= begin; index--) if (windows[index]?.evidence !== null) return windows[index]
  return undefined
}

function inTimeOrder(months: readonly TimelineMonth[]): TimelineMonth[] {
  return months.toSorted((a, b) => compareText(a.month, b.month))
}

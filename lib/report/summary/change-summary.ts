/** What changed from one period to a later one: the same code for a report, `ciphertrail diff` and `/v1/diff`. */
import type { Enforcement, State } from '../../model/path.ts'
import type { ClusterPast, ClusterPeriod, ComparedCluster } from '../../model/period.ts'
import type { Episode, PathRow } from '../../model/history.ts'
import { byName, namedOf, rowsByPath } from './path-summary.ts'
import type { Named } from './path-summary.ts'
import { isBefore, sum } from './sums.ts'
import { lengthOf } from '../../time/windows.ts'

/**
 * What happened to a path, the most urgent first. `still-open` is no change: it is told so that what stays open is not forgotten. `quiet` is not known to be
 * fixed. `identity` (another ServiceAccount at an end) and `enforcement` (another policy for plaintext on its port) are told whatever the state; of the
 * others a path has one at most.
 */
export const PATH_CHANGE_KINDS = [
  'new',
  'reopened',
  'still-open',
  'fixed',
  'refused',
  'gone',
  'quiet',
  'identity',
  'enforcement',
] as const

/** How a path changed from one period to the next. */
export type PathChangeKind = (typeof PATH_CHANGE_KINDS)[number]

/** A path that changed. */
export type PathChange = Named & {
  readonly kind: PathChangeKind
  /** What decides, as it stands at the end of the period; null for a changed identity or enforcement. */
  readonly episode: Episode | null
  /**
   * How long it has been open at the end of the period, in seconds: at least, where its beginning was not seen. Null where it
   * is not open, and where no window tells up to when.
   */
  readonly openSeconds: number | null
  /**
   * Whether the later period shows it, after the end of the earlier one: of what is open, the path itself, and not only silence; of what ended, that it was
   * looked at and nothing was in doubt. Where not, how it stands now is unknown. Null for a changed identity or enforcement.
   */
  readonly isSeenSince: boolean | null
  /** Its path was not read wholly in the window before it began: it may have begun earlier, unseen. False for a changed identity or enforcement. */
  readonly mayBeEarlier: boolean
  /** Which end has another ServiceAccount, and which ones; null for the other kinds. */
  readonly identity: { readonly end: 'source' | 'destination'; readonly before: string; readonly after: string } | null
  /** What policy said of plaintext on its port, and says now; null for the other kinds. What is unknown is no change. */
  readonly enforcement: { readonly before: Enforcement; readonly after: Enforcement } | null
}

/** Whether a cluster's period before can be compared with. `partly`: some of its windows were not collected. */
export type Comparison = {
  readonly cluster: string
  readonly basis: 'whole' | 'partly' | 'not-collected' | 'none'
  /** Windows of the period before. */
  readonly expected: number
  readonly collected: number
}

/** Whether anything of a period is known, so that there is something to compare with. */
export function isBasisKnown({ basis }: Pick<Comparison, 'basis'>): boolean {
  return basis === 'whole' || basis === 'partly'
}

/** What changed since the period before; `before` is null where there is none to compare with. */
export type Changes = {
  readonly before: Span | null
  readonly comparisons: readonly Comparison[]
  /** By kind, then name. Of clusters with a period before only. */
  readonly all: readonly PathChange[]
  readonly counts: Readonly<Record<PathChangeKind, number>>
  /** Paths that the period before did not know, whatever their state. */
  readonly firstSeen: number
  /** Paths that were known at the end of the period before and are not at the end of this one: an end of each is gone, or was for a while. */
  readonly noLonger: number
  /** Of `all`: those of which this period shows nothing, so that how they stand now is unknown. */
  readonly unseen: number
}

type Span = { readonly from: string; readonly to: string }

/** Compares a period with the one before it. */
export function changesOf(clusters: readonly ClusterPeriod[], past: readonly ClusterPast[], period: Span): Changes {
  const pastOf = new Map(past.map((one) => [one.id, one]))
  const before = past.flatMap(({ periods }) => periods.at(-1) ?? [])[0]
  const compared = clusters.map(({ id, windows, rows }): ComparedCluster => {
    const own = pastOf.get(id)
    return { id, before: own?.periods.at(-1) ?? NO_PERIOD, between: [], windows, rows, episodes: own?.episodes ?? [] }
  })
  return compare(compared, before === undefined ? null : { from: before.from, to: before.to }, period)
}

const NO_PERIOD: ComparedCluster['before'] = { windows: [], rows: [] }

/**
 * Compares a period with an earlier one: tells what happened after the end of the earlier one, up to the end of the later one, also between the two. So a
 * period has no change from itself. A cluster of which nothing was collected in the earlier one is not compared: nothing of it is called new or fixed.
 *
 * @param before null where there is none
 */
export function compare(clusters: readonly ComparedCluster[], before: Span | null, period: Span): Changes {
  const since = { from: before?.to ?? period.from, to: period.to }
  const all: PathChange[] = []
  const comparisons: Comparison[] = []
  let [firstSeen, noLonger] = [0, 0]
  for (const cluster of clusters) {
    const { id, before: own, rows } = cluster
    const comparison = { cluster: id, ...basisOf(own.windows) }
    comparisons.push(comparison)
    if (!isBasisKnown(comparison)) continue
    all.push(
      ...episodeChanges(cluster, since),
      ...identityChanges(id, own.rows, rows),
      ...enforcementChanges(id, own.rows, rows),
    )
    const before = new Set(own.rows.map(({ pathId }) => pathId))
    firstSeen += new Set(rows.flatMap(({ pathId }) => (before.has(pathId) ? [] : [pathId]))).size
    noLonger += noLongerKnown(cluster, since)
  }
  return changesFrom(before, { comparisons, all, firstSeen, noLonger })
}

/** Joins what {@link compare} says of clusters that were compared one at a time, each with the same two periods. */
export function joinChanges(parts: readonly Changes[], before: Span | null): Changes {
  return changesFrom(before, {
    comparisons: parts.flatMap(({ comparisons }) => comparisons),
    all: parts.flatMap(({ all }) => all),
    firstSeen: sum(parts, ({ firstSeen }) => firstSeen),
    noLonger: sum(parts, ({ noLonger }) => noLonger),
  })
}

function changesFrom(
  before: Span | null,
  { all, ...found }: Pick<Changes, 'comparisons' | 'all' | 'firstSeen' | 'noLonger'>,
): Changes {
  return {
    before,
    ...found,
    all: all.toSorted((a, b) => PATH_CHANGE_KINDS.indexOf(a.kind) - PATH_CHANGE_KINDS.indexOf(b.kind) || byName(a, b)),
    counts: countKinds(all),
    unseen: all.filter(({ isSeenSince }) => isSeenSince === false).length,
  }
}

function countKinds(all: readonly PathChange[]): Changes['counts'] {
  const counts: Record<PathChangeKind, number> = {
    new: 0,
    reopened: 0,
    'still-open': 0,
    fixed: 0,
    refused: 0,
    gone: 0,
    quiet: 0,
    identity: 0,
    enforcement: 0,
  }
  for (const { kind } of all) counts[kind] += 1
  return counts
}

/** How much of a period was collected. */
export function basisOf(windows: readonly { readonly collected: boolean }[]): Omit<Comparison, 'cluster'> {
  const [expected, collected] = [windows.length, windows.filter((window) => window.collected).length]
  const basis = expected === 0 ? 'none' : collected === 0 ? 'not-collected' : collected < expected ? 'partly' : 'whole'
  return { basis, expected, collected }
}

/** A path that is known has a row in every window, also where nothing was collected. Without a window there is none, and nothing is known to be gone. */
function noLongerKnown({ before, windows, rows }: ComparedCluster, since: Span): number {
  const last = windows.at(-1)?.end
  if (last === undefined || !isBefore(since.from, last)) return 0
  const now = knownAt(last, rows)
  return [...knownAt(before.windows.at(-1)?.end, before.rows)].filter((path) => !now.has(path)).length
}

function knownAt(end: string | undefined, rows: readonly PathRow[]): ReadonlySet<string> {
  return new Set(rows.flatMap(({ pathId, to }) => (to === end ? [pathId] : [])))
}

/** One change for each path that had an open episode at the end of either period, or one that began and ended between. */
function episodeChanges(compared: ComparedCluster, period: Span): readonly PathChange[] {
  const { id: cluster, windows, rows, episodes } = compared
  // An open episode is as old as that.
  const known = windows.at(-1)?.end
  const rowsOf = Map.groupBy(rows, ({ pathId }) => pathId)
  const collected = windows.filter((window) => window.collected && isBefore(period.from, window.end))
  return [...Map.groupBy(episodes, ({ pathId }) => pathId).values()].flatMap((own): PathChange[] => {
    const inOrder = own.toSorted((a, b) => Date.parse(a.episode.openedAt) - Date.parse(b.episode.openedAt))
    const begun = inOrder.filter(({ episode }) => isBefore(episode.openedAt, period.to))
    const last = begun.at(-1)
    if (last === undefined || isOver(last.episode, period.from)) return []
    const { episode, ...path } = last
    const isEnded = isOver(episode, period.to)
    const kind = isEnded ? endingKind(episode) : openKind(episode, begun.length > 1, period)
    return [
      {
        ...path,
        cluster,
        kind,
        episode: isEnded ? episode : { ...episode, endedAt: null, ending: null },
        openSeconds:
          isEnded || known === undefined ? null : Math.max(0, lengthOf({ start: episode.openedAt, end: known })),
        isSeenSince: isShown(isEnded ? episode.endedAt : null, rowsOf.get(path.pathId) ?? [], collected),
        mayBeEarlier: episode.mayBeEarlier,
        identity: null,
        enforcement: null,
      },
    ]
  })
}

/**
 * Whether a path was seen, or what ended was looked at after its end.
 *
 * @param endedAt null for what is open
 * @param rows of the path, after the end of the earlier period
 * @param collected the collected windows of the later period after the end of the earlier one
 */
function isShown(
  endedAt: string | null,
  rows: readonly PathRow[],
  collected: readonly { readonly end: string }[],
): boolean {
  if (endedAt === null) return rows.some(({ state }) => !UNSEEN.has(state))
  const later = rows.filter(({ to }) => isBefore(endedAt, to))
  // Without a row an end of it is gone, by the lists of a window that was collected.
  if (later.length === 0) return collected.some(({ end }) => !isBefore(end, endedAt))
  return later.some(({ state }) => state !== 'unknown' && state !== 'not-collected')
}

/** What shows nothing of a path. */
const UNSEEN: ReadonlySet<State> = new Set<State>(['unknown', 'not-observed', 'not-collected'])

/** It ended at that time, or before. */
const isOver = ({ endedAt }: Episode, time: string): boolean => endedAt !== null && !isBefore(time, endedAt)

function openKind({ openedAt }: Episode, hadEarlier: boolean, { from }: Span): PathChangeKind {
  if (isBefore(openedAt, from)) return 'still-open'
  return hadEarlier ? 'reopened' : 'new'
}

function endingKind({ ending }: Episode): PathChangeKind {
  return ending ?? 'still-open'
}

/** Ends whose ServiceAccount became another one. */
function identityChanges(
  cluster: string,
  rowsBefore: readonly PathRow[],
  rows: readonly PathRow[],
): readonly PathChange[] {
  return (['source', 'destination'] as const).flatMap((end) =>
    turns(cluster, rowsBefore, rows, (row) => row[end].serviceAccount).map(({ before, after, ...path }) => ({
      ...path,
      kind: 'identity',
      identity: { end, before, after },
      enforcement: null,
    })),
  )
}

/** Paths to a port for which policy says something else of plaintext. */
function enforcementChanges(
  cluster: string,
  rowsBefore: readonly PathRow[],
  rows: readonly PathRow[],
): readonly PathChange[] {
  const known = ({ enforcement }: PathRow): Enforcement | null => (enforcement === 'unknown' ? null : enforcement)
  return turns(cluster, rowsBefore, rows, known).map(({ before, after, ...path }) => ({
    ...path,
    kind: 'enforcement',
    identity: null,
    enforcement: { before, after },
  }))
}

/** The last turn of something in the later rows of each path, from what was known before it. Where it is not known it did not turn. */
function turns<T>(
  cluster: string,
  rowsBefore: readonly PathRow[],
  rows: readonly PathRow[],
  valueOf: (row: PathRow) => T | null,
): readonly (Named &
  Pick<PathChange, 'episode' | 'openSeconds' | 'isSeenSince' | 'mayBeEarlier'> & {
    readonly before: T
    readonly after: T
  })[] {
  const earlier = rowsByPath([{ id: cluster, rows: rowsBefore }])
  return [...rowsByPath([{ id: cluster, rows }])].flatMap(([key, own]) => {
    const known = [
      ...(earlier.get(key) ?? []).map((row) => ({ value: valueOf(row), isLater: false })),
      ...own.map((row) => ({ value: valueOf(row), isLater: true })),
    ].flatMap(({ value, isLater }) => (value === null ? [] : [{ value, isLater }]))
    const turn = known.findLastIndex(
      ({ value, isLater }, index) => isLater && index > 0 && value !== known[index - 1]?.value,
    )
    const [from, to] = [known[turn - 1], known[turn]]
    if (from === undefined || to === undefined) return []
    return [
      {
        ...namedOf(cluster, own.at(-1) ?? own[0]),
        episode: null,
        openSeconds: null,
        isSeenSince: null,
        mayBeEarlier: false,
        before: from.value,
        after: to.value,
      },
    ]
  })
}

/** What changed since the period before: a comparison of two periods of equal length, and nothing where there is only one. */
import type { ClusterPast, ClusterPeriod, PathEpisode } from '../../model/period.ts'
import type { Episode, PathRow } from '../../model/history.ts'
import { byName, rowsByPath } from './path-summary.ts'
import type { Named } from './path-summary.ts'
import { isBefore } from './sums.ts'

/**
 * What happened to a path, the most urgent first. `fixed` is also what policy refuses now; `quiet` is not known to be fixed;
 * `identity`: another ServiceAccount at an end, whatever the state.
 */
export const PATH_CHANGE_KINDS = ['new', 'reopened', 'still-open', 'fixed', 'gone', 'quiet', 'identity'] as const

/** How a path changed from one period to the next. */
export type PathChangeKind = (typeof PATH_CHANGE_KINDS)[number]

/** A path that changed. */
export type PathChange = Named & {
  readonly kind: PathChangeKind
  /** What decides, as it stands at the end of the period; null for a changed identity. */
  readonly episode: Episode | null
  /** Which end has another ServiceAccount, and which ones; null for the other kinds. */
  readonly identity: { readonly end: 'source' | 'destination'; readonly before: string; readonly after: string } | null
}

/** Whether a cluster's period before can be compared with. `partly`: some of its windows were not collected. */
export type Comparison = {
  readonly cluster: string
  readonly basis: 'whole' | 'partly' | 'not-collected' | 'none'
  /** Windows of the period before. */
  readonly expected: number
  readonly collected: number
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
  /** Paths that were known in the period before and are not in this one. */
  readonly noLonger: number
}

type Span = { readonly from: string; readonly to: string }

/** Compares a period with the one before it. */
export function changesOf(clusters: readonly ClusterPeriod[], past: readonly ClusterPast[], period: Span): Changes {
  const pastOf = new Map(past.map((one) => [one.id, one]))
  const all: PathChange[] = []
  const comparisons: Comparison[] = []
  let [firstSeen, noLonger] = [0, 0]
  for (const cluster of clusters) {
    const own = pastOf.get(cluster.id)
    const windows = own?.periods.at(-1)?.windows ?? []
    const comparison = comparisonOf(cluster.id, windows)
    comparisons.push(comparison)
    if (own === undefined || comparison.basis === 'none' || comparison.basis === 'not-collected') continue
    const rowsBefore = own.periods.at(-1)?.rows ?? []
    all.push(...episodeChanges(cluster.id, own.episodes, period), ...identityChanges(cluster, rowsBefore))
    const [known, now] = [idsOf(rowsBefore), idsOf(cluster.rows)]
    firstSeen += [...now].filter((id) => !known.has(id)).length
    noLonger += [...known].filter((id) => !now.has(id)).length
  }
  const before = past.flatMap(({ periods }) => periods.at(-1) ?? [])[0]
  return {
    before: before === undefined ? null : { from: before.from, to: before.to },
    comparisons,
    all: all.sort((a, b) => PATH_CHANGE_KINDS.indexOf(a.kind) - PATH_CHANGE_KINDS.indexOf(b.kind) || byName(a, b)),
    counts: {
      new: 0,
      reopened: 0,
      'still-open': 0,
      fixed: 0,
      gone: 0,
      quiet: 0,
      identity: 0,
      ...Object.fromEntries([...Map.groupBy(all, ({ kind }) => kind)].map(([kind, own]) => [kind, own.length])),
    },
    firstSeen,
    noLonger,
  }
}

function comparisonOf(cluster: string, windows: readonly { readonly collected: boolean }[]): Comparison {
  const [expected, collected] = [windows.length, windows.filter((window) => window.collected).length]
  const basis = expected === 0 ? 'none' : collected === 0 ? 'not-collected' : collected < expected ? 'partly' : 'whole'
  return { cluster, basis, expected, collected }
}

const idsOf = (rows: readonly PathRow[]): Set<string> => new Set(rows.map(({ pathId }) => pathId))

/** One change for each path that had an open episode at the end of either period, or one that began and ended between. */
function episodeChanges(cluster: string, episodes: readonly PathEpisode[], period: Span): readonly PathChange[] {
  return [...Map.groupBy(episodes, ({ pathId }) => pathId).values()].flatMap((own) => {
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
        identity: null,
      },
    ]
  })
}

/** It ended at that time, or before. */
const isOver = ({ endedAt }: Episode, time: string): boolean => endedAt !== null && !isBefore(time, endedAt)

function openKind({ openedAt }: Episode, hadEarlier: boolean, { from }: Span): PathChangeKind {
  if (isBefore(openedAt, from)) return 'still-open'
  return hadEarlier ? 'reopened' : 'new'
}

function endingKind({ ending }: Episode): PathChangeKind {
  switch (ending) {
    case 'gone':
    case 'quiet':
      return ending
    case 'fixed':
    case 'refused':
      return 'fixed'
    case null:
      return 'still-open'
  }
}

/** Ends whose ServiceAccount became another in this period. */
function identityChanges(cluster: ClusterPeriod, rowsBefore: readonly PathRow[]): readonly PathChange[] {
  const before = rowsByPath([{ id: cluster.id, rows: rowsBefore }])
  return [...rowsByPath([cluster])].flatMap(([key, rows]) =>
    (['source', 'destination'] as const).flatMap((end): PathChange[] => {
      const accounts = [
        ...(before.get(key) ?? []).map((row) => ({ account: row[end].serviceAccount, isNow: false })),
        ...rows.map((row) => ({ account: row[end].serviceAccount, isNow: true })),
      ].flatMap(({ account, isNow }) => (account === null ? [] : [{ account, isNow }]))
      const turn = accounts.findLastIndex(
        ({ account, isNow }, index) => isNow && index > 0 && account !== accounts[index - 1]?.account,
      )
      const [from, to] = [accounts[turn - 1], accounts[turn]]
      if (from === undefined || to === undefined) return []
      const { pathId, source, destination, port } = rows.at(-1) ?? rows[0]
      const identity = { end, before: from.account, after: to.account }
      return [{ cluster: cluster.id, pathId, source, destination, port, kind: 'identity', episode: null, identity }]
    }),
  )
}

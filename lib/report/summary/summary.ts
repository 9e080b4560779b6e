/**
 * What a report says, as plain numbers and lists: nothing here is worded, rounded or dated for a reader. Every document of a
 * period is made from this one summary, so that all of them agree.
 */
import type { Judgement, ReportSettings } from '../../model/judgement.ts'
import { PATH_CLASSES, type PathClass } from '../../model/path.ts'
import type { Workload } from '../../model/window.ts'
import { compareText } from '../../text/order.ts'
import type { ReportPeriod, ReportInput } from '../report-input.ts'
import type { Mark } from '../drawing/state-looks.ts'
import { isBasisKnown, changesOf } from './change-summary.ts'
import type { Changes } from './change-summary.ts'
import { shareOfAll } from '../../assess/judge/cluster-observed-share.ts'
import { summariseCluster } from './coverage-summary.ts'
import type { ClusterSummary } from './coverage-summary.ts'
import { summarizeEnforcement } from './enforcement-summary.ts'
import type { PortEnforcement } from './enforcement-summary.ts'
import { summarizeEpisodes } from './episode-summary.ts'
import type { Episodes } from './episode-summary.ts'
import { type Action, actionsOf, ownersOf } from './actions.ts'
import { type Figures, type Monitored, figuresOf, monitoredOf } from './figures.ts'
import { ofClasses } from './judged-paths.ts'
import { frameworksByPath } from './path-frameworks.ts'
import { countMarks, endpointKey, exposuresOf, summarisePaths } from './path-summary.ts'
import type { Exposure, PathSummary } from './path-summary.ts'
import { sum } from './sums.ts'
import { trendOf } from './trend-summary.ts'
import type { TrendPoint } from './trend-summary.ts'

/** The numbers of a report. */
export type Summary = {
  readonly period: ReportPeriod
  readonly version: string
  readonly replay: string | null
  readonly checkpoint: ReportInput['checkpoint']
  /** In text order. */
  readonly removed: readonly string[]
  readonly clusters: readonly ClusterSummary[]
  readonly expectedWindows: number
  readonly collectedWindows: number
  /** Over the clusters whose share is known; null where that is none. */
  readonly share: number | null
  readonly settings: ReportSettings
  readonly monitored: Monitored
  /** All of them, of every class, by name. */
  readonly paths: readonly PathSummary[]
  /** Of the judged classes alone, as all below but `others`. */
  readonly figures: Figures
  /** Judged paths by the mark they are listed as. */
  readonly counts: Readonly<Record<Mark, number>>
  /** What to do first: open paths of one cause and one fix are one action. */
  readonly actions: readonly Action[]
  /** Who answers for each path of every class, by its key. */
  readonly owners: ReadonlyMap<string, string>
  /** Ids of the frameworks in whose scope each path of every class is, by its key. */
  readonly frameworks: ReadonlyMap<string, readonly string[]>
  /** Still open first, then worst first, then oldest. */
  readonly notEncrypted: readonly Exposure[]
  readonly notEnoughEvidence: readonly PathSummary[]
  readonly refused: readonly PathSummary[]
  readonly exempt: readonly PathSummary[]
  readonly encrypted: readonly PathSummary[]
  /** Known, but without traffic, or without a collected window. */
  readonly unseen: readonly PathSummary[]
  /** The classes that are not judged, each with its paths: listed, never in a verdict. */
  readonly others: readonly ClassSummary[]
  readonly episodes: Episodes
  readonly changes: Changes
  /** Oldest first; the last is this period. */
  readonly trend: readonly TrendPoint[]
  readonly enforcement: readonly PortEnforcement[]
  readonly judgement: Judgement
  /** Workloads that are not, not wholly, or not surely in the mesh. */
  readonly unmeshed: readonly Workload[]
  /** Workloads whose blind spots are more than not being in the mesh. */
  readonly blind: readonly Workload[]
  readonly workloads: number
  /** Of reports of earlier periods, oldest first. */
  readonly reviews: NonNullable<ReportInput['reviews']>
}

/** The paths of one class that is not judged. */
export type ClassSummary = {
  readonly class: PathClass
  readonly figures: Figures
  readonly paths: readonly PathSummary[]
  readonly notEncrypted: readonly Exposure[]
  /** Those that were open at some time of the period. */
  readonly episodes: Episodes['all']
}

/** Adds up a period. Throws an Error if a path has no strip, or one that does not fit the windows. */
export function summarise(input: ReportInput): Summary {
  const { period } = input
  const clusters = input.clusters.map((cluster) => summariseCluster(cluster, period))
  const { judgedClasses } = input.settings
  const all = summarisePaths(input.clusters, input.judgement.findings)
  const judgedParts = ofClasses(input, judgedClasses)
  const paths = all.filter((path) => judgedClasses.includes(path.class))
  const notEncrypted = exposuresOf(paths, input.clusters, period)
  const episodes = summarizeEpisodes(judgedParts.past, period)
  const changes = changesOf(judgedParts.clusters, judgedParts.past, period)
  const isCompared = changes.comparisons.length > 0 && changes.comparisons.every(isBasisKnown)
  const actions = actionsOf(notEncrypted, input)
  const withMark = (...marks: readonly Mark[]): PathSummary[] => paths.filter(({ mark }) => marks.includes(mark))
  const workloads = clusters.flatMap((cluster) => cluster.workloads).sort(byWorkload)

  return {
    period,
    version: input.version,
    replay: input.replay ?? null,
    checkpoint: input.checkpoint,
    removed: (input.removed ?? []).toSorted(compareText),
    clusters,
    expectedWindows: sum(clusters, ({ expected }) => expected),
    collectedWindows: sum(clusters, ({ collected }) => collected),
    share: shareOfAll(clusters),
    settings: input.settings,
    monitored: monitoredOf(input.clusters, period),
    paths: all,
    figures: figuresOf(paths, notEncrypted, {
      episodes: episodes.all,
      from: isCompared ? period.from : null,
      unread: unreadOf(input),
    }),
    counts: countMarks(paths.map(({ mark }) => mark)),
    actions,
    owners: ownersOf(all, actions, input),
    frameworks: frameworksByPath(all, input),
    notEncrypted,
    notEnoughEvidence: withMark('unknown'),
    refused: withMark('refused'),
    exempt: withMark('exempt'),
    encrypted: withMark('tls-anonymous', 'app-tls', 'mtls'),
    unseen: withMark('not-observed', 'not-collected'),
    others: PATH_CLASSES.filter((one) => !judgedClasses.includes(one)).flatMap((one) => classSummary(one, all, input)),
    episodes,
    changes,
    trend: trendOf(judgedParts.clusters, judgedParts.past, period),
    enforcement: summarizeEnforcement(judgedParts.clusters),
    judgement: input.judgement,
    unmeshed: workloads.filter(({ meshed }) => meshed !== 'yes'),
    blind: workloads.filter(({ blindSpots }) => blindSpots.some(({ kind }) => kind !== 'unmeshed')),
    workloads: workloads.length,
    reviews: input.reviews ?? [],
  }
}

function classSummary(of: PathClass, all: readonly PathSummary[], input: ReportInput): readonly ClassSummary[] {
  const paths = all.filter((path) => path.class === of)
  if (paths.length === 0) return []
  const notEncrypted = exposuresOf(paths, input.clusters, input.period)
  const { past } = ofClasses(input, [of])
  const episodes = summarizeEpisodes(past, input.period).all
  return [
    {
      class: of,
      paths,
      notEncrypted,
      episodes,
      figures: figuresOf(paths, notEncrypted, { episodes, from: null, unread: unreadOf(input) }),
    },
  ]
}

function unreadOf({ clusters }: ReportInput): readonly string[] {
  return clusters.flatMap(({ id, isUnread }) => (isUnread === true ? [id] : [])).sort(compareText)
}

function byWorkload(a: Workload, b: Workload): number {
  return compareText(a.cluster, b.cluster) || compareText(endpointKey(a), endpointKey(b))
}

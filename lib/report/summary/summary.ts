/**
 * What a report says, as plain numbers and lists: nothing here is worded, rounded or dated for a reader. Every document of a
 * period is made from this one summary, so that all of them agree.
 */
import type { Judgement } from '../../model/judgement.ts'
import type { Workload } from '../../model/window.ts'
import { compareText } from '../../text/order.ts'
import type { ReportPeriod, ReportInput } from '../report-input.ts'
import type { Mark } from '../drawing/state-looks.ts'
import { changesOf } from './change-summary.ts'
import type { Changes } from './change-summary.ts'
import { shareOfAll } from '../../assess/judge/observed-time.ts'
import { summariseCluster } from './coverage-summary.ts'
import type { ClusterSummary } from './coverage-summary.ts'
import { summarizeEnforcement } from './enforcement-summary.ts'
import type { PortEnforcement } from './enforcement-summary.ts'
import { episodesOf } from './episode-summary.ts'
import type { Episodes } from './episode-summary.ts'
import { countMarks, endpointKey, exposuresOf, JUDGED, summarisePaths } from './path-summary.ts'
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
  /** All of them, by name. */
  readonly paths: readonly PathSummary[]
  /** Paths by the mark they are counted as. */
  readonly counts: Readonly<Record<Mark, number>>
  readonly knownPaths: number
  /** Paths with judged traffic in the period: the denominator. Refused and exempt ones, and those without traffic, are not in it. */
  readonly observedPaths: number
  /** Still open first, then worst first, then oldest. */
  readonly notEncrypted: readonly Exposure[]
  readonly unknown: readonly PathSummary[]
  readonly refused: readonly PathSummary[]
  readonly exempt: readonly PathSummary[]
  readonly encrypted: readonly PathSummary[]
  /** Known, but without traffic, or without a collected window. */
  readonly unseen: readonly PathSummary[]
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
}

/** Adds up a period. Throws an Error if a path has no strip, or one that does not fit the windows. */
export function summarise(input: ReportInput): Summary {
  const { period } = input
  const clusters = input.clusters.map((cluster) => summariseCluster(cluster, period))
  const paths = summarisePaths(input.clusters, input.judgement.findings)
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
    paths,
    counts: countMarks(paths.map(({ mark }) => mark)),
    knownPaths: paths.length,
    observedPaths: withMark(...JUDGED).length,
    notEncrypted: exposuresOf(paths, input.clusters, period),
    unknown: withMark('unknown'),
    refused: withMark('refused'),
    exempt: withMark('exempt'),
    encrypted: withMark('tls-anonymous', 'app-tls', 'mtls'),
    unseen: withMark('not-observed', 'not-collected'),
    episodes: episodesOf(input.past, period),
    changes: changesOf(input.clusters, input.past, period),
    trend: trendOf(input.clusters, input.past, period),
    enforcement: summarizeEnforcement(input.clusters),
    judgement: input.judgement,
    unmeshed: workloads.filter(({ meshed }) => meshed !== 'yes'),
    blind: workloads.filter(({ blindSpots }) => blindSpots.some(({ kind }) => kind !== 'unmeshed')),
    workloads: workloads.length,
  }
}

function byWorkload(a: Workload, b: Workload): number {
  return compareText(a.cluster, b.cluster) || compareText(endpointKey(a), endpointKey(b))
}

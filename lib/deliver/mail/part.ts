/** The part of a period that is a channel's: of nothing else may its mail speak. Pure. */
import type { ClusterPast, ClusterPeriod } from '../../model/period.ts'
import type { Coverage, Workload } from '../../model/window.ts'
import type { Endpoint } from '../../model/path.ts'
import type { Finding, Subject } from '../../model/judgement.ts'
import type { PathRow } from '../../model/history.ts'
import type { ReportInput } from '../../report/report-input.ts'
import { workloadKey } from '../../assess/pods/facts.ts'
import { type Channel, isOfChannel } from '../channel/channel.ts'

/** A cluster on which no workload of the channel's namespaces is known, and how much of the period was collected there. */
export type EmptyCluster = { readonly id: string; readonly expected: number; readonly collected: number }

/** What a channel may see of a report's input. */
export type ChannelPart = {
  readonly input: ReportInput
  /** Not among the clusters of `input`: nothing there is the channel's. In text order. */
  readonly empty: readonly EmptyCluster[]
}

/**
 * What a channel may see of a period over its clusters. Paths with an end in its namespaces; workloads, coverage and failures of them; waivers that
 * accept one of those failures (all of them where the channel has every cluster and namespace).
 *
 * @param input of the clusters of the channel, judged on the whole of them
 */
export function partOf(input: ReportInput, channel: Channel): ChannelPart {
  const findings = input.judgement.findings.filter(({ subject }) => isSubjectOf(channel, subject))
  const isEverything = channel.clusters.length === 0 && channel.namespaces.length === 0
  const accepted = new Set(findings.flatMap(({ waiver }) => (waiver === null ? [] : [waiver])))
  const judgement = {
    ...input.judgement,
    findings,
    waivers: input.judgement.waivers
      .filter(({ waiver }) => isEverything || accepted.has(waiver.id))
      .map((result) => ({ ...result, findings: countOf(findings, result.waiver.id, result.findings) })),
  }
  if (channel.namespaces.length === 0) return { input: { ...input, judgement }, empty: [] }
  const clusters = input.clusters.map((cluster) => clusterPart(cluster, channel))
  const past = input.past.map((one) => pastPart(one, channel))
  const empty = emptyClusters(input.clusters, clusters, past)
  const isEmpty = new Set(empty.map(({ id }) => id))
  return {
    input: {
      ...input,
      clusters: clusters.filter(({ id }) => !isEmpty.has(id)),
      past: past.filter(({ id }) => !isEmpty.has(id)),
      judgement,
    },
    empty,
  }
}

/**
 * Clusters whose workloads are known, and none of them is the channel's, now or in the past that is known. Else a team with workloads on one cluster
 * would be told every week that nothing was observed on all others. None where that were all: a channel without anything must not look like one with good news.
 */
function emptyClusters(
  whole: readonly ClusterPeriod[],
  parts: readonly ClusterPeriod[],
  past: readonly ClusterPast[],
): readonly EmptyCluster[] {
  const pastOf = new Map(past.map((one) => [one.id, one]))
  const empty = parts.filter((part, index) => {
    const before = pastOf.get(part.id)
    return (
      (whole[index]?.workloads.length ?? 0) > 0 &&
      part.rows.length + part.coverage.length + part.workloads.length === 0 &&
      (before?.episodes.length ?? 0) === 0 &&
      (before?.periods ?? []).every(({ rows }) => rows.length === 0)
    )
  })
  if (empty.length === parts.length) return []
  return empty.map(({ id, windows }) => ({
    id,
    expected: windows.length,
    collected: windows.filter(({ collected }) => collected).length,
  }))
}

/** Of an expired waiver no failure says that it would be accepted: its own count stands. */
function countOf(findings: readonly Finding[], id: string, otherwise: number): number {
  const count = findings.filter(({ waiver }) => waiver === id).length
  return count === 0 ? otherwise : count
}

function isSubjectOf(channel: Channel, subject: Subject): boolean {
  switch (subject.kind) {
    case 'path':
      return isPathOf(channel, subject)
    case 'port':
    case 'workload':
      return isOfChannel(channel, [subject.workload])
    case 'cluster':
      return channel.namespaces.length === 0
  }
}

const isPathOf = (channel: Channel, { source, destination }: Pick<PathRow, 'source' | 'destination'>): boolean =>
  isOfChannel(channel, [source, destination])

function clusterPart(cluster: ClusterPeriod, channel: Channel): ClusterPeriod {
  const rows = cluster.rows.filter((row) => isPathOf(channel, row))
  const coverage = cluster.coverage.filter(({ workload }) => isOfChannel(channel, [workload]))
  const known = new Set(rows.map(({ pathId }) => pathId))
  // Labels name the owner of what an action changes, which may be the other end of a path.
  const ends = new Set(rows.flatMap(({ source, destination }) => [workloadKey(source), workloadKey(destination)]))
  return {
    id: cluster.id,
    windows: windowsPart(cluster.windows, coverage),
    classes: cluster.classes,
    rows,
    strips: Object.fromEntries(Object.entries(cluster.strips).filter(([pathId]) => known.has(pathId))),
    coverage,
    workloads: cluster.workloads.filter((workload: Workload) => isOfChannel(channel, [workload])),
    ...(cluster.facts === undefined
      ? {}
      : {
          facts: {
            listedWindows: cluster.facts.listedWindows,
            workloads: cluster.facts.workloads.filter(
              (workload) => isOfChannel(channel, [workload]) || ends.has(workloadKey(workload)),
            ),
            identities: [],
            crypto: [],
          },
        }),
    crypto: cluster.crypto,
    // They quote what could not be read of the whole cluster; that windows were not collected is told without them.
    errors: [],
  }
}

/**
 * How much of the channel's own pods was to be seen and was: the numbers of the cluster would call a namespace observed that nobody scraped.
 * A window with none of its pods counts as not measured.
 */
function windowsPart(windows: ClusterPeriod['windows'], coverage: readonly Coverage[]): ClusterPeriod['windows'] {
  const sums = new Map<string, { expectedSeconds: number; observedSeconds: number }>()
  for (const { window, expectedSeconds, observedSeconds } of coverage) {
    const known = sums.get(window.end)
    if (known === undefined) sums.set(window.end, { expectedSeconds, observedSeconds })
    else {
      known.expectedSeconds += expectedSeconds
      known.observedSeconds += observedSeconds
    }
  }
  return windows.map((window) => {
    const { expectedSeconds, observedSeconds } = sums.get(window.end) ?? { expectedSeconds: 0, observedSeconds: 0 }
    return {
      ...window,
      expectedSeconds,
      observedSeconds,
      ratio: expectedSeconds > 0 ? observedSeconds / expectedSeconds : null,
    }
  })
}

/** Of the past only sums of whole clusters are read, so how much of the channel's part was observed then is not known. */
function pastPart(past: ClusterPast, channel: Channel): ClusterPast {
  return {
    id: past.id,
    periods: past.periods.map((period) => ({
      ...period,
      windows: period.windows.map((window) => ({ ...window, expectedSeconds: 0, observedSeconds: 0, ratio: null })),
      rows: period.rows.filter((row) => isPathOf(channel, row)),
    })),
    episodes: past.episodes.filter((episode: { readonly source: Endpoint; readonly destination: Endpoint }) =>
      isOfChannel(channel, [episode.source, episode.destination]),
    ),
  }
}

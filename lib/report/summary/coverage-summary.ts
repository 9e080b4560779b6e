/** What was expected of a cluster, what was collected, and what was not seen. */
import type { ClusterPeriod } from '../../model/period.ts'
import type { Coverage, Crypto, Gap, GapReason, Workload } from '../../model/window.ts'
import type { ClassNamespaces, Endpoint } from '../../model/path.ts'
import type { TimelineMonth } from '../../model/history.ts'
import { type ObservedTime, observedTime } from '../../assess/judge/cluster-observed-share.ts'
import { compareText } from '../../text/order.ts'
import type { ReportPeriod } from '../report-input.ts'
import { endpointKey } from './path-summary.ts'
import { lengthOf } from '../../time/windows.ts'
import { isBefore, ratio } from './sums.ts'

/** Windows in a row that were not collected. */
export type MissingRun = {
  readonly cluster: string
  readonly from: string
  readonly to: string
  readonly windows: number
  /** An attempt stands, but metrics could not be read in it. */
  readonly isAttempted: boolean
}

/** Time of a workload's pods that was not seen, summed by reason. */
export type GapSummary = {
  readonly cluster: string
  readonly workload: Endpoint
  readonly reason: GapReason
  readonly stretches: number
  readonly podSeconds: number
  readonly from: string
  readonly to: string
  /** Of the workload over all collected windows; null if nothing was expected. */
  readonly ratio: number | null
}

type ErrorSummary = {
  readonly cluster: string
  readonly line: string
  readonly windows: number
  /** Ends of the first and last window. */
  readonly first: string
  readonly last: string
}

/** What was to be seen of a workload over all collected windows, and what was. */
export type WorkloadCoverage = Omit<Coverage, 'window' | 'pods' | 'gaps'>

/** What was collected and observed of a cluster; numbers of windows. */
export type ClusterSummary = ObservedTime & {
  readonly id: string
  readonly windows: TimelineMonth['windows']
  /** By which the ends of paths have their class. */
  readonly classes: ClassNamespaces
  readonly expected: number
  readonly collected: number
  /** End of the last window that was collected; null where none was. */
  readonly collectedUntil: string | null
  /** Start of the first and end of the last expected window, where they leave a part of the period out; else null. */
  readonly expectedOnly: { readonly from: string; readonly to: string } | null
  /** No attempt stands. */
  readonly missing: number
  /** An attempt stands, but metrics could not be read. */
  readonly failed: number
  readonly missingRuns: readonly MissingRun[]
  /** By namespace and name. */
  readonly coverage: readonly WorkloadCoverage[]
  readonly gaps: readonly GapSummary[]
  readonly errors: readonly ErrorSummary[]
  /** As of the latest window with lists, with the bytes that no proxy saw in the period. */
  readonly workloads: readonly Workload[]
  readonly crypto: Crypto | null
}

type Windows = TimelineMonth['windows']

/** Adds up what a cluster was asked and what it said. */
export function summariseCluster(cluster: ClusterPeriod, period: ReportPeriod): ClusterSummary {
  const { id, windows } = cluster
  const totals = totalsByWorkload(cluster)
  return {
    id,
    windows,
    classes: cluster.classes,
    expected: windows.length,
    collected: windows.filter(({ collected }) => collected).length,
    collectedUntil: windows.findLast(({ collected }) => collected)?.end ?? null,
    expectedOnly: expectedOnly(windows, period),
    missing: windows.filter(({ evidence }) => evidence === null).length,
    failed: windows.filter((window) => window.evidence !== null && !window.collected).length,
    ...observedTime(windows),
    missingRuns: missingRunsOf(id, windows),
    coverage: totals.map((total) => coverageOf(id, total)),
    gaps: gapsOf(id, totals),
    errors: errorsOf(cluster),
    workloads: workloadsOf(cluster),
    crypto: cluster.crypto,
  }
}

/** As of the latest window with lists, with the bytes that no proxy saw in the period. */
function workloadsOf({ workloads, facts }: ClusterPeriod): readonly Workload[] {
  const histories = new Map(facts?.workloads.map((history) => [endpointKey(history), history]))
  return workloads.map(({ withoutProxy, aroundProxy, ...workload }) => {
    const history = histories.get(endpointKey(workload))
    const told = facts === undefined ? { withoutProxy, aroundProxy } : history
    return {
      ...workload,
      ...(told?.withoutProxy === undefined ? {} : { withoutProxy: told.withoutProxy }),
      ...(told?.aroundProxy === undefined ? {} : { aroundProxy: told.aroundProxy }),
    }
  })
}

function expectedOnly(windows: Windows, { from, to }: ReportPeriod): ClusterSummary['expectedOnly'] {
  const first = windows[0]
  const last = windows.at(-1)
  if (first === undefined || last === undefined || !(isBefore(from, first.start) || isBefore(last.end, to))) return null
  return { from: first.start, to: last.end }
}

function missingRunsOf(cluster: string, windows: Windows): readonly MissingRun[] {
  const runs: MissingRun[] = []
  for (const { start, end, evidence, collected } of windows) {
    if (collected) continue
    const before = runs.at(-1)
    const isAttempted = evidence !== null
    if (before !== undefined && before.to === start && before.isAttempted === isAttempted)
      runs[runs.length - 1] = { ...before, to: end, windows: before.windows + 1 }
    else runs.push({ cluster, from: start, to: end, windows: 1, isAttempted })
  }
  return runs
}

/** What the rows of a workload add up to. */
type WorkloadTotal = {
  readonly workload: Endpoint
  expectedSeconds: number
  observedSeconds: number
  readonly gaps: Gap[]
}

/** The coverage of collected windows by workload. Windows that are missing altogether stand in the missing runs. */
function totalsByWorkload(cluster: ClusterPeriod): readonly WorkloadTotal[] {
  const collected = new Set(cluster.windows.filter((window) => window.collected).map(({ end }) => end))
  // Hundreds of thousands of rows: no text is made for each, and no list of them.
  const workloads = new Map<string, Map<string, Map<string, WorkloadTotal>>>()
  for (const { window, workload, expectedSeconds, observedSeconds, gaps } of cluster.coverage) {
    if (!collected.has(window.end)) continue
    const kinds = within(within(workloads, workload.namespace), workload.name)
    const total = kinds.get(workload.kind)
    if (total === undefined) {
      kinds.set(workload.kind, { workload, expectedSeconds, observedSeconds, gaps: [...gaps] })
      continue
    }
    total.expectedSeconds += expectedSeconds
    total.observedSeconds += observedSeconds
    total.gaps.push(...gaps)
  }
  return inOrder(workloads).flatMap((names) => inOrder(names).flatMap(inOrder))
}

/** The map under a key, made where there is none. */
function within<T>(maps: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const known = maps.get(key)
  if (known !== undefined) return known
  const made = new Map<string, T>()
  maps.set(key, made)
  return made
}

const inOrder = <T>(map: ReadonlyMap<string, T>): readonly T[] =>
  [...map].toSorted(([a], [b]) => compareText(a, b)).map(([, value]) => value)

function coverageOf(cluster: string, { workload, expectedSeconds, observedSeconds }: WorkloadTotal): WorkloadCoverage {
  return { cluster, workload, expectedSeconds, observedSeconds, ratio: ratio(observedSeconds, expectedSeconds) }
}

/** Gaps in collected windows, the most time first. */
function gapsOf(cluster: string, totals: readonly WorkloadTotal[]): readonly GapSummary[] {
  const gaps: GapSummary[] = []
  for (const { workload, expectedSeconds, observedSeconds, gaps: stretches } of totals) {
    const byReason = new Map<GapReason, GapSummary>()
    for (const { reason, pods, from, to } of stretches) {
      const known = byReason.get(reason)
      byReason.set(reason, {
        cluster,
        workload,
        reason,
        stretches: (known?.stretches ?? 0) + 1,
        podSeconds: (known?.podSeconds ?? 0) + pods * lengthOf({ start: from, end: to }),
        from: known === undefined || from < known.from ? from : known.from,
        to: known === undefined || to > known.to ? to : known.to,
        ratio: ratio(observedSeconds, expectedSeconds),
      })
    }
    gaps.push(...byReason.values())
  }
  return gaps.sort(
    (a, b) =>
      b.podSeconds - a.podSeconds ||
      compareText(endpointKey(a.workload), endpointKey(b.workload)) ||
      compareText(a.reason, b.reason),
  )
}

function errorsOf({ id, errors }: ClusterPeriod): readonly ErrorSummary[] {
  const lines = new Map<string, ErrorSummary>()
  for (const { window, line } of errors) {
    const known = lines.get(line)
    lines.set(line, {
      cluster: id,
      line,
      windows: (known?.windows ?? 0) + 1,
      first: known === undefined || window < known.first ? window : known.first,
      last: known === undefined || window > known.last ? window : known.last,
    })
  }
  return [...lines.values()].sort((a, b) => compareText(a.first, b.first) || compareText(a.line, b.line))
}

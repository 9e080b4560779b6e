import type { BlindSpot, Coverage, Gap, WindowResult, Workload } from '../../model/window.ts'
import type { ObservedPeriod, ObservedWorkload } from '../../model/period.ts'
import { workloadKey } from '../pods/facts.ts'

/** Blind spots by which connections of a workload bypass its proxies. */
const AROUND: ReadonlySet<BlindSpot['kind']> = new Set(['skip-inbound', 'skip-outbound', 'skip-subnet', 'ipv6'])

/**
 * Collects the input for shares of time from each window: how much of each workload's pods was read, and what bypassed their proxies.
 *
 * @param results of one cluster, oldest first
 */
export function observedPeriod(results: readonly WindowResult[]): ObservedPeriod {
  const workloads = new Map<string, Draft>()
  const draftOf = (key: string) => {
    const known = workloads.get(key) ?? newDraft(results.length)
    workloads.set(key, known)
    return known
  }
  results.forEach((result, index) => {
    const covered = new Map(result.coverage.map((row) => [workloadKey(row.workload), row]))
    const overridden = new Set(result.overridden)
    for (const workload of result.workloads) {
      const key = workloadKey(workload)
      const row = covered.get(key)
      if (!hadPods(workload, row)) continue
      const draft = draftOf(key)
      draft.hadPods[index] = 1
      draft.told[index] = workload.meshed === 'unknown' ? 0 : 1
      draft.shares[index] = result.collected && !overridden.has(key) ? observedShare(workload, row) : 0
      const around = workload.blindSpots.filter(({ kind }) => AROUND.has(kind))
      if (around.length > 0) draft.around.set(index, around)
      if (row !== undefined && isOutage(row) && !overridden.has(key)) draft.outages.add(index)
    }
    // An unlisted pod is not known to have had a proxy, whatever was read from it.
    for (const [key, { expectedSeconds }] of covered) if (expectedSeconds > 0) draftOf(key).hadPods[index] = 1
  })
  return {
    windows: results.map(({ window, collected, partial, inputs }) => ({
      start: window.start,
      collected,
      isPartial: partial === true,
      isListed: inputs.before !== null && inputs.after !== null,
    })),
    workloads,
  }
}

/** Whether all of a workload's gaps are of a time in which Prometheus was down, but for what each pod did after its last scrape. */
function isOutage({ gaps }: Coverage): boolean {
  const isDown = ({ reason }: Gap) => reason === 'prometheus-down'
  return gaps.some(isDown) && gaps.every((gap) => isDown(gap) || gap.isBrief === true)
}

type Draft = ObservedWorkload & {
  readonly around: Map<number, readonly BlindSpot[]>
  readonly outages: Set<number>
}

function newDraft(windows: number): Draft {
  return {
    hadPods: new Uint8Array(windows),
    told: new Uint8Array(windows),
    shares: new Float64Array(windows),
    around: new Map(),
    outages: new Set(),
  }
}

function hadPods({ pods, blindSpots }: Workload, row: Coverage | undefined): boolean {
  return pods > 0 || (row?.expectedSeconds ?? 0) > 0 || blindSpots.some(({ kind }) => kind === 'pod-unknown')
}

/** Returns the share of the pods' time that was read; 0 if a pod had no proxy, may have had none, or has overriding labels. */
function observedShare({ meshed, overriding, blindSpots }: Workload, row: Coverage | undefined): number {
  if (meshed !== 'yes' || overriding !== undefined || blindSpots.some(({ kind }) => kind === 'pod-unknown')) return 0
  if (row === undefined || row.expectedSeconds === 0 || row.pods.meshed < row.pods.total) return 0
  return Math.min(1, row.observedSeconds / row.expectedSeconds)
}

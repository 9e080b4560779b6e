import type { WorkloadHistory } from '../../../model/period.ts'
import { workloadKey } from '../../pods/facts.ts'
import { type Rule, type RulePeriod, ofUnlisted, ofWorkload, windowCount, workloadsSeen } from '../rule.ts'

/** Judges whether each pod of a workload had a proxy. */
export const workloadIsMeshed: Rule = {
  id: 'workload-is-meshed',
  title: 'Each pod of the workload had a proxy of the mesh',
  failTitle: 'Pods of the workload had no proxy of the mesh',
  why: 'A pod without a proxy sends and receives in the clear, and two of them do so unseen.',
  needs:
    'Complete Kubernetes lists that agree around every window. A workload that no list shows, but of which a proxy was scraped, is unknown.',
  readsLists: true,
  check: (period) => {
    const { cluster, facts } = period
    const listed = new Set(facts?.workloads.map(workloadKey))
    const isIdle = new Set(cluster.workloads.filter(({ pods }) => pods === 0).map(workloadKey))
    const others = workloadsSeen(period).filter((workload) => {
      const key = workloadKey(workload)
      return !listed.has(key) && (!isIdle.has(key) || period.coverage.has(key))
    })
    return [
      ...(facts?.workloads ?? []).map((workload) => judge(workload, period)),
      ...others.map((workload) =>
        ofWorkload(cluster.id, workload, 'unknown', 'No Kubernetes list of the period shows its pods'),
      ),
    ]
  },
}

function judge(workload: WorkloadHistory, { cluster, unlisted }: RulePeriod) {
  const { meshed, reasons, windows } = workload
  const without = meshed.no + meshed.partly
  const why = reasons.length === 0 ? '' : `: ${reasons.join(', ')}`
  if (without > 0) {
    const who = meshed.no > 0 ? 'No pod had a proxy' : 'Some pods had no proxy'
    return ofWorkload(cluster.id, workload, 'fail', `${who} in ${windowCount(without)}${why}`)
  }
  if (meshed.unknown + unlisted > 0) return ofUnlisted(cluster.id, workload, meshed.unknown + unlisted)
  return ofWorkload(cluster.id, workload, 'pass', `Each pod had a proxy in ${windowCount(windows)}`)
}

import type { WorkloadHistory } from '../../../model/period.ts'
import { workloadKey } from '../../pods/facts.ts'
import { type Rule, type RuleFinding, type RulePeriod, ofWorkload, windowCount, workloadsSeen } from '../rule.ts'
import { seenOfWorkload } from '../seen.ts'

/** Judges whether each pod of a workload had a proxy. */
export const workloadIsMeshed: Rule = {
  id: 'workload-is-meshed',
  title: 'Every pod has a mesh proxy',
  why: 'A pod without a proxy sends and receives without mesh encryption. Traffic between two such pods is not seen at all.',
  needs:
    'Complete Kubernetes snapshots that agree around every window. A window counts as seen if the snapshots before and after it agree about the pods, or if cAdvisor shows them. If no snapshot shows a workload but a proxy of it was scraped, the verdict is “not enough evidence”.',
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
        ofWorkload(cluster.id, workload, 'not-enough-evidence', 'No Kubernetes snapshot of the period shows its pods'),
      ),
    ]
  },
}

function judge(workload: WorkloadHistory, { cluster, windows: period }: RulePeriod): RuleFinding {
  const { meshed, reasons } = workload
  const without = meshed.no + meshed.partly
  const why = reasons.length === 0 ? '' : `: ${reasons.join(', ')}`
  if (without > 0) {
    const who = meshed.no > 0 ? 'No pod had a proxy' : 'Some pods had no proxy'
    return ofWorkload(cluster.id, workload, 'fail', `${who} in ${windowCount(without)}${why}`)
  }
  const seen = seenOfWorkload(workload, period)
  return meshed.yes === 0
    ? ofWorkload(cluster.id, workload, 'not-enough-evidence', 'No Kubernetes snapshots that agree show its pods')
    : ofWorkload(cluster.id, workload, 'pass', `Every pod had a proxy in ${windowCount(meshed.yes)}`, seen)
}

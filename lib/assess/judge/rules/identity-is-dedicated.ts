import type { WorkloadHistory } from '../../../model/period.ts'
import { type Rule, type RuleFinding, type RulePeriod, ofWorkload, windowCount } from '../rule.ts'
import { seenOfWorkload, withUntold } from '../seen.ts'

/** Judges whether an identity stands for one workload. */
export const identityIsDedicated: Rule = {
  id: 'identity-is-dedicated',
  title: 'Each workload has its own ServiceAccount',
  why: 'The identity of the mesh is the ServiceAccount: who shares one cannot be told apart, on the wire or by policy.',
  needs:
    'The ServiceAccount of each workload with proxies, from complete lists that agree around every window. Workloads that had the same one in the same window share it; "default" is whoever names none.',
  readsLists: true,
  check: (period) => (period.facts?.workloads ?? []).map((workload) => judge(workload, period)),
}

function judge(workload: WorkloadHistory, { cluster, windows: period }: RulePeriod): RuleFinding {
  const { meshed, serviceAccounts, sharedWith, withoutServiceAccount, windows } = workload
  if (meshed.yes + meshed.partly + meshed.unknown === 0)
    return ofWorkload(cluster.id, workload, 'not-applicable', 'It had no proxy, so no identity')
  if (serviceAccounts.includes('default'))
    return ofWorkload(cluster.id, workload, 'fail', 'Its ServiceAccount is "default"')
  if (sharedWith !== null)
    return ofWorkload(
      cluster.id,
      workload,
      'fail',
      `Its ServiceAccount ${serviceAccounts.join(', ')} is that of ${sharedWith}, too`,
    )
  const seen = withUntold(seenOfWorkload(workload, period), windows - withoutServiceAccount, withoutServiceAccount)
  return {
    ...ofWorkload(cluster.id, workload, 'pass', `Its ServiceAccount ${serviceAccounts.join(', ')} is its own`, seen),
    untold: `Its ServiceAccount is not known in ${windowCount(withoutServiceAccount)}`,
  }
}

import type { WorkloadHistory } from '../../../model/period.ts'
import { type Rule, type RuleFinding, type RulePeriod, ofWorkload, windowCount } from '../rule.ts'
import { seenOfWorkload, withUnknownWindows } from '../seen.ts'

/** Judges whether an identity stands for one workload. */
export const identityIsDedicated: Rule = {
  id: 'identity-is-dedicated',
  title: 'Each workload has its own ServiceAccount',
  why: 'Linkerd derives the identity of a workload from its ServiceAccount. If two workloads share one, neither the traffic nor a policy can distinguish them.',
  needs:
    'The ServiceAccount of each workload with proxies, from complete Kubernetes snapshots that agree around every window. Two workloads share a ServiceAccount if both had it in the same window. A workload that names no ServiceAccount has “default”, which fails the rule.',
  readsLists: true,
  check: (period) => (period.facts?.workloads ?? []).map((workload) => judge(workload, period)),
}

function judge(workload: WorkloadHistory, { cluster, windows: period }: RulePeriod): RuleFinding {
  const { meshed, serviceAccounts, sharedWith, withoutServiceAccount, windows } = workload
  if (meshed.yes + meshed.partly + meshed.unknown === 0)
    return ofWorkload(cluster.id, workload, 'not-applicable', 'It had no proxy, so it has no mesh identity')
  if (serviceAccounts.includes('default'))
    return ofWorkload(cluster.id, workload, 'fail', 'Its ServiceAccount is "default"')
  if (sharedWith !== null)
    return ofWorkload(
      cluster.id,
      workload,
      'fail',
      `It shares its ServiceAccount ${serviceAccounts.join(', ')} with ${sharedWith}`,
    )
  const seen = withUnknownWindows(
    seenOfWorkload(workload, period),
    windows - withoutServiceAccount,
    withoutServiceAccount,
  )
  return {
    ...ofWorkload(
      cluster.id,
      workload,
      'pass',
      `No other workload has its ServiceAccount ${serviceAccounts.join(', ')}`,
      seen,
    ),
    untold: `Its ServiceAccount is unknown in ${windowCount(withoutServiceAccount)}`,
  }
}

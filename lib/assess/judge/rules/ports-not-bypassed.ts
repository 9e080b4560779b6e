import type { WorkloadHistory } from '../../../model/period.ts'
import { type Rule, type RuleFinding, type RulePeriod, ofWorkload } from '../rule.ts'
import { seenOfWorkload } from '../seen.ts'

/** Judges whether connections of a meshed workload can go around its proxies. */
export const portsNotBypassed: Rule = {
  id: 'ports-not-bypassed',
  title: 'No port or subnet bypasses the proxy',
  why: 'A proxy neither encrypts nor sees nor refuses a connection that bypasses it.',
  needs:
    'The arguments of linkerd-init, or else the annotations of the pods, from complete Kubernetes snapshots that agree around every window. Linkerd’s own defaults (4567, 4568) and the ports of the proxy itself do not count.',
  readsLists: true,
  check: (period) => (period.facts?.workloads ?? []).map((workload) => judge(workload, period)),
}

function judge(workload: WorkloadHistory, { cluster, windows }: RulePeriod): RuleFinding {
  const { meshed, bypasses } = workload
  if (bypasses.length > 0) {
    const spots = bypasses.map(({ kind, port, detail }) => `${kind} ${port ?? detail}`)
    return ofWorkload(cluster.id, workload, 'fail', `These bypass the proxy: ${spots.join(', ')}`)
  }
  return meshed.yes + meshed.partly + meshed.unknown === 0
    ? ofWorkload(cluster.id, workload, 'not-applicable', 'It had no proxy to bypass')
    : ofWorkload(
        cluster.id,
        workload,
        'pass',
        'No port or subnet bypasses the proxy',
        seenOfWorkload(workload, windows),
      )
}

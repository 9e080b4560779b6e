import type { WorkloadHistory } from '../../../model/period.ts'
import { workloadKey } from '../../pods/facts.ts'
import { type Rule, type RuleFinding, type RulePeriod, ofWorkload } from '../rule.ts'
import { seenOfWorkload } from '../seen.ts'

/** Reasons of a path for which a pod's labels, or a proxy that is not its own, put a reading in doubt. */
const DOUBTS: ReadonlySet<string> = new Set([
  'labels-overridden',
  'labels-overridden (not corroborated)',
  'instance-not-confirmed',
])

/** Judges whether what is read of a workload is open to its own say. */
export const labelsNotSpoofed: Rule = {
  id: 'labels-not-spoofed',
  title: 'No pod label overwrites a metric label',
  why: 'The Prometheus of Linkerd’s viz copies every pod label onto the metrics of its proxy. With the label tls=true, a pod reports TLS for all its connections.',
  needs:
    'The labels of all pods of the workload, from complete Kubernetes snapshots that agree around every window. If pod labels, or a proxy whose pod is not confirmed, put the state of a path in doubt, the verdict for both of its workloads is “not enough evidence”.',
  readsLists: true,
  check: (period) => {
    const doubted = new Set(
      period.cluster.rows
        .filter(({ reason }) => DOUBTS.has(reason))
        .flatMap(({ source, destination }) => [workloadKey(source), workloadKey(destination)]),
    )
    return (period.facts?.workloads ?? []).map((workload) =>
      judge(workload, doubted.has(workloadKey(workload)), period),
    )
  },
}

function judge(workload: WorkloadHistory, isDoubted: boolean, { cluster, windows }: RulePeriod): RuleFinding {
  const { overriding } = workload
  if (overriding.length > 0)
    return ofWorkload(cluster.id, workload, 'fail', `Pod labels overwrite metric labels: ${overriding.join(', ')}`)
  return isDoubted
    ? ofWorkload(
        cluster.id,
        workload,
        'not-enough-evidence',
        'The state of its paths is in doubt: labels-overridden or instance-not-confirmed',
      )
    : ofWorkload(
        cluster.id,
        workload,
        'pass',
        'No pod label overwrites a metric label that ciphertrail reads',
        seenOfWorkload(workload, windows),
      )
}

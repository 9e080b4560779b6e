import type { ClusterPeriod } from '../../model/period.ts'
import type { Destination, Endpoint, Source } from '../../model/path.ts'
import type { Scope, Subject } from '../../model/judgement.ts'
import { workloadKey } from '../pods/facts.ts'
import { matchesAny } from '../../text/pattern.ts'

/** Returns each set of labels that a workload had in the period; empty if unknown. */
export type LabelsOf = (cluster: string, workload: Endpoint) => readonly Readonly<Record<string, string>>[]

/** Finds the labels of workloads in periods. */
export function labelsIn(clusters: readonly ClusterPeriod[]): LabelsOf {
  const known = new Map<string, readonly Readonly<Record<string, string>>[]>()
  const key = (cluster: string, workload: Endpoint) => `${cluster}/${workloadKey(workload)}`
  for (const { id, workloads, facts } of clusters) {
    for (const workload of workloads) if (workload.labels !== undefined) known.set(key(id, workload), [workload.labels])
    for (const workload of facts?.workloads ?? [])
      if (workload.labels.length > 0) known.set(key(id, workload), workload.labels)
  }
  return (cluster, workload) => known.get(key(cluster, workload)) ?? []
}

/** Whether a cluster is judged. Without any scope, every cluster is. */
export function isClusterInScope(cluster: string, scopes: readonly Scope[]): boolean {
  return scopes.length === 0 || scopes.some(({ clusters }) => matchesAny(clusters, cluster))
}

/**
 * Whether a workload is judged: any scope matches its cluster, its namespace and labels that it had at any time in the period. Unknown labels match, because
 * a workload is in scope unless known to be out of it.
 */
export function isWorkloadInScope(
  cluster: string,
  workload: Endpoint,
  scopes: readonly Scope[],
  labelsOf: LabelsOf,
): boolean {
  if (scopes.length === 0) return true
  return scopes.some(({ clusters, namespaces, labels }) => {
    if (!matchesAny(clusters, cluster) || !matchesAny(namespaces, workload.namespace)) return false
    const wanted = Object.entries(labels)
    if (wanted.length === 0) return true
    const known = labelsOf(cluster, workload)
    return known.length === 0 || known.some((had) => wanted.every(([name, value]) => ownLabel(had, name) === value))
  })
}

/** Whether a rule's subject is in scope: a path if either of its ends is, a whole cluster if the cluster is. */
export function isInScope(subject: Subject, scopes: readonly Scope[], labelsOf: LabelsOf): boolean {
  if (subject.kind === 'cluster') return isClusterInScope(subject.cluster, scopes)
  if (subject.kind !== 'path') return isWorkloadInScope(subject.cluster, subject.workload, scopes, labelsOf)
  const { cluster, source, destination } = subject
  return (
    isEndInScope(cluster, source, scopes, labelsOf) ||
    isEndInScope(cluster, destination, scopes, labelsOf) ||
    // The end in another cluster may be in scope under that cluster's name.
    (destination.cluster !== null && isEndInScope(destination.cluster, destination, scopes, labelsOf))
  )
}

/** Whether an end is in scope. An end without a namespace (no mesh identity, or outside the cluster) is not a workload, so the other end decides. */
function isEndInScope(cluster: string, end: Source | Destination, scopes: readonly Scope[], labelsOf: LabelsOf) {
  return scopes.length === 0 || (end.namespace !== '' && isWorkloadInScope(cluster, end, scopes, labelsOf))
}

function ownLabel(labels: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined
}

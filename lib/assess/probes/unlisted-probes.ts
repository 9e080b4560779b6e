import type { Template } from '../../observed/kubernetes-fields.ts'
import type { Attribution } from '../ends/attribution.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { labelOf } from '../counters/labels.ts'
import { templatesOf } from '../pods/lists.ts'
import { type Probe, probesOf } from './probes.ts'

/**
 * What the probes of a pod that no list holds may be: those of the template of the ReplicaSet whose name begins the pod's, else of its workload's
 * template in either list, else of the workload's other pods. Several where these do not agree; empty where there is nothing to go by.
 */
export function unlistedProbes({
  before,
  after,
  podsOf,
}: Pick<Facts, 'before' | 'after' | 'podsOf'>): (at: Attribution) => readonly (readonly Probe[])[] {
  const templates = Map.groupBy(
    [before, after].flatMap((listed) => (listed === null ? [] : templatesOf(listed))),
    ({ workload }) => workloadKey(workload),
  )
  const ofKey = (key: string): readonly (readonly Probe[])[] =>
    distinct(
      (templates.get(key) ?? []).flatMap(({ template }) => {
        const probes = probesOfTemplate(template)
        return probes === null ? [] : [probes]
      }),
    )
  return ({ workload, labels }) => {
    const name = labelOf(labels, 'pod').replace(/-[a-z0-9]+$/, '')
    const own = ofKey(workloadKey({ kind: 'replicaset', namespace: workload.namespace, name }))
    if (own.length > 0) return own
    const template = ofKey(workloadKey(workload))
    return template.length > 0
      ? template
      : distinct((podsOf.get(workloadKey(workload)) ?? []).map(({ probes }) => probes))
  }
}

/** Each list of probes once. */
function distinct(all: readonly (readonly Probe[])[]): readonly (readonly Probe[])[] {
  return [...new Map(all.map((probes) => [JSON.stringify(probes), probes])).values()]
}

/** The probes of a template; null where the stored list lacks its containers. */
function probesOfTemplate(template: Template | undefined): readonly Probe[] | null {
  const { containers, initContainers = [] } = template?.spec ?? {}
  return containers === undefined ? null : probesOf([...initContainers, ...containers])
}

import type { Template } from '../../observed/kubernetes-fields.ts'
import type { Attribution } from '../ends/attribution.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { labelOf } from '../counters/labels.ts'
import { templatesOf } from '../pods/pod-templates.ts'
import { type Probe, probesOf } from './declared-probes.ts'

/**
 * Finds the possible probes of an unlisted pod: from the template of the ReplicaSet whose name is the pod's prefix, or else its workload's template in either
 * list, or else the workload's other pods. Several if these differ; empty if there are none.
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

/** Removes duplicate lists of probes. */
function distinct(all: readonly (readonly Probe[])[]): readonly (readonly Probe[])[] {
  return [...new Map(all.map((probes) => [JSON.stringify(probes), probes])).values()]
}

/** Returns the probes of a template; null if the stored list does not have its containers. */
function probesOfTemplate(template: Template | undefined): readonly Probe[] | null {
  const { containers, initContainers = [] } = template?.spec ?? {}
  return containers === undefined ? null : probesOf([...initContainers, ...containers])
}

import type { Destination, Endpoint } from '../model.ts'
import { ownerLabel } from './attribution.ts'
import type { Facts } from './facts.ts'
import { type Labels, addressOf, hostOf, labelOf } from './labels.ts'

/** Finds what an outbound series went to: the first that its labels name. */
export function destinations(facts: Facts): (labels: Labels) => Destination {
  const byAddress = new Map(facts.pods.flatMap((pod) => pod.addresses.map((address) => [address, pod] as const)))
  const byName = new Map(facts.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod] as const))

  const inCluster = (workload: Endpoint, labels: Labels): Destination => ({
    ...workload,
    serviceAccount: labelOf(labels, 'dst_serviceaccount') || facts.serviceAccountOf(workload),
    cluster: null,
  })

  return (labels) => {
    const namespace = labelOf(labels, 'dst_namespace')
    const external = labelOf(labels, 'dst_external_workload')
    if (external !== '') return inCluster({ kind: 'externalworkload', namespace, name: external }, labels)

    const cluster = labelOf(labels, 'dst_target_cluster')
    if (cluster !== '') {
      const service = labelOf(labels, 'dst_target_service')
      return {
        kind: 'service',
        namespace: labelOf(labels, 'dst_target_service_namespace'),
        name: service,
        serviceAccount: null,
        cluster,
      }
    }

    const pod = labelOf(labels, 'dst_pod')
    const listed = pod === '' ? undefined : byName.get(`${namespace}/${pod}`)
    const owner = ownerLabel(labels, 'dst_', namespace)
    if (owner !== null) return inCluster(facts.rollUp(owner), labels)
    if (pod !== '')
      return inCluster(
        listed?.workload ?? facts.ownerByName(namespace, pod) ?? { kind: 'pod', namespace, name: pod },
        labels,
      )

    const address = addressOf(labels)
    const at = byAddress.get(address)
    if (at !== undefined) return inCluster(at.workload, labels)
    const service = labelOf(labels, 'dst_service')
    if (service !== '') return inCluster({ kind: 'service', namespace, name: service }, {})
    return {
      kind: 'external',
      namespace: '',
      name: hostOf(labelOf(labels, 'authority')) || address || 'unknown',
      serviceAccount: null,
      cluster: null,
    }
  }
}

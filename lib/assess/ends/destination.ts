import type { Destination, Endpoint } from '../../model/path.ts'
import { API_SERVER, apiServers } from './api-server.ts'
import { ownerLabel } from './attribution.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { type Labels, addressOf, hostOf, labelOf, portOf } from '../counters/labels.ts'
import { placesOf } from '../pods/pod-network.ts'
import type { PodFacts } from '../pods/pods.ts'

/**
 * Destination of an outbound series, and how it is known. `named`: by discovery labels or a listed pod's address. `api-server`: by the endpoints of the
 * Kubernetes API server. `node`: by a node's address, where there is no proxy. `unlisted`: an address of the pod network that no listed pod has, so its pod
 * ended or was not listed. `other-cluster`: its labels name a pod of another cluster. `outside`: none of these.
 */
export type Reached = {
  readonly destination: Destination
  readonly by: 'named' | 'api-server' | 'node' | 'unlisted' | 'other-cluster' | 'outside'
  /** The listed pods that it may be, by name and address: one, unless several had the address in the window. */
  readonly pods: readonly PodFacts[]
  /** Its labels name a pod that neither a list nor cAdvisor shows. */
  readonly isPodUnknown: boolean
}

type Found = Pick<Reached, 'destination' | 'by'>

/** Ports of a node's own services: the kubelet's and kube-proxy's. */
const NODE_PORTS: ReadonlySet<number> = new Set([10_248, 10_249, 10_250, 10_255, 10_256])

/** Label of a Service whose endpoints are another cluster's pods (flat network, no gateway). Its value is the name of that cluster's link. */
const REMOTE_DISCOVERY = 'multicluster.linkerd.io/remote-discovery'
const REMOTE_SERVICE = 'multicluster.linkerd.io/remote-service'

/** Finds the destination of an outbound series: the first that its labels name. */
export function destinations(facts: Facts): (labels: Labels) => Reached {
  const byAddress = Map.groupBy(
    facts.pods.flatMap((pod) => pod.addresses.map((address) => ({ address, pod }))),
    ({ address }) => address,
  )
  const byName = Map.groupBy(facts.pods, (pod) => `${pod.namespace}/${pod.name}`)
  const isApiServer = apiServers(facts)
  const placeOf = placesOf(facts)
  const taken = [facts.before, facts.after].filter((listed) => listed !== null)
  const services = new Map(
    taken
      .flatMap(({ services: all }) => all)
      .map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one] as const),
  )
  // Without listed ReplicaSets, a pod's name does not show its Deployment.
  const hasReplicaSets = taken.some(({ replicasets }) => replicasets.length > 0)
  const endpoints = new Map(
    taken
      .flatMap(({ endpointslices }) => endpointslices)
      .flatMap((slice) => slice.endpoints ?? [])
      .flatMap(({ addresses, targetRef }) => addresses.map((address) => [address, targetRef] as const)),
  )

  const inCluster = (workload: Endpoint, labels: Labels): Destination => ({
    ...workload,
    serviceAccount: labelOf(labels, 'dst_serviceaccount') || facts.serviceAccountOf(workload),
    cluster: null,
  })
  const named = (workload: Endpoint, labels: Labels): Found => ({
    destination: inCluster(workload, labels),
    by: 'named',
  })

  const serviceOf = (labels: Labels) => {
    const namespace = labelOf(labels, 'dst_namespace')
    const name = labelOf(labels, 'dst_service')
    return { namespace, name, mirror: services.get(`${namespace}/${name}`)?.metadata.labels?.[REMOTE_DISCOVERY] }
  }

  /**
   * Whether labels name another cluster's pod: on a flat network they look like those of a local workload. An unlisted pod of this cluster is recognised by
   * its address or, if that does not decide, by the ReplicaSet in its name.
   */
  const isOtherClusters = (labels: Labels, owner: Endpoint | null): boolean => {
    const address = addressOf(labels)
    const place = placeOf(address)
    if (place === 'pod' || place === 'node' || address === '') return false
    if (serviceOf(labels).mirror !== undefined) return true
    if (place === 'outside')
      return owner === null || !isOnHosts(facts.podsOf.get(workloadKey(facts.rollUp(owner))) ?? [])
    const [namespace, pod] = [labelOf(labels, 'dst_namespace'), labelOf(labels, 'dst_pod')]
    const isNamed =
      pod !== '' && hasReplicaSets && owner?.kind === 'deployment' && facts.workloads.has(workloadKey(owner))
    return (
      place === 'wide' &&
      isNamed &&
      !byName.has(`${namespace}/${pod}`) &&
      facts.controllerByName(namespace, pod) === null
    )
  }

  const otherClusters = (labels: Labels): Found => {
    const { namespace, name, mirror } = serviceOf(labels)
    if (name === '') return { ...outside(labels), by: 'other-cluster' }
    const remote = services.get(`${namespace}/${name}`)?.metadata.labels?.[REMOTE_SERVICE] ?? name
    const destination = { kind: 'service', namespace, name: remote, serviceAccount: null, cluster: mirror ?? null }
    return { destination, by: 'other-cluster' }
  }

  const outside = (labels: Labels): Found => {
    const name = hostOf(labelOf(labels, 'authority')) || addressOf(labels) || 'unknown'
    return {
      destination: { kind: 'external', namespace: '', name, serviceAccount: null, cluster: null },
      by: 'outside',
    }
  }

  /** Returns the only workload on a node's network that declares a port, or the only one there. Null if several may use the node's address. */
  const onNode = (address: string, port: number): Endpoint | null => {
    const there = facts.pods.filter(({ hostAddresses }) => hostAddresses.includes(address))
    const declaring = there.filter(({ ports }) => ports.some((one) => one.port === port))
    const candidates = declaring.length > 0 ? declaring : NODE_PORTS.has(port) ? [] : there
    const [only, ...others] = new Map(candidates.map(({ workload }) => [workloadKey(workload), workload])).values()
    return only !== undefined && others.length === 0 ? only : null
  }

  /** Names an unlisted pod by its address: from an EndpointSlice, or else the address itself. */
  const unlisted = (address: string): Endpoint => {
    const { kind, namespace = '', name = '' } = endpoints.get(address) ?? {}
    if (kind !== 'Pod' || name === '') return { kind: 'pod', namespace: '', name: address }
    return facts.ownerByName(namespace, name) ?? { kind: 'pod', namespace, name }
  }

  const podsReached = (labels: Labels): Pick<Reached, 'pods' | 'isPodUnknown'> => {
    const pod = labelOf(labels, 'dst_pod')
    const at = byAddress.get(addressOf(labels))?.map((one) => one.pod) ?? []
    // Without a name, only lists on both sides of the window show who else had the address.
    if (pod === '') return { pods: facts.before === null ? [] : at, isPodUnknown: false }
    const named = byName.get(`${labelOf(labels, 'dst_namespace')}/${pod}`) ?? []
    // A StatefulSet's pod has its predecessor's name, and a pod that only cAdvisor showed has no address.
    const own = named.filter((one) => one.unlisted !== undefined || at.includes(one))
    return { pods: own, isPodUnknown: named.length === 0 }
  }

  const find = (labels: Labels): Found => {
    const namespace = labelOf(labels, 'dst_namespace')
    const external = labelOf(labels, 'dst_external_workload')
    if (external !== '') return named({ kind: 'externalworkload', namespace, name: external }, labels)

    const cluster = labelOf(labels, 'dst_target_cluster')
    if (cluster !== '') {
      const service = labelOf(labels, 'dst_target_service')
      const destination = {
        kind: 'service',
        namespace: labelOf(labels, 'dst_target_service_namespace'),
        name: service,
        serviceAccount: null,
        cluster,
      }
      return { destination, by: 'named' }
    }

    if (isApiServer(labels)) return { destination: inCluster(API_SERVER, {}), by: 'api-server' }

    const pod = labelOf(labels, 'dst_pod')
    const owner = ownerLabel(labels, 'dst_', namespace)
    if ((owner !== null || pod !== '') && isOtherClusters(labels, owner)) return otherClusters(labels)
    const listed = pod === '' ? undefined : byName.get(`${namespace}/${pod}`)?.at(-1)
    if (owner !== null) return named(facts.rollUp(owner), labels)
    if (pod !== '')
      return named(
        listed?.workload ?? facts.ownerByName(namespace, pod) ?? { kind: 'pod', namespace, name: pod },
        labels,
      )

    const address = addressOf(labels)
    const at = byAddress.get(address)?.at(-1)
    if (at !== undefined) return named(at.pod.workload, labels)
    const place = placeOf(address)
    if (place === 'node') {
      const onHost = onNode(address, portOf(labels) ?? 0)
      if (onHost !== null) return { destination: inCluster(onHost, labels), by: 'node' }
    }
    const service = labelOf(labels, 'dst_service')
    if (service !== '') return named({ kind: 'service', namespace, name: service }, {})
    if (place === 'near') return { destination: inCluster(unlisted(address), {}), by: 'unlisted' }
    return place === 'node' ? { ...outside({ target_ip: address }), by: 'node' } : outside(labels)
  }
  return (labels) => {
    const found = find(labels)
    // Pods of another cluster may have the same addresses and names as local ones.
    const isHere = found.by === 'named' && found.destination.cluster === null
    return { ...found, ...(isHere ? podsReached(labels) : { pods: [], isPodUnknown: false }) }
  }
}

/** Whether all pods have their nodes' addresses, not all of which may be known. */
function isOnHosts(pods: readonly PodFacts[]): boolean {
  return pods.length > 0 && pods.every(({ hostNetwork }) => hostNetwork)
}

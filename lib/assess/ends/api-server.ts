import type { Facts } from '../pods/facts.ts'
import { addressOf, type Labels, portOf } from '../counters/labels.ts'

/** How the Kubernetes API server is named as the end of a path, whatever address of it was dialled. */
export const API_SERVER = { kind: 'service', namespace: 'default', name: 'kubernetes' } as const

/** The reason of what goes there by TLS of its own. */
export const API_SERVER_REASON = 'kubernetes-api'

/**
 * Whether an outbound series leads to the Kubernetes API server: to an address and port that the EndpointSlices of `default/kubernetes` name, or
 * to its Service. The API server writes both itself; what a pod says of itself never counts, and a listed pod's own address is not it.
 */
export function apiServers({
  before,
  after,
  pods,
}: Pick<Facts, 'before' | 'after' | 'pods'>): (labels: Labels) => boolean {
  const ofPods = new Set(pods.flatMap(({ addresses }) => addresses))
  const ends = new Set<string>()
  const add = (addresses: readonly string[], ports: readonly (number | undefined)[]) => {
    for (const address of addresses)
      for (const port of ports) if (port !== undefined && !ofPods.has(address)) ends.add(`${address} ${port}`)
  }
  for (const listed of [before, after]) {
    if (listed === null) continue
    for (const { metadata, endpoints, ports } of listed.endpointslices) {
      if (metadata.namespace !== API_SERVER.namespace) continue
      if ((metadata.labels?.['kubernetes.io/service-name'] ?? metadata.name) !== API_SERVER.name) continue
      // A slice of pods is somebody's own: the API server's endpoints refer to nothing.
      const own = (endpoints ?? []).filter(({ targetRef }) => targetRef === undefined)
      add(
        own.flatMap(({ addresses }) => addresses),
        (ports ?? []).map(({ port }) => port),
      )
    }
    for (const { metadata, spec } of listed.services)
      if (metadata.namespace === API_SERVER.namespace && metadata.name === API_SERVER.name)
        add(
          [spec.clusterIP ?? '', ...(spec.clusterIPs ?? [])].filter((address) => address !== '' && address !== 'None'),
          (spec.ports ?? []).map(({ port }) => port),
        )
  }
  return (labels) => ends.has(`${addressOf(labels)} ${portOf(labels) ?? 0}`)
}

import type { Facts } from '../pods/facts.ts'
import { addressOf, type Labels, portOf } from '../counters/labels.ts'

/** The Kubernetes API server as the end of a path, whatever address was dialled. */
export const API_SERVER = { kind: 'service', namespace: 'default', name: 'kubernetes' } as const

/** Reason for connections to the API server with their own TLS. */
export const API_SERVER_REASON = 'kubernetes-api'

/**
 * Finds whether an outbound series leads to the Kubernetes API server: to an address and port in the EndpointSlices of `default/kubernetes`, or to its
 * Service. The API server writes both itself. A pod's own labels never count, and a listed pod's address never matches.
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
      // The API server's endpoints have no `targetRef`; other slices are not its own.
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

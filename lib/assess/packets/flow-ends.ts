import type { PacketEnd } from '../../observed/packet-rows.ts'
import type { Endpoint } from '../../model/path.ts'
import type { Seconds } from '../../model/time.ts'
import { factsOf, workloadKey } from '../pods/facts.ts'
import type { KubernetesLists } from '../pods/lists.ts'

/**
 * Finds who has an address: the workload of its pod in the Kubernetes lists, or the service. Null if the address is unknown, several workloads may have had
 * it at the time, or pods share it with their node.
 *
 * @param lists the nearest lists before and after the capture
 * @param time time of the capture, because addresses of ended pods are reused
 */
export function endNamer(
  { before, after }: { readonly before: KubernetesLists | null; readonly after: KubernetesLists | null },
  time: { readonly start: Seconds; readonly end: Seconds },
  linkerdNamespace: string,
): (end: PacketEnd) => Endpoint | null {
  const owners = new Map<string, Endpoint | null>()
  const give = (address: string, owner: Endpoint): void => {
    const known = owners.get(address)
    const isOther = known === null || (known !== undefined && workloadKey(known) !== workloadKey(owner))
    owners.set(address, isOther ? null : owner)
  }
  for (const { addresses, workload } of factsOf(before, after, time, linkerdNamespace).pods)
    for (const address of addresses) give(address, workload)
  for (const { metadata, spec } of [before, after].flatMap((listed) => listed?.services ?? [])) {
    const service = { kind: 'service', namespace: metadata.namespace ?? '', name: metadata.name }
    for (const address of new Set([spec.clusterIP ?? '', ...(spec.clusterIPs ?? [])]))
      if (address !== '' && address !== 'None') give(address, service)
  }
  return ({ address }) => owners.get(address) ?? null
}

import type { Edge } from '../../model/window.ts'
import type { Seconds } from '../../model/time.ts'
import type { State } from '../../model/path.ts'
import { type Facts, workloadKey } from './facts.ts'
import type { PodFacts } from './pods.ts'
import { isIPv6 } from './ip-family.ts'

/** How long after a window's start the list before it may be taken. */
const LIST_SECONDS: Seconds = 120

/**
 * Whether a meshed pod with its own init containers before `linkerd-init` started, or may have started, in the window: their connections bypassed the proxy.
 */
export function ranEarlyInit({ meshed, earlyInit, life }: PodFacts, { before }: Pick<Facts, 'before'>): boolean {
  return meshed && earlyInit.length > 0 && life.from > (before?.takenAt ?? -Infinity) - LIST_SECONDS
}

/**
 * Returns why a path that looks encrypted is unknown: plaintext connections between the same ends may have bypassed both proxies. Null if none can have.
 *
 * @param hasUnnamed the destination's port let in unnamed traffic that was or may have been plaintext
 */
export function aroundProxy(
  { source, destination }: Pick<Edge, 'source' | 'destination'>,
  facts: Facts,
  hasUnnamed: boolean,
): { readonly state: State; readonly reason: string } | null {
  const from =
    source.kind === 'serviceaccount'
      ? facts.pods.filter((pod) => pod.namespace === source.namespace && pod.serviceAccount === source.name)
      : (facts.podsOf.get(workloadKey(source)) ?? [])
  const to = destination.cluster === null ? (facts.podsOf.get(workloadKey(destination)) ?? []) : []
  const early = from.filter((pod) => ranEarlyInit(pod, facts))
  if (hasUnnamed && early.length > 0)
    return { state: 'unknown', reason: `source-partly-unmeshed (${early.length} of ${from.length})` }
  // If the destination's proxy receives IPv6, any IPv6 plaintext is part of its port's unnamed traffic.
  const isHidden = (pod: PodFacts) => pod.addresses.some(isIPv6) && (hasUnnamed || pod.isIPv6Unproxied)
  return from.some((pod) => pod.isIPv6Unproxied) && to.some(isHidden) && !isReachedByIPv4Alone(to, facts)
    ? { state: 'unknown', reason: 'ipv6-not-proxied' }
    : null
}

/** Whether the destination has Services and none leads to an IPv6 address: clients use DNS names, and these resolve only to IPv4. */
function isReachedByIPv4Alone(pods: readonly PodFacts[], { before, after }: Facts): boolean {
  const addresses = new Set(pods.flatMap((pod) => pod.addresses.filter(isIPv6)))
  const taken = [before, after].filter((listed) => listed !== null)
  const services = taken.flatMap((listed) =>
    listed.services.filter(({ metadata, spec }) => {
      const selector = Object.entries(spec.selector ?? {})
      return (
        selector.length > 0 &&
        pods.some(
          ({ namespace, labels }) =>
            namespace === metadata.namespace && selector.every(([name, value]) => labels[name] === value),
        )
      )
    }),
  )
  const isIPv4 = (families: readonly string[] | undefined) =>
    families !== undefined && families.length > 0 && families.every((family) => family === 'IPv4')
  // Manually written endpoints may lead there through a Service without a selector.
  const slices = taken.flatMap(({ endpointslices }) => endpointslices)
  const leadsToIPv6 = slices.some(({ endpoints }) =>
    endpoints?.some((endpoint) => endpoint.addresses.some((address) => addresses.has(address))),
  )
  return services.length > 0 && services.every(({ spec }) => isIPv4(spec.ipFamilies)) && !leadsToIPv6
}

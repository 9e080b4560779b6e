import type { Edge } from '../../model/window.ts'
import type { Seconds } from '../../model/time.ts'
import type { State } from '../../model/path.ts'
import { type Facts, workloadKey } from './facts.ts'
import type { PodFacts } from './pods.ts'
import { isIPv6 } from './ip-family.ts'

/** How much later than a window's start the list before it may be taken. */
const LIST_SECONDS: Seconds = 120

/**
 * Whether a meshed pod began in the window, or may have, by init containers of its own that ran before `linkerd-init`: their connections went
 * around the proxy.
 */
export function ranEarlyInit({ meshed, earlyInit, life }: PodFacts, { before }: Pick<Facts, 'before'>): boolean {
  return meshed && earlyInit.length > 0 && life.from > (before?.takenAt ?? -Infinity) - LIST_SECONDS
}

/**
 * Why a path that looks encrypted is not known to be: clear connections between the same ends may have gone around both proxies. Null where
 * none can have.
 *
 * @param hasUnnamed the destination's port let in traffic without a name that was, or may have been, in the clear
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
  // Where the destination's proxy has what comes by IPv6, the clear part of it is what its port got without a name.
  const isHidden = (pod: PodFacts) => pod.addresses.some(isIPv6) && (hasUnnamed || pod.isIPv6Unproxied)
  return from.some((pod) => pod.isIPv6Unproxied) && to.some(isHidden) && !isReachedByIPv4Alone(to, facts)
    ? { state: 'unknown', reason: 'ipv6-not-proxied' }
    : null
}

/** Whether the destination has Services, and none of them leads to an IPv6 address: clients go by names, and these have IPv4 addresses alone. */
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
  // Endpoints that somebody wrote by hand lead there by a Service without a selector.
  const slices = taken.flatMap(({ endpointslices }) => endpointslices)
  const leadsToIPv6 = slices.some(({ endpoints }) =>
    endpoints?.some((endpoint) => endpoint.addresses.some((address) => addresses.has(address))),
  )
  return services.length > 0 && services.every(({ spec }) => isIPv4(spec.ipFamilies)) && !leadsToIPv6
}

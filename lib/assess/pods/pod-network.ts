import type { Facts } from './facts.ts'
import { isIPv6, MAPPED } from './ip-family.ts'

/**
 * Where an address is, according to the addresses of listed pods. `pod`: a listed pod has it. `node`: a node, or pods on its network, have it. `near`: in the
 * small range of a listed pod, without nodes, so it belongs to an unlisted pod. `wide`: in the cluster's larger range, or in one that nodes and pods share.
 * `outside`: in none of these. `unknown`: no listed pod has an address of this IP family.
 */
export type AddressPlace = 'pod' | 'node' | 'near' | 'wide' | 'outside' | 'unknown'

/**
 * Finds where an address is. Each node gets a small range of the pod network, so the first 24 bits of a listed pod's IPv4 address (64 bits for IPv6) contain
 * only pods. If a cloud puts nodes and pods in the same subnets, the range also contains other machines and proves less.
 */
export function placesOf(facts: Pick<Facts, 'before' | 'after' | 'pods'>): (address: string) => AddressPlace {
  const listed = new Set(facts.pods.flatMap(({ addresses }) => addresses))
  const nodes = new Set<string>()
  const addresses = new Set<string>()
  for (const { spec, status } of [...(facts.before?.pods ?? []), ...(facts.after?.pods ?? [])]) {
    const own = [status.podIP ?? '', ...(status.podIPs ?? []).map(({ ip }) => ip)].filter((ip) => ip !== '')
    for (const ip of own) (spec.hostNetwork === true ? nodes : addresses).add(ip)
    if (status.hostIP !== undefined && status.hostIP !== '') nodes.add(status.hostIP)
  }
  const ranges = (all: ReadonlySet<string>, size: 'near' | 'wide') =>
    new Set([...all].map((address) => rangeOf(address, size)))
  const [near, wide, ofNodes] = [ranges(addresses, 'near'), ranges(addresses, 'wide'), ranges(nodes, 'near')]
  const isKnown = { true: [...addresses].some(isIPv6), false: [...addresses].some((address) => !isIPv6(address)) }
  return (address) => {
    if (listed.has(address)) return 'pod'
    if (nodes.has(address)) return 'node'
    const range = rangeOf(address, 'near')
    if (range === null || !isKnown[`${isIPv6(address)}`]) return 'unknown'
    if (near.has(range)) return ofNodes.has(range) ? 'wide' : 'near'
    if (ofNodes.has(range)) return 'node'
    return wide.has(rangeOf(address, 'wide')) ? 'wide' : 'outside'
  }
}

/** Returns the first bits of an address as text: 24 and 16 for IPv4, 64 and 48 for IPv6. Null if it is not an address. */
function rangeOf(address: string, size: 'near' | 'wide'): string | null {
  const v4 = MAPPED.exec(address)
  if (v4 !== null) return v4.slice(1, size === 'near' ? 4 : 3).join('.')
  const [left = '', right] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [first, last] = [groups(left), groups(right ?? '')]
  const zeros = right === undefined ? 0 : 8 - first.length - last.length
  const all = [...first, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...last]
  if (all.length !== 8 || !all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null
  return all
    .slice(0, size === 'near' ? 4 : 3)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

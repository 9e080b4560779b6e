import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import type { BlockList, LookupFunction } from 'node:net'
import { networkOf, networksIn } from './networks.ts'
import { oneLine } from '../text/redact.ts'
import { SetupError, UnreachableError } from './errors.ts'

/** Why an address must not be connected to; undefined: it is allowed. */
export type AddressCheck = (address: string) => string | undefined

/**
 * Addresses where no cluster or Prometheus is, but where clouds hand out the machine's credentials: link-local addresses, among them 169.254.169.254 of most
 * clouds, and the metadata services at other addresses, as each cloud documents them.
 */
const REFUSED: readonly [network: string, what: string][] = [
  ['0.0.0.0/8', 'no address of a server'],
  ['169.254.0.0/16', 'link-local, where clouds have their metadata service'],
  ['168.63.129.16/32', 'a service of Azure'],
  ['100.100.100.200/32', 'the metadata service of Alibaba Cloud'],
  ['192.0.0.192/32', 'the metadata service of Oracle Cloud'],
  ['224.0.0.0/3', 'no address of a server'],
  ['::/128', 'no address of a server'],
  // These embed an IPv4 address at varying positions. No server is reached by one, and the translator is unknown.
  ['64:ff9b:1::/48', 'an IPv4 address in disguise'],
  ['2002::/16', 'an IPv4 address in disguise'],
  ['2001::/32', 'an IPv4 address in disguise'],
  ['::ffff:0:0:0/96', 'an IPv4 address in disguise'],
  ['::/96', 'an IPv4 address in disguise'],
  ['fe80::/10', 'link-local'],
  ['fd00:ec2::/32', 'the metadata service of AWS'],
  ['fd20:ce::254/128', 'the metadata service of Google Cloud'],
  ['ff00::/8', 'no address of a server'],
]

/**
 * Makes the check of addresses: without `networks` it allows all but those of metadata services and the like, with it only those in it.
 *
 * @param networks such as `10.0.0.0/8, fd00::/8`; separated by commas or spaces
 * @throws SetupError if it is not a list of networks
 */
export function addressCheck(networks: string | undefined): AddressCheck {
  if (networks === undefined) {
    const lists = REFUSED.map(([network, what]) => ({ list: listOf(network), what }))
    // It is in ::/96, and is this machine.
    const loopback = listOf('::1')
    const refused = (address: string): string | undefined => lists.find(({ list }) => includes(list, address))?.what
    return (address) => {
      if (includes(loopback, address)) return undefined
      const target = isatapTarget(address)
      return refused(address) ?? (target === undefined ? undefined : refused(target))
    }
  }
  const allowed = networksIn(networks).map(listOf)
  return (address) =>
    allowed.some((list) => includes(list, address)) ? undefined : 'outside CIPHERTRAIL_ALLOWED_NETWORKS'
}

function listOf(network: string): BlockList {
  const list = networkOf(network)
  if (list !== undefined) return list
  throw new SetupError(
    `CIPHERTRAIL_ALLOWED_NETWORKS holds "${oneLine(network)}", wanted networks such as 10.0.0.0/8 or fd00::/8`,
  )
}

/** IPv4 addresses in IPv6 form (`::ffff:10.0.0.1`) count as IPv4. */
function includes(list: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** The IPv4 address that an ISATAP interface sends to (RFC 5214); it follows the prefix of any network. */
function isatapTarget(address: string): string | undefined {
  const [written = ''] = address.split('%')
  if (isIP(written) !== 6) return undefined
  const { hostname } = new URL(`http://[${written}]`)
  const [, ...pairs] = /:(?:0|200)?:5efe:([\da-f]{1,4}):([\da-f]{1,4})\]$/.exec(hostname) ?? []
  if (pairs.length === 0) return undefined
  return pairs.flatMap((pair) => [parseInt(pair, 16) >> 8, parseInt(pair, 16) & 255]).join('.')
}

/**
 * Refuses the host of a URL if it is an address that must not be connected to. A name is checked by {@link checkedLookup} when it is resolved for the
 * connection: its addresses can change between two lookups.
 *
 * @throws UnreachableError
 */
export function refuseAddress({ hostname }: URL, check: AddressCheck): void {
  const address = hostname.replace(/^\[|\]$/g, '')
  const what = isIP(address) === 0 ? undefined : check(address)
  if (what !== undefined) throw refusal(address, what)
}

/** Resolves a name for a connection, and fails if any of its addresses is refused. */
export function checkedLookup(check: AddressCheck): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '')
      for (const { address } of addresses) {
        const what = check(address)
        if (what !== undefined) return callback(refusal(`${address} of "${oneLine(hostname)}"`, what), '')
      }
      const [first] = addresses
      if (options.all === true || first === undefined) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }
}

function refusal(address: string, what: string): UnreachableError {
  return new UnreachableError('configuration', `the address ${address} is refused, it is ${what}`, {
    hint: 'if it is meant, name its network in CIPHERTRAIL_ALLOWED_NETWORKS',
  })
}

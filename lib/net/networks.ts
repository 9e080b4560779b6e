import { BlockList, isIP } from 'node:net'

/** Prefix of 96 bits, followed by an IPv4 address that NAT64 translates to (RFC 6052). */
const NAT64 = '64:ff9b::'

/** Splits a list of networks such as `10.0.0.0/8, fd00::/8`, separated by commas or spaces. */
export function networksIn(text: string): string[] {
  return text.split(/[\s,]+/).filter((network) => network !== '')
}

/** The addresses of a network such as `10.0.0.0/8`, including those behind NAT64; undefined for invalid text. */
export function networkOf(text: string): BlockList | undefined {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  const longest = family === 4 ? 32 : 128
  const bits = Number(prefix ?? longest)
  if (family === 0 || rest.length > 0 || !/^\d{1,3}$/.test(prefix ?? '0') || bits > longest) return undefined
  const list = new BlockList()
  list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6')
  if (family === 4) list.addSubnet(`${NAT64}${address}`, 96 + bits, 'ipv6')
  return list
}

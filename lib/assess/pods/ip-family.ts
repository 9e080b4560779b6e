/** Whether an address is one of IPv6. */
export function isIPv6(address: string): boolean {
  return address.includes(':') && !MAPPED.test(address)
}

/** An IPv4 address, also as IPv6 writes it. */
export const MAPPED = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i

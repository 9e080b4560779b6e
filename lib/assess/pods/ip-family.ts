/** Whether an address is an IPv6 address. */
export function isIPv6(address: string): boolean {
  return address.includes(':') && !MAPPED.test(address)
}

/** An IPv4 address, also in IPv6-mapped form. */
export const MAPPED = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i

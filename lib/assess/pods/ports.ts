/** Inclusive ranges of ports, as Linkerd's annotations and arguments name them: `4567,4568` or `8000-9000`. */
export type PortRanges = readonly { readonly from: number; readonly to: number }[]

/** Reads a list of ports and ranges. Parts that are neither (names, which only the injector can resolve) are left out. */
export function parsePorts(text: string): PortRanges {
  return text.split(',').flatMap((part) => {
    const match = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part)
    if (match === null) return []
    const from = Number(match[1])
    return [{ from, to: match[2] === undefined ? from : Number(match[2]) }]
  })
}

/** Whether a port is in one of the ranges. */
export function includesPort(ranges: PortRanges, port: number): boolean {
  return ranges.some(({ from, to }) => port >= from && port <= to)
}

/** Formats ranges as text; a range of one port is a single number. */
export function printPorts(ranges: PortRanges): string[] {
  return ranges.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`))
}

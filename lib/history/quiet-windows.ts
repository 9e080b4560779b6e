/** The bitmap of an interval: which of its windows were quiet. The first window is the lowest bit of the first byte; bits after the last window are 0. */

/** A bitmap in which no window is quiet. */
export function noneQuiet(windows: number): Uint8Array {
  return new Uint8Array(Math.ceil(windows / 8))
}

/** A bitmap in which every window is quiet. */
export function allQuiet(windows: number): Uint8Array {
  const quiet = noneQuiet(windows).fill(0xff)
  return firstOf(quiet, windows)
}

/** A bitmap of so many windows, of which another holds the first ones or more: a copy. */
export function firstOf(quiet: Uint8Array, windows: number): Uint8Array {
  const first = noneQuiet(windows)
  first.set(quiet.subarray(0, first.length))
  const last = first.length - 1
  if (windows % 8 !== 0) first[last] = (first[last] ?? 0) & ((1 << (windows % 8)) - 1)
  return first
}

/** Says of the window at an index, from 0, that it is quiet. Gives the bitmap that holds it, which may be another, with room for more windows. */
export function setQuiet(quiet: Uint8Array, index: number): Uint8Array {
  const byte = index >> 3
  let bits = quiet
  if (byte >= quiet.length) {
    bits = new Uint8Array(Math.max(8, 2 * quiet.length, byte + 1))
    bits.set(quiet)
  }
  bits[byte] = (bits[byte] ?? 0) | (1 << (index & 7))
  return bits
}

/** Whether the window at an index, from 0, was quiet. */
export function isQuietAt(quiet: Uint8Array, index: number): boolean {
  return (((quiet[index >> 3] ?? 0) >> (index & 7)) & 1) === 1
}

/** How many of the windows from one index up to another, which is not among them, were quiet. */
export function countQuiet(quiet: Uint8Array, from: number, to: number): number {
  let count = 0
  for (let index = from; index < to; index++) if (isQuietAt(quiet, index)) count++
  return count
}

/** How many windows at the end were quiet, without a break. */
export function quietAtEnd(quiet: Uint8Array, windows: number): number {
  let count = 0
  while (count < windows && isQuietAt(quiet, windows - 1 - count)) count++
  return count
}

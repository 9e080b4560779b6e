/** Bitmaps of an interval's quiet windows. The first window is the lowest bit of the first byte; bits after the last window are 0. */

/** Returns a bitmap in which no window is quiet. */
export function noneQuiet(windows: number): Uint8Array {
  return new Uint8Array(Math.ceil(windows / 8))
}

/** Returns a bitmap in which every window is quiet. */
export function allQuiet(windows: number): Uint8Array {
  const quiet = noneQuiet(windows).fill(0xff)
  return firstOf(quiet, windows)
}

/** Returns a copy of a bitmap, cut or extended to a number of windows. */
export function firstOf(quiet: Uint8Array, windows: number): Uint8Array {
  const first = noneQuiet(windows)
  first.set(quiet.subarray(0, first.length))
  const last = first.length - 1
  if (windows % 8 !== 0) first[last] = (first[last] ?? 0) & ((1 << (windows % 8)) - 1)
  return first
}

/** Marks the window at an index, from 0, as quiet. Returns the bitmap, which may be a larger copy. */
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

/** Returns how many windows in `[from, to)` were quiet. */
export function countQuiet(quiet: Uint8Array, from: number, to: number): number {
  let count = 0
  for (let index = from; index < to; index++) if (isQuietAt(quiet, index)) count++
  return count
}

/** Returns the length of the quiet run at the end. */
export function quietAtEnd(quiet: Uint8Array, windows: number): number {
  let count = 0
  while (count < windows && isQuietAt(quiet, windows - 1 - count)) count++
  return count
}

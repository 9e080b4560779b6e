/** The extent of a JSON text: how deep its lists and objects nest, and how many values it holds, without member names. */
export type JsonExtent = { readonly depth: number; readonly values: number }

/** Length of text that is scanned as bytes at once: in many megabytes, each character costs twice what its bytes do (measured). */
const PIECE_LENGTH = 1 << 16

const QUOTE = 0x22
const ESCAPE = 0x5c

/** The meaning of a byte outside of strings; 0: none. */
const [BEGINS_STRING, BEGINS_VALUE, BEGINS_MANY, ENDS_MANY] = [1, 2, 3, 4]
const MEANING = new Uint8Array(256)
MEANING[QUOTE] = BEGINS_STRING
for (const [characters, meaning] of [
  [',', BEGINS_VALUE],
  ['[{', BEGINS_MANY],
  [']}', ENDS_MANY],
] as const)
  for (const character of characters) MEANING[character.charCodeAt(0)] = meaning

/**
 * Measures text that may be JSON without parsing it, which would need about fifty bytes of memory per value. Ignores the content of strings, and leaves
 * unbalanced brackets to the parser. Stops soon after either limit is exceeded, so its numbers are then minimums.
 */
export function jsonExtent(text: string, most: JsonExtent): JsonExtent {
  const encoder = new TextEncoder()
  // A UTF-16 unit becomes at most three bytes of UTF-8. A sentinel after them ends both searches, so that they need not check for the end.
  const bytes = new Uint8Array(3 * Math.min(text.length, PIECE_LENGTH) + 1)
  let depth = 0
  let deepest = 0
  let values = 1
  let isString = false
  let at = 0
  for (let from = 0; from < text.length; from += PIECE_LENGTH) {
    const { written } = encoder.encodeInto(text.slice(from, from + PIECE_LENGTH), bytes)
    bytes[written] = QUOTE
    while (at < written) {
      if (isString) {
        while (bytes[at] !== QUOTE && bytes[at] !== ESCAPE) at += 1
        if (at >= written) break
        isString = bytes[at] === ESCAPE
        // The escaped character may be the first byte of the next piece.
        at += isString ? 2 : 1
        continue
      }
      let meaning = MEANING[bytes[at] ?? 0]
      while (meaning === 0) {
        at += 1
        meaning = MEANING[bytes[at] ?? 0]
      }
      if (at >= written) break
      at += 1
      if (meaning === BEGINS_STRING) isString = true
      else if (meaning === BEGINS_VALUE) values += 1
      else if (meaning === BEGINS_MANY) {
        values += 1
        depth += 1
        if (depth > deepest) deepest = depth
        if (deepest > most.depth) return { depth: deepest, values }
      } else depth -= 1
    }
    at -= written
    if (values > most.values) return { depth: deepest, values }
  }
  return { depth: deepest, values }
}

/** How far a JSON text goes: how deep its lists and objects nest, and how many values it holds, names of members apart. */
export type JsonExtent = { readonly depth: number; readonly values: number }

/** So much of a text is looked at as bytes at a time: of many megabytes, each character costs twice what its bytes do (measured). */
const PIECE_LENGTH = 1 << 16

const QUOTE = 0x22
const ESCAPE = 0x5c
const COMMA = 0x2c
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d]

/**
 * Looks at a text that may be JSON without parsing it, which would need some fifty bytes of memory for each value: what stands in strings does not count,
 * brackets that do not fit are left to the parser. Ends soon after either is over what may be, so that it then says "at least".
 */
export function jsonExtent(text: string, most: JsonExtent): JsonExtent {
  const encoder = new TextEncoder()
  // A unit of UTF-16 becomes at most three bytes of UTF-8.
  const bytes = new Uint8Array(3 * Math.min(text.length, PIECE_LENGTH))
  let depth = 0
  let deepest = 0
  let values = 1
  let isString = false
  let at = 0
  for (let from = 0; from < text.length; from += PIECE_LENGTH) {
    const { written } = encoder.encodeInto(text.slice(from, from + PIECE_LENGTH), bytes)
    while (at < written) {
      if (isString) {
        while (at < written && bytes[at] !== QUOTE && bytes[at] !== ESCAPE) at += 1
        if (at >= written) break
        isString = bytes[at] === ESCAPE
        // What is escaped may be the first byte of the next piece.
        at += isString ? 2 : 1
        continue
      }
      const byte = bytes[at]
      at += 1
      if (byte === QUOTE) isString = true
      else if (byte === COMMA) values += 1
      else if (byte === LIST || byte === OBJECT) {
        values += 1
        depth += 1
        if (depth > deepest) deepest = depth
        if (deepest > most.depth) return { depth: deepest, values }
      } else if (byte === LIST_END || byte === OBJECT_END) depth -= 1
    }
    at -= written
    if (values > most.values) return { depth: deepest, values }
  }
  return { depth: deepest, values }
}

import { jsonExtent } from './json-extent.ts'

/** Longer text is measured before it is parsed: 200 MB of `[` cost a parser 20 seconds and gigabytes, and the scan a tenth of a second. */
const MEASURED_LENGTH = 1 << 20

/** Nothing that ciphertrail writes or reads nests deeper. */
const MAX_DEPTH = 200

const TEXT = new TextDecoder()

/** Parses JSON; undefined if it is invalid, or long and nested deeper than anything that is written here. */
export function parseJson(json: Uint8Array | string): unknown {
  const text = typeof json === 'string' ? json : TEXT.decode(json)
  if (text.length > MEASURED_LENGTH) {
    const { depth } = jsonExtent(text, { depth: MAX_DEPTH, values: Number.POSITIVE_INFINITY })
    if (depth > MAX_DEPTH) return undefined
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

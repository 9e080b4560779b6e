/** Parses JSON; undefined if it is invalid. */
export function parseJson(json: Uint8Array | string): unknown {
  try {
    return JSON.parse(typeof json === 'string' ? json : new TextDecoder().decode(json))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

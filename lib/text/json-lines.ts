/**
 * JSON with each item of a long list on its own line, made piece by piece: megabytes need only a few kilobytes of text at once. It is ASCII, so that readers
 * need not guess the encoding.
 */

/** Pieces of a text, in order. */
export type Pieces = Iterable<string>

/** A value as JSON in ASCII. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7E]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** A value as a single piece. */
export const text = (value: unknown): Pieces => [jsonText(value)]

/** An object of fields in JSON form, each on its own line; undefined ones are omitted. */
export function* objectText(fields: Readonly<Record<string, Pieces | undefined>>): Pieces {
  let before = '{\n'
  for (const [name, pieces] of Object.entries(fields)) {
    if (pieces === undefined) continue
    yield `${before}${jsonText(name)}:`
    yield* pieces
    before = ',\n'
  }
  yield before === '{\n' ? '{}' : '\n}'
}

/** A list of values, each on its own line; `[]` for none. */
export function* listText(values: Iterable<unknown>): Pieces {
  let before = '[\n'
  for (const value of values) {
    yield `${before}${jsonText(value)}`
    before = ',\n'
  }
  yield before === '[\n' ? '[]' : '\n]'
}

/** Number of characters gathered before they become bytes. */
const GATHERED = 65_536

/** All pieces as bytes, with a final line end. Pieces are ASCII. */
export function bytesOf(pieces: Pieces): Uint8Array {
  const chunks: Buffer[] = []
  let gathered = ''
  for (const piece of pieces) {
    gathered += piece
    if (gathered.length < GATHERED) continue
    chunks.push(Buffer.from(gathered, 'latin1'))
    gathered = ''
  }
  chunks.push(Buffer.from(`${gathered}\n`, 'latin1'))
  return Buffer.concat(chunks)
}

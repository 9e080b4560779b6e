import { toJson } from '../lib/text/format-json.ts'
import type { Console } from './console.ts'

/** Writes one JSON object a line, each as soon as the reader has room for it. */
export async function printJson<T>(
  rows: Iterable<T> | AsyncIterable<T>,
  jsonOf: (row: T) => unknown,
  { out, drained }: Pick<Console, 'out' | 'drained'>,
): Promise<void> {
  for await (const row of rows) {
    out(toJson(jsonOf(row)))
    await drained()
  }
}

import { readFile, stat } from 'node:fs/promises'
import type { Problem, Read } from '../lib/text/yaml.ts'
import { printable } from '../lib/text/printable.ts'
import { type Console, FailedError, UsageError } from './console.ts'
import { toJson } from '../lib/text/format-json.ts'

/** Larger than any text that the readers take, in whatever script. */
const MAX_BYTES = 4_000_000

/**
 * Reads a file that a person wrote. Where something is wrong in it, says each thing as `file:line:column: what` (with `json` as one object a
 * line) and throws {@link FailedError} with exit code 2. Throws UsageError where the file cannot be read.
 */
export async function readChecked<T>(
  file: string,
  read: (text: string) => Read<T>,
  json: boolean,
  console: Console,
): Promise<T> {
  const { value, problems } = await readText(file, read)
  if (value !== null) return value
  for (const { line, column, text } of problems) {
    if (json) console.out(toJson({ file, ok: false, line, column, problem: text }))
    else console.err(`${file}:${line}:${column}: ${text}`)
  }
  throw new FailedError(2)
}

async function readText<T>(file: string, read: (text: string) => Read<T>): Promise<Read<T>> {
  try {
    const { size } = await stat(file)
    if (size > MAX_BYTES) return whole(`Cannot read ${size} bytes: wanted at most ${MAX_BYTES}`)
    return read(new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file)))
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      return whole('Cannot read this as text: it is not UTF-8')
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    if (code === undefined) throw error
    const why = code === 'ENOENT' ? 'it does not exist' : code === 'EISDIR' ? 'it is a folder' : code
    throw new UsageError(`Cannot read "${printable(file)}": ${why}, wanted a YAML file`)
  }
}

function whole(text: string): { readonly value: null; readonly problems: readonly Problem[] } {
  return { value: null, problems: [{ line: 1, column: 1, text }] }
}

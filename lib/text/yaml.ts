import { type Event, YAMLException, EVENT_ID, getScalarValue, load, parseEvents } from 'js-yaml'
import type { z } from 'zod'

/** A problem in text that a person wrote, and its place: line and column count from 1. */
export type Problem = { readonly line: number; readonly column: number; readonly text: string }

/** The value of a text, or each problem in it, in the order of the text. */
export type Read<T> =
  | { readonly value: T; readonly problems: readonly [] }
  | { readonly value: null; readonly problems: readonly Problem[] }

/** A mapping, and the places of its parts. */
type Yaml = { readonly value: Readonly<Record<string, unknown>>; readonly root: Place; readonly source: string }

/** Offsets of a value and its key in the text. */
type Place = { readonly at: number; readonly key: number; readonly parts: ReadonlyMap<string, Place> }

/** Longer than any register that people read; the parser gets no more than this. */
const MAX_CHARACTERS = 1_000_000

const DEEPEST = 10

/** The library's messages for common mistakes, and their remedies. */
const MENDS: readonly (readonly [says: RegExp, mend: string])[] = [
  [/tab characters/, 'indent with spaces'],
  [/alias/, 'aliases are not read: write the value out, and quote a text that begins with "*"'],
  [/duplicated mapping key/, 'each name may stand once'],
  [/bad indentation/, 'indent the entries of one list or mapping alike, and quote a text that holds ": "'],
  [/maxDepth/, 'nothing here nests so deeply'],
]

/** Parses a text as one YAML mapping. Refuses aliases, tags and a second document, so that the visible text is the whole meaning. */
export function readYaml(text: string): Read<Yaml> {
  if (text.length > MAX_CHARACTERS)
    return wrong({
      line: 1,
      column: 1,
      text: `Cannot read ${text.length} characters: wanted at most ${MAX_CHARACTERS}`,
    })
  try {
    const value = load(text, { maxAliases: 0, maxDepth: DEEPEST })
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return wrong({
        line: 1,
        column: 1,
        text: `Cannot read this as a mapping: it is ${yamlKind(value)}, wanted "name:" and its fields, or {} for none`,
      })
    const root = placesOf(parseEvents(text, { maxDepth: DEEPEST }), text)
    return { value: { value: value as Yaml['value'], root, source: text }, problems: [] }
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    const { reason, mark } = error
    const mend = MENDS.find(([says]) => says.test(reason))?.[1]
    const position = mark?.position ?? 0
    // A problem with an alias is reported at its name.
    const place = lineOf(text, text[position - 1] === '*' ? position - 1 : position)
    const isEmpty = reason.includes('input is empty')
    return wrong({
      ...place,
      text: isEmpty
        ? 'Cannot read this as a mapping: it is empty, wanted "name:" and its fields, or {} for none'
        : `Cannot read this as YAML: ${reason}${mend === undefined ? '' : `; ${mend}`}`,
    })
  }
}

/** A problem at a path: at its value, or with `isKey` at its key, or at its parent if it is absent. */
export function problemAt(yaml: Yaml, path: readonly PropertyKey[], text: string, isKey = false): Problem {
  let place = yaml.root
  for (const name of path) {
    const next = place.parts.get(String(name))
    if (next === undefined) break
    place = next
  }
  return { ...lineOf(yaml.source, isKey || place.at < 0 ? Math.max(0, place.key) : place.at), text }
}

/** Line and column of an offset, from 1; lines end as in YAML. */
function lineOf(source: string, offset: number): { line: number; column: number } {
  const lines = source.slice(0, offset).split(/\r\n|[\r\n]/)
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
}

/**
 * Problems of an entry as a schema finds them, in our words. The messages of the schema say what is there and what is wanted; missing and unknown fields are
 * reported here.
 *
 * @param base the place of the entry
 * @param what the entry is: `waiver "ledger"`
 */
export function schemaProblems(
  yaml: Yaml,
  base: readonly PropertyKey[],
  what: string,
  issues: readonly z.core.$ZodIssue[],
  fields: readonly string[],
): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = [...base, ...issue.path]
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((name) =>
        problemAt(
          yaml,
          [...path, name],
          `Cannot use "${shortValue(name)}" in ${what}: it is not a field, known are ${fields.join(', ')}`,
          true,
        ),
      )
    const found = valueAt(yaml.value, path)
    const name = issue.path.filter((part) => typeof part !== 'number').join('.')
    if (found === undefined) return [problemAt(yaml, path, `Cannot use ${what} without "${name}": ${issue.message}`)]
    const isScalar = typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean'
    const subject = isScalar ? `"${shortValue(String(found))}" as ${name}` : name
    return [problemAt(yaml, path, `Cannot use ${subject} of ${what}: ${issue.message}`)]
  })
}

/** The kind of a value that is not the wanted one. */
export function yamlKind(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'string') return 'a text'
  return typeof value === 'number' ? 'a number' : 'true or false'
}

/** Problems in order of lines. */
export function wrong(...problems: readonly Problem[]): {
  readonly value: null
  readonly problems: readonly Problem[]
} {
  return { value: null, problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column) }
}

/** A value as messages quote it. */
export function shortValue(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80).toWellFormed()}…` : text
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Readonly<Record<PropertyKey, unknown>>)[name]
  }
  return found
}

/** The places of all parts of one document, from its events. */
function placesOf(events: readonly Event[], source: string): Place {
  let index = 0
  const next = () => events[index++]
  const isPop = () => events[index]?.type === EVENT_ID.POP
  const place = (key: number): Place => {
    const event = next()
    const parts = new Map<string, Place>()
    if (event?.type === EVENT_ID.SCALAR) return { at: event.valueStart, key, parts }
    if (event?.type === EVENT_ID.SEQUENCE) for (let item = 0; !isPop(); item++) parts.set(String(item), place(-1))
    if (event?.type === EVENT_ID.MAPPING)
      while (!isPop()) {
        const name = next()
        if (name?.type !== EVENT_ID.SCALAR) break
        parts.set(getScalarValue(source, name), place(name.valueStart))
      }
    next()
    return { at: event !== undefined && 'start' in event ? event.start : key, key, parts }
  }
  next()
  return place(0)
}

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { after, afterEach, getTestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  isSameText,
  parseTextGolden,
  printTextGolden,
  renewedText,
  shownName,
  shownSubject,
  shownText,
} from './text-golden.ts'
import type { TextGolden, TextValues } from './text-golden.ts'

/** Stands for a text in what is expected: it is in the golden of the test file. */
class GoldenText {
  readonly values: TextValues
  constructor(values: TextValues) {
    this.values = values
  }
}

/** A text that is in the golden, where values of the test stand as `⟨name⟩`. */
export const textWith = (values: TextValues): GoldenText => new GoldenText(values)

/** A text that is in the golden. */
export const TEXT = textWith({})

type Golden = {
  readonly path: string
  readonly kept: TextGolden
  /** What each test compared, as it is to stand in the golden; where it is the same, as it stands there. */
  readonly compared: Map<string, string[]>
  isChanged: boolean
}

const TESTS = fileURLToPath(new URL('../..', import.meta.url))
const goldens = new Map<string, Golden>()
let hasFailure = false

function openGolden(testFile: string): Golden {
  const known = goldens.get(testFile)
  if (known) return known
  const path = join(TESTS, 'golden/texts', relative(TESTS, testFile).replace(/(\.test)?\.ts$/, '.txt'))
  const kept = existsSync(path) ? parseTextGolden(readFileSync(path, 'utf8')) : new Map()
  const golden: Golden = { path, kept, compared: new Map(), isChanged: false }
  goldens.set(testFile, golden)
  return golden
}

function compareText(actual: string | readonly string[], values: TextValues, of: unknown): void {
  const context = getTestContext()
  if (context?.filePath === undefined) throw new Error('Cannot compare a text: no test runs')
  const golden = openGolden(context.filePath)
  const name = shownName(context.fullName)
  const compared = golden.compared.get(name) ?? []
  golden.compared.set(name, compared)
  const kept = golden.kept.get(name)?.[compared.length]
  const shown = `${of === undefined ? '' : `${shownSubject(of)}\n`}${shownText(actual)}`
  if (kept === undefined) {
    compared.push(renewedText('', shown, values))
    assert.ok(
      process.env['CI'] === undefined,
      `Cannot compare text ${compared.length} of "${name}": ${relative('', golden.path)} has none, it is\n${shown}`,
    )
    return
  }
  if (isSameText(kept, shown, values)) {
    compared.push(kept)
    return
  }
  compared.push(renewedText(kept, shown, values))
  golden.isChanged = true
  assert.ok(
    process.env['TEXTS'] === 'all',
    `Cannot match text ${compared.length} of "${name}", see ${changedPath(golden)}: it is\n${shown}\nwanted\n${kept}`,
  )
}

const changedPath = ({ path }: Golden): string => relative('', path).replace(/\.txt$/, '-changed.txt')

/** What is expected, with the actual texts that the golden has in place of `TEXT`. */
function withTexts(expected: unknown, actual: unknown, of: unknown): unknown {
  if (expected instanceof GoldenText) {
    if (typeof actual !== 'string' && !isTexts(actual)) return 'a text that is in the golden'
    compareText(actual, expected.values, of)
    return actual
  }
  const inside = (key: string | number): unknown =>
    typeof actual === 'object' && actual !== null ? (actual as Record<string, unknown>)[key] : undefined
  if (Array.isArray(expected)) return expected.map((each, index) => withTexts(each, inside(index), of))
  if (typeof expected !== 'object' || expected === null || Object.getPrototypeOf(expected) !== Object.prototype)
    return expected
  return Object.fromEntries(Object.entries(expected).map(([key, each]) => [key, withTexts(each, inside(key), of)]))
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string')

/**
 * Compares a text or a list of texts with the next one of this test in the golden of its file, `test/golden/texts/<path of the test file>.txt`. Of a value with other
 * fields `expected` says these, and has `TEXT` where a text is. A missing text is written, but fails where `CI` is set; beside a mismatch, or texts that no test compares any
 * more, the new golden is left as `<name>-changed.txt`. `TEXTS=all` goes on after a mismatch, to find all at once.
 * `of` says in a loop of what the text is.
 */
export function matchesText(actual: unknown, expected: unknown = TEXT, of?: unknown): void {
  assert.deepEqual(actual, withTexts(expected, actual, of))
}

/** Of `assert.throws()` and `assert.rejects()`: the error's message is the next text of this test in the golden, and the error has the fields. */
export function errorText(fields: Readonly<Record<string, unknown>> = {}, of?: unknown): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Error)
    for (const [key, wanted] of Object.entries({ message: TEXT, ...fields })) {
      const value: unknown = Reflect.get(error, key)
      if (wanted instanceof RegExp) assert.match(String(value), wanted)
      else matchesText(value, wanted, of)
    }
    return true
  }
}

afterEach((context) => {
  if ('passed' in context && !context.passed) hasFailure = true
})

after(() => {
  const isPart = process.execArgv.some((option) => /^--test-(only$|name-pattern=|skip-pattern=)/.test(option))
  const [, testFile] = process.argv
  try {
    if (testFile !== undefined) openGolden(testFile)
    for (const golden of goldens.values()) finish(golden, isPart || hasFailure)
  } catch (error) {
    // A hook that throws keeps later ones from running, which end what the tests started: the process would go on for ever.
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
})

/** Writes what is new, and fails where a golden has texts that no test compares; if only a part of the tests ended well, that cannot be seen. */
function finish(golden: Golden, isPart: boolean): void {
  const { kept, compared } = golden
  const names = new Set(isPart ? [...kept.keys(), ...compared.keys()] : compared.keys())
  const next = new Map(
    [...names].map((name) => {
      const now = compared.get(name) ?? []
      return [name, isPart ? [...now, ...(kept.get(name) ?? []).slice(now.length)] : now]
    }),
  )
  const hasMore = (one: TextGolden, other: TextGolden): string[] =>
    [...one].filter(([name, texts]) => texts.length > (other.get(name)?.length ?? 0)).map(([name]) => name)
  const unused = hasMore(kept, next)
  const changed = changedPath(golden)
  if (golden.isChanged || unused.length > 0) {
    writeFileSync(changed, printTextGolden(next))
    process.exitCode = 1 // What fails after all tests does not end a file that runs without "node --test" in an error.
    assert.deepEqual(unused, [], `Cannot find who compares these texts of ${relative('', golden.path)}, see ${changed}`)
    assert.fail(`Cannot match ${relative('', golden.path)}: texts differ, see ${changed}`)
  }
  rmSync(changed, { force: true })
  if (process.env['CI'] !== undefined || hasMore(next, kept).length === 0) return
  mkdirSync(dirname(golden.path), { recursive: true })
  writeFileSync(golden.path, printTextGolden(next))
}

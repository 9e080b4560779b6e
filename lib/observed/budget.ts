/**
 * Limits for one window of one cluster. A cluster, pod or agent that sends more loses only its own window: `collect` stores an attempt without that source,
 * and stored evidence over a limit becomes an unreadable window. Only sizes and counts decide, never time or free memory, so that the same evidence gives the
 * same result on every machine.
 */
import { jsonExtent } from '../text/json-extent.ts'

/**
 * Default limits. Measured on the largest known cluster, bench/large-cluster.ts (500 pods, 20,000 series): five minutes have 40 answers with 12.5 MB and 1.1
 * million values in total, an hour 74 with 33.3 MB and 3.4 million. The comments give its largest values. Its Kubernetes lists have about 1,000 objects.
 */
const DEFAULTS = {
  /** Bytes of one answer of Prometheus, viz or the API server: 1.9 MB from Prometheus, and 5 to 10 MB for 500 pods with managedFields. */
  answer: 32_000_000,
  /** Bytes stored from one source in a window: 12.5 MB in five minutes, 33.3 MB in an hour. */
  source: 192_000_000,
  /** Bytes of one proxy page: 3 MB with a thousand peers. Several are read at once: at 32 MB each they took 0.9 GB. */
  page: 8_388_608,
  /** Bytes of unpacked evidence: as much as {@link source} allows, with some JSON embedded in JSON. */
  evidence: 320_000_000,
  /** Nesting depth of JSON: pods have 9 levels, managedFields some more. */
  depth: 100,
  /** Values in one JSON text: 187,004. */
  values: 4_000_000,
  /** Values in all answers of a window: 3.4 million. */
  'window-values': 20_000_000,
  /** Series in one answer of Prometheus: 2,228. */
  series: 40_000,
  /** Samples in one answer of Prometheus: 60,500. */
  samples: 1_000_000,
  /** Kubernetes objects in all lists of a window. Kubernetes supports up to 150,000 pods; few clusters have a tenth of that. */
  objects: 100_000,
  /** Pages of one Kubernetes list, of up to 500 objects each. */
  pages: 400,
  /** Paths of a window, plus separate edges, over all its attempts: 4,691 of about 570 bytes each. */
  edges: 100_000,
}

/** Name of a limit. */
export type BudgetName = keyof typeof DEFAULTS

/** Maximum of each. */
export type Budget = Readonly<Record<BudgetName, number>>

/** The environment variable that raises limits. */
const SETTING = 'CIPHERTRAIL_BUDGET'

/** Maximum string length in Node. */
const MAX_TEXT_BYTES = 512 * 1024 * 1024

/** Deeper recursion may crash the process. */
const MAX_DEPTH = 1_000

/** Parses the setting, such as `series=80000 samples=2000000`; other limits keep their defaults. Undefined if it is invalid or exceeds what Node can hold. */
export function parseBudget(text: string): Budget | undefined {
  const budget: Record<BudgetName, number> = { ...DEFAULTS }
  for (const part of text.trim().split(/[\s,]+/)) {
    const [, name = '', digits = ''] = /^([a-z-]+)=([1-9]\d{0,11})$/.exec(part) ?? []
    if (!isName(name) || Number(digits) > mostOf(name)) return undefined
    budget[name] = Number(digits)
  }
  return budget
}

/** Format that {@link parseBudget} expects, in words that follow "wanted". */
export const BUDGET_FORM = `figures such as "series=80000 samples=2000000", of ${Object.keys(DEFAULTS).join(', ')}`

function isName(name: string): name is BudgetName {
  return Object.hasOwn(DEFAULTS, name)
}

function mostOf(name: BudgetName): number {
  if (name === 'depth') return MAX_DEPTH
  return name === 'answer' || name === 'page' || name === 'evidence' ? MAX_TEXT_BYTES : Infinity
}

let current: Budget = DEFAULTS

/**
 * Sets the budget of this process, once, at its start; undefined means the default. It is not a parameter of functions that read evidence, since different
 * budgets would then give different results.
 */
export function useBudget(setting: string | undefined): void {
  current = (setting === undefined ? undefined : parseBudget(setting)) ?? DEFAULTS
}

/** Returns the budget of this process. */
export function budget(): Budget {
  return current
}

const WORDS: Readonly<Record<BudgetName, string>> = {
  answer: 'bytes',
  source: 'bytes of one source',
  page: 'bytes',
  evidence: 'bytes unpacked',
  depth: 'levels of JSON',
  values: 'JSON values',
  'window-values': 'JSON values in all answers',
  series: 'series',
  samples: 'samples',
  objects: 'Kubernetes objects',
  pages: 'pages',
  edges: 'paths and edges',
}

/** Describes an exceeded limit, in words that follow "it has": what, how much, the limit, and how to raise it. */
export function exceeds(name: BudgetName, { atLeast }: { readonly atLeast: number }): string {
  return `${atLeast} ${WORDS[name]} or more, wanted at most ${current[name]}; ${raise(name)}`
}

/** Describes how to raise a limit, in words that follow a semicolon. */
export function raise(name: BudgetName): string {
  return `if that is right, raise "${name}" in ${SETTING}`
}

/** Counts the values in a JSON text. `excess` describes an exceeded limit as {@link exceeds} does; null if the text may be parsed. */
export function jsonSize(text: string): { readonly values: number; readonly excess: string | null } {
  const { depth, values } = jsonExtent(text, current)
  if (depth > current.depth) return { values, excess: exceeds('depth', { atLeast: depth }) }
  return { values, excess: values > current.values ? exceeds('values', { atLeast: values }) : null }
}

/**
 * How much one window of one cluster may hold. A cluster, a pod or an agent that sends more costs its own window and nobody else's: what is collected
 * then is an attempt without that source, what is stored then is a window that cannot be read. Sizes and counts decide, never time or free memory, so that the
 * same evidence comes to the same result on every machine.
 */
import { jsonExtent } from '../text/json-extent.ts'

/**
 * What is bounded, with its default. Measured on the largest cluster that is known, that of bench/large-cluster.ts (500 pods, 20,000 series): its five minutes
 * have 40 answers of 12.5 MB and 1.1 million values in all, its hour 74 of 33.3 MB and 3.4 million; the largest of them is in the comments. Kubernetes lists of
 * it have some 1,000 objects.
 */
const DEFAULTS = {
  /** Bytes of one answer of Prometheus, viz or the API server: 1.9 MB of Prometheus, and 500 pods with all that managers note of them have 5 to 10. */
  answer: 32_000_000,
  /** Bytes that are kept of one source in a window: 12.5 MB in five minutes, 33.3 in an hour. */
  source: 192_000_000,
  /** Bytes of one page of a proxy: with a thousand neighbours it has 3 MB. Several are read at once: with 32 MB they took 0.9 GB. */
  page: 8_388_608,
  /** Bytes of stored evidence when unpacked: what {@link source} allows, some of it twice over as JSON in JSON. */
  evidence: 320_000_000,
  /** How deep JSON nests: pods have 9 levels, what managers note of them some more. */
  depth: 100,
  /** Values in one JSON text: 187,004. */
  values: 4_000_000,
  /** Values in all answers of a window: 3.4 million. */
  'window-values': 20_000_000,
  /** Series in one answer of Prometheus: 2,228. */
  series: 40_000,
  /** Samples in one answer of Prometheus: 60,500. */
  samples: 1_000_000,
  /** Kubernetes objects in all lists of a window. Kubernetes itself is made for up to 150,000 pods, few of whose clusters have a tenth of that. */
  objects: 100_000,
  /** Pages of one Kubernetes list, of up to 500 objects each. */
  pages: 400,
  /** Paths that a window comes to, and edges beside them, of all its attempts: 4,691, of some 570 bytes each. */
  edges: 100_000,
}

/** What is bounded. */
export type BudgetName = keyof typeof DEFAULTS

/** The most that there may be of each. */
export type Budget = Readonly<Record<BudgetName, number>>

/** The setting that raises it. */
const SETTING = 'CIPHERTRAIL_BUDGET'

/** Node has no longer text. */
const MAX_TEXT_BYTES = 512 * 1024 * 1024

/** Beyond it recursion may end a process. */
const MAX_DEPTH = 1_000

/**
 * Reads what the setting says: `series=80000 samples=2000000`, the rest as it is by default. Undefined where it is not that, or asks for more than
 * Node can hold.
 */
export function parseBudget(text: string): Budget | undefined {
  const budget: Record<BudgetName, number> = { ...DEFAULTS }
  for (const part of text.trim().split(/[\s,]+/)) {
    const [, name = '', digits = ''] = /^([a-z-]+)=([1-9]\d{0,11})$/.exec(part) ?? []
    if (!isName(name) || Number(digits) > mostOf(name)) return undefined
    budget[name] = Number(digits)
  }
  return budget
}

/** What {@link parseBudget} wants, in words that follow "wanted". */
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
 * Sets the budget of this process, once, at its start; undefined: the default. It is no argument of what reads evidence, since each of the many that read it
 * could then read by another budget, and so come to another result.
 */
export function useBudget(setting: string | undefined): void {
  current = (setting === undefined ? undefined : parseBudget(setting)) ?? DEFAULTS
}

/** The budget of this process. */
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

/** What is told of something that exceeds its budget, in words that follow "it has": what, how much, what is wanted, and how to raise it. */
export function exceeds(name: BudgetName, { atLeast }: { readonly atLeast: number }): string {
  return `${atLeast} ${WORDS[name]} or more, wanted at most ${current[name]}; ${raise(name)}`
}

/** How to raise a figure, in words that follow a semicolon. */
export function raise(name: BudgetName): string {
  return `if that is right, raise "${name}" in ${SETTING}`
}

/** How many values a text holds that is to be parsed as JSON, and what it has too much of for that, as {@link exceeds} says it; null where it may be parsed. */
export function jsonSize(text: string): { readonly values: number; readonly excess: string | null } {
  const { depth, values } = jsonExtent(text, current)
  if (depth > current.depth) return { values, excess: exceeds('depth', { atLeast: depth }) }
  return { values, excess: values > current.values ? exceeds('values', { atLeast: values }) : null }
}

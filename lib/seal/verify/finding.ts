/** A problem of a store. */
export type LogFinding = {
  /** Key of the object; null if it concerns no single object. */
  readonly key: string | null
  /** The problem in one line: words that follow the key. */
  readonly problem: string
}

/** Findings kept one by one; later ones are only counted. A damaged store of millions of objects must not fill the memory. */
const MAX_KEPT = 10_000

/** Findings, in the order in which they were found. */
export type Findings = {
  readonly kept: readonly LogFinding[]
  /** Number of all findings, kept or not. */
  readonly total: number
}

/** Adds a finding: the key of the object, and words that follow it. */
export type AddFinding = (key: string | null, problem: string) => void

/** Collects findings. */
export function findingsList(): { readonly add: AddFinding; readonly all: () => Findings } {
  const kept: LogFinding[] = []
  let total = 0
  return {
    add: (key, problem) => {
      total++
      if (kept.length < MAX_KEPT) kept.push({ key, problem })
    },
    all: () => ({ kept, total }),
  }
}

import type { ControlResult } from '../../model/judgement.ts'

/** A control of a framework, as data: its requirement in our own words, and the rules that test it. */
export type Control = {
  readonly id: string
  readonly relation: ControlResult['relation']
  /** Our own words; never the text of the standard. */
  readonly paraphrase: string
  /** Baselines, conditions, and what its rules cannot see; null if there is nothing to add. */
  readonly note: string | null
  /** Empty if no rule tests it; `note` then says why. */
  readonly rules: readonly string[]
  /** Its place in the framework's documents. */
  readonly source: string
}

/** A framework, with only the controls that traffic between workloads, or its record, can test. */
export type Framework = {
  /** Its name in `scope.yaml`. */
  readonly id: string
  readonly title: string
  readonly version: string
  readonly controls: readonly Control[]
}

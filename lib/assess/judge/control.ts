import type { ControlResult } from '../../model/judgement.ts'

/** A control of a framework, as data: what it asks for in our own words, and which rules say something about it. */
export type Control = {
  readonly id: string
  readonly relation: ControlResult['relation']
  /** Our own words; never the text of the standard. */
  readonly paraphrase: string
  /** Baselines, conditions, and what the rules behind it do not see; null if there is nothing to add. */
  readonly note: string | null
  /** Empty if no rule tests it; `note` then says why. */
  readonly rules: readonly string[]
  /** Where it is in the framework's documents. */
  readonly source: string
}

/** A framework, of which only those controls are listed that traffic between workloads, or the record of it, has something to say about. */
export type Framework = {
  /** As `scope.yaml` names it. */
  readonly id: string
  readonly title: string
  readonly version: string
  readonly controls: readonly Control[]
}

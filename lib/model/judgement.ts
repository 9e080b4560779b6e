/** What a period is judged by, and what comes of it. */
import type { Endpoint, PathClass, PathEnds } from './path.ts'

/**
 * What a rule says of a subject, worst first. `not-enough-evidence`: less than the wanted share was seen, or what was seen cannot be told.
 * `not-applicable`: the rule has nothing to judge there. Neither counts as a pass.
 */
export const VERDICTS = ['fail', 'not-enough-evidence', 'pass', 'not-applicable'] as const

/** What a rule says of a subject. */
export type Verdict = (typeof VERDICTS)[number]

/** What a rule judges. */
export type Subject =
  | (PathEnds & { readonly kind: 'path'; readonly cluster: string })
  | { readonly kind: 'port'; readonly cluster: string; readonly workload: Endpoint; readonly port: number }
  | { readonly kind: 'workload'; readonly cluster: string; readonly workload: Endpoint }
  | { readonly kind: 'cluster'; readonly cluster: string }

/** How much of the life of a subject was seen in a period (decision 0069). */
export type Seen = {
  /** Seen time over the time in which it lived, 0 to 1; null where it did not live in the period. */
  readonly share: number | null
  /** Windows with traffic of which the state is told, over all windows with traffic; null where there was none, or where the rule is not about traffic. */
  readonly told: number | null
  /** Windows in which it lived. */
  readonly windows: number
  /** Windows in which it was seen at all. */
  readonly seenWindows: number
  /** Windows in which it lived that were not collected. */
  readonly uncollected: number
  /** Seconds in which it lived, or may have, and was not seen. */
  readonly unseenSeconds: number
  /** Those of them in which no window was expected, as before the cluster was registered. */
  readonly outsideSeconds: number
}

/** What one rule says of one subject over a period. */
export type Finding = {
  /** Id of the rule: the name of its file in lib/assess/rules. */
  readonly rule: string
  readonly subject: Subject
  readonly verdict: Verdict
  /** What was seen that makes the verdict, as one plain sentence. May hold names from clusters: make it printable. */
  readonly detail: string
  /** How much of its life was seen; null where the verdict does not rest on that. */
  readonly seen: Seen | null
  /** Whose it is; null: a whole cluster's. Controls, rules and scores count those that are to be judged. */
  readonly class: PathClass | null
  /** Id of the waiver that accepts a failure; null for none, and for every other verdict. A waived failure stays a failure. */
  readonly waiver: string | null
}

/** How many subjects passed. The one function that makes it is lib/assess/judge/score.ts. */
export type Score = {
  readonly pass: number
  /** Failures that no waiver accepts. */
  readonly fail: number
  readonly waived: number
  readonly notEnoughEvidence: number
  /**
   * `pass` over all four, 0 to 1: neither a waiver nor what lacks evidence raises it. Null where nothing was judged, or where a
   * cluster in scope had no collected window: stronger than a good average.
   */
  readonly share: number | null
}

/** What `scope.yaml` says of a whole report, under `report`. */
export type ReportSettings = {
  /** Whose report it is; null where nobody said. */
  readonly organisation: string | null
  /** Who prepared it; null where nobody said. */
  readonly preparedBy: string | null
  /** The share of a subject's life that must have been seen, 0 to 1. */
  readonly wantedShare: number
  /** Whose paths controls judge. */
  readonly judgedClasses: readonly PathClass[]
  /** Names with `*` for any text: namespaces that are the platform's, beside kube-system. */
  readonly platformNamespaces: readonly string[]
  /** The label of a workload that names who answers for it. */
  readonly ownerLabel: string
}

/** What a framework is judged on: a workload counts where cluster, namespace and labels all match. */
export type Scope = {
  /** The share of a subject's life that must have been seen, 0 to 1; absent: that of the whole report. */
  readonly wantedShare?: number | undefined
  /** Id of a framework of lib/assess/controls. */
  readonly framework: string
  /** Ids, with `*` for any text. Empty: every cluster. */
  readonly clusters: readonly string[]
  /** Names, with `*` for any text. Empty: every namespace. */
  readonly namespaces: readonly string[]
  /** Labels that a workload's pods must have. Empty: any. */
  readonly labels: Readonly<Record<string, string>>
  readonly owner: string
  readonly reason: string
}

/** An accepted exception. A pattern that is absent matches everything; `*` in one stands for any text. */
export type Waiver = {
  readonly id: string
  readonly cluster?: string
  /** Ids of rules. Absent: every rule. */
  readonly rules?: readonly string[]
  /** `kind/namespace/name` of the source, or `(unmeshed)`. */
  readonly source?: string
  /** `kind/namespace/name` of the destination, or of the workload where the subject is one. */
  readonly destination?: string
  readonly port?: number
  readonly owner: string
  readonly reason: string
  readonly compensatingControl: string
  /** RFC 3339. From this moment on it accepts nothing. */
  readonly expires: string
}

/** How a control stands, and what that rests on. */
export type ControlResult = {
  /** As the framework writes it: `SC-8(1)`. */
  readonly id: string
  /** `evidence handling`: about how records are kept. Printed with every control; a control is supported or tested, never met. */
  readonly relation: 'direct' | 'supports' | 'evidence handling'
  /** Our own words; never the text of the standard. */
  readonly paraphrase: string
  readonly note: string | null
  /** Where the control stands in the framework's documents. */
  readonly source?: string
  /** Ids of the rules behind it; empty where nothing here tests it. */
  readonly rules: readonly string[]
  /** Worst of the findings in scope. A failure that is waived is a failure. */
  readonly verdict: Verdict
  readonly score: Score
}

/** A framework's controls, judged on what is in its scope. */
export type FrameworkResult = {
  readonly id: string
  readonly title: string
  readonly version: string
  /** Empty where nobody declared a scope: then everything is judged. */
  readonly scopes: readonly Scope[]
  /** The share of a subject's life that must have been seen, 0 to 1. */
  readonly wantedShare: number
  /** What was seen and is not judged, by cluster and namespace: printed on page one. */
  readonly outOfScope: readonly {
    readonly cluster: string
    readonly namespace: string
    readonly workloads: number
    readonly paths: number
  }[]
  readonly controls: readonly ControlResult[]
  readonly score: Score
}

/** What a rule says of a whole period. */
export type RuleResult = {
  readonly id: string
  /** What holds where it passes, and what does not where it fails. */
  readonly title: string
  readonly failTitle: string
  readonly why: string
  readonly verdict: Verdict
  readonly score: Score
}

/** A waiver as it stands at the end of a period. */
export type WaiverResult = {
  readonly waiver: Waiver
  /** `unused`: in force, and accepts nothing that failed. `expiring`: in force, and for less than 14 days more. */
  readonly status: 'in-use' | 'unused' | 'expiring' | 'expired'
  readonly isTooBroad: boolean
  /** Failures that it accepts; where it is expired, those that it would. */
  readonly findings: number
}

/** What rules, controls, scope and waivers make of a period. Pure: the same input gives the same judgement. */
export type Judgement = {
  /** What `findings`, `rules` and `score` are held against; each framework has its own. */
  readonly wantedShare: number
  /** Rules that threw, one line each; each has a finding as well. */
  readonly errors: readonly string[]
  /** By rule, then subject. Of everything, in scope or not. */
  readonly findings: readonly Finding[]
  readonly rules: readonly RuleResult[]
  readonly frameworks: readonly FrameworkResult[]
  readonly waivers: readonly WaiverResult[]
  readonly score: Score
  /** Of the data file of controls. */
  readonly controls: { readonly version: string; readonly sha256: string }
}

/** Rules, controls, scope and waivers, and the judgement of a period by them. */
import type { Endpoint, PathClass, PathEnds } from './path.ts'

/**
 * The verdict of a rule on a subject, worst first. `not-enough-evidence`: less than the wanted share was seen, or the state of what was seen is unknown.
 * `not-applicable`: the rule has nothing to judge there. Neither counts as a pass.
 */
export const VERDICTS = ['fail', 'not-enough-evidence', 'pass', 'not-applicable'] as const

/** The verdict of a rule on a subject. */
export type Verdict = (typeof VERDICTS)[number]

/** The kinds of subjects. */
export type Subject =
  | (PathEnds & { readonly kind: 'path'; readonly cluster: string })
  | { readonly kind: 'port'; readonly cluster: string; readonly workload: Endpoint; readonly port: number }
  | { readonly kind: 'workload'; readonly cluster: string; readonly workload: Endpoint }
  | { readonly kind: 'cluster'; readonly cluster: string }

/** How much of the life of a subject was seen in a period (decision 0069). */
export type Seen = {
  /** Seen time over the time in which it lived, 0 to 1; null where it did not live in the period. */
  readonly share: number | null
  /** Windows with traffic and a known state, divided by all windows with traffic. Null without traffic, or if the rule is not about traffic. */
  readonly told: number | null
  /** Windows in which it lived. */
  readonly windows: number
  /** Windows in which it was seen at all. */
  readonly seenWindows: number
  /** Those of them in which it was seen for a part of their time only. */
  readonly partWindows: number
  /** Windows in which it lived that were not collected. */
  readonly uncollected: number
  /** Seconds in which it lived, or may have, and was not seen. */
  readonly unseenSeconds: number
  /** Those of them in which no window was expected, as before the cluster was registered. */
  readonly outsideSeconds: number
}

/** The verdict of one rule on one subject over a period, with its reason. */
export type Finding = {
  /** Id of the rule: the name of its file in lib/assess/rules. */
  readonly rule: string
  readonly subject: Subject
  readonly verdict: Verdict
  /** The reason for the verdict, as one sentence. It may hold names from clusters: make it printable. */
  readonly detail: string
  /** How much of its life was seen; null where the verdict does not rest on that. */
  readonly seen: Seen | null
  /** The subject's class; null for a whole cluster. Controls, rules and scores count only judged classes. */
  readonly class: PathClass | null
  /** Id of the waiver that accepts a failure; null for none, and for every other verdict. A waived failure stays a failure. */
  readonly waiver: string | null
  /** It is about a whole cluster of which a rule of paths, ports or workloads may not know every subject. It keeps a verdict from a pass, and is no subject. */
  readonly isWhole?: true
}

/** How many subjects passed. The one function that makes it is lib/assess/judge/score.ts. */
export type Score = {
  readonly pass: number
  /** Failures that no waiver accepts. */
  readonly fail: number
  readonly waived: number
  readonly notEnoughEvidence: number
  /** Clusters on which there may be more to judge than the four count: too much of their time was not monitored, or could not be judged. */
  readonly incompleteClusters: number
  /**
   * `pass` over all four, 0 to 1: neither a waiver nor what lacks evidence raises it. Null where nothing was judged, or where a
   * cluster in scope is incomplete or had no collected window: stronger than a good average.
   */
  readonly share: number | null
}

/** Settings of the whole report, from `report` in `scope.yaml`. */
export type ReportSettings = {
  /** The organisation that the report is about; null if not stated. */
  readonly organisation: string | null
  /** The person who prepared it; null if not stated. */
  readonly preparedBy: string | null
  /** The share of a subject's life that must have been seen, 0 to 1. */
  readonly wantedShare: number
  /** The classes whose paths controls judge. */
  readonly judgedClasses: readonly PathClass[]
  /** Names with `*` for any text: namespaces that are the platform's, beside kube-system. */
  readonly platformNamespaces: readonly string[]
  /** The label of a workload that names who answers for it. */
  readonly ownerLabel: string
}

/** The workloads on which a framework is judged: cluster, namespace and labels must all match. */
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

/** The verdict on a control, and the findings it is based on. */
export type ControlResult = {
  /** As the framework writes it: `SC-8(1)`. */
  readonly id: string
  /** `evidence handling`: about how records are kept. Printed with every control; a control is supported or tested, never met. */
  readonly relation: 'direct' | 'supports' | 'evidence handling'
  /** Our own words; never the text of the standard. */
  readonly paraphrase: string
  readonly note: string | null
  /** The place of the control in the framework's documents. */
  readonly source?: string
  /** Ids of the rules behind it; empty where nothing here tests it. */
  readonly rules: readonly string[]
  /** Worst of the findings in scope. A failure that is waived is a failure. */
  readonly verdict: Verdict
  readonly score: Score
  /** What each of the rules adds to it, in the order of `rules`. */
  readonly byRule: readonly {
    readonly rule: string
    readonly verdict: Verdict
    readonly score: Score
    /** Findings in scope with nothing to judge, which no score counts. */
    readonly notApplicable: number
  }[]
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
  /** Observed workloads that no scope contains, by cluster and namespace. Page one prints them. */
  readonly outOfScope: readonly {
    readonly cluster: string
    readonly namespace: string
    readonly workloads: number
    readonly paths: number
  }[]
  readonly controls: readonly ControlResult[]
  readonly score: Score
}

/** The result of a rule over a whole period. */
export type RuleResult = {
  readonly id: string
  /** The property that the rule tests; the same for every verdict. */
  readonly title: string
  readonly why: string
  readonly verdict: Verdict
  readonly score: Score
}

/** A waiver with its status at the end of a period. */
export type WaiverResult = {
  readonly waiver: Waiver
  /** `unused`: in force, and accepts nothing that failed. `expiring`: in force, and for less than 14 days more. */
  readonly status: 'in-use' | 'unused' | 'expiring' | 'expired'
  readonly isTooBroad: boolean
  /** Failures that it accepts; where it is expired, those that it would. */
  readonly findings: number
}

/** The judgement of a period. Pure: the same input gives the same judgement. */
export type Judgement = {
  /** The wanted share for `findings`, `rules` and `score`; each framework has its own. */
  readonly wantedShare: number
  /** Rules that threw, one line each; each has a finding as well. */
  readonly errors: readonly string[]
  /** Sorted by rule, then subject. Includes subjects that no scope contains. */
  readonly findings: readonly Finding[]
  readonly rules: readonly RuleResult[]
  readonly frameworks: readonly FrameworkResult[]
  readonly waivers: readonly WaiverResult[]
  readonly score: Score
  /** Version and hash of the data file of controls. */
  readonly controls: { readonly version: string; readonly sha256: string }
}

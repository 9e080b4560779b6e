import type { ClusterPeriod } from '../../model/period.ts'
import type {
  Finding,
  FrameworkResult,
  Judgement,
  ReportSettings,
  RuleResult,
  Scope,
  Subject,
  Waiver,
} from '../../model/judgement.ts'
import type { ClassNamespaces, PathClass } from '../../model/path.ts'
import { endClass, pathClass } from '../ends/path-class.ts'
import { compareText } from '../../text/order.ts'
import type { Framework } from './control.ts'
import { CONTROLS, FRAMEWORKS } from './controls.ts'
import { type Rule, type RuleFinding, type RulePeriod } from './rule.ts'
import { rulePeriod, subjectKey, wholeFinding, windowCount, workloadsSeen } from './rule.ts'
import { RULES } from './rules.ts'
import { type LabelsOf, isClusterInScope, isInScope, isWorkloadInScope, labelsIn } from './in-scope.ts'
import { scoreOf, worstVerdict } from './score.ts'
import { type JudgedPeriod, seenOfCluster } from './seen.ts'
import { atWantedShare } from './wanted.ts'
import { errorLine } from '../../text/error-line.ts'
import { isAbout, isInForce, waivableOf, waiverResult } from './waived.ts'

/** Input of a judgement. */
export type JudgeInput = {
  /** Every cluster that was queried, even without results; each once. */
  readonly clusters: readonly ClusterPeriod[]
  readonly scopes: readonly Scope[]
  readonly waivers: readonly Waiver[]
  /** Settings of the whole report. */
  readonly settings: ReportSettings
  readonly period: JudgedPeriod
  /** Time at which waivers are judged, RFC 3339. */
  readonly at: string
}

/** Judges a period by every rule, control, scope and waiver. The order of the input does not matter. */
export function judge({ clusters, scopes, waivers, settings, period, at }: JudgeInput): Judgement {
  const { wantedShare, judgedClasses } = settings
  const sorted = clusters.toSorted((a, b) => compareText(a.id, b.id))
  const register = waivers.toSorted((a, b) => compareText(a.id, b.id))
  const periods = sorted.map((cluster) => rulePeriod(cluster, period, wantedShare))
  const checked = checkedBy(RULES, periods)
  const classes = new Map(sorted.map(({ id, classes: namespaces }) => [id, namespaces]))
  const findingsAt = (wanted: number) => findingsOf(checked.found, wanted, { classes, waivers: register, at })
  const findings = findingsAt(wantedShare)
  // Findings of other classes are listed but count in no verdict.
  const isJudged = (finding: Finding) => finding.class === null || judgedClasses.includes(finding.class)
  const judged = findings.filter(isJudged)
  const byRule = Map.groupBy(judged, ({ rule }) => rule)
  const isBlind = sorted.some(isUnseen)
  const labelsOf = labelsIn(sorted)
  const byRuleAt = (wanted: number) =>
    wanted === wantedShare ? byRule : Map.groupBy(findingsAt(wanted).filter(isJudged), ({ rule }) => rule)
  return {
    wantedShare,
    findings,
    errors: checked.errors,
    rules: RULES.map(({ id, title, why }): RuleResult => {
      const own = byRule.get(id) ?? []
      return { id, title, why, verdict: worstVerdict(own), score: scoreOf(own, isBlind) }
    }),
    frameworks: FRAMEWORKS.map((framework) =>
      frameworkResult(framework, scopesOf(framework.id, scopes), { periods, byRuleAt, wantedShare, labelsOf }),
    ),
    waivers: register.map((waiver) =>
      waiverResult(waiver, findings.filter((finding) => isWaivable(waiver, finding)).length, at),
    ),
    score: scoreOf(judged, isBlind),
    controls: CONTROLS,
  }
}

/** Whether no window of a cluster was collected, so that nothing is known about it. */
function isUnseen({ windows }: ClusterPeriod): boolean {
  return !windows.some(({ collected }) => collected)
}

/** Findings of each rule, before they are compared with a wanted share. */
type Found = readonly { readonly rule: string; readonly findings: readonly RuleFinding[] }[]

/** Runs the rules. A rule that throws has not enough evidence, and does not affect the others. */
function checkedBy(rules: readonly Rule[], periods: readonly RulePeriod[]): { found: Found; errors: string[] } {
  const errors: string[] = []
  const found = rules.map(({ id, check, readsLists = false }) => ({
    rule: id,
    findings: periods.flatMap((period) => {
      try {
        const own = check(period)
        return [...own, ...ofWhatIsMissing(period, readsLists, own)]
      } catch (error) {
        errors.push(`Cannot apply the rule "${id}" to cluster "${period.cluster.id}": ${errorLine(error)}`)
        return [
          wholeFinding(
            period.cluster.id,
            'not-enough-evidence',
            'The rule could not be applied; see the error in the log',
          ),
        ]
      }
    }),
  }))
  return { found, errors }
}

type FindingsInput = {
  /** Namespaces that decide classes, by cluster. */
  readonly classes: ReadonlyMap<string, ClassNamespaces>
  readonly waivers: readonly Waiver[]
  readonly at: string
}

function findingsOf(found: Found, wantedShare: number, { classes, waivers, at }: FindingsInput): Finding[] {
  const inForce = waivers.filter((waiver) => isInForce(waiver, at))
  return found.flatMap(({ rule, findings }) =>
    findings
      .map((finding) => ({ ...atWantedShare(finding, wantedShare), key: subjectKey(finding.subject) }))
      // A whole-cluster result with nothing to judge is not a finding.
      .filter(({ isWhole, verdict }) => isWhole !== true || verdict !== 'not-applicable')
      .toSorted((a, b) => compareText(a.key, b.key))
      .map(({ subject, verdict, detail, seen, isWhole }): Finding => {
        const of = classOf(subject, classes.get(subject.cluster))
        const whole = isWhole === true ? { isWhole } : {}
        const finding = { rule, subject, verdict, detail, seen, class: of, waiver: null, ...whole }
        const accepting = verdict === 'fail' ? inForce.find((waiver) => isWaivable(waiver, finding)) : undefined
        return { ...finding, waiver: accepting?.id ?? null }
      }),
  )
}

/** Returns the class of a subject; null if it is a whole cluster. */
function classOf(subject: Subject, namespaces: ClassNamespaces | undefined): PathClass | null {
  if (subject.kind === 'cluster') return null
  if (namespaces === undefined) return 'application'
  return subject.kind === 'path' ? pathClass(subject, namespaces) : endClass(subject.workload, namespaces)
}

/**
 * Adds one cluster finding to a rule of paths, ports or workloads if more time was uncollected than the wanted share allows: something may have existed only
 * then, and findings in one namespace must not stand for unobserved ones in another.
 */
function ofWhatIsMissing(
  { cluster, facts, windows, uncollected, unlisted }: RulePeriod,
  readsLists: boolean,
  findings: readonly RuleFinding[],
): readonly RuleFinding[] {
  if (findings.some(({ subject }) => subject.kind === 'cluster')) return []
  const { id } = cluster
  if (cluster.windows.length === 0)
    return [
      wholeFinding(
        id,
        'not-enough-evidence',
        'No window of the cluster was expected in the period, so its workloads and paths are unknown',
      ),
    ]
  // Without any list the workloads are unknown, so a rule about workloads must not claim to have nothing to judge.
  if (readsLists && unlisted > 0 && (facts?.workloads.length ?? 0) === 0)
    return [
      wholeFinding(
        id,
        'not-enough-evidence',
        `No Kubernetes snapshot could be read in ${windowCount(unlisted)}, so the workloads are unknown`,
      ),
    ]
  if (uncollected === 0 && windows.outsideSeconds === 0) return []
  const collected = cluster.windows.filter((window) => window.collected)
  return [
    wholeFinding(
      id,
      'not-applicable',
      'Whatever existed only while nothing was collected is unknown',
      seenOfCluster(collected, windows),
    ),
  ]
}

function isWaivable(waiver: Waiver, { rule, subject, verdict }: Finding): boolean {
  return verdict === 'fail' && isAbout(waiver, waivableOf(subject), rule)
}

function scopesOf(framework: string, scopes: readonly Scope[]): Scope[] {
  return scopes
    .filter((scope) => scope.framework === framework)
    .map((scope) => ({ key: JSON.stringify(scope), scope }))
    .toSorted((a, b) => compareText(a.key, b.key))
    .map(({ scope }) => scope)
}

type FrameworkInput = {
  readonly periods: readonly RulePeriod[]
  /** Findings by rule, at a wanted share. */
  readonly byRuleAt: (wantedShare: number) => ReadonlyMap<string, readonly Finding[]>
  readonly wantedShare: number
  readonly labelsOf: LabelsOf
}

function frameworkResult(
  { id, title, version, controls }: Framework,
  scopes: readonly Scope[],
  { periods, byRuleAt, wantedShare, labelsOf }: FrameworkInput,
): FrameworkResult {
  // The largest wanted share of any scope of the framework.
  const wanted = Math.max(
    ...scopes.map((scope) => scope.wantedShare ?? wantedShare),
    scopes.length === 0 ? wantedShare : 0,
  )
  const byRule = byRuleAt(wanted)
  const isBlind = periods.some(({ cluster }) => isUnseen(cluster) && isClusterInScope(cluster.id, scopes))
  const rules = new Set(controls.flatMap((control) => control.rules))
  const inScope = new Map(
    [...rules].map((rule) => [
      rule,
      (byRule.get(rule) ?? []).filter(({ subject }) => isInScope(subject, scopes, labelsOf)),
    ]),
  )
  const ofRules = (ids: Iterable<string>) => [...ids].flatMap((rule) => inScope.get(rule) ?? [])
  return {
    id,
    title,
    version,
    scopes,
    wantedShare: wanted,
    outOfScope: outOfScope(periods, scopes, labelsOf),
    controls: controls.map((control) => {
      const findings = ofRules(control.rules)
      return {
        ...control,
        verdict: worstVerdict(findings),
        score: scoreOf(findings, isBlind),
        byRule: control.rules.map((rule) => {
          const own = ofRules([rule])
          const notApplicable = own.filter(({ verdict }) => verdict === 'not-applicable').length
          return { rule, verdict: worstVerdict(own), score: scoreOf(own, isBlind), notApplicable }
        }),
      }
    }),
    score: scoreOf(ofRules(rules), isBlind),
  }
}

/** Returns what was observed and is not judged. A cluster out of scope is listed even if nothing was observed in it. */
function outOfScope(
  periods: readonly RulePeriod[],
  scopes: readonly Scope[],
  labelsOf: LabelsOf,
): FrameworkResult['outOfScope'] {
  if (scopes.length === 0) return []
  return periods.flatMap((period) => {
    const { cluster, paths } = period
    const byNamespace = new Map<string, { workloads: number; paths: number }>()
    const count = (namespace: string, what: 'workloads' | 'paths') => {
      const counts = byNamespace.get(namespace) ?? { workloads: 0, paths: 0 }
      counts[what] += 1
      byNamespace.set(namespace, counts)
    }
    for (const workload of workloadsSeen(period))
      if (!isWorkloadInScope(cluster.id, workload, scopes, labelsOf)) count(workload.namespace, 'workloads')
    for (const path of paths)
      if (!isInScope({ kind: 'path', ...path }, scopes, labelsOf))
        count(path.destination.namespace || path.source.namespace, 'paths')
    if (byNamespace.size === 0 && !isClusterInScope(cluster.id, scopes)) byNamespace.set('', { workloads: 0, paths: 0 })
    return [...byNamespace]
      .toSorted(([a], [b]) => compareText(a, b))
      .map(([namespace, counts]) => ({ cluster: cluster.id, namespace, ...counts }))
  })
}

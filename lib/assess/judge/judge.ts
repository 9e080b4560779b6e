import type { ClusterPeriod } from '../../model/period.ts'
import type { Finding, FrameworkResult, Judgement, RuleResult, Scope, Waiver } from '../../model/judgement.ts'
import { compareText } from '../../text/order.ts'
import type { Framework } from './control.ts'
import { CONTROLS, FRAMEWORKS } from './controls.ts'
import { type RulePeriod, clusterFinding, rulePeriod, subjectKey, windowCount, workloadsSeen } from './rule.ts'
import { RULES } from './rules.ts'
import { type LabelsOf, isClusterInScope, isInScope, isWorkloadInScope, labelsIn } from './in-scope.ts'
import { scoreOf, worstVerdict } from './score.ts'
import { isAbout, isInForce, waivableOf, waiverResult } from './waived.ts'

/** What a judgement is made from. */
export type JudgeInput = {
  /** Every cluster that was asked, also if nothing came of it; each once. */
  readonly clusters: readonly ClusterPeriod[]
  readonly scopes: readonly Scope[]
  readonly waivers: readonly Waiver[]
  /** The end of the period, RFC 3339: waivers are judged as of then. */
  readonly at: string
}

/** Judges a period by every rule, control, scope and waiver. Pure; the order of anything in the input changes nothing. */
export function judge({ clusters, scopes, waivers, at }: JudgeInput): Judgement {
  const sorted = clusters.toSorted((a, b) => compareText(a.id, b.id))
  const register = waivers.toSorted((a, b) => compareText(a.id, b.id))
  const periods = sorted.map(rulePeriod)
  const findings = findingsOf(periods, register, at)
  const byRule = Map.groupBy(findings, ({ rule }) => rule)
  const isBlind = sorted.some(isUnseen)
  const labelsOf = labelsIn(sorted)
  return {
    findings,
    rules: RULES.map(({ id, title, failTitle, why }): RuleResult => {
      const own = byRule.get(id) ?? []
      return { id, title, failTitle, why, verdict: worstVerdict(own), score: scoreOf(own, isBlind) }
    }),
    frameworks: FRAMEWORKS.map((framework) =>
      frameworkResult(framework, scopesOf(framework.id, scopes), { periods, byRule, labelsOf }),
    ),
    waivers: register.map((waiver) =>
      waiverResult(waiver, findings.filter((finding) => isWaivable(waiver, finding)).length, at),
    ),
    score: scoreOf(findings, isBlind),
    controls: CONTROLS,
  }
}

/** No window of a cluster was collected: nothing is known of it. */
function isUnseen({ windows }: ClusterPeriod): boolean {
  return !windows.some(({ collected }) => collected)
}

function findingsOf(periods: readonly RulePeriod[], waivers: readonly Waiver[], at: string): Finding[] {
  const inForce = waivers.filter((waiver) => isInForce(waiver, at))
  return RULES.flatMap(({ id, check, readsLists = false }) =>
    periods
      .flatMap((period) => withUnread(check(period), period, readsLists))
      .map(({ subject, verdict, detail }) => ({ subject, verdict, detail, key: subjectKey(subject) }))
      .toSorted((a, b) => compareText(a.key, b.key))
      .map(({ subject, verdict, detail }): Finding => {
        const finding = { rule: id, subject, verdict, detail, waiver: null }
        const accepting = verdict === 'fail' ? inForce.find((waiver) => isWaivable(waiver, finding)) : undefined
        return { ...finding, waiver: accepting?.id ?? null }
      }),
  )
}

/**
 * What was there only while nothing was collected is not known, so a rule of paths, ports or workloads says so once of the cluster, whatever else
 * it found: what was found in one namespace must not stand for what was not seen in another.
 */
function withUnread(
  findings: ReturnType<(typeof RULES)[number]['check']>,
  { cluster, facts, uncollected, unlisted }: RulePeriod,
  readsLists: boolean,
) {
  const { windows } = cluster
  const isOfCluster = findings.some(({ subject }) => subject.kind === 'cluster')
  // Without any list nobody knows which workloads there were: a rule of them must not say that it has nothing to judge.
  const isUnlisted = readsLists && unlisted > 0 && (facts?.workloads.length ?? 0) === 0
  if (isOfCluster || (uncollected === 0 && windows.length > 0 && !isUnlisted)) return findings
  const detail =
    windows.length === 0
      ? 'No window of the cluster was expected in the period, so what was there is not known'
      : uncollected === 0
        ? `No Kubernetes list could be read in ${windowCount(unlisted)}, so what was there is not known`
        : `What was there only in windows that are missing is not known: ${uncollected} of ${windowCount(windows.length)}`
  return [...findings, clusterFinding(cluster.id, 'unknown', detail)]
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
  readonly byRule: ReadonlyMap<string, readonly Finding[]>
  readonly labelsOf: LabelsOf
}

function frameworkResult(
  { id, title, version, controls }: Framework,
  scopes: readonly Scope[],
  { periods, byRule, labelsOf }: FrameworkInput,
): FrameworkResult {
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
    outOfScope: outOfScope(periods, scopes, labelsOf),
    controls: controls.map((control) => {
      const findings = ofRules(control.rules)
      return { ...control, verdict: worstVerdict(findings), score: scoreOf(findings, isBlind) }
    }),
    score: scoreOf(ofRules(rules), isBlind),
  }
}

/** What was seen and is not judged. A cluster that is left out stands here also where nothing was seen of it. */
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

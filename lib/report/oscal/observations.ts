/** What was seen: of each judged path, of each rule, and for each control that it is an input of. None of it says that a control is met. */
import type { Verdict } from '../../model/judgement.ts'
import { UNENCRYPTED_STATES } from '../../model/path.ts'
import { stableUuid } from '../stable-uuid.ts'
import { type PathDetails, isOpenAtEnd } from '../summary/path-details.ts'
import { type PathSummary, isClear } from '../summary/path-summary.ts'
import { severityOf } from '../summary/severity.ts'
import type { Summary } from '../summary/summary.ts'
import { scoreWords } from '../words/vocabulary.ts'
import { markup, prop } from './oscal-text.ts'
import { supportedControls } from './reviewed-controls.ts'
import { pathName, pathUuid } from './subjects.ts'

type Period = Pick<Summary, 'period'>

/** The UUID of what a report says of a path, rule or control: another period gives another one. */
export function observationUuid({ period }: Period, kind: 'path' | 'rule' | 'control', ...of: string[]): string {
  return stableUuid('observation', period.from, period.to, kind, ...of)
}

/** The UUID of the observation of a path. */
export const pathObservation = (period: Period, path: { readonly cluster: string; readonly pathId: string }): string =>
  observationUuid(period, 'path', path.cluster, path.pathId)

/** What was seen of each path: the verdict of `path-is-encrypted`, and how much of its life that rests on. */
export function* pathObservations(
  summary: Summary,
  paths: readonly PathSummary[],
  detailsOf: (path: PathSummary) => PathDetails,
): Iterable<object> {
  const windowsOf = new Map(summary.clusters.map(({ id, windows }) => [id, windows]))
  for (const path of paths) {
    const details = detailsOf(path)
    const { exposure, open } = details
    const window = windowsOf.get(path.cluster)?.[decisiveWindow(path)]
    const isOpen = isOpenAtEnd(details)
    yield {
      uuid: pathObservation(summary, path),
      title: markup(pathName(path)),
      description: markup(path.detail),
      props: [
        ...prop('rule', 'path-is-encrypted'),
        ...prop('verdict', path.verdict),
        ...prop('state', path.mark),
        ...prop('seen-share', path.seen?.share),
        ...prop('told-share', path.seen?.told),
        ...prop('severity', exposure === undefined ? null : severityOf(exposure)),
        ...prop('status', isOpen === null ? null : isOpen ? 'open' : 'ended'),
        ...prop('since', exposure?.since ?? open?.openedAt),
        ...prop('since-unknown', exposure?.isSinceUnknown ?? open?.sinceUnknown),
        ...prop('action', details.action),
        ...prop('waiver', path.failures.find(({ rule }) => rule === 'path-is-encrypted')?.waiver),
      ],
      methods: ['TEST'],
      types: ['control-objective'],
      subjects: [{ 'subject-uuid': pathUuid(path), type: 'inventory-item' }],
      ...(window?.evidence === undefined || window.evidence === null
        ? {}
        : { 'relevant-evidence': [{ href: encodeURI(window.evidence), description: 'Snapshot of that window' }] }),
      collected: window?.end ?? summary.period.to,
    }
  }
}

/** The last window that shows what the path counts as, else the last that was collected; -1 for none. */
function decisiveWindow({ cells, mark, windows }: PathSummary): number {
  const wanted = isClear(mark) ? [...UNENCRYPTED_STATES] : [mark]
  // By their counts first: most paths without enough evidence have no such cell, and thousands of others.
  const shown = wanted.some((one) => windows[one] > 0)
    ? cells.findLastIndex((cell) => cell !== null && wanted.some((one) => one === cell))
    : -1
  return shown >= 0 ? shown : cells.findLastIndex((cell) => cell !== null && cell !== 'not-collected')
}

/** What each rule came to and what it is an input of. */
export function ruleObservations(summary: Summary): readonly object[] {
  return summary.judgement.rules.map(({ id, title, why, verdict, score }) => ({
    uuid: observationUuid(summary, 'rule', id),
    title: markup(title),
    description: markup(`${why} ${scoreWords(score)}.`),
    props: [...prop('rule', id), ...verdictProps(verdict, score)],
    methods: ['TEST'],
    types: ['control-objective'],
    'relevant-evidence': [{ href: 'findings.csv', description: 'What the rule found, subject by subject' }],
    collected: collectedUntil(summary),
  }))
}

/** What was seen for each control that is not tested directly: an input, and so never a finding. */
export function supportingObservations(summary: Summary): readonly object[] {
  return supportedControls(summary).map(({ framework, control }) => ({
    uuid: observationUuid(summary, 'control', framework.id, control.id),
    title: markup(`${framework.title} ${control.id}: ${control.relation}`),
    description: markup(
      `${control.paraphrase}. ${control.note ?? ''} One input among others: ${scoreWords(control.score)}.`,
    ),
    props: controlProps(framework, control),
    methods: ['TEST'],
    types: ['control-objective'],
    'relevant-evidence': [{ href: 'controls.csv', description: 'How each control stands' }],
    collected: collectedUntil(summary),
  }))
}

type Framework = Summary['judgement']['frameworks'][number]

/** What is said of a control, beside words. */
export function controlProps(framework: Framework, control: Framework['controls'][number]): readonly object[] {
  return [
    ...prop('framework', framework.id),
    ...prop('control', control.id),
    ...prop('relation', control.relation),
    ...prop('rules', control.rules.join(' ')),
    ...verdictProps(control.verdict, control.score),
  ]
}

function verdictProps(verdict: Verdict, score: Summary['judgement']['score']): readonly object[] {
  return [
    ...prop('verdict', verdict),
    ...prop('passed', score.pass),
    ...prop('failed', score.fail),
    ...prop('waived', score.waived),
    ...prop('not-enough-evidence', score.notEnoughEvidence),
    ...prop('incomplete-clusters', score.incompleteClusters),
    ...prop('passed-share', score.share),
  ]
}

/** The end of the last window that was collected of any cluster; of the period, where none was. */
function collectedUntil({ clusters, period }: Summary): string {
  const ends = clusters.flatMap(({ collectedUntil: end }) => end ?? [])
  return ends.length === 0 ? period.to : ends.reduce((a, b) => (Date.parse(a) < Date.parse(b) ? b : a))
}

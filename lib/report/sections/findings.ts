/** What fails and what could not be told, rule by rule. Paths that were not encrypted have a section of their own. */
import type { Finding, RuleResult, Subject } from '../../model/judgement.ts'
import type { PathClass } from '../../model/path.ts'
import { breakable, printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Wording } from '../words/report-context.ts'
import type { Dates } from '../../time/dates.ts'
import {
  destinationName,
  EMPTY_CELL,
  endpointName,
  lines,
  number,
  stateCell,
  table,
  verdictView,
} from '../table-cells.ts'
import type { NameView, TableView } from '../table-cells.ts'
import { capital, countWords, plural } from '../words/vocabulary.ts'

/** Identical findings share a row: so many rows for each rule, fewer without a failure, so many names in a row. All findings stand in the CSV. */
const MAX_ROWS = 8
const MAX_LACKING = 3
const MAX_NAMES = 4

/** Told path by path in sections of its own. */
const TOLD_ELSEWHERE = 'path-is-encrypted'

/** What fails, is waived or is not known, rule by rule. */
export function findingsSection({ summary: { judgement, clusters, settings }, dates }: Wording): SectionView {
  const open = judgement.rules.filter(
    ({ score }) => score.fail + score.waived + score.notEnoughEvidence + score.incompleteClusters > 0,
  )
  return section('findings', 'Findings, rule by rule', {
    paragraphs: [
      judgement.findings.length === 0
        ? 'No rule had anything to judge.'
        : open.length === 0
          ? 'No rule failed or lacked evidence on anything that was judged.'
          : `${countWords(open.length)} of ${plural(judgement.rules.length, 'rule')} failed or lacked evidence on something. Identical findings are grouped; failures come first. Findings of ${TOLD_ELSEWHERE} are in the sections on paths. All findings are in findings.csv.`,
    ],
    tables: open
      .filter(({ id }) => id !== TOLD_ELSEWHERE)
      .map((rule) =>
        ruleTable(rule, judgement.findings, {
          judged: settings.judgedClasses,
          namesCluster: clusters.length > 1,
          dates,
        }),
      ),
  })
}

function ruleTable(
  rule: RuleResult,
  findings: readonly Finding[],
  {
    judged,
    namesCluster,
    dates,
  }: { readonly judged: readonly PathClass[]; readonly namesCluster: boolean; readonly dates: Dates },
): TableView {
  const all = findings.filter(
    ({ rule: id, verdict }) => id === rule.id && (verdict === 'fail' || verdict === 'not-enough-evidence'),
  )
  const own = all.filter(({ class: of }) => of === null || judged.includes(of))
  const others = all.length - own.length
  const groups = [
    ...Map.groupBy(own, ({ verdict, waiver, detail }) => JSON.stringify([verdict, waiver, detail])).values(),
  ].toSorted((a, b) => orderOf(a) - orderOf(b) || b.length - a.length)
  const failed = groups.filter(([first]) => first?.verdict === 'fail').slice(0, MAX_ROWS)
  const lacking = groups.filter(([first]) => first?.verdict !== 'fail').slice(0, MAX_LACKING)
  const left = own.length - [...failed, ...lacking].flat().length
  const told = table(
    [
      rule.why,
      ...(left === 0
        ? []
        : [`${capital(plural(left, 'more finding'))} of this rule ${left === 1 ? 'is' : 'are'} in findings.csv only.`]),
      ...(others === 0
        ? []
        : [
            `${capital(plural(others, 'finding'))} about Linkerd’s own or the platform ${others === 1 ? 'is' : 'are'} not judged, and in findings.csv only.`,
          ]),
    ].join(' '),
    [
      ['Observation', 38],
      ['Verdict', 16],
      ['Subjects', 8, 'numbers'],
      ['Affected', 38],
    ],
    [...failed, ...lacking].map((group) => {
      const [{ verdict, waiver, detail } = { verdict: rule.verdict, waiver: null, detail: '' }] = group
      return [
        lines([inDates(printable(detail), dates)], waiver === null ? [] : [`waiver ${printable(waiver)}`]),
        stateCell(waiver === null ? verdictView(verdict) : verdictView(verdict, 'fail, waived')),
        number(countWords(group.length)),
        {
          ...EMPTY_CELL,
          names: group.slice(0, MAX_NAMES).map(({ subject }) => subjectName(subject, namesCluster)),
          notes: group.length > MAX_NAMES ? [`and ${countWords(group.length - MAX_NAMES)} more`] : [],
        },
      ]
    }),
  )
  return { ...told, title: `${rule.title}: ${outcomeWords(rule)} (${rule.id})` }
}

/** Findings are also data, in which times are RFC 3339; a reader has one format. */
function inDates(detail: string, { moment }: Dates): string {
  return detail.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/gu, (time) => {
    try {
      return moment(time)
    } catch {
      // The name of something may look like a time and be none, such as 30 February.
      return time
    }
  })
}

/** `fail, 3 of 46`: the verdict, and how many of all that was judged have it; or that there may be more than was judged. */
function outcomeWords({ verdict, score }: RuleResult): string {
  const { pass, fail, waived, notEnoughEvidence } = score
  const having = verdict === 'fail' ? fail + waived : notEnoughEvidence
  // Nothing that was judged lacks evidence, but there may be more.
  if (having === 0) return `${verdictView(verdict).word}, part not monitored`
  return `${verdictView(verdict).word}, ${countWords(having)} of ${countWords(pass + fail + waived + notEnoughEvidence)}`
}

/** Failures before waived ones before what is unknown. */
function orderOf([first]: readonly Finding[]): number {
  if (first === undefined || first.verdict === 'not-enough-evidence') return 2
  return first.waiver === null ? 0 : 1
}

/** What a rule judged, as a name. */
function subjectName(subject: Subject, namesCluster: boolean): NameView {
  const name = bareName(subject)
  if (!namesCluster || subject.kind === 'cluster') return name
  return { ...name, kind: `${printable(subject.cluster)}: ${name.kind}`.trim() }
}

function bareName(subject: Subject): NameView {
  switch (subject.kind) {
    case 'path': {
      const [from, to] = [endpointName(subject.source), destinationName(subject)]
      return {
        kind: from.kind,
        pieces: [...from.pieces, ' → ', ...(to.kind === '' ? [] : breakable(`${to.kind} `)), ...to.pieces],
      }
    }
    case 'port': {
      const { kind, pieces } = endpointName(subject.workload)
      return { kind, pieces: [...pieces, `:${subject.port}`] }
    }
    case 'workload':
      return endpointName(subject.workload)
    case 'cluster':
      return { kind: 'cluster', pieces: breakable(printable(subject.cluster)) }
  }
}

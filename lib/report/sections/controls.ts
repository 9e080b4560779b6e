/** How each control and each rule stands, and what that rests on. */
import { VERDICTS } from '../../model/judgement.ts'
import type { FrameworkResult, Score } from '../../model/judgement.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'
import { lines, number, stateCell, table, textCell, verdictView } from '../table-cells.ts'
import type { CellView, Column, TableView } from '../table-cells.ts'
import { capital, countWords, scoreWords } from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'

/** The verdict of each control. */
export function controlsSection({ judgement, collectedWindows }: Summary): SectionView {
  const { rules, frameworks, score, controls } = judgement
  return section('controls', 'Controls, one by one', {
    paragraphs: [
      ...(collectedWindows === 0 ? ['Nothing was collected, so no verdict is based on observation.'] : []),
      `Over all rules: ${scoreWords(score)}. A control takes the worst verdict of its rules in scope. A waived failure is still a failure, and missing evidence never counts as a pass.`,
      '“Direct”: the rules test the control itself. “Supports”: the rules test a part of it. “Evidence handling”: the control is about how records are kept. “Not tested”: no rule tests it. “Nothing to judge”: rules test it, but nothing that they test was there. A pass means that the rules passed, not that the control is met.',
      `Controls, their relations and paraphrases: data version ${printable(controls.version)}, SHA-256 ${printable(controls.sha256)}.`,
    ],
    tables: [...frameworksTable(frameworks), ...rulesTable(rules), ...frameworks.map(frameworkTable)],
  })
}

/** Columns of the numbers of a framework. */
export const RELATION_COLUMNS: readonly Column[] = [
  ['Direct', 10, 'numbers'],
  ['Supports', 11, 'numbers'],
  ['Not tested', 12, 'numbers'],
  ['Fail', 10, 'numbers'],
  ['Not enough evidence', 14, 'numbers'],
  ['Pass', 10, 'numbers'],
  ['Nothing to judge', 12, 'numbers'],
]

/**
 * The numbers of a framework. A control without a rule is not tested, whatever its relation: no verdict counts it. What is about how records are kept
 * has no rule.
 */
export function relationCells({ controls }: Pick<FrameworkResult, 'controls'>): readonly CellView[] {
  const tested = controls.filter(({ rules }) => rules.length > 0)
  const direct = tested.filter(({ relation }) => relation === 'direct').length
  return [
    number(countWords(direct)),
    number(countWords(tested.length - direct)),
    number(countWords(controls.length - tested.length)),
    ...VERDICTS.map((verdict) => {
      const count = tested.filter((control) => control.verdict === verdict).length
      return number(`${verdict === 'fail' && count > 0 ? `${verdictView('fail').shape} ` : ''}${countWords(count)}`)
    }),
  ]
}

function frameworksTable(frameworks: readonly FrameworkResult[]): readonly TableView[] {
  if (frameworks.length === 0) return []
  return [
    table(
      'Controls by relation, then, if tested, by verdict.',
      [['Framework', 24], ['Judged on', 14], ...RELATION_COLUMNS],
      frameworks.map((framework) => [
        lines([printable(framework.title)], [printable(framework.version)]),
        textCell(framework.scopes.length === 0 ? 'all that is judged' : 'its declared scope'),
        ...relationCells(framework),
      ]),
    ),
  ]
}

function rulesTable(rules: Summary['judgement']['rules']): readonly TableView[] {
  if (rules.length === 0) return []
  return [
    table(
      'Rules, over all that is judged, in a declared scope or not. Each rule counts its own subjects: paths, ports, workloads or clusters. Passed is a share of all that was judged.',
      [
        ['Rule', 39],
        ['Verdict', 15],
        ['Passed', 16, 'numbers'],
        ['Failed', 9, 'numbers'],
        ['Waived', 9, 'numbers'],
        ['Not enough evidence', 11, 'numbers'],
      ],
      rules.map((rule) => [
        lines([rule.title], [rule.id]),
        stateCell(verdictView(rule.verdict)),
        scoreCell(rule.score, false, true),
        number(countWords(rule.score.fail)),
        number(countWords(rule.score.waived)),
        number(countWords(rule.score.notEnoughEvidence)),
      ]),
    ),
  ]
}

function frameworkTable({ title, version, controls, score, scopes }: FrameworkResult): TableView {
  const stands = table(
    `${capital(scoreWords(score))}${scopes.length === 0 ? '; no scope declared' : '; within the declared scope'}.`,
    [
      ['Control', 14],
      ['In our words', 38],
      ['Based on', 19],
      ['Verdict', 17],
      ['Passed', 12, 'numbers'],
    ],
    controls.map((control) => [
      lines([printable(control.id)], [control.relation]),
      lines([printable(control.paraphrase)], control.note === null ? [] : [printable(control.note)]),
      lines(control.rules, control.rules.length === 0 ? ['no rule'] : []),
      control.rules.length === 0 ? textCell('not tested') : stateCell(verdictView(control.verdict)),
      scoreCell(control.score, true, control.rules.length > 0),
    ]),
  )
  return { ...stands, title: `${printable(title)}, ${printable(version)}` }
}

/** A share with its denominator; where there is none, that is said. `isAlone`: no other column counts what did not pass. */
function scoreCell(
  { pass, fail, waived, notEnoughEvidence, incompleteClusters, share }: Score,
  isAlone: boolean,
  isTested: boolean,
): CellView {
  const judged = pass + fail + waived + notEnoughEvidence
  const isIncomplete = incompleteClusters > 0
  if (judged === 0 && !isIncomplete) return number(isTested ? 'nothing to judge' : 'not tested')
  return {
    ...number(share === null ? 'unknown' : shareWords(share)),
    notes: [
      `${countWords(pass)} of ${countWords(judged)}`,
      ...(isAlone && fail + waived > 0 ? [`${countWords(fail + waived)} failed`] : []),
      ...(isAlone && notEnoughEvidence > 0 ? [`${countWords(notEnoughEvidence)} unclear`] : []),
      ...(isIncomplete ? ['part not monitored'] : []),
    ],
  }
}

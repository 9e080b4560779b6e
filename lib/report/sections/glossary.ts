/** What states, verdicts and words mean. */
import { VERDICTS } from '../../model/judgement.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { LOOKS, MARKS, VERDICT_LOOKS } from '../drawing/state-looks.ts'
import { swatch } from '../drawing/strip-view.ts'
import { EMPTY_CELL, stateCell, stateView, table, textCell, verdictView } from '../table-cells.ts'

const TERMS: readonly (readonly [word: string, meaning: string])[] = [
  [
    'window',
    'a stretch of the day, an hour by default, that is collected as one; open at its start, closed at its end',
  ],
  ['path', 'a source, a destination and a port on a cluster, over all time'],
  ['known, observed path', 'seen at least once before the end of the period; seen in it with traffic that is judged'],
  [
    'episode',
    'a run of windows in which a path was not encrypted, from its first connection until it is fixed, refused, gone or quiet',
  ],
  [
    'fixed',
    'seen encrypted again; for a client without a name: the port was wholly seen with traffic, and none of it in the clear',
  ],
  ['refused', 'policy now turns plain text away there'],
  ['gone', 'a complete list of the Kubernetes API lacks an end of the path'],
  ['quiet', 'seven days of full coverage without a connection; not known to be fixed'],
  [
    'observed share',
    'the part of the life of meshed pods in which their proxies were scraped; what was not collected counts as not observed',
  ],
  ['(unmeshed)', 'a client that showed no mesh identity: without a proxy, or with one that was passed by'],
  ['scope', 'what a framework is judged on, with an owner and a reason; what is left out is printed'],
  [
    'waiver',
    'an accepted exception with an owner, a reason, a compensating control and an end; what it accepts stays a failure',
  ],
  ['checkpoint', 'the signed head of the log that holds the hashes of all evidence'],
  ['inferred', 'follows from settings that were stated; was not itself seen'],
]

/** The words of a report. */
export function glossarySection(): SectionView {
  return section('glossary', 'Glossary', {
    tables: [
      table(
        'Each state has a word, a shape and a colour. In a cell that stands for several windows the one that is higher in this table is shown.',
        [
          ['State', 18],
          ['In a strip', 14],
          ['Meaning', 68],
        ],
        MARKS.map((mark) => [
          { ...EMPTY_CELL, state: stateView(mark) },
          { ...EMPTY_CELL, strip: swatch(mark) },
          textCell(LOOKS[mark].meaning),
        ]),
      ),
      table(
        'Verdicts of rules and controls, worst first.',
        [
          ['Verdict', 22],
          ['Meaning', 78],
        ],
        VERDICTS.map((verdict) => [stateCell(verdictView(verdict)), textCell(VERDICT_LOOKS[verdict].meaning)]),
      ),
      table(
        'Words.',
        [
          ['Word', 22],
          ['Meaning', 78],
        ],
        TERMS.map(([word, meaning]) => [textCell(word), textCell(meaning)]),
      ),
    ],
  })
}

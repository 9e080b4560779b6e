/** What states, verdicts and words mean. */
import { VERDICTS } from '../../model/judgement.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { LOOKS, MARKS, VERDICT_LOOKS } from '../drawing/state-looks.ts'
import { SEVERITIES, SEVERITY_WORDS } from '../summary/severity.ts'
import { swatch } from '../drawing/strip-view.ts'
import { EMPTY_CELL, stateCell, stateView, table, textCell, verdictView } from '../table-cells.ts'

const TERMS: readonly (readonly [word: string, meaning: string])[] = [
  ['window', 'a stretch of time, an hour by default, that is collected as one; open at its start, closed at its end'],
  ['path', 'a source, a destination and a port on a cluster'],
  ['open', 'unencrypted at the end of the period, or when last seen'],
  ['at some time', 'unencrypted in at least one window of the period'],
  ['action', 'one change that ends some open paths: paths with the same cause and the same fix share it'],
  ['owner', 'the label of the workload that scope.yaml names, else its namespace'],
  ...SEVERITIES.map((severity) => [`${severity} severity`, SEVERITY_WORDS[severity]] as const),
  [
    'episode',
    'windows in a row in which a path was unencrypted, from its first connection until it is fixed, refused, gone or quiet',
  ],
  ['fixed', 'seen encrypted again; for a client without a name: port fully observed with traffic, no plaintext'],
  ['refused', 'policy now refuses plaintext there'],
  ['gone', 'a complete Kubernetes snapshot lacks an end of the path'],
  ['quiet', 'seven days of full coverage without a connection; perhaps not fixed'],
  ['monitored share', 'the time of collected windows, divided by the time of the period'],
  ['observed share', 'the part of the lifetime of meshed pods in which their proxies were scraped'],
  ['seen share', 'the part of a path’s time in which an end of it was observed'],
  ['wanted share', 'the seen share that a pass needs'],
  ['(unmeshed)', 'a client without a mesh identity: it has no proxy, or its proxy was bypassed'],
  ['scope', 'what a framework is judged on, with an owner and a reason'],
  ['waiver', 'an accepted exception with an owner, a reason, a compensating control and an expiry; still a failure'],
  ['checkpoint', 'the signed head of the log that holds the hashes of all evidence'],
  ['inferred', 'concluded from settings, not observed'],
]

/** The words of a report. */
export function glossarySection(): SectionView {
  return section('glossary', 'Glossary', {
    tables: [
      table(
        'Each state has a word, a shape and a colour. A cell that holds several windows shows the state that is higher in this table.',
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

/** What states, verdicts and words mean. */
import { VERDICTS } from '../../model/judgement.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { LOOKS, MARKS, VERDICT_LOOKS } from '../drawing/state-looks.ts'
import { swatch } from '../drawing/strip-drawing.ts'
import { EMPTY_CELL, stateCell, stateView, table, textCell, verdictView } from '../table-cells.ts'

const TERMS: readonly (readonly [word: string, meaning: string])[] = [
  [
    'window',
    'a time that is collected as one, an hour unless the cluster is registered with another length; it excludes its start and includes its end',
  ],
  ['path', 'a source, a destination and a port on a cluster'],
  ['open', 'unencrypted at the end of the period, or when last seen'],
  ['at some time', 'unencrypted in at least one window of the period'],
  ['action', 'one change that fixes some open paths: paths with the same cause and the same fix share it'],
  ['owner', 'the label of the workload that scope.yaml names, else its namespace'],
  [
    'episode',
    'windows in a row in which a path was unencrypted, from its first connection until it is fixed, refused, gone or quiet',
  ],
  ['fixed', 'seen encrypted; for a client without a name: port fully observed with traffic, no plaintext'],
  ['refused', 'policy now refuses plaintext there'],
  ['gone', 'an end of the path is missing from a complete Kubernetes snapshot'],
  ['quiet', 'seven days of full coverage without a connection; it may not be fixed'],
  ['monitored share', 'the time of collected windows, divided by the time of the period'],
  ['observed share', 'the part of the lifetime of meshed pods in which their proxies were scraped'],
  ['seen share', 'the part of a path’s time that was read: in each window, at the end of which more was read'],
  ['wanted share', 'the seen share that a path needs for a pass'],
  [
    'judged',
    'counted in figures, verdicts and scores: paths of applications, unless scope.yaml names more classes, that were unencrypted, encrypted or lack evidence',
  ],
  ['(unmeshed)', 'a client without a mesh identity: it has no proxy, or its proxy was bypassed'],
  ['scope', 'the clusters, namespaces and labels for which a framework is judged, with an owner and a reason'],
  ['waiver', 'an accepted exception with an owner, a reason, a compensating control and an expiry; still a failure'],
  ['checkpoint', 'the signed head of the log that holds the hashes of all evidence'],
  ['inferred', 'concluded from settings, not observed'],
]

/** The words of a report. */
export function glossarySection(): SectionView {
  return section('glossary', 'Glossary', {
    tables: [
      table(
        'Each state has a word, a shape and a colour. A cell that stands for several windows shows the one of their states that is first in this table. Words in brackets after a reason are Linkerd’s or ciphertrail’s own reason codes.',
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

/** What policy says beside what was seen, port by port. */
import type { Enforcement } from '../../model/path.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'
import { ENFORCEMENT_READINGS } from '../summary/enforcement-summary.ts'
import type { EnforcementReading } from '../summary/enforcement-summary.ts'
import { destinationName, nameCell, stateCell, stateView, table, textCell } from '../table-cells.ts'
import { capital, countWords, plural } from '../words/vocabulary.ts'
import { firstLines } from '../words/report-context.ts'

/** A table shows as many rows; all of them stand in the CSV. */
const MAX_ROWS = 80

const POLICY_WORDS: Readonly<Record<Enforcement, string>> = {
  'plaintext-refused': 'refuses plain text',
  'plaintext-allowed': 'lets plain text through',
  audited: 'would refuse, only logs',
  unknown: 'not known',
}

const READING_WORDS: Readonly<Record<EnforcementReading, string>> = {
  contradicted: 'clear traffic came although policy is said to refuse it',
  'open-and-used': 'open, and used in the clear',
  'not-known': 'what policy says is not known',
  open: 'open, though nothing came in the clear while it was seen',
  'closed-now': 'was open and used in the clear; policy refuses that now',
  'closed-and-tried': 'closed: clear traffic was tried and turned away',
  closed: 'closed; nobody was seen to try',
}

/** What policy says beside what was seen, for each port. */
export function enforcementSection({ enforcement, collectedWindows, clusters }: Summary): SectionView {
  const { shown, note } = firstLines(enforcement, MAX_ROWS, 'enforcement.csv')
  const counts = ENFORCEMENT_READINGS.map((reading) => ({
    reading,
    count: enforcement.filter((port) => port.reading === reading).length,
  })).filter(({ count }) => count > 0)
  return section('enforcement', 'Enforcement beside observation', {
    paragraphs:
      enforcement.length === 0
        ? [
            collectedWindows === 0
              ? 'Nothing was collected, so nothing can be said.'
              : 'No port of a workload was seen with traffic that policy decides on.',
          ]
        : [
            'Encrypted traffic on an open port is not enforced: the next client may come in the clear. A closed port that nobody tried is a promise, not an observation.',
            `${capital(plural(enforcement.length, 'port'))}: ${counts.map(({ reading, count }) => `${countWords(count)} ${SHORT_WORDS[reading]}`).join(', ')}.`,
          ],
    tables:
      shown.length === 0
        ? []
        : [
            table(
              `Ports of workloads with judged or refused traffic, what asks for attention first.${note}`,
              [
                ['Port', 28],
                ...(clusters.length > 1 ? [['Cluster', 11] as const] : []),
                ['What policy says', 20],
                ['Worst seen', 20],
                ['What both come to', 32],
              ],
              shown.map((port) => [
                nameCell(destinationName({ destination: port.workload, port: port.port })),
                ...(clusters.length > 1 ? [textCell(port.cluster)] : []),
                textCell(
                  port.policy.length === 0
                    ? POLICY_WORDS.unknown
                    : port.policy.map((word) => POLICY_WORDS[word]).join(', then '),
                ),
                stateCell(stateView(port.mark)),
                textCell(
                  `${READING_WORDS[port.reading]}${port.isRefused && port.reading !== 'closed-and-tried' ? '; some was turned away' : ''}`,
                ),
              ]),
            ),
          ],
  })
}

const SHORT_WORDS: Readonly<Record<EnforcementReading, string>> = {
  contradicted: 'contradicted',
  'open-and-used': 'open and used in the clear',
  'not-known': 'with unknown policy',
  open: 'open and not used in the clear',
  'closed-now': 'closed after being used in the clear',
  'closed-and-tried': 'closed and tried',
  closed: 'closed and not tried',
}

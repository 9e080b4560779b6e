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

/** What policy says of plaintext on a port, after its name. */
export const POLICY_WORDS: Readonly<Record<Enforcement, string>> = {
  'plaintext-refused': 'refuses plaintext',
  'plaintext-allowed': 'allows plaintext',
  audited: 'only logs (audit)',
  unknown: 'unknown',
}

const READING_WORDS: Readonly<Record<EnforcementReading, string>> = {
  contradicted: 'contradiction: traffic without mesh TLS arrived although policy refuses it',
  'open-and-used': 'open, and used without mesh TLS',
  'not-known': 'policy unknown',
  open: 'open; all traffic seen had mesh TLS or is unknown',
  'closed-now': 'used without mesh TLS before; policy refuses it now',
  'closed-and-tried': 'closed; plaintext was tried and refused',
  closed: 'closed; no attempt seen',
}

/** What policy says beside what was seen, for each port. */
export function enforcementSection({ enforcement, collectedWindows, clusters }: Summary): SectionView {
  const { shown, note } = firstLines(enforcement, MAX_ROWS, 'enforcement.csv')
  const counts = ENFORCEMENT_READINGS.map((reading) => ({
    reading,
    count: enforcement.filter((port) => port.reading === reading).length,
  })).filter(({ count }) => count > 0)
  return section('enforcement', 'Policy versus observed traffic', {
    paragraphs:
      enforcement.length === 0
        ? [
            collectedWindows === 0
              ? 'Nothing was collected, so policy and traffic are unknown.'
              : 'No port with judged traffic was seen.',
          ]
        : [
            'Open: policy allows plaintext on the port. If all traffic on an open port was encrypted, that is not enforced: the next client may send plaintext. Closed: policy refuses plaintext. A closed port on which no client tried plaintext is untested. “Policy” is the last that was read; the rules count readings of every window.',
            `${capital(plural(enforcement.length, 'port'))}: ${counts.map(({ reading, count }) => `${countWords(count)} ${SHORT_WORDS[reading]}`).join(', ')}.`,
          ],
    tables:
      shown.length === 0
        ? []
        : [
            table(
              `Ports with judged or refused traffic, grouped by conclusion, the worst first, then by name.${note}`,
              [
                ['Port', 28],
                ...(clusters.length > 1 ? [['Cluster', 11] as const] : []),
                ['Policy', 20],
                ['Worst seen', 20],
                ['Conclusion', 32],
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
                  `${READING_WORDS[port.reading]}${port.isRefused && port.reading !== 'closed-and-tried' ? '; some was refused' : ''}`,
                ),
              ]),
            ),
          ],
  })
}

const SHORT_WORDS: Readonly<Record<EnforcementReading, string>> = {
  contradicted: 'contradicted',
  'open-and-used': 'open and used without mesh TLS',
  'not-known': 'with unknown policy',
  open: 'open, not seen used without mesh TLS',
  'closed-now': 'closed after plaintext',
  'closed-and-tried': 'closed and tried',
  closed: 'closed and not tried',
}

/** What policy says beside what was seen, port by port. */
import type { Enforcement } from '../../model/path.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'
import { ENFORCEMENT_READINGS } from '../summary/enforcement-summary.ts'
import type { EnforcementReading, PortEnforcement } from '../summary/enforcement-summary.ts'
import { destinationName, nameCell, plain, stateCell, stateView, table, textCell } from '../table-cells.ts'
import { capital, countWords, plural } from '../words/vocabulary.ts'
import { firstRows } from '../words/report-context.ts'

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
  'open-and-used': 'allowed, and used without mesh TLS',
  'not-known': 'policy unknown',
  open: 'allowed, not seen used without mesh TLS',
  'closed-now': 'used without mesh TLS before, refused now',
  'closed-and-tried': 'refused; a client tried',
  closed: 'refused; no client tried',
}

/** What policy and traffic of a port come to together, in words. */
export function conclusionWords({ reading, isRefused }: Pick<PortEnforcement, 'reading' | 'isRefused'>): string {
  return `${READING_WORDS[reading]}${isRefused && reading !== 'closed-and-tried' ? '; some was refused' : ''}`
}

/** What policy says beside what was seen, for each port. */
export function enforcementSection({ enforcement, collectedWindows, clusters }: Summary): SectionView {
  const { shown, note } = firstRows(
    foldedPorts(enforcement),
    MAX_ROWS,
    'enforcement.csv',
    'port',
    ({ length }) => length,
  )
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
            'Allowed: policy lets clients without mesh TLS use the port. If all traffic on such a port was encrypted, nothing enforces it: the next client may send plaintext. Refused: policy refuses such clients. If none tried, the refusal is untested. “Policy” is the last that was read; the rules count readings of every window.',
            `${capital(plural(enforcement.length, 'port'))}: ${counts.map(({ reading, count }) => `${countWords(count)} ${SHORT_WORDS[reading]}`).join(', ')}.`,
          ],
    tables:
      shown.length === 0
        ? []
        : [
            table(
              `Ports with judged or refused traffic, grouped by conclusion, the worst first, then by name.${shown.some(({ length }) => length > 1) ? ' Ports of a namespace that stand alike, and need no attention, share a row; enforcement.csv has each.' : ''}${note}`,
              [
                ['Port', 28],
                ...(clusters.length > 1 ? [['Cluster', 11] as const] : []),
                ['Policy', 20],
                ['Worst seen', 20],
                ['Conclusion', 32],
              ],
              shown.map(([port, ...others]) => [
                others.length === 0
                  ? nameCell(destinationName({ destination: port.workload, port: port.port }))
                  : { ...plain(port.workload.namespace), notes: [plural(others.length + 1, 'port')] },
                ...(clusters.length > 1 ? [textCell(port.cluster)] : []),
                textCell(
                  port.policy.length === 0
                    ? POLICY_WORDS.unknown
                    : port.policy.map((word) => POLICY_WORDS[word]).join(', then '),
                ),
                stateCell(stateView(port.mark)),
                textCell(conclusionWords(port)),
              ]),
            ),
          ],
  })
}

const SHORT_WORDS: Readonly<Record<EnforcementReading, string>> = {
  contradicted: 'contradicted',
  'open-and-used': 'allowed and used without mesh TLS',
  'not-known': 'with unknown policy',
  open: 'allowed, not seen used without mesh TLS',
  'closed-now': 'refused after use without mesh TLS',
  'closed-and-tried': 'refused and tried',
  closed: 'refused and not tried',
}

/** What needs no attention port by port. */
const CALM: ReadonlySet<EnforcementReading> = new Set(['open', 'closed-now', 'closed-and-tried', 'closed'])

type Ports = readonly [PortEnforcement, ...PortEnforcement[]]

/** A row for each port; if there are more than a table shows, one for all ports of a namespace that stand alike and need no attention. */
function foldedPorts(ports: readonly PortEnforcement[]): readonly Ports[] {
  if (ports.length <= MAX_ROWS) return ports.map((port): Ports => [port])
  const groups = new Map<string, [PortEnforcement, ...PortEnforcement[]]>()
  for (const port of ports) {
    const { cluster, workload, policy, mark, reading, isRefused } = port
    const alike = CALM.has(reading)
      ? [cluster, workload.namespace, policy, mark, reading, isRefused]
      : [cluster, workload, port.port]
    const key = JSON.stringify(alike)
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [port])
    else known.push(port)
  }
  return [...groups.values()]
}

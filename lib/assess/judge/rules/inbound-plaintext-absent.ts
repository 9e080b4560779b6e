import { workloadKey } from '../../pods/facts.ts'
import { type PortHistory, type Rule, type RuleFinding } from '../rule.ts'
import { clearWindows, clearWords, doubtOf, encryptedWindows, isExempt, ofPort, unknownWindowsWords } from '../rule.ts'

/** Judges what a workload's port was sent, by whomever. */
export const inboundPlaintextAbsent: Rule = {
  id: 'inbound-plaintext-absent',
  title: 'Inbound traffic of ports is encrypted',
  why: 'No metric names a client that has no proxy. Only the metrics of the port that it called show it.',
  needs:
    'Every window of the workload. Seen time is the observed pod time, under three conditions: a Kubernetes snapshot shows that each pod has a proxy, no pod label overwrites a metric label, and the port does not bypass the proxy. The rule can only say that unencrypted traffic was absent in the time that was seen.',
  check: ({ ports }) => ports.map(judge),
}

function judge(port: PortHistory): RuleFinding {
  const paths = port.paths.filter((path) => !isExempt(path) || clearWindows(path) > 0)
  const clear = paths.filter((path) => clearWindows(path) > 0)
  const [worst] = clear.toSorted((a, b) => clearWindows(b) - clearWindows(a))
  if (worst !== undefined) {
    const others = clear.length > 1 ? ` and ${clear.length - 1} more` : ''
    return ofPort(port, 'fail', `From ${nameOf(worst.source)}${others}: ${clearWords(worst)}`)
  }
  const doubted = paths.find((path) => doubtOf(path) !== null)
  if (doubted !== undefined)
    return ofPort(port, 'not-enough-evidence', `${unknownWindowsWords(doubted)}, from ${nameOf(doubted.source)}`)
  if (paths.length === 0) return ofPort(port, 'not-applicable', 'Exempt traffic only')
  const traffic = paths.reduce((sum, path) => sum + encryptedWindows(path), 0)
  return traffic === 0
    ? ofPort(port, 'not-applicable', 'No traffic to judge in the period', port.seen)
    : ofPort(port, 'pass', 'All inbound traffic that its proxies saw was encrypted', port.seen)
}

function nameOf({ kind, namespace, name }: PortHistory['paths'][number]['source']): string {
  if (name !== '') return workloadKey({ kind, namespace, name })
  return kind === 'unmeshed' ? 'a client without mesh identity' : `(${kind})`
}

import { workloadKey } from '../../pods/facts.ts'
import { type PortHistory, type Rule, type RuleFinding } from '../rule.ts'
import { clearWindows, clearWords, doubtOf, encryptedWindows, isExempt, ofPort, untoldWords } from '../rule.ts'

/** Judges what a workload's port was sent, by whomever. */
export const inboundPlaintextAbsent: Rule = {
  id: 'inbound-plaintext-absent',
  title: 'Inbound traffic of ports is encrypted',
  why: 'A client without a proxy has no path of its own in any metric: only the port that it reached tells of it.',
  needs:
    'Every window of the workload. Seen is the part of the time of its pods that was read, where a list shows each pod with a proxy, no label of theirs replaces readings, and the port does not go around the proxy: that something is absent can only be said of what was seen.',
  check: ({ ports }) => ports.map(judge),
}

function judge(port: PortHistory): RuleFinding {
  const paths = port.paths.filter((path) => !isExempt(path) || clearWindows(path) > 0)
  const clear = paths.filter((path) => clearWindows(path) > 0)
  const [worst] = clear.toSorted((a, b) => clearWindows(b) - clearWindows(a))
  if (worst !== undefined) {
    const others = clear.length > 1 ? ` (and ${clear.length - 1} more)` : ''
    return ofPort(port, 'fail', `From ${nameOf(worst.source)}${others}: ${clearWords(worst)}`)
  }
  const doubted = paths.find((path) => doubtOf(path) !== null)
  if (doubted !== undefined)
    return ofPort(port, 'not-enough-evidence', `From ${nameOf(doubted.source)}: ${untoldWords(doubted)}`)
  if (paths.length === 0) return ofPort(port, 'not-applicable', 'Exempt traffic only')
  const traffic = paths.reduce((sum, path) => sum + encryptedWindows(path), 0)
  return traffic === 0
    ? ofPort(port, 'not-applicable', 'No traffic to judge in the period', port.seen)
    : ofPort(port, 'pass', 'All that its proxies saw come in was encrypted', port.seen)
}

function nameOf({ kind, namespace, name }: PortHistory['paths'][number]['source']): string {
  return name === '' ? `(${kind})` : workloadKey({ kind, namespace, name })
}

import type { PathRow } from '../../../model/history.ts'
import { type PortHistory, type Rule, clearWindows, clearWords, ofPort, windowCount } from '../rule.ts'

/** Judges what policy does with plain text: the other axis, beside what was observed. */
export const plaintextIsRefused: Rule = {
  id: 'plaintext-is-refused',
  title: 'Policy refuses plain text on the port',
  failTitle: 'Policy lets plain text in on the port',
  why: 'That nobody sent plain text is luck of the period; that nobody can is a control.',
  needs:
    "Linkerd's default inbound policy, Servers and authorizations, from complete lists that agree around each window with traffic to the port. A policy that only audits lets in. Plain text that was let in fails it, whatever policy says. NetworkPolicies are not considered.",
  check: ({ ports }) => ports.map(judge),
}

function judge(port: PortHistory) {
  const clear = port.paths.find((path) => clearWindows(path) > 0)
  const rows = port.paths.flatMap((path) => path.rows).filter(({ state }) => state !== 'exempt')
  const seen = rows.filter(({ state }) => state !== 'not-observed' && state !== 'not-collected')
  const has = (enforcement: PathRow['enforcement']) => seen.some((row) => row.enforcement === enforcement)
  if (has('plaintext-allowed')) return ofPort(port, 'fail', 'Policy lets plain text in')
  if (has('audited')) return ofPort(port, 'fail', 'Policy only audits: plain text is let in and noted')
  if (clear !== undefined) return ofPort(port, 'fail', `Plain text was let in: ${clearWords(clear)}`)
  if (rows.length === 0) return ofPort(port, 'not-applicable', 'Exempt traffic only')
  if (has('unknown')) return ofPort(port, 'unknown', 'What policy does is not known in some window with traffic')
  const missing = Math.max(0, ...port.paths.map(({ windows }) => windows['not-collected']))
  if (missing > 0)
    return ofPort(port, 'unknown', `What policy did is not known: not collected in ${windowCount(missing)}`)
  return seen.length === 0
    ? ofPort(port, 'unknown', 'No traffic in the period, so what policy does was not worked out')
    : ofPort(port, 'pass', 'Policy refuses plain text in each window with traffic')
}

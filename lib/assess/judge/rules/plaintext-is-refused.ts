import type { PathRow } from '../../../model/history.ts'
import { type PortHistory, type Rule, type RuleFinding, clearWindows, clearWords, ofPort } from '../rule.ts'
import { withUntold } from '../seen.ts'

/** Judges what policy does with plain text: the other axis, beside what was observed. */
export const plaintextIsRefused: Rule = {
  id: 'plaintext-is-refused',
  title: 'Policy refuses plaintext on ports',
  why: 'That nobody sent plain text is luck of the period; that nobody can is a control.',
  needs:
    "Linkerd's default inbound policy, Servers and authorizations, from complete lists that agree around each window with traffic to the port. A policy that only audits lets in. Plain text that was let in fails it, whatever policy says. What counts as seen is as for inbound-plaintext-absent. NetworkPolicies are not considered.",
  check: ({ ports }) => ports.map(judge),
}

function judge(port: PortHistory): RuleFinding {
  const clear = port.paths.find((path) => clearWindows(path) > 0)
  const rows = port.paths.flatMap((path) => path.rows).filter(({ state }) => state !== 'exempt')
  const active = rows.filter(({ state }) => state !== 'not-observed' && state !== 'not-collected')
  const has = (enforcement: PathRow['enforcement']) => active.some((row) => row.enforcement === enforcement)
  if (has('plaintext-allowed')) return ofPort(port, 'fail', 'Policy lets plain text in')
  if (has('audited')) return ofPort(port, 'fail', 'Policy only audits: plain text is let in and noted')
  if (clear !== undefined) return ofPort(port, 'fail', `Plain text was let in: ${clearWords(clear)}`)
  if (rows.length === 0) return ofPort(port, 'not-applicable', 'Exempt traffic only')
  const known = port.paths.reduce((sum, { policy }) => sum + policy.known, 0)
  const unknown = port.paths.reduce((sum, { policy }) => sum + policy.unknown, 0)
  const untold =
    unknown === 0 ? '' : `What policy does is not known in ${unknown} of ${known + unknown} readings of its traffic`
  if (known + unknown === 0)
    return ofPort(port, 'not-applicable', 'No traffic in the period, so what policy does was not worked out', port.seen)
  const worst = Math.max(0, ...port.paths.map(({ policy }) => policy.unknown))
  const seen = { ...withUntold(port.seen, 1, worst), told: known / (known + unknown) }
  return {
    ...ofPort(port, 'pass', 'Policy refuses plain text in each window with traffic', seen),
    untold,
  }
}

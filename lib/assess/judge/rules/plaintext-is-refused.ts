import type { PathRow } from '../../../model/history.ts'
import { type PortHistory, type Rule, type RuleFinding, clearWindows, clearWords, isExempt, ofPort } from '../rule.ts'
import { withUnknownWindows } from '../seen.ts'

/** Judges what policy does with plaintext: the other axis, beside what was observed. */
export const plaintextIsRefused: Rule = {
  id: 'plaintext-is-refused',
  title: 'Policy refuses plaintext on ports',
  why: 'If nobody sent plaintext in the period, that may be luck. If policy refuses plaintext, that is a control.',
  needs:
    'Linkerd’s default inbound policy, Servers and authorizations, from complete Kubernetes snapshots that agree around each window with traffic to the port. A policy that only audits counts as one that allows plaintext. If unencrypted traffic was let in, the rule fails, whatever the policy says. Seen time is calculated as for inbound-plaintext-absent. NetworkPolicies are not considered. The rule is not applicable to a port that had exempt traffic only: policy does not refuse the probes of the kubelet, and the ports of the proxy itself are not those of the workload.',
  check: ({ ports }) => ports.map(judge),
}

function judge(port: PortHistory): RuleFinding {
  const clear = port.paths.find((path) => clearWindows(path) > 0)
  const rows = port.paths
    .filter((path) => !isExempt(path))
    .flatMap((path) => path.rows)
    .filter(({ state }) => state !== 'exempt')
  const active = rows.filter(({ state }) => state !== 'not-observed' && state !== 'not-collected')
  const has = (enforcement: PathRow['enforcement']) => active.some((row) => row.enforcement === enforcement)
  if (has('plaintext-allowed')) return ofPort(port, 'fail', 'Policy allows plaintext')
  if (has('audited')) return ofPort(port, 'fail', 'Policy only audits: plaintext is let in and logged')
  if (clear !== undefined) return ofPort(port, 'fail', `Traffic was let in and ${clearWords(clear)}`)
  if (rows.length === 0) return ofPort(port, 'not-applicable', 'Exempt traffic only')
  const known = port.paths.reduce((sum, { policy }) => sum + policy.known, 0)
  const unknown = port.paths.reduce((sum, { policy }) => sum + policy.unknown, 0)
  const untold =
    unknown === 0
      ? ''
      : `Policy is unknown in ${unknown} of ${known + unknown} readings, one for each path and window with traffic`
  if (known + unknown === 0)
    return ofPort(
      port,
      'not-applicable',
      'No traffic to judge in the period, so the policy was not determined',
      port.seen,
    )
  const worst = Math.max(0, ...port.paths.map(({ policy }) => policy.unknown))
  const seen = { ...withUnknownWindows(port.seen, 1, worst), told: known / (known + unknown) }
  return {
    ...ofPort(port, 'pass', 'Policy refused plaintext in every window with traffic', seen),
    untold,
  }
}

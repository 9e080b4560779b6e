import { type Rule, type RuleFinding, type RulePeriod, clusterFinding } from '../rule.ts'
import { seenOfCluster } from '../seen.ts'

/** Judges the roots that the proxies trust. */
export const trustAnchorIsValid: Rule = {
  id: 'trust-anchor-is-valid',
  title: 'Trust anchors are within their validity period',
  why: 'When a trust anchor expires, every certificate under it becomes invalid. A trust anchor that should have been removed can still make the certificate of a client valid.',
  needs:
    'The trust roots of the control plane (ConfigMap linkerd-identity-trust-roots) in every window. A window counts as seen if they could be read.',
  check: (period) => [judge(period)],
}

function judge({ cluster, facts, windows }: RulePeriod): RuleFinding {
  const stated = facts?.crypto ?? []
  for (const { start, end, crypto } of stated)
    for (const { subject, notBefore, notAfter } of crypto.trustAnchors) {
      if (Date.parse(notAfter) <= Date.parse(end))
        return clusterFinding(cluster.id, 'fail', `The trust anchor "${subject}" expired at ${notAfter}`)
      if (Date.parse(notBefore) > Date.parse(start))
        return clusterFinding(cluster.id, 'fail', `The trust anchor "${subject}" is not valid before ${notBefore}`)
    }
  const told = stated.filter(({ crypto }) => crypto.trustAnchors.length > 0)
  const seen = seenOfCluster(told, windows)
  if (told.length === 0)
    return clusterFinding(cluster.id, 'not-enough-evidence', 'No window shows a trust anchor', seen)
  const ends = stated.flatMap(({ crypto }) => crypto.trustAnchors.map(({ notAfter }) => notAfter)).sort()
  return clusterFinding(cluster.id, 'pass', `The earliest expiry is ${ends[0] ?? ''}`, seen)
}

import { type Rule, type RulePeriod, clusterFinding, windowCount } from '../rule.ts'

/** Judges the roots that the proxies trust. */
export const trustAnchorIsValid: Rule = {
  id: 'trust-anchor-is-valid',
  title: 'Every trust anchor was within its time',
  failTitle: 'A trust anchor was not within its time',
  why: 'When the anchor ends, every certificate under it does, and one that should be gone may still vouch for a client.',
  needs: 'The trust roots of the control plane (ConfigMap linkerd-identity-trust-roots) in every window.',
  check: (period) => [judge(period)],
}

function judge({ cluster, facts, uncollected }: RulePeriod) {
  const stated = facts?.crypto ?? []
  for (const { start, end, crypto } of stated)
    for (const { subject, notBefore, notAfter } of crypto.trustAnchors) {
      if (Date.parse(notAfter) <= Date.parse(end))
        return clusterFinding(cluster.id, 'fail', `The trust anchor "${subject}" ended at ${notAfter}`)
      if (Date.parse(notBefore) > Date.parse(start))
        return clusterFinding(cluster.id, 'fail', `The trust anchor "${subject}" begins only at ${notBefore}`)
    }
  const without = stated.filter(({ crypto }) => crypto.trustAnchors.length === 0).length
  const unread = Math.max(uncollected, cluster.windows.length - stated.length)
  if (stated.length === 0 || unread + without > 0)
    return clusterFinding(
      cluster.id,
      'unknown',
      stated.length === 0
        ? 'No window shows a trust anchor'
        : `No trust anchor was read in ${windowCount(unread + without)}`,
    )
  const ends = stated.flatMap(({ crypto }) => crypto.trustAnchors.map(({ notAfter }) => notAfter)).sort()
  return clusterFinding(cluster.id, 'pass', `The first of them ends at ${ends[0] ?? ''}`)
}

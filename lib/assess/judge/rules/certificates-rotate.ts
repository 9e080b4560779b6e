import type { Crypto } from '../../../model/window.ts'
import { type Rule, type RuleFinding, type RulePeriod, clusterFinding } from '../rule.ts'
import { seenOfCluster } from '../seen.ts'

type Stated = { readonly start: string; readonly end: string; readonly crypto: Crypto }

/** Judges whether the certificates of proxies were renewed before they ended. */
export const certificatesRotate: Rule = {
  id: 'certificates-rotate',
  title: 'Proxy certificates are renewed in time',
  why: 'A certificate with a short lifetime limits the damage of a stolen key. A proxy that does not renew its certificate will later fail all its mTLS connections.',
  needs:
    'The expiry of every proxy certificate in every window (control_identity_cert_expiration_timestamp_seconds). A window counts as seen if every proxy exported it. If the earliest expiry of all proxies did not move within the period, no renewal was observed, and the verdict is “not enough evidence”.',
  check: (period) => [judge(period)],
}

function judge({ cluster, facts, windows }: RulePeriod): RuleFinding {
  const stated: readonly Stated[] = facts?.crypto ?? []
  const ended = stated.find(({ start, crypto }) => isBefore(crypto.certificates?.earliestExpiry, start))
  if (ended !== undefined)
    return clusterFinding(
      cluster.id,
      'fail',
      `A certificate expired at ${ended.crypto.certificates?.earliestExpiry ?? ''}, and its proxy still ran at ${ended.start}`,
    )
  const told = stated.filter(
    ({ end, crypto }) => isStatedByAll(crypto) && !isBefore(crypto.certificates?.earliestExpiry, end),
  )
  const seen = seenOfCluster(told, windows)
  if (told.length === 0)
    return clusterFinding(
      cluster.id,
      'not-enough-evidence',
      'No window has the certificate expiry of every proxy',
      seen,
    )
  const [first, last] = [told[0]?.crypto.certificates, told.at(-1)?.crypto.certificates]
  return isBefore(first?.earliestExpiry, last?.earliestExpiry) && !isBefore(last?.earliestExpiry, first?.earliestExpiry)
    ? clusterFinding(
        cluster.id,
        'pass',
        `The earliest expiry moved from ${first?.earliestExpiry ?? ''} to ${last?.earliestExpiry ?? ''}, and was never reached`,
        seen,
      )
    : clusterFinding(
        cluster.id,
        'not-enough-evidence',
        `No renewal was observed in the period: the earliest certificate expires at ${last?.earliestExpiry ?? ''}`,
        seen,
      )
}

function isStatedByAll({ certificates, proxyVersions }: Crypto): boolean {
  const proxies = proxyVersions.reduce((sum, version) => sum + version.proxies, 0)
  return certificates !== null && certificates.proxies > 0 && certificates.proxies >= proxies
}

/** At or before; false where one is not known. */
function isBefore(time: string | undefined, other: string | undefined): boolean {
  return time !== undefined && other !== undefined && Date.parse(time) <= Date.parse(other)
}

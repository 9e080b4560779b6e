import type { Crypto } from '../../../model/window.ts'
import { type Rule, type RuleFinding, type RulePeriod, clusterFinding } from '../rule.ts'
import { seenOfCluster } from '../seen.ts'

type Stated = { readonly start: string; readonly end: string; readonly crypto: Crypto }

/** Judges whether the certificates of proxies were renewed before they ended. */
export const certificatesRotate: Rule = {
  id: 'certificates-rotate',
  title: 'Proxy certificates are renewed in time',
  why: 'A short life bounds what a stolen key is worth, and a proxy that does not renew will one day refuse everybody.',
  needs:
    'The end of every proxy certificate in every window (control_identity_cert_expiration_timestamp_seconds). Seen is a window in which every proxy stated it. Where the earliest end of all did not move within the period, no renewal was seen, and there is not enough evidence.',
  check: (period) => [judge(period)],
}

function judge({ cluster, facts, windows }: RulePeriod): RuleFinding {
  const stated: readonly Stated[] = facts?.crypto ?? []
  const ended = stated.find(({ start, crypto }) => isBefore(crypto.certificates?.earliestExpiry, start))
  if (ended !== undefined)
    return clusterFinding(
      cluster.id,
      'fail',
      `A certificate ended at ${ended.crypto.certificates?.earliestExpiry ?? ''}, and its proxy ran at ${ended.start}`,
    )
  const told = stated.filter(
    ({ end, crypto }) => isStatedByAll(crypto) && !isBefore(crypto.certificates?.earliestExpiry, end),
  )
  const seen = seenOfCluster(told, windows)
  if (told.length === 0)
    return clusterFinding(cluster.id, 'not-enough-evidence', 'In no window did every proxy state its certificate', seen)
  const [first, last] = [told[0]?.crypto.certificates, told.at(-1)?.crypto.certificates]
  return isBefore(first?.earliestExpiry, last?.earliestExpiry) && !isBefore(last?.earliestExpiry, first?.earliestExpiry)
    ? clusterFinding(
        cluster.id,
        'pass',
        `The earliest end moved from ${first?.earliestExpiry ?? ''} to ${last?.earliestExpiry ?? ''}, and none was reached`,
        seen,
      )
    : clusterFinding(
        cluster.id,
        'not-enough-evidence',
        `No renewal was seen in the period: the earliest certificate ends at ${last?.earliestExpiry ?? ''}`,
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

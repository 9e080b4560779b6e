/** Conditions of certificates and trust anchors that expire soon. Pure. */
import { printable } from '../../text/printable.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import { type KnownCluster, type KnownFacts, type Present, present } from './condition-kinds.ts'

const DAY = 24 * 60 * 60

/** Linkerd renews a proxy's one-day certificate with seven hours left; with less than two hours left, renewal has failed. */
const CERTIFICATE_SECONDS = 2 * 60 * 60
/** Distributing a new anchor takes weeks. */
const TRUST_ANCHOR_SECONDS = 30 * DAY
/** Before it expires, and when it does, the alert is repeated for those who forgot one of weeks ago. */
const ANCHOR_TOLD_AGAIN_SECONDS = [7 * DAY, DAY, 0]

/** The certificate of a proxy that was not renewed in time, and each trust anchor that ends within {@link TRUST_ANCHOR_SECONDS}. */
export function certificateConditions(
  { facts: { now }, dates }: { readonly facts: Pick<KnownFacts['facts'], 'now'> } & Pick<KnownFacts, 'dates'>,
  { id, certificate, trustAnchors }: Pick<KnownCluster, 'id' | 'certificate' | 'trustAnchors'>,
): readonly Present[] {
  const conditions: Present[] = []
  if (certificate !== null && toSeconds(certificate.expires) - toSeconds(certificate.asOf) < CERTIFICATE_SECONDS)
    conditions.push(
      present(
        {
          key: `certificate/${id}`,
          kind: 'certificate',
          cluster: id,
          since: certificate.asOf,
          line: `the certificate of a proxy on cluster ${printable(id)} expires ${dates.full(certificate.expires)} and was not renewed`,
        },
        'fix: check the identity service: linkerd check --proxy',
      ),
    )
  for (const { subject, sha256, notAfter } of trustAnchors ?? []) {
    const left = toSeconds(notAfter) - toSeconds(now)
    if (left >= TRUST_ANCHOR_SECONDS) continue
    conditions.push({
      ...present(
        {
          key: `trust-anchor/${id}/${sha256}`,
          kind: 'trust-anchor',
          cluster: id,
          since: now,
          line: `the trust anchor ${printable(subject)} of cluster ${printable(id)} ${left <= 0 ? 'expired' : 'expires'} ${dates.full(notAfter)}`,
        },
        'fix: trust a new anchor everywhere, then issue certificates with it, then remove this one',
      ),
      tellAgainAt: ANCHOR_TOLD_AGAIN_SECONDS.map((seconds) => toTime(toSeconds(notAfter) - seconds)),
    })
  }
  return conditions
}

import { X509Certificate } from 'node:crypto'
import { isMoment, toTime } from '../../time/windows.ts'
import type { Crypto } from '../../model/window.ts'
import { labelOf } from '../counters/labels.ts'
import type { KubernetesLists } from '../pods/lists.ts'
import type { Answers } from '../counters/counter-movement.ts'
import { compareText } from '../../text/order.ts'

/**
 * Cryptography as the proxies report it (`rustls_info`, certificate times), and the trust anchors of the control plane. A proxy may report anything: if an
 * end of a certificate is impossible, certificates are unknown and `errors` gets a line that says so.
 */
export function cryptoOf(answers: Answers, listed: KubernetesLists | null, errors: string[]): Crypto {
  const counted = (name: 'crypto-tls' | 'crypto-versions') =>
    answers(name).map(({ labels, samples }) => ({ labels, proxies: samples[0]?.value ?? 0 }))
  const value = (name: 'crypto-certificate-first' | 'crypto-certificate-last' | 'crypto-certificate-count') =>
    answers(name)[0]?.samples[0]?.value
  const [first, last, proxies] = [
    value('crypto-certificate-first'),
    value('crypto-certificate-last'),
    value('crypto-certificate-count'),
  ]
  const wrong = [first, last].find((end) => end !== undefined && !isMoment(end))
  if (wrong !== undefined)
    errors.push(`Cannot tell when certificates end: a proxy states ${wrong} s, which is in no year from 1970 to 9999`)
  return {
    proxyVersions: counted('crypto-versions')
      .map(({ labels, proxies: count }) => ({ version: labelOf(labels, 'version'), proxies: count }))
      .sort((a, b) => compareText(a.version, b.version)),
    tls: counted('crypto-tls')
      .map(({ labels, proxies: count }) => ({
        suites: labelOf(labels, 'tls_suites').replace(/,$/, ''),
        keyExchange: labelOf(labels, 'tls_kx_groups').replace(/,$/, ''),
        fips: labelOf(labels, 'tls_fips'),
        proxies: count,
      }))
      .sort((a, b) => compareText(JSON.stringify(a), JSON.stringify(b))),
    certificates:
      first === undefined || last === undefined || proxies === undefined || wrong !== undefined
        ? null
        : { earliestExpiry: toTime(Math.floor(first)), latestExpiry: toTime(Math.floor(last)), proxies },
    trustAnchors: trustAnchorsOf(listed),
  }
}

function trustAnchorsOf(listed: KubernetesLists | null): Crypto['trustAnchors'] {
  const bundle =
    listed?.configmaps.find(({ metadata }) => metadata.name === 'linkerd-identity-trust-roots')?.data?.[
      'ca-bundle.crt'
    ] ?? ''
  return (bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).flatMap((pem) => {
    try {
      const { subject, fingerprint256, validFrom, validTo } = new X509Certificate(pem)
      const time = (text: string) => toTime(Math.floor(Date.parse(text) / 1000))
      return [
        {
          subject: subject.replaceAll('\n', ', '),
          sha256: fingerprint256.replaceAll(':', '').toLowerCase(),
          notBefore: time(validFrom),
          notAfter: time(validTo),
        },
      ]
    } catch {
      // A block that is not a certificate anchors no trust.
      return []
    }
  })
}

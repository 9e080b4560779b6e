import type { Crypto } from '../../../model/window.ts'
import { type Rule, type RuleFinding, type RulePeriod, clusterFinding } from '../rule.ts'
import { seenOfCluster } from '../seen.ts'

/** What rustls calls the suites of TLS 1.3, and the groups for key exchange that its providers have. */
const CURRENT_SUITES: ReadonlySet<string> = new Set([
  'TLS13_AES_128_GCM_SHA256',
  'TLS13_AES_256_GCM_SHA384',
  'TLS13_CHACHA20_POLY1305_SHA256',
])
const CURRENT_GROUPS: ReadonlySet<string> = new Set([
  'X25519MLKEM768',
  'SECP256R1MLKEM768',
  'X25519',
  'secp256r1',
  'secp384r1',
  'secp521r1',
])

/** Judges what the proxies can do, as they state it. */
export const cryptoIsCurrent: Rule = {
  id: 'crypto-is-current',
  title: 'Proxies offer only TLS 1.3 and current key exchange',
  why: 'A connection is only as strong as the weakest cipher suite that both ends accept.',
  needs:
    'rustls_info of every proxy in every window (proxies since edge-25.8.3 export it). It shows what a proxy can do; no metric shows what a connection negotiated. A window counts as seen if every proxy exported it. FIPS is shown as the proxies state it, and is not judged.',
  check: (period) => [judge(period)],
}

function judge({ cluster, facts, windows }: RulePeriod): RuleFinding {
  const stated = (facts?.crypto ?? []).map(({ crypto }) => crypto)
  const weak = new Set(
    stated.flatMap(({ tls }) =>
      tls.flatMap(({ suites, keyExchange }) => [
        ...split(suites).filter((suite) => !CURRENT_SUITES.has(suite)),
        ...split(keyExchange).filter((group) => !CURRENT_GROUPS.has(group)),
      ]),
    ),
  )
  const named = [...weak].sort()
  if (named.length > 0) return clusterFinding(cluster.id, 'fail', `Offered by at least one proxy: ${named.join(', ')}`)
  const told = (facts?.crypto ?? []).filter(({ crypto }) => isStatedByAll(crypto))
  const seen = seenOfCluster(told, windows)
  if (told.length === 0)
    return clusterFinding(cluster.id, 'not-enough-evidence', 'No window has rustls_info of every proxy', seen)
  const [fips, quantum] = [share(stated, ({ fips: text }) => text === 'true'), share(stated, hasPostQuantum)]
  return clusterFinding(
    cluster.id,
    'pass',
    `Only TLS 1.3; post-quantum key exchange offered by ${quantum}, FIPS stated by ${fips} of the proxies`,
    seen,
  )
}

/** Every proxy says what it can do, and says something. */
function isStatedByAll({ tls, proxyVersions }: Crypto): boolean {
  const count = (all: readonly { readonly proxies: number }[]) => all.reduce((sum, { proxies }) => sum + proxies, 0)
  const isTold = tls.every(({ suites, keyExchange }) => split(suites).length > 0 && split(keyExchange).length > 0)
  return isTold && count(tls) > 0 && count(tls) >= count(proxyVersions)
}

function hasPostQuantum({ keyExchange }: Crypto['tls'][number]): boolean {
  return split(keyExchange).some((group) => group.includes('MLKEM'))
}

function share(stated: readonly Crypto[], holds: (tls: Crypto['tls'][number]) => boolean): 'all' | 'some' | 'none' {
  const all = stated.flatMap(({ tls }) => tls)
  if (all.every(holds)) return 'all'
  return all.some(holds) ? 'some' : 'none'
}

function split(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}

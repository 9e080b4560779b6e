import type { Series } from '../../observed/answers.ts'
import type { QueryName } from '../../observed/prometheus-queries.ts'
import type { Seconds } from '../../model/time.ts'
import { labelOf } from './labels.ts'
import type { Answers } from './counter-movement.ts'
import type { PodPages } from './page-readings.ts'

/** Returns the cryptography that the pages of a window `(start, end]` report, as Prometheus would answer it, from the latest page of each pod. */
export function pageCrypto(
  all: readonly PodPages[],
  { start, end }: { readonly start: Seconds; readonly end: Seconds },
): Answers {
  const stated = all.flatMap(({ pages }) => pages.findLast(({ time }) => time > start && time <= end)?.series ?? [])
  const named = (name: string) => stated.filter(({ labels }) => labelOf(labels, '__name__') === name)
  const answer = (value: number, labels: Series['labels'] = {}): Series => ({ labels, samples: [{ time: end, value }] })
  const countBy = (metric: string, by: readonly string[]): Series[] => {
    const groups = Map.groupBy(named(metric), ({ labels }) => JSON.stringify(by.map((name) => labelOf(labels, name))))
    return [...groups.values()].flatMap((group) => {
      const [first] = group
      if (first === undefined) return []
      return [answer(group.length, Object.fromEntries(by.map((name) => [name, labelOf(first.labels, name)])))]
    })
  }
  const expiries = named('control_identity_cert_expiration_timestamp_seconds').map(({ value }) => value)
  const known = expiries.filter((value) => value > 0)
  const answers: Partial<Record<QueryName, Series[]>> = {
    'crypto-tls': countBy('rustls_info', ['tls_suites', 'tls_kx_groups', 'tls_fips']),
    'crypto-versions': countBy('proxy_build_info', ['version']),
    ...(known.length === 0
      ? {}
      : {
          'crypto-certificate-first': [answer(Math.min(...expiries))],
          'crypto-certificate-last': [answer(Math.max(...expiries))],
          'crypto-certificate-count': [answer(known.length)],
        }),
  }
  return (name) => answers[name] ?? []
}

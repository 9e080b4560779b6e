import type { Cluster } from '../../model/registry.ts'
import type { Seconds } from '../../model/time.ts'
import { queryRange } from './ask-prometheus.ts'
import { OLDEST_SAMPLE_DAYS } from '../../observed/prometheus-queries.ts'
import type { PrometheusApi } from '../cluster/apis.ts'
import { SourceError } from '../../net/errors.ts'

const SCRAPED = 'count(up{job="linkerd-proxy"})'
const DAY = 24 * 60 * 60

/** The time of the oldest scrape; null if there is none or the query failed, and then `problem` says why in one line. */
export type OldestSample = { readonly at: Seconds | null; readonly problem: string | null }

/** The time of Prometheus' oldest scrape of a Linkerd proxy, to the minute. Looks back at most {@link OLDEST_SAMPLE_DAYS} days. */
export async function oldestSample(prometheus: PrometheusApi, cluster: Cluster, now: Seconds): Promise<OldestSample> {
  const first = async (start: Seconds, end: Seconds, step: Seconds): Promise<Seconds | undefined> => {
    const range = { start: String(start), end: String(end), step: String(step) }
    const { series } = await queryRange(prometheus, {
      what: `query the oldest sample of cluster "${cluster.id}"`,
      query: SCRAPED,
      ...range,
    })
    return series[0]?.samples[0]?.time
  }
  const hour = 60 * 60
  const end = Math.floor(now)
  try {
    const coarse = await first(end - OLDEST_SAMPLE_DAYS * DAY, end, hour)
    // There may be less than an hour of data between two steps.
    const from = coarse === undefined ? end - hour : coarse - hour
    return { at: (await first(from, coarse ?? end, 60)) ?? coarse ?? null, problem: null }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return { at: null, problem: error.message }
  }
}

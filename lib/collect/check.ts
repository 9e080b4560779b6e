import type { Cluster } from '../model.ts'
import type { ClusterAccess } from './cluster.ts'
import { SKEW_SECONDS } from './collect.ts'
import { SourceError } from './http.ts'
import { listAll } from './kubernetes.ts'
import { queryInstant } from './prometheus.ts'

/** One thing that must work, and why it does not: one line with a hint, null where it does. */
export type Check = { readonly title: string; readonly problem: string | null }

/** Tries everything that collecting does, and says what works. Never throws for what a source does. */
export async function checkCluster(
  cluster: Cluster,
  { access, now }: { readonly access: ClusterAccess; readonly now: () => Date },
): Promise<readonly Check[]> {
  const [kubernetes, prometheus] = await Promise.all([
    checkKubernetes(cluster, access, now),
    checkPrometheus(cluster, access, now),
  ])
  return [...kubernetes, ...prometheus]
}

async function checkKubernetes(cluster: Cluster, access: ClusterAccess, now: () => Date): Promise<Check[]> {
  const { errors, lists } = await listAll(access.kubernetes, cluster, { now })
  const reached: Check = {
    title: 'the API server answers',
    problem: lists.length === 0 ? (errors[0] ?? 'it gave no list') : null,
  }
  if (lists.length === 0) return [reached]
  const pods = lists.find(({ resource }) => resource === 'pods')?.items.length ?? 0
  return [
    reached,
    ...lists.map(({ resource, version, items }): Check => ({
      title:
        version === undefined ? `${resource}: not served by this cluster` : `${resource} can be read (${items.length})`,
      problem: null,
    })),
    ...errors.map((problem): Check => ({ title: 'a list can be read', problem })),
    {
      title: 'the cluster has pods',
      problem:
        pods > 0
          ? null
          : `Cannot find a pod in cluster "${cluster.id}": the list is empty, do the credentials see all namespaces?`,
    },
  ]
}

async function checkPrometheus(cluster: Cluster, { prometheus }: ClusterAccess, now: () => Date): Promise<Check[]> {
  const of = `of cluster "${cluster.id}"`
  const ask = async (query: string, what: string): Promise<number | null | string> => {
    try {
      const { series } = await queryInstant(prometheus, { what: `query ${what} ${of}`, query, time: undefined })
      return series[0]?.samples[0]?.value ?? null
    } catch (error) {
      if (!(error instanceof SourceError)) throw error
      return error.message
    }
  }
  const time = await ask('time()', 'the time')
  if (typeof time !== 'number')
    return [{ title: 'Prometheus answers', problem: time ?? `Cannot read the time ${of}: Prometheus gave none` }]
  const skew = Math.round(time - now().getTime() / 1000)
  const scraped = await ask('count(up{job="linkerd-proxy"} == 1)', 'scraped proxies')
  const opened = await ask('count(tcp_open_total{job="linkerd-proxy"})', 'connection counters')
  const counted = (value: number | null | string, unit = ''): string =>
    typeof value === 'number' ? ` (${value}${unit})` : ''
  const found = (value: number | null | string, missing: string): string | null =>
    typeof value === 'string' ? value : value === null ? missing : null
  return [
    { title: 'Prometheus answers', problem: null },
    {
      title: `its clock agrees with ours (${skew} s)`,
      problem:
        Math.abs(skew) <= SKEW_SECONDS
          ? null
          : `Cannot trust the times ${of}: Prometheus' clock is ${Math.abs(skew)} s ${skew < 0 ? 'behind' : 'ahead of'} ours, set both by NTP`,
    },
    {
      title: `it scrapes Linkerd proxies${counted(scraped)}`,
      problem: found(
        scraped,
        `Cannot find a scraped proxy ${of}: up{job="linkerd-proxy"} is empty, is this the Prometheus of linkerd-viz, or one with its scrape job?`,
      ),
    },
    {
      title: `it has their connection counters${counted(opened, ' series')}`,
      problem: found(opened, `Cannot find tcp_open_total ${of}: it has no such series, do relabelling rules drop it?`),
    },
  ]
}

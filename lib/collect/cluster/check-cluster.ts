import * as z from 'zod'
import type { Cluster } from '../../model/registry.ts'
import type { KubernetesList } from '../../model/snapshot.ts'
import { CADVISOR_PODS_QUERY } from '../../observed/cadvisor-queries.ts'
import { askRights, lackText } from './check-rights.ts'
import type { Rights } from './check-rights.ts'
import { SKEW_SECONDS } from '../snapshot.ts'
import { listAll, listWhat } from '../kubernetes/list-objects.ts'
import { findTarget } from '../prometheus/prometheus-pod.ts'
import { PageError, parsePage } from '../../observed/metrics-page.ts'
import { queryInstant } from '../prometheus/ask-prometheus.ts'
import { podsToRead } from '../proxies/read-proxies.ts'
import { PROXY_RIGHTS, forwardRights, kubernetesRights, rightText, tapRights } from './rights.ts'
import type { NeededRight, PrometheusPlace } from './rights.ts'
import { oneLine } from '../../text/redact.ts'
import { collectViz } from '../viz/ask-viz.ts'
import type { ClusterAccess } from './cluster-access.ts'
import type { KubernetesApi, VizApi } from './apis.ts'
import { SourceError, UnreachableError } from '../../net/errors.ts'
import type { FailureKind } from '../../net/errors.ts'

/** A check, and why it failed. */
export type ClusterCheck = {
  /** Its group: lines of one section follow each other. */
  readonly section: string
  readonly title: string
  /** One line with a hint; null if it works. */
  readonly problem: string | null
  /** A problem worth a look although it works; null: none. */
  readonly warning: string | null
}

/** Tries everything that collecting does, and reports what works. Never throws for failures of a source. */
export async function checkCluster(
  cluster: Cluster,
  { access, now }: { readonly access: ClusterAccess; readonly now: () => Date },
): Promise<readonly ClusterCheck[]> {
  const version = await readVersion(access.kubernetes, cluster)
  const isAway = 'problem' in version
  const [kubernetes, prometheus, viz] = await Promise.all([
    isAway
      ? { checks: [works(API, 'the API server answers', version.problem)], lists: [] }
      : checkKubernetes(cluster, version, access, now),
    cluster.noPrometheus === true
      ? []
      : isAway && cluster.prometheusUrl === undefined
        ? [works(PROMETHEUS, 'Prometheus answers', notAsked(cluster))]
        : checkPrometheus(cluster, access, now),
    isAway || access.viz === null || cluster.noPrometheus === true ? [] : checkViz(cluster, access.viz, now),
  ])
  return [...kubernetes.checks, ...prometheus, ...viz, ...(await checkProxies(cluster, kubernetes.lists, access))]
}

/** A failure here only skips a comparison: a warning, since no verdict depends on it. */
async function checkViz(cluster: Cluster, viz: VizApi, now: () => Date): Promise<ClusterCheck[]> {
  const read = await collectViz(viz, cluster, now())
  if (read === undefined) return []
  return [works(VIZ, 'what linkerd viz edges shows can be read, to compare with', null, read.errors[0] ?? null)]
}

const API = 'Kubernetes API'
const RIGHTS = 'Rights'
const LISTS = 'Kubernetes lists'
const PROMETHEUS = 'Prometheus'
const VIZ = 'linkerd viz edges'
const PROXIES = 'Proxies'

function works(
  section: string,
  title: string,
  problem: string | null = null,
  warning: string | null = null,
): ClusterCheck {
  return { section, title, problem, warning }
}

function notAsked({ id }: Cluster): string {
  return `Cannot query the time of cluster "${id}": the API server does not answer, through which its Prometheus is reached`
}

/** The version; `minor` is undefined if unknown. */
type Version = { readonly text: string; readonly minor: number | undefined }

const versionSchema = z.object({ gitVersion: z.string() })

/** Answers of a working API server to a caller without permission to read its version. */
const REACHED: ReadonlySet<FailureKind> = new Set(['forbidden', 'not-found', 'rejected'])

async function readVersion(api: KubernetesApi, { id }: Cluster): Promise<Version | { readonly problem: string }> {
  try {
    const answer = versionSchema.safeParse(await api.get('/version', { what: `read the version of cluster "${id}"` }))
    if (!answer.success) return { text: '', minor: undefined }
    const { gitVersion } = answer.data
    const minor = /^v1\.(\d+)\./.exec(gitVersion)?.[1]
    return { text: ` (${oneLine(gitVersion)})`, minor: minor === undefined ? undefined : Number(minor) }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return REACHED.has(error.kind) ? { text: '', minor: undefined } : { problem: error.message }
  }
}

async function checkKubernetes(
  cluster: Cluster,
  version: Version,
  { kubernetes }: ClusterAccess,
  now: () => Date,
): Promise<{ readonly checks: readonly ClusterCheck[]; readonly lists: readonly KubernetesList[] }> {
  const needed = [...kubernetesRights(cluster), ...(await wayRights(kubernetes, cluster)), ...tapRights(cluster)]
  const [rights, read] = await Promise.all([
    askRights(kubernetes, cluster, needed),
    listAll(kubernetes, cluster, { now }),
  ])
  const lacking = rights.needed.flatMap(({ right, isThere }) => (isThere ? [] : [right]))
  return {
    checks: [
      works(API, `the API server answers${version.text}`),
      ...rightChecks(cluster, version, rights),
      ...listChecks(cluster, read, lacking),
    ],
    lists: read.lists,
  }
}

/** The permissions to reach Prometheus; those for viz's own if its pods are unknown. */
async function wayRights(api: KubernetesApi, cluster: Cluster): Promise<readonly NeededRight[]> {
  const proxies = readsProxies(cluster) ? PROXY_RIGHTS : []
  if (cluster.prometheusUrl !== undefined || cluster.noPrometheus === true) return proxies
  let place: PrometheusPlace = { namespace: cluster.vizNamespace }
  try {
    place = await findTarget(api, cluster)
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error // reported by the check that connects to it
  }
  return [...forwardRights(cluster, place), ...proxies]
}

function readsProxies({ proxies, noPrometheus }: Cluster): boolean {
  return proxies !== undefined || noPrometheus === true
}

function rightChecks(cluster: Cluster, { minor }: Version, { needed, needless, problem }: Rights): ClusterCheck[] {
  if (problem !== null) return [works(RIGHTS, 'the rights cannot be asked for, each is tried', null, problem)]
  const also = needless.map(rightText).join(', ')
  return [
    ...needed.map(({ right, isThere }): ClusterCheck => {
      const title = `may ${rightText(right)}`
      if (isThere) return works(RIGHTS, title)
      const lack = lackText(right, cluster)
      const isLater = right.since !== undefined && minor !== undefined && minor < right.since
      return isLater
        ? works(RIGHTS, `${title}: needed from Kubernetes 1.${right.since} on`, null, lack)
        : works(RIGHTS, title, lack)
    }),
    works(
      RIGHTS,
      needless.length === 0 ? 'may not read Secrets, enter or delete pods' : 'may do more than is needed',
      null,
      needless.length === 0
        ? null
        : `The credentials may also ${also}, which ciphertrail never does; the least rights are in infra/rbac`,
    ),
  ]
}

function listChecks(
  cluster: Cluster,
  { errors, lists }: Awaited<ReturnType<typeof listAll>>,
  lacking: readonly NeededRight[],
): ClusterCheck[] {
  // Errors that a missing permission explains are reported once.
  const explained = lacking.flatMap((right) =>
    right.verb === 'list' ? [`Cannot ${listWhat(right.resource, cluster)}: `] : [`configmap ${right.name} of cluster`],
  )
  const others = errors.filter((line) => !explained.some((part) => line.includes(part)))
  const pods = lists.find(({ resource }) => resource === 'pods')
  return [
    ...lists.map(({ resource, version, items }) =>
      works(
        LISTS,
        version === undefined ? `${resource}: not served by this cluster` : `${resource} can be read (${items.length})`,
      ),
    ),
    ...others.map((problem) => works(LISTS, 'a list can be read', problem)),
    ...(pods === undefined
      ? []
      : [
          works(
            LISTS,
            'the cluster has pods',
            pods.items.length > 0
              ? null
              : `Cannot find a pod in cluster "${cluster.id}": the list is empty, do the credentials see all namespaces?`,
          ),
        ]),
  ]
}

async function checkPrometheus(
  cluster: Cluster,
  { prometheus }: ClusterAccess,
  now: () => Date,
): Promise<ClusterCheck[]> {
  const of = `of cluster "${cluster.id}"`
  const check = (title: string, problem: string | null = null): ClusterCheck => works(PROMETHEUS, title, problem)
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
    return [check('Prometheus answers', time ?? `Cannot read the time ${of}: Prometheus gave none`)]
  const skew = Math.round(time - now().getTime() / 1000)
  const scraped = await ask('count(up{job="linkerd-proxy"} == 1)', 'scraped proxies')
  const opened = await ask('count(tcp_open_total{job="linkerd-proxy"})', 'connection counters')
  const seen = await ask(CADVISOR_PODS_QUERY, 'pods seen by cAdvisor')
  const counted = (value: number | null | string, unit = ''): string =>
    typeof value === 'number' ? ` (${value}${unit})` : ''
  const found = (value: number | null | string, missing: string): string | null =>
    typeof value === 'string' ? value : value === null ? missing : null
  const [pod] = prometheus.servers()
  return [
    check(`Prometheus answers${pod === undefined ? '' : `, by port-forward to ${pod.replace(/ \(.*$/, '')}`}`),
    check(
      `its clock agrees with ours (${skew} s)`,
      Math.abs(skew) <= SKEW_SECONDS
        ? null
        : `Cannot trust the times ${of}: Prometheus' clock is ${Math.abs(skew)} s ${skew < 0 ? 'behind' : 'ahead of'} ours, set both by NTP`,
    ),
    check(
      `it scrapes Linkerd proxies${counted(scraped)}`,
      found(
        scraped,
        `Cannot find a scraped proxy ${of}: up{job="linkerd-proxy"} is empty, is this the Prometheus of linkerd-viz, or one with its scrape job?`,
      ),
    ),
    check(
      `it has their connection counters${counted(opened, ' series')}`,
      found(opened, `Cannot find tcp_open_total ${of}: it has no such series, do relabelling rules drop it?`),
    ),
    works(
      PROMETHEUS,
      `it has what cAdvisor shows of pods${counted(seen)}`,
      null,
      found(
        seen,
        `Cannot find container_cpu_usage_seconds_total ${of}: without it, pods that live between two Kubernetes lists are not known by name, and the first hours of a cluster and the bytes that no proxy saw are unknown; scrape the kubelet's /metrics/cadvisor, as linkerd-viz's own Prometheus does`,
      ),
    ),
  ]
}

/** One of several proxies may just be starting or ending. */
const PROXIES_TRIED = 3

/** Reads a proxy as collecting does: if one is readable, the others are reached in the same way. Without a list of pods there is none to try. */
async function checkProxies(
  cluster: Cluster,
  lists: readonly KubernetesList[],
  { proxyPage }: ClusterAccess,
): Promise<ClusterCheck[]> {
  if (!readsProxies(cluster) || !lists.some(({ resource }) => resource === 'pods')) return []
  const title = 'a proxy can be read by the name of its pod'
  let problem = `Cannot find a meshed pod in cluster "${cluster.id}": no running pod has a proxy, is Linkerd there?`
  for (const pod of podsToRead({ ...cluster, proxies: 'all' }, { lists, answers: null }).slice(0, PROXIES_TRIED)) {
    try {
      parsePage(await proxyPage(pod))
      return [works(PROXIES, `${title} (${pod.namespace}/${pod.pod})`)]
    } catch (error) {
      if (error instanceof SourceError) problem = error.message
      else if (error instanceof PageError)
        problem = `Cannot read the proxy of pod "${pod.namespace}/${pod.pod}" of cluster "${cluster.id}": its page ${error.message}`
      else throw error
    }
  }
  return [works(PROXIES, title, problem)]
}

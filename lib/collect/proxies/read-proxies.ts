import type { Cluster } from '../../model/registry.ts'
import type { KubernetesList, MetricsAnswer, ProxyPage, Snapshot } from '../../model/snapshot.ts'
import type { Window } from '../../model/time.ts'
import { parseAnswer } from '../../observed/answers.ts'
import { budget, exceeds } from '../../observed/budget.ts'
import { PAGE_SLACK_SECONDS } from '../../observed/page-times.ts'
import { PageError, parsePage, reducePage } from '../../observed/metrics-page.ts'
import { decidingLabels } from '../../observed/pod-labels.ts'
import type { PageReader } from './proxy-page.ts'
import { ReduceError, itemsOf } from '../../observed/reduce-objects.ts'
import type { Pod } from '../../observed/kubernetes-fields.ts'
import { oneLine } from '../../text/redact.ts'
import { toSeconds } from '../../time/windows.ts'
import { SourceError } from '../../net/errors.ts'

/** Pages that are read at once. Each is a port-forward through the API server. */
const CONCURRENCY = 8

/** Error lines that are kept: an unreadable cluster needs only a few. */
const MAX_ERRORS = 20

const ADMIN_PORT = 4191

/** What reading pages of proxies needs. */
export type ProxiesDeps = {
  readonly proxyPage: PageReader
  /** Our clock, or the replay's. */
  readonly now: () => Date
}

/** The evidence read so far, which decides which pods are read. */
export type ReadSoFar = {
  readonly lists: readonly KubernetesList[]
  /** Null if no Prometheus is queried. */
  readonly answers: readonly MetricsAnswer[] | null
}

/**
 * Reads the pages of proxies by the names of their pods, for a window that just ended; for an older one it reads none and reports that in a line. Never throws
 * for failures of a proxy: an unread proxy is reported in a line, and is a gap.
 */
export async function readProxies(
  cluster: Cluster,
  window: Window,
  read: ReadSoFar,
  { proxyPage, now }: ProxiesDeps,
): Promise<NonNullable<Snapshot['proxies']>> {
  const of = `of cluster "${cluster.id}"`
  // The same line for each window, so that a day of them reports it once.
  if (now().getTime() / 1000 > toSeconds(window.end) + PAGE_SLACK_SECONDS)
    return failed(
      `Cannot read the proxies ${of} for a window that ended more than ${PAGE_SLACK_SECONDS} s ago: they tell nothing of the past; run collect within ${PAGE_SLACK_SECONDS} s after each window's end`,
    )
  let wanted: readonly PodToRead[]
  try {
    wanted = podsToRead(cluster, read)
  } catch (error) {
    if (!(error instanceof ReduceError)) throw error
    return failed(`Cannot tell the proxies ${of}: ${error.message}`)
  }
  if (wanted.length === 0 && itemsOf(read.lists, 'pods') === undefined)
    return failed(`Cannot tell the proxies ${of}: its pods were not listed`)

  const pages: ProxyPage[] = []
  const errors: string[] = []
  let bytes = 0
  const queue = wanted.values()
  const work = async (): Promise<void> => {
    for (const { port, ...pod } of queue) {
      try {
        const readAt = now().toISOString()
        if (toSeconds(readAt) > toSeconds(window.end) + PAGE_SLACK_SECONDS)
          throw new PageError('was not read: the time for it was over')
        if (bytes > budget().source)
          throw new PageError(`was not read: those before it have ${exceeds('source', { atLeast: bytes })}`)
        const body = reducePage(await proxyPage({ namespace: pod.namespace, pod: pod.pod, port }))
        parsePage(body)
        bytes += body.length
        pages.push({ ...pod, readAt, body })
      } catch (error) {
        if (error instanceof PageError)
          errors.push(
            `Cannot read the proxy of pod "${oneLine(`${pod.namespace}/${pod.pod}`)}" ${of}: its page ${error.message}`,
          )
        else if (error instanceof SourceError) errors.push(error.message)
        else throw error
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  const told = errors.toSorted().slice(0, MAX_ERRORS)
  if (errors.length > MAX_ERRORS) told.push(`Cannot read ${errors.length - MAX_ERRORS} more proxies ${of}`)
  return {
    status: errors.length === 0 ? 'complete' : pages.length === 0 ? 'failed' : 'partial',
    errors: told,
    pages: pages.toSorted((a, b) => (`${a.namespace}/${a.pod}` < `${b.namespace}/${b.pod}` ? -1 : 1)),
  }
}

function failed(line: string): NonNullable<Snapshot['proxies']> {
  return { status: 'failed', errors: [line], pages: [] }
}

type PodToRead = Omit<ProxyPage, 'readAt' | 'body'> & { readonly port: number }

/** Valid Kubernetes names: they become part of a path. */
const NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/

/** The running meshed pods whose proxies to read, with the port. Throws ReduceError. */
export function podsToRead(
  { linkerdNamespace, proxies, noPrometheus }: Cluster,
  { lists, answers }: ReadSoFar,
): PodToRead[] {
  const isScraped = proxies === 'all' || noPrometheus === true || answers === null ? () => false : scrapedAt(answers)
  return (itemsOf(lists, 'pods') ?? []).flatMap((pod): PodToRead[] => {
    const { metadata, spec, status } = pod
    const { name, namespace = '', uid = '', labels = {} } = metadata
    const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])]
    const proxy = containers.find((container) => container.name === 'linkerd-proxy')
    const address = status?.podIP ?? ''
    const isOurs = (labels['linkerd.io/control-plane-ns'] ?? linkerdNamespace) === linkerdNamespace
    if (proxy === undefined || !isOurs || !isRunning(pod) || address === '' || uid === '') return []
    if (!NAME.test(name) || !NAME.test(namespace)) return []
    const isTrusted = decidingLabels(labels, { namespace, pod: name }).length === 0
    if (isScraped(address) && isTrusted) return []
    const port = proxy.ports?.find((one) => one.name === 'linkerd-admin')?.containerPort ?? ADMIN_PORT
    return [{ namespace, pod: name, uid, address, port }]
  })
}

function isRunning({ metadata, spec, status }: Pod): boolean {
  return status?.phase === 'Running' && metadata.deletionTimestamp === undefined && spec.hostNetwork !== true
}

/** Whether the last scrape of an address succeeded. */
function scrapedAt(answers: readonly MetricsAnswer[]): (address: string) => boolean {
  const last = new Map<string, { readonly time: number; readonly value: number }>()
  for (const { name, body } of answers) {
    if (name !== 'scrapes') continue
    for (const { labels, samples } of parseAnswer(body)) {
      const address = (labels['instance'] ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
      const sample = samples.at(-1)
      if (sample !== undefined && sample.time >= (last.get(address)?.time ?? -Infinity)) last.set(address, sample)
    }
  }
  return (address) => last.get(address)?.value === 1
}

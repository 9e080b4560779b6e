import { PAGE_SLACK_SECONDS } from '../../../lib/observed/page-times.ts'
import type { AssessInput } from '../../../lib/assess/window/window.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import type { ProxyPage, Snapshot } from '../../../lib/model/snapshot.ts'
import { type SyntheticCluster, evidenceOf } from './synthetic-cluster.ts'
import { type Pod, WINDOW, timeAt } from './synthetic-pods.ts'
import type { Counter } from './synthetic-prometheus.ts'

/** A line of a page, as proxies write it. */
function line(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${label}="${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  )
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
}

/** The page of a pod at a time in seconds after the window's start. */
export function pageAt(pod: Pod, counters: readonly Counter[], time: number): string {
  const begun = [pod.from, ...pod.restarts].findLast((one) => one <= time) ?? pod.from
  const started = line('process_start_time_seconds', {}, toSeconds(WINDOW.start) + begun + pod.clock)
  const lines = counters.flatMap(({ on, name, labels, value }) => {
    const now = on === pod ? value(time) : undefined
    return now === undefined ? [] : [line(name, labels, now)]
  })
  return [
    '# HELP tcp_open_total x\n',
    started,
    'route_response_latency_ms_bucket{le="+Inf"} 1\n',
    ...lines,
    '# EOF\n',
  ].join('')
}

function pagesAt(pods: readonly Pod[], counters: readonly Counter[], time: number): ProxyPage[] {
  return pods
    .filter(({ meshed, from, to }) => meshed && from <= time && to > time)
    .map((pod) => ({
      namespace: pod.namespace,
      pod: pod.name,
      uid: pod.uid,
      address: pod.ip,
      readAt: timeAt(time),
      body: pageAt(pod, counters, time),
    }))
}

export type Paged = {
  /** When the pages before the window, and those of it, were read; null: they were not. Default 60 and 360. */
  readonly before?: number | null
  readonly own?: number | null
  /** The end of the window that the earlier pages were read for; default the last one that ended before them. */
  readonly beforeEnd?: number
  /** Whose proxies are read; default all. */
  readonly of?: (pod: Pod) => boolean
  readonly proxies?: Partial<NonNullable<Snapshot['proxies']>>
  /** There is no Prometheus. */
  readonly alone?: boolean
}

/** A synthetic cluster of which pages were read, too. */
export function pagedEvidence(
  cluster: SyntheticCluster,
  { before = 60, own = 360, beforeEnd, of = () => true, proxies, alone = false }: Paged = {},
): AssessInput {
  const evidence = evidenceOf(cluster)
  const pods = [...cluster.pods, ...(cluster.unlisted ?? [])].filter(of)
  const read = (time: number) => pagesAt(pods, cluster.counters ?? [], time)
  const end = (time: number) => beforeEnd ?? Math.floor((time - 1) / 300) * 300
  const none = { status: 'complete', errors: [], prometheusTime: null, answers: [] } as const
  return {
    ...evidence,
    before:
      evidence.before === null || before === null
        ? evidence.before
        : { ...evidence.before, pages: { end: timeAt(end(before)), pages: read(before) } },
    snapshot: {
      ...evidence.snapshot,
      metrics: alone ? none : evidence.snapshot.metrics,
      proxies: { status: 'complete', errors: [], pages: own === null ? [] : read(own), ...proxies },
    },
  }
}

/** So long after a window's end a page is one of it. */
export const SLACK = PAGE_SLACK_SECONDS

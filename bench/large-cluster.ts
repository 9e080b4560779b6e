import { createServer } from 'node:http'
import { listenOnLoopback } from '../demo/loopback.ts'
import type { Window } from '../lib/model/time.ts'
import { type CadvisorQueryName, cadvisorQueriesOf } from '../lib/observed/cadvisor-queries.ts'
import { LEFT_OUT, queriesOf } from '../lib/observed/prometheus-queries.ts'
import { toSeconds } from '../lib/time/windows.ts'

/**
 * How large the made-up cluster is. `series` are those that Prometheus holds and the plan reads: `up` and the process start of each pod, and
 * for each end that a proxy sees four TCP counters, with one more for requests where there is no mesh TLS.
 */
export type Size = { readonly series: number; readonly clearShare: number; readonly pods: number }

/** How many ends the proxies see, of which how many without mesh TLS. */
export function endsOf({ series, clearShare, pods }: Size): { ends: number; clear: number } {
  const ends = Math.floor((series - 2 * pods) / (4 + clearShare))
  return { ends, clear: Math.round(ends * clearShare) }
}

const INTERVAL = 10
const TCP = ['tcp_open_total', 'tcp_open_connections', 'tcp_read_bytes_total', 'tcp_write_bytes_total'] as const

/** The bodies that a Prometheus of such a cluster would answer the plan of a window with, by query text and time. */
export function answersOf(window: Window, size: Size): Map<string, string> {
  const { pods } = size
  const { ends, clear } = endsOf(size)
  const labelsOf = (index: number, isClear: boolean, name?: string, isReduced = false): string => {
    const pod = index % pods
    const other = (index * 7 + 3) % pods
    const isOutbound = index % 2 === 0
    const labels: Record<string, string> = {
      ...(name === undefined ? {} : { __name__: name }),
      app: `app-${pod}`,
      control_plane_ns: 'linkerd',
      deployment: `app-${pod}`,
      direction: isOutbound ? 'outbound' : 'inbound',
      instance: `${addressOf(pod)}:4191`,
      job: 'linkerd-proxy',
      namespace: `team-${pod % 20}`,
      peer: isOutbound ? 'dst' : 'src',
      pod: podName(pod),
      pod_template_hash: '7c95b48976',
      target_addr: `${addressOf(isOutbound ? other : pod)}:${8000 + (index % 97)}`,
      target_ip: addressOf(isOutbound ? other : pod),
      target_port: String(8000 + (index % 97)),
      workload_ns: `team-${pod % 20}`,
      ...(isOutbound
        ? {
            authority: `app-${other}.team-${other % 20}.svc.cluster.local:80`,
            dst_control_plane_ns: 'linkerd',
            dst_deployment: `app-${other}`,
            dst_namespace: `team-${other % 20}`,
            dst_pod: podName(other),
            dst_pod_template_hash: '7c95b48976',
            dst_service: `app-${other}`,
            dst_serviceaccount: `app-${other}`,
          }
        : { srv_kind: 'default', srv_name: 'all-unauthenticated', srv_port: String(8000 + (index % 97)) }),
      ...(isClear
        ? { tls: 'no_identity', no_tls_reason: isOutbound ? 'not_provided_by_service_discovery' : 'no_tls_from_remote' }
        : {
            tls: 'true',
            [isOutbound ? 'server_id' : 'client_id']:
              `app-${other}.team-${other % 20}.serviceaccount.identity.linkerd.cluster.local`,
          }),
    }
    const kept = Object.entries(labels).filter(([label]) => !isReduced || !LEFT_OUT.has(label))
    return JSON.stringify(Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))))
  }
  const answers = new Map<string, string>()
  for (const { name, query, time } of queriesOf(window)) {
    const isFirstSelector = !query.includes('job!=') && !query.includes('exported_')
    const side = query.includes('direction="inbound"') ? 1 : 0
    const rows: string[] = []
    const range = /\[(\d+)s\]$/.exec(query)
    const values = (value: (tick: number) => number): string => {
      const pairs: string[] = []
      for (let at = time - Number(range?.[1] ?? 0); at <= time; at += INTERVAL)
        pairs.push(`[${at + 0.123},"${value(at)}"]`)
      return `[${pairs.join(',')}]`
    }
    const vector = (labels: string, value: number) => rows.push(`{"metric":${labels},"value":[${time},"${value}"]}`)
    if ((name === 'scrapes' || name === 'process-starts') && isFirstSelector)
      for (let pod = 0; pod < pods; pod++) {
        const labels = JSON.stringify({
          __name__: name === 'scrapes' ? 'up' : 'process_start_time_seconds',
          instance: `${addressOf(pod)}:4191`,
          job: 'linkerd-proxy',
          namespace: `team-${pod % 20}`,
          pod: podName(pod),
          deployment: `app-${pod}`,
          app: `app-${pod}`,
          pod_template_hash: '7c95b48976',
        })
        rows.push(
          `{"metric":${labels},"values":${values(() => (name === 'scrapes' ? 1 : toSeconds(window.start) - 86_400))}}`,
        )
      }
    if (name === 'clear-inbound' || name === 'clear-outbound')
      for (let index = name === 'clear-inbound' ? 1 : 0; index < clear; index += 2)
        for (const metric of TCP)
          rows.push(
            `{"metric":${labelsOf(index, true, metric)},"values":${values((at) => (metric === 'tcp_open_connections' ? 1 : Math.floor(at / 60) % 100_000))}}`,
          )
    if (name === 'clear-authorized')
      for (let index = 1; index < clear; index += 2)
        rows.push(
          `{"metric":${labelsOf(index, true, 'inbound_http_authz_allow_total')},"values":${values((at) => Math.floor(at / 30) % 100_000)}}`,
        )
    if (name === 'clear-requests')
      for (let index = 0; index < clear; index += 2)
        rows.push(
          `{"metric":${labelsOf(index, true, 'request_total')},"values":${values((at) => Math.floor(at / 30) % 100_000)}}`,
        )
    if (name === 'encrypted-open' || name === 'encrypted-bytes')
      for (let index = clear + ((clear + side) % 2); index < ends; index += 2)
        vector(labelsOf(index, false, undefined, true), name === 'encrypted-open' ? 1 : 123_456)
    if (name === 'encrypted-moved')
      for (let index = clear + ((clear + side) % 2); index < ends; index += 20) vector(labelsOf(index, false), 4)
    const type = range === null ? 'vector' : 'matrix'
    answers.set(
      `${query} @ ${time}`,
      `{"status":"success","data":{"resultType":"${type}","result":[${rows.join(',')}]}}`,
    )
  }
  for (const { name, query, time } of cadvisorQueriesOf(window))
    answers.set(
      `${query} @ ${time}`,
      `{"status":"success","data":{"resultType":"${name === 'nodes' ? 'matrix' : 'vector'}","result":[${seenRows(name, { window, time, pods }).join(',')}]}}`,
    )
  return answers
}

/** What cAdvisor shows of the pods: a sandbox and two containers each, on one node for fifty of them. */
function seenRows(
  name: CadvisorQueryName,
  { window, time, pods }: { readonly window: Window; readonly time: number; readonly pods: number },
): string[] {
  const [start, end] = [toSeconds(window.start), toSeconds(window.end)]
  if (name === 'nodes')
    return Array.from({ length: Math.ceil(pods / 50) }, (_, node) => {
      const values: string[] = []
      for (let at = start; at <= time; at += 30) values.push(`[${at},"${at - 4}"]`)
      return `{"metric":{"instance":"node-${node}"},"values":[${values.join(',')}]}`
    })
  const isLife = name === 'containers-first' || name === 'containers-last'
  return Array.from({ length: pods }, (_, pod) => pod).flatMap((pod) =>
    (isLife ? ['', 'app', 'linkerd-proxy'] : ['']).map((container) => {
      const labels = {
        ...(container === '' ? {} : { container }),
        namespace: `team-${pod % 20}`,
        pod: podName(pod),
        uid: `uid-${pod}`,
      }
      const value = name === 'containers-first' ? start - 5 : name === 'containers-last' ? end + 40 : 1_234_567
      return `{"metric":${JSON.stringify(labels)},"value":[${time},"${value}"]}`
    }),
  )
}

/** The pods of the cluster as the API server lists them, before the reducer. */
export function podsOf(pods: number, createdAt: string): unknown[] {
  return Array.from({ length: pods }, (_, pod) => ({
    metadata: {
      name: podName(pod),
      namespace: `team-${pod % 20}`,
      uid: `uid-${pod}`,
      creationTimestamp: createdAt,
      labels: {
        app: `app-${pod}`,
        'linkerd.io/control-plane-ns': 'linkerd',
        'linkerd.io/proxy-deployment': `app-${pod}`,
      },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `app-${pod}-7c95b48976`,
          uid: `rs-${pod}`,
          controller: true,
        },
      ],
    },
    spec: {
      serviceAccountName: `app-${pod}`,
      initContainers: [
        {
          name: 'linkerd-proxy',
          restartPolicy: 'Always',
          env: [
            { name: 'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY', value: 'all-unauthenticated' },
            {
              name: 'LINKERD2_PROXY_IDENTITY_LOCAL_NAME',
              value: '$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local',
            },
          ],
        },
      ],
      containers: [{ name: 'app', ports: [{ containerPort: 8080 }] }],
    },
    status: {
      phase: 'Running',
      podIP: addressOf(pod),
      podIPs: [{ ip: addressOf(pod) }],
      startTime: createdAt,
      initContainerStatuses: [{ name: 'linkerd-proxy', state: { running: { startedAt: createdAt } } }],
    },
  }))
}

/** ReplicaSets that lead from the pods to their Deployments. */
export function replicaSetsOf(pods: number): unknown[] {
  return Array.from({ length: pods }, (_, pod) => ({
    metadata: {
      name: `app-${pod}-7c95b48976`,
      namespace: `team-${pod % 20}`,
      uid: `rs-${pod}`,
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: `app-${pod}`, uid: `d-${pod}`, controller: true },
      ],
    },
    spec: { replicas: 1 },
  }))
}

/** Serves the answers on loopback; an unknown query is an empty vector. */
export async function serveAnswers(
  answers: ReadonlyMap<string, string>,
  now: number,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString())
      const body =
        answers.get(`${form.get('query') ?? ''} @ ${form.get('time') ?? ''}`) ??
        (form.get('query') === 'time()'
          ? `{"status":"success","data":{"resultType":"scalar","result":[${now},"${now}"]}}`
          : '{"status":"success","data":{"resultType":"vector","result":[]}}')
      response.setHeader('content-type', 'application/json')
      response.end(body)
    })
  })
  const { port, close } = await listenOnLoopback(server)
  return { url: `http://127.0.0.1:${port}`, close }
}

function addressOf(pod: number): string {
  return `10.${1 + (pod >> 14)}.${(pod >> 7) & 127}.${(pod & 127) + 1}`
}

function podName(pod: number): string {
  return `app-${pod}-7c95b48976-x${String(pod).padStart(4, '0')}`
}

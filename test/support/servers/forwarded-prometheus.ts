import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { status } from '../../../demo/replay-kubernetes.ts'
import type { PrometheusReplay } from '../../../demo/replay-prometheus.ts'
import type { Relay } from '../../../demo/replay-port-forward.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { OpenOptions } from '../../../lib/collect/cluster/open-cluster.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { startKubernetesServer } from './kubernetes-server.ts'
import type { KubernetesServer } from './kubernetes-server.ts'
import { startPrometheusServer } from './prometheus-server.ts'
import type { PrometheusServer } from './prometheus-server.ts'
import { freshFolder } from '../recorder.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'

/** A pod of viz, of its Prometheus unless told otherwise, as an API server lists it. */
export function vizPod(
  name = 'prometheus-0',
  change: { uid?: string; ready?: boolean; born?: string; component?: string } = {},
): object {
  const { uid = `uid-${name}`, ready = true, born = '2026-11-24T00:00:00Z', component = 'prometheus' } = change
  return {
    metadata: {
      name,
      namespace: 'linkerd-viz',
      uid,
      creationTimestamp: born,
      labels: { component, 'linkerd.io/extension': 'viz' },
    },
    spec: { containers: [{ name: 'prometheus', ports: [{ name: 'admin', containerPort: 9090 }] }] },
    status: { phase: 'Running', containerStatuses: [{ ready }] },
  }
}

/** A cluster with nothing but viz's namespace, its pods, and a Prometheus that a port-forward leads to. */
export type ForwardedPrometheus = {
  readonly kubernetes: KubernetesServer
  readonly prometheus: PrometheusServer
  /** A kubeconfig that leads to the cluster. */
  readonly kubeconfig: string
  /** Changes the pods that are listed, and what else is answered, by path. */
  readonly serve: (change: {
    readonly pods?: readonly object[]
    readonly answers?: Readonly<Record<string, ReplayAnswer>>
    /** For whatever is not known here; 404 unless told otherwise. */
    readonly others?: (url: string) => ReplayAnswer
  }) => void
  /** Changes how bytes are carried. */
  readonly carry: (relay: Relay | undefined) => void
  /** Opens the cluster; it is closed after the test. */
  readonly open: (options?: Partial<OpenOptions>, cluster?: Partial<Cluster>) => ClusterAccess
  /** Port-forwards that were asked for. */
  readonly forwards: () => number
}

const registered: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
}

/** Starts both servers. Prometheus answers everything with `body`, or as the function says. */
export async function startForwardedPrometheus(
  context: TestContext,
  body: string | PrometheusReplay,
): Promise<ForwardedPrometheus> {
  const prometheus = await startPrometheusServer(typeof body === 'string' ? () => ({ status: 200, body }) : body)
  context.after(() => prometheus.close())
  let pods: readonly object[] = [vizPod()]
  let others = (url: string): ReplayAnswer => status(404, 'NotFound', `no ${url}`)
  let answers: Readonly<Record<string, ReplayAnswer>> = {}
  const kubernetes = await startKubernetesServer((url) => {
    const { pathname } = new URL(url, 'https://replay.invalid')
    const known = answers[pathname]
    if (known !== undefined) return known
    if (pathname === '/api/v1/namespaces/linkerd-viz')
      return { status: 200, body: '{"metadata":{"name":"linkerd-viz"}}' }
    if (pathname === '/api/v1/namespaces/linkerd-viz/pods')
      return { status: 200, body: JSON.stringify({ kind: 'PodList', items: pods }) }
    return others(url)
  }, '2026-11-24T12:00:00Z')
  context.after(() => kubernetes.close())
  const decision = { loopbackPort: Number(new URL(prometheus.url).port) }
  kubernetes.forward(() => decision)
  const kubeconfig = join(freshFolder(context), 'config')
  kubernetes.writeKubeconfig(kubeconfig)
  return {
    kubernetes,
    prometheus,
    kubeconfig,
    serve: (change) => {
      pods = change.pods ?? pods
      answers = change.answers ?? answers
      others = change.others ?? others
    },
    carry: (relay) => kubernetes.forward(() => decision, relay),
    open: (options = {}, cluster = {}) => {
      const access = openCluster(
        { ...registered, kubeconfig, ...cluster },
        {
          environment: { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined },
          retryDelayMs: 1,
          ...options,
        },
      )
      context.after(() => access.close())
      return access
    },
    forwards: () => kubernetes.asked.filter((url) => url.includes('/portforward')).length,
  }
}

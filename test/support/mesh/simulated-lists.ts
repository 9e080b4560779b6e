import type { Resource } from '../../../lib/observed/kubernetes-fields.ts'
import { toTime } from '../../../lib/time/windows.ts'
import type { KubernetesList } from '../../../lib/model/snapshot.ts'
import type { Seconds } from '../../../lib/model/time.ts'
import { reducedLists } from './reduced-lists.ts'
import {
  type Probe,
  type SimulatedMesh,
  type SimulatedPod,
  type SimulatedWorkload,
  processesOf,
  proxyStarted,
} from './simulated-mesh.ts'

/** What the API server lists of a simulated mesh at a moment. */
export function listsAt(mesh: SimulatedMesh, moment: Seconds): KubernetesList[] {
  const there = mesh.pods.filter(({ created, deleted }) => created <= moment && deleted > moment)
  const made = mesh.pods.filter(({ created }) => created <= moment)
  const all: Partial<Record<Resource, unknown[]>> = {
    events: mesh.hasEvents ? made.filter(({ created }) => moment - created < 3600).map(creation) : [],
    'deployments.apps': [],
    'replicasets.apps': [],
    'statefulsets.apps': [],
    'daemonsets.apps': [],
    'jobs.batch': [],
    'cronjobs.batch': [],
    pods: there.map((pod) => podObject(mesh, pod, moment)),
  }
  const add = (resource: Resource, object: unknown) => all[resource]?.push(object)
  for (const workload of mesh.workloads) {
    const { kind, name, namespace } = workload
    const like = made.findLast((pod) => pod.workload === workload)
    const template = {
      spec: {
        serviceAccountName: workload.serviceAccount,
        // The injector changes pods, not what they are made from.
        containers: like === undefined ? [] : [appContainer(like)],
      },
    }
    const metadata = { name, namespace, uid: `uid-of-${name}` }
    const replicas = workload.replicas.findLast(({ since }) => since <= moment)?.pods ?? 1
    if (kind === 'cronjob') add('cronjobs.batch', { metadata, spec: { jobTemplate: { spec: { template } } } })
    else if (kind === 'daemonset') add('daemonsets.apps', { metadata, spec: { template } })
    else
      add(kind === 'statefulset' ? 'statefulsets.apps' : 'deployments.apps', { metadata, spec: { replicas, template } })
    // A Deployment keeps its old ReplicaSets; a Job goes with its pod.
    const owned = (kind === 'deployment' ? made : there).filter((pod) => pod.workload === workload)
    if (kind !== 'deployment' && kind !== 'cronjob') continue
    for (const [owner, pods] of Map.groupBy(owned, (pod) => pod.owner))
      add(kind === 'deployment' ? 'replicasets.apps' : 'jobs.batch', {
        metadata: {
          name: owner,
          namespace,
          uid: `uid-of-${owner}`,
          creationTimestamp: wholeTime(Math.min(...pods.map(({ created }) => created))),
          ownerReferences: [reference(kind === 'deployment' ? 'Deployment' : 'CronJob', name)],
        },
        spec: { template },
      })
  }
  return reducedLists(
    mesh.workloads.map(({ namespace }) => namespace),
    all,
  )
}

/** Kubernetes writes whole seconds. */
function wholeTime(moment: Seconds): string {
  return toTime(Math.floor(moment))
}

function reference(kind: string, name: string): object {
  return { apiVersion: 'v1', kind, name, uid: `uid-of-${name}`, controller: true }
}

const KINDS: Readonly<Record<string, string>> = {
  deployment: 'ReplicaSet',
  statefulset: 'StatefulSet',
  daemonset: 'DaemonSet',
  cronjob: 'Job',
}

function ownerOf({ owner, workload }: SimulatedPod): { readonly kind: string; readonly name: string } {
  return { kind: KINDS[workload.kind] ?? '', name: owner }
}

function creation(pod: SimulatedPod): object {
  const { namespace } = pod.workload
  const { kind, name } = ownerOf(pod)
  const message =
    kind === 'StatefulSet' ? `create Pod ${pod.name} in StatefulSet ${name} successful` : `Created pod: ${pod.name}`
  return {
    metadata: { name: `${pod.name}.event`, namespace, creationTimestamp: wholeTime(pod.created) },
    reason: 'SuccessfulCreate',
    involvedObject: { kind, namespace, name },
    message,
  }
}

function probeObject({ kind, port, path, periodSeconds, initialDelaySeconds }: Probe): object {
  const asks =
    kind === 'grpc'
      ? { grpc: { port } }
      : kind === 'tcpSocket'
        ? { tcpSocket: { port } }
        : { httpGet: { port, path, scheme: kind === 'https' ? 'HTTPS' : 'HTTP' } }
  return { ...asks, periodSeconds, initialDelaySeconds, timeoutSeconds: 1, failureThreshold: 3, successThreshold: 1 }
}

function appContainer({ ports, probes }: SimulatedPod): object {
  const ofRole = (role: Probe['role']) => probes.filter((probe) => probe.role === role).map(probeObject)[0]
  return {
    name: 'app',
    ports: ports.map((containerPort) => ({ containerPort, protocol: 'TCP' })),
    readinessProbe: ofRole('readiness'),
    livenessProbe: ofRole('liveness'),
    startupProbe: ofRole('startup'),
  }
}

const IDENTITY = '$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local'

function proxyContainer({ opaque }: SimulatedPod): object {
  return {
    name: 'linkerd-proxy',
    ports: [
      { name: 'linkerd-proxy', containerPort: 4143 },
      { name: 'linkerd-admin', containerPort: 4191 },
    ],
    livenessProbe: { httpGet: { port: 4191, path: '/live' }, periodSeconds: 10 },
    env: [
      { name: 'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY', value: 'all-unauthenticated' },
      { name: 'LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION', value: opaque.join(',') },
      { name: 'LINKERD2_PROXY_IDENTITY_LOCAL_NAME', value: IDENTITY },
    ],
  }
}

/** A pod as the API server shows it. What its kubelet says of containers has the clock of its node. */
function podObject({ clocks }: SimulatedMesh, pod: SimulatedPod, moment: Seconds): object {
  const { workload, meshed, isClassic } = pod
  const clock = clocks.get(pod.node) ?? 0
  const [isStarted, isOver] = [pod.started <= moment, pod.ended <= moment]
  const status = (name: string, lives: readonly { readonly from: Seconds; readonly to: Seconds }[], ready: boolean) => {
    const begun = lives.filter(({ from }) => from <= moment)
    const [current, previous] = [begun.at(-1), begun.at(-2)]
    const span = ({ from, to }: { from: Seconds; to: Seconds }) => ({
      startedAt: wholeTime(from + clock),
      finishedAt: wholeTime(to + clock),
    })
    const state =
      current === undefined
        ? {}
        : current.to <= moment
          ? { terminated: span(current) }
          : { running: { startedAt: wholeTime(current.from + clock) } }
    return {
      name,
      ready: ready && current !== undefined && current.to > moment,
      restartCount: Math.max(0, begun.length - 1),
      state,
      ...(previous === undefined ? {} : { lastState: { terminated: span(previous) } }),
    }
  }
  const proxy = status('linkerd-proxy', processesOf(pod), true)
  const app = status('app', [{ from: pod.started, to: pod.ended }], pod.ready <= moment)
  const init = {
    name: 'linkerd-init',
    args: [
      '--inbound-ports-to-ignore',
      ['4190', '4191', ...pod.skipInbound].join(','),
      '--outbound-ports-to-ignore',
      ['4567', ...pod.skipOutbound].join(','),
    ],
  }
  const native = meshed && !isClassic
  return {
    metadata: {
      name: pod.name,
      namespace: workload.namespace,
      uid: pod.uid,
      creationTimestamp: wholeTime(pod.created),
      labels: labelsOf(pod),
      annotations: meshed ? { 'linkerd.io/inject': 'enabled', 'linkerd.io/proxy-version': 'edge-26.8.3' } : {},
      ownerReferences: [reference(ownerOf(pod).kind, ownerOf(pod).name)],
    },
    spec: {
      serviceAccountName: workload.serviceAccount,
      nodeName: pod.node,
      initContainers: [
        ...(meshed ? [init] : []),
        ...(native ? [{ ...proxyContainer(pod), restartPolicy: 'Always' }] : []),
      ],
      containers: [appContainer(pod), ...(meshed && isClassic ? [proxyContainer(pod)] : [])],
    },
    status: {
      phase: isOver ? 'Succeeded' : proxyStarted(pod) <= moment ? 'Running' : 'Pending',
      podIP: pod.ip,
      podIPs: [{ ip: pod.ip }],
      hostIP: nodeAddress(pod.node),
      startTime: wholeTime(pod.created + clock),
      ...(isStarted && pod.ready <= moment && !isOver
        ? { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: wholeTime(pod.ready + clock) }] }
        : { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: wholeTime(pod.created + clock) }] }),
      containerStatuses: [app, ...(meshed && isClassic ? [proxy] : [])],
      initContainerStatuses: native ? [proxy] : [],
    },
  }
}

function nodeAddress(node: string): string {
  return `192.168.0.${node.replaceAll(/\D/g, '')}`
}

function labelsOf({ workload, meshed, owner }: SimulatedPod): Record<string, string> {
  const { kind, name, namespace } = workload
  const own = kind === 'cronjob' ? { 'batch.kubernetes.io/job-name': owner, 'job-name': owner } : {}
  if (!meshed) return { app: name, ...own }
  return {
    app: name,
    ...own,
    'linkerd.io/control-plane-ns': 'linkerd',
    'linkerd.io/workload-ns': namespace,
    ...(kind === 'cronjob' ? {} : { [`linkerd.io/proxy-${kind}`]: name }),
  }
}

/** The workload's key as windows write it. */
export function keyOf({ kind, namespace, name }: Pick<SimulatedWorkload, 'kind' | 'namespace' | 'name'>): string {
  return `${kind}/${namespace}/${name}`
}

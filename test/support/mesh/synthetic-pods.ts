import type { Resource } from '../../../lib/observed/kubernetes-fields.ts'
import { toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { Window } from '../../../lib/model/time.ts'

/** The window of all synthetic clusters. Their times are seconds after its start, so `(0, 300]` is inside. */
export const WINDOW: Window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T12:05:00Z' }

/** A time of a synthetic cluster as RFC 3339 text. */
export function timeAt(seconds: number): string {
  return toTime(toSeconds(WINDOW.start) + seconds)
}

/** A pod: an hour old, meshed, scraped every ten seconds, and in every list of its life, unless it says otherwise. */
export type Pod = {
  readonly name: string
  readonly namespace: string
  /** `deployment/web`, `statefulset/db`, `daemonset/agent`, `job/once`, `cronjob/tick`, `replicaset/old`; empty: a bare pod. */
  readonly owner: string
  readonly ip: string
  readonly moreIps: readonly string[]
  readonly uid: string
  readonly serviceAccount: string
  readonly meshed: boolean
  /** Life in seconds. A pod that ended is in no later list; `to` is infinite while it lives. */
  readonly from: number
  readonly to: number
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly controlPlane: string
  readonly nativeSidecar: boolean
  readonly hostNetwork: boolean
  /** The node's address. */
  readonly hostIP: string
  /** False: the CNI plugin does what `linkerd-init` does. */
  readonly hasInit: boolean
  /** Further arguments of `linkerd-init`. */
  readonly initArgs: readonly string[]
  /** Names of its own init containers that run before `linkerd-init`. */
  readonly earlyInit: readonly string[]
  readonly automount: boolean | null
  readonly policy: string
  readonly requireIdentity: string
  readonly opaque: string
  readonly skipInbound: string
  readonly skipOutbound: string
  readonly skipSubnets: string
  readonly ports: readonly { readonly name?: string; readonly containerPort: number; readonly protocol?: string }[]
  /** Probes of the application: by httpGet, unless they say otherwise. The first is that of readiness, the second that of liveness. */
  readonly probes: readonly SyntheticProbe[]
  readonly adminPort: number
  /** When Prometheus scraped it: by default always, with success. */
  readonly scrape: (time: number) => 'success' | 'failure' | 'none'
  /** Who scrapes it: the labels that tell them apart, and how much later than the first each does, in seconds. */
  readonly scrapers: readonly {
    readonly labels: Readonly<Record<string, string>>
    readonly offset: number
    /** Instead of the pod's own. */
    readonly scrape?: (time: number) => 'success' | 'failure' | 'none'
  }[]
  /** How many seconds its node's clock is ahead of Prometheus'. */
  readonly clock: number
  /** When its proxy was restarted: counters are described by what they are, its start is stated by this. */
  readonly restarts: readonly number[]
  /** Replaces what the kubelet says of the pod. */
  readonly status?: Readonly<Record<string, unknown>>
}

/** A probe as a container has it. */
export type SyntheticProbe = {
  readonly port: number
  readonly periodSeconds: number
  readonly isStartup?: boolean
  readonly kind?: 'http' | 'https' | 'grpc' | 'tcp'
  readonly initialDelaySeconds?: number
  readonly failureThreshold?: number
}

let pods = 0

/** Describes a pod; each has an address, a name and a uid of its own. */
export function pod(owner: string, changes: Partial<Pod> = {}): Pod {
  const number = ++pods
  const [kind = '', ownName = ''] = owner.split('/')
  const serviceAccount = ownName === '' ? 'default' : ownName
  const letters = number.toString(36).padStart(5, 'x')
  const name =
    kind === 'statefulset' ? `${ownName}-0` : kind === '' ? `bare-${letters}` : `${ownedBy(owner)}-${letters}`
  const all: Pod = {
    name,
    namespace: 'shop',
    owner,
    ip: `10.1.${number >> 8}.${number & 255}`,
    moreIps: [],
    uid: `uid-${number}`,
    serviceAccount,
    meshed: true,
    from: -3600,
    to: Infinity,
    labels: {},
    annotations: {},
    controlPlane: 'linkerd',
    nativeSidecar: true,
    hostNetwork: false,
    hostIP: '192.0.2.1',
    hasInit: true,
    initArgs: [],
    earlyInit: [],
    automount: null,
    policy: 'all-unauthenticated',
    requireIdentity: '',
    opaque: '25,587,3306,4444,5432,6379,9300,11211',
    skipInbound: '4190,4191,4567,4568',
    skipOutbound: '4567,4568',
    skipSubnets: '',
    ports: [],
    probes: [],
    adminPort: 4191,
    scrape: () => 'success',
    scrapers: [{ labels: {}, offset: 0 }],
    clock: 0,
    restarts: [],
    ...changes,
  }
  return { ...all, labels: { ...injectedLabels(all), ...changes.labels } }
}

/** The object that owns the pod directly: a ReplicaSet of a Deployment, a Job of a CronJob. */
function ownedBy(owner: string): string {
  const [kind = '', name = ''] = owner.split('/')
  return kind === 'deployment' ? `${name}-6f5d8c7b9` : kind === 'cronjob' ? `${name}-29925432` : name
}

function injectedLabels({ owner, meshed, controlPlane, namespace }: Pod): Record<string, string> {
  const [kind = '', name = ''] = owner.split('/')
  const app: Record<string, string> = name === '' ? {} : { app: name }
  if (!meshed) return app
  return {
    ...app,
    'linkerd.io/control-plane-ns': controlPlane,
    'linkerd.io/workload-ns': namespace,
    // The injector names the owner, but not a CronJob (measured).
    ...(kind === '' || kind === 'cronjob' ? {} : { [`linkerd.io/proxy-${kind}`]: name }),
  }
}

/** The identity that a pod's proxy is certified for. */
export function identityOf({ serviceAccount, namespace }: Pick<Pod, 'serviceAccount' | 'namespace'>): string {
  return `${serviceAccount}.${namespace}.serviceaccount.identity.linkerd.cluster.local`
}

/** What owns the pods, each object once. */
export function ownersOf(listed: readonly Pod[]): Partial<Record<Resource, readonly unknown[]>> {
  const objects = new Map<string, { resource: Resource; object: unknown }>()
  const add = (one: Pod, kind: string, name: string, owner?: { kind: string; name: string }) => {
    const template = { spec: { serviceAccountName: one.serviceAccount, containers: [appContainer(one)] } }
    objects.set(`${kind}/${one.namespace}/${name}`, {
      resource: RESOURCES[kind] ?? 'deployments.apps',
      object: {
        metadata: {
          name,
          namespace: one.namespace,
          ...(owner === undefined ? {} : { ownerReferences: [reference(owner.kind, owner.name)] }),
        },
        spec: kind === 'CronJob' ? { jobTemplate: { spec: { template } } } : { template },
      },
    })
  }
  for (const one of listed) {
    const [kind = '', name = ''] = one.owner.split('/')
    if (kind === '') continue
    const { kind: direct, name: directName } = directOwner(one)
    if (directName === name) add(one, direct, name)
    else {
      const owner = { kind: KINDS[kind] ?? '', name }
      add(one, direct, directName, owner)
      add(one, owner.kind, name)
    }
  }
  const lists: Partial<Record<Resource, unknown[]>> = {}
  for (const { resource, object } of objects.values()) (lists[resource] ??= []).push(object)
  return lists
}

const KINDS: Readonly<Record<string, string>> = {
  deployment: 'Deployment',
  replicaset: 'ReplicaSet',
  statefulset: 'StatefulSet',
  daemonset: 'DaemonSet',
  job: 'Job',
  cronjob: 'CronJob',
}
const RESOURCES: Readonly<Record<string, Resource>> = {
  Deployment: 'deployments.apps',
  ReplicaSet: 'replicasets.apps',
  StatefulSet: 'statefulsets.apps',
  DaemonSet: 'daemonsets.apps',
  Job: 'jobs.batch',
  CronJob: 'cronjobs.batch',
}

function directOwner({ owner }: Pod): { kind: string; name: string } {
  const [kind = ''] = owner.split('/')
  const direct = kind === 'deployment' ? 'ReplicaSet' : kind === 'cronjob' ? 'Job' : (KINDS[kind] ?? '')
  return { kind: direct, name: ownedBy(owner) }
}

function reference(kind: string, name: string): object {
  return { apiVersion: 'v1', kind, name, uid: `uid-of-${name}`, controller: true }
}

/** The application's container, as a pod and its template have it. */
function appContainer({ ports, probes }: Pod): object {
  const probe = (isStartup: boolean) => {
    const [first, second] = probes.filter((candidate) => (candidate.isStartup ?? false) === isStartup)
    return isStartup
      ? { startupProbe: probeObject(first) }
      : { readinessProbe: probeObject(first), livenessProbe: probeObject(second) }
  }
  return { name: 'app', ports, ...probe(false), ...probe(true) }
}

function probeObject(probe: SyntheticProbe | undefined): object | undefined {
  if (probe === undefined) return undefined
  const { port, kind = 'http', isStartup: _isStartup, ...times } = probe
  const how = {
    http: { httpGet: { port } },
    https: { httpGet: { port, scheme: 'HTTPS' } },
    grpc: { grpc: { port } },
    tcp: { tcpSocket: { port } },
  }[kind]
  return { ...how, ...times }
}

/** A pod as the API server shows it at a time. */
export function podObject(one: Pod, time: number): Readonly<Record<'metadata' | 'spec' | 'status', object>> {
  const proxy = {
    name: 'linkerd-proxy',
    ports: [{ name: 'linkerd-admin', containerPort: one.adminPort }],
    livenessProbe: { httpGet: { port: one.adminPort }, periodSeconds: 10 },
    env: [
      { name: 'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY', value: one.policy },
      { name: 'LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION', value: one.opaque },
      { name: 'LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY', value: one.requireIdentity },
      {
        name: 'LINKERD2_PROXY_IDENTITY_LOCAL_NAME',
        value: '$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local',
      },
    ],
  }
  const subnets = one.skipSubnets === '' ? [] : ['--subnets-to-ignore', one.skipSubnets]
  const init = {
    name: 'linkerd-init',
    args: [
      '--inbound-ports-to-ignore',
      one.skipInbound,
      '--outbound-ports-to-ignore',
      one.skipOutbound,
      ...subnets,
      ...one.initArgs,
    ],
  }
  const app = appContainer(one)
  const isNative = one.meshed && one.nativeSidecar
  const state = { running: { startedAt: timeAt(one.from) } }
  const status = (name: string) => ({ name, ready: true, restartCount: 0, state })
  return {
    metadata: {
      name: one.name,
      namespace: one.namespace,
      uid: one.uid,
      creationTimestamp: timeAt(one.from),
      labels: one.labels,
      annotations: one.annotations,
      ...(one.owner === '' ? {} : { ownerReferences: [reference(directOwner(one).kind, directOwner(one).name)] }),
    },
    spec: {
      serviceAccountName: one.serviceAccount,
      hostNetwork: one.hostNetwork,
      ...(one.automount === null ? {} : { automountServiceAccountToken: one.automount }),
      initContainers: [
        ...one.earlyInit.map((name) => ({ name })),
        ...(one.meshed && one.hasInit ? [init] : []),
        ...(isNative ? [{ ...proxy, restartPolicy: 'Always' }] : []),
      ],
      containers: [app, ...(one.meshed && !isNative ? [proxy] : [])],
    },
    status: {
      phase: one.from > time ? 'Pending' : 'Running',
      podIP: one.ip,
      hostIP: one.hostIP,
      podIPs: [one.ip, ...one.moreIps].map((ip) => ({ ip })),
      startTime: timeAt(one.from),
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timeAt(one.from) }],
      containerStatuses: ['app', ...(one.meshed && !isNative ? ['linkerd-proxy'] : [])].map(status),
      initContainerStatuses: isNative ? [status('linkerd-proxy')] : [],
      ...one.status,
    },
  }
}

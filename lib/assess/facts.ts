import type { OwnerReference, Pod } from '../collect/reduce.ts'
import { toSeconds } from '../collect/windows.ts'
import type { Endpoint, Seconds } from '../model.ts'
import type { Listed } from './lists.ts'
import { type PortRanges, parsePorts } from './ports.ts'

/** When a pod was there; `to` is null where the end is not known. */
type Life = {
  readonly from: Seconds
  readonly to: Seconds | null
  /** The list shows that it has ended: what a later list says of its end is no news. */
  readonly isOver: boolean
}

/** A pod as the API server described it around a window. */
export type PodFacts = {
  readonly namespace: string
  readonly name: string
  readonly workload: Endpoint
  readonly serviceAccount: string
  /** The identity that its proxy was told to ask for; null where it has none. */
  readonly identity: string | null
  /** It has a proxy of the control plane that is audited. */
  readonly meshed: boolean
  readonly otherControlPlane: boolean
  readonly hostNetwork: boolean
  readonly addresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Ports whose inbound, and outbound, traffic goes around the proxy (`linkerd-init`'s arguments, else the annotations). */
  readonly skipInbound: PortRanges
  readonly skipOutbound: PortRanges
  readonly skipSubnets: readonly string[]
  readonly opaque: PortRanges
  readonly defaultPolicy: string | null
  readonly requiresIdentity: PortRanges
  readonly trustAnchors: string | null
  /** The pod's own httpGet probes: the only ones that Linkerd lets in as `probe`. */
  readonly probes: readonly { readonly port: number; readonly periodSeconds: number; readonly isStartup: boolean }[]
  readonly ports: readonly { readonly name: string | null; readonly port: number; readonly protocol: string }[]
  /** When its proxy (meshed) or the pod was running. */
  readonly life: Life
  /** When the last of its containers was started; infinite while one of them is not ready. */
  readonly lastStart: Seconds
  /** The list after the window lacks it, so it ended at an unknown time in between. */
  readonly isGone: boolean
  readonly automount: boolean | null
  readonly createdAt: Seconds
}

/** What is known of a workload for a window: `changed` where the lists before and after it do not agree. */
export type Fact<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly why: 'changed' | 'no list' }

/**
 * What the Kubernetes API said around a window. Facts hold for a window only if the lists around it agree (contracts: section 3); what
 * serves to find a pod's workload (addresses, owners) is taken from either list.
 */
export type Facts = {
  readonly before: Listed | null
  readonly after: Listed | null
  /** Pods that lived in the window, each once, sorted by namespace and name. */
  readonly pods: readonly PodFacts[]
  readonly podsOf: ReadonlyMap<string, readonly PodFacts[]>
  /** Every listed workload, with and without pods. */
  readonly workloads: ReadonlyMap<string, Endpoint>
  /** A fact of a workload's pods, where both lists agree on it. */
  readonly fact: <T>(workload: string, read: (pod: PodFacts) => T) => Fact<readonly T[]>
  /** The owner of a pod that no list holds, by the name of its ReplicaSet, Job, StatefulSet or DaemonSet. */
  readonly ownerByName: (namespace: string, podName: string) => Endpoint | null
  /** The ServiceAccount of a workload's pods; null where they have several or none is listed. */
  readonly serviceAccountOf: (workload: Endpoint) => string | null
  /** The ServiceAccount that a workload's pod template names; null where the workload is in no list. */
  readonly templateServiceAccount: (workload: Endpoint) => string | null
  /** A workload's owner, rolled up: ReplicaSet to Deployment, Job to CronJob. */
  readonly rollUp: (workload: Endpoint) => Endpoint
}

/** The text by which a workload is found in maps: `kind/namespace/name`. */
export function workloadKey({ kind, namespace, name }: Endpoint): string {
  return `${kind}/${namespace}/${name}`
}

/** Merges the lists before and after a window `(start, end]` into what held in it. */
export function factsOf(
  before: Listed | null,
  after: Listed | null,
  window: { readonly start: Seconds; readonly end: Seconds },
  linkerdNamespace: string,
): Facts {
  const taken = [before, after].filter((listed) => listed !== null)
  const rollUp = rollUpBy(taken)
  const read = (listed: Listed | null, isGone: (uid: string) => boolean) =>
    new Map(
      (listed?.pods ?? []).map((pod) => {
        const uid = pod.metadata.uid ?? `${pod.metadata.namespace}/${pod.metadata.name}`
        const { takenAt } = listed ?? { takenAt: 0 }
        return [uid, podFacts(pod, { rollUp, linkerdNamespace, takenAt, isGone: isGone(uid) })] as const
      }),
    )
  const later = read(after, () => false)
  const earlier = read(before, (uid) => after !== null && !later.has(uid))
  const pods = [...new Map([...earlier, ...later])]
    .map(([uid, pod]) => joined(earlier.get(uid) ?? null, pod))
    .filter(
      (pod): pod is PodFacts => pod !== null && pod.life.from <= window.end && (pod.life.to ?? Infinity) > window.start,
    )
    .sort((a, b) => (a.namespace === b.namespace ? compare(a.name, b.name) : compare(a.namespace, b.namespace)))
  const podsOf = Map.groupBy(pods, (pod) => workloadKey(pod.workload))

  const present = (all: Map<string, PodFacts | null>) =>
    Map.groupBy(
      [...all.values()].filter((pod) => pod !== null),
      (pod) => workloadKey(pod.workload),
    )
  const [earlierOf, laterOf] = [present(earlier), present(later)]
  return {
    before,
    after,
    pods,
    podsOf,
    workloads: listedWorkloads(taken, pods, rollUp),
    rollUp,
    ownerByName: ownerByName(taken, rollUp),
    templateServiceAccount: templateServiceAccount(taken),
    serviceAccountOf: serviceAccountsOf(podsOf),
    fact(workload, value) {
      if (before === null || after === null) return { known: false, why: 'no list' }
      const values = (of: readonly PodFacts[] | undefined) =>
        [...new Map((of ?? []).map((pod) => [JSON.stringify(value(pod)), value(pod)] as const))].sort(([a], [b]) =>
          compare(a, b),
        )
      const [was, is] = [values(earlierOf.get(workload)), values(laterOf.get(workload))]
      const agree = was.length === 0 || is.length === 0 || JSON.stringify(was) === JSON.stringify(is)
      if (!agree) return { known: false, why: 'changed' }
      return { known: true, value: (is.length === 0 ? was : is).map(([, one]) => one) }
    },
  }
}

/**
 * A pod as both lists show it. The kubelet remembers one restart, so the earlier list knows a longer life; and a pod whose sandbox was made
 * again has another address since.
 */
function joined(earlier: PodFacts | null, later: PodFacts | null): PodFacts | null {
  if (earlier === null || later === null) return later ?? earlier
  return {
    ...later,
    addresses: [...new Set([...later.addresses, ...earlier.addresses])],
    life: {
      ...later.life,
      from: Math.min(earlier.life.from, later.life.from),
      to: earlier.life.isOver ? earlier.life.to : later.life.to,
    },
  }
}

type PodContext = {
  readonly rollUp: Facts['rollUp']
  readonly linkerdNamespace: string
  readonly takenAt: Seconds
  readonly isGone: boolean
}

/** Null for a pod that never ran: it could not send anything. */
function podFacts(pod: Pod, { rollUp, linkerdNamespace, takenAt, isGone }: PodContext): PodFacts | null {
  const { metadata, spec, status } = pod
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])]
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  const proxy = containers.find(({ name }) => name === 'linkerd-proxy')
  const init = containers.find(({ name }) => name === 'linkerd-init')
  const own = proxy === undefined ? statuses : statuses.filter(({ name }) => name === 'linkerd-proxy')
  const life = lifeOf(pod, own, takenAt)
  if (life === null) return null
  const annotations = metadata.annotations ?? {}
  const labels = metadata.labels ?? {}
  const controlPlane = labels['linkerd.io/control-plane-ns'] ?? linkerdNamespace
  const env = new Map((proxy?.env ?? []).map(({ name, value }) => [name, value ?? '']))
  const namespace = metadata.namespace ?? ''
  const serviceAccount = spec.serviceAccountName ?? 'default'
  const ports = containers.flatMap((container) => container.ports ?? [])
  const argument = (flag: string) => init?.args?.[init.args.indexOf(flag) + 1] ?? ''
  const skipped = (flag: string, annotation: string) =>
    parsePorts(init?.args?.includes(flag) === true ? argument(flag) : (annotations[annotation] ?? ''))
  return {
    namespace,
    name: metadata.name,
    workload: rollUp(
      controllerOf(metadata.ownerReferences, namespace) ?? { kind: 'pod', namespace, name: metadata.name },
    ),
    serviceAccount,
    identity:
      proxy === undefined ? null : identityOf(env.get('LINKERD2_PROXY_IDENTITY_LOCAL_NAME'), serviceAccount, namespace),
    meshed: proxy !== undefined && controlPlane === linkerdNamespace,
    otherControlPlane: proxy !== undefined && controlPlane !== linkerdNamespace,
    hostNetwork: spec.hostNetwork ?? false,
    // Pods on the host's network share its address with each other and with the kubelet.
    addresses:
      spec.hostNetwork === true
        ? []
        : [...new Set([status?.podIP ?? '', ...(status?.podIPs ?? []).map(({ ip }) => ip ?? '')])].filter(Boolean),
    labels,
    annotations,
    skipInbound: skipped('--inbound-ports-to-ignore', 'config.linkerd.io/skip-inbound-ports'),
    skipOutbound: skipped('--outbound-ports-to-ignore', 'config.linkerd.io/skip-outbound-ports'),
    skipSubnets: (init?.args?.includes('--subnets-to-ignore') === true
      ? argument('--subnets-to-ignore')
      : (annotations['config.linkerd.io/skip-subnets'] ?? '')
    )
      .split(',')
      .filter(Boolean),
    opaque: parsePorts(env.get('LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION') ?? ''),
    defaultPolicy: env.get('LINKERD2_PROXY_INBOUND_DEFAULT_POLICY') ?? null,
    requiresIdentity: parsePorts(env.get('LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY') ?? ''),
    trustAnchors: env.get('LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS') ?? null,
    probes: containers.flatMap((container) =>
      [container.livenessProbe, container.readinessProbe, container.startupProbe].flatMap((probe, index) => {
        const port = probe?.httpGet?.port
        const number = typeof port === 'string' ? ports.find(({ name }) => name === port)?.containerPort : port
        return probe === undefined || number === undefined
          ? []
          : [{ port: number, periodSeconds: probe.periodSeconds ?? 10, isStartup: index === 2 }]
      }),
    ),
    ports: ports.map(({ name, containerPort, protocol }) => ({
      name: name ?? null,
      port: containerPort,
      protocol: protocol ?? 'TCP',
    })),
    life,
    lastStart: lastStartOf(statuses),
    isGone,
    automount: spec.automountServiceAccountToken ?? null,
    createdAt: metadata.creationTimestamp === undefined ? life.from : toSeconds(metadata.creationTimestamp),
  }
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

function lifeOf({ metadata, status }: Pod, statuses: readonly ContainerStatus[], takenAt: Seconds): Life | null {
  const states = statuses.flatMap(({ state, lastState }) => [state, lastState])
  const started = states
    .flatMap((state) => [state?.running?.startedAt, state?.terminated?.startedAt])
    .filter((time) => time !== undefined && time !== null)
  // Of more than one restart the first start is forgotten: then the pod's own is the latest that is sure.
  const isForgotten = statuses.some(({ restartCount = 0 }) => restartCount > 1)
  const created = status?.startTime ?? metadata.creationTimestamp
  const times = [...started, ...(created !== undefined && (isForgotten || started.length === 0) ? [created] : [])]
  if (times.length === 0 || (started.length === 0 && status?.phase === 'Pending')) return null
  const from = Math.min(...times.map(toSeconds))

  const ended = statuses
    .map(({ state }) => state?.terminated?.finishedAt)
    .filter((time) => time !== undefined && time !== null)
  if (statuses.length > 0 && ended.length === statuses.length)
    return { from, to: Math.max(...ended.map(toSeconds)), isOver: true }
  // Evicted: the kubelet may have dropped what it knew of the containers, and the end was some time before the list.
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return { from, to: takenAt, isOver: true }
  // A deletion is announced with its grace period in the future; a pod that is still listed after it may still run.
  const deleted = metadata.deletionTimestamp
  return { from, to: deleted === undefined ? null : Math.max(toSeconds(deleted), takenAt), isOver: false }
}

function lastStartOf(statuses: readonly ContainerStatus[]): Seconds {
  return Math.max(
    ...statuses.map(({ ready, state }) => {
      const started = state?.running?.startedAt
      // Init containers that are no sidecars have ended.
      if (state?.terminated !== undefined) return -Infinity
      return ready === true && started !== undefined ? toSeconds(started) : Infinity
    }),
  )
}

/** `sa.namespace.serviceaccount.identity...`, where the proxy's own template names it through its pod. */
function identityOf(template: string | undefined, serviceAccount: string, namespace: string): string | null {
  if (template === undefined) return null
  return template.replaceAll('$(_pod_sa)', serviceAccount).replaceAll('$(_pod_ns)', namespace)
}

function controllerOf(owners: readonly OwnerReference[] | undefined, namespace: string): Endpoint | null {
  const owner = owners?.find(({ controller }) => controller === true)
  // A static pod belongs to its node, which is no workload.
  return owner === undefined || owner.kind === 'Node'
    ? null
    : { kind: owner.kind.toLowerCase(), namespace, name: owner.name }
}

function rollUpBy(taken: readonly Listed[]): (workload: Endpoint) => Endpoint {
  const owners = new Map<string, Endpoint>()
  for (const { replicasets, jobs } of taken) {
    for (const [kind, objects] of [
      ['replicaset', replicasets],
      ['job', jobs],
    ] as const) {
      for (const { metadata } of objects) {
        const namespace = metadata.namespace ?? ''
        const owner = controllerOf(metadata.ownerReferences, namespace)
        if (owner !== null) owners.set(workloadKey({ kind, namespace, name: metadata.name }), owner)
      }
    }
  }
  const cronJobs = new Set(
    taken.flatMap(({ cronjobs }) => cronjobs.map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`)),
  )
  return (workload) => {
    const owner = owners.get(workloadKey(workload))
    if (owner !== undefined) return owner
    // A finished Job may be gone already; the CronJob controller names its Jobs by their minute.
    const cronJob = workload.kind === 'job' ? workload.name.replace(/-\d+$/, '') : workload.name
    const isCronJobs = cronJob !== workload.name && cronJobs.has(`${workload.namespace}/${cronJob}`)
    return isCronJobs ? { ...workload, kind: 'cronjob', name: cronJob } : workload
  }
}

function ownerByName(taken: readonly Listed[], rollUp: (workload: Endpoint) => Endpoint): Facts['ownerByName'] {
  const owners = new Map(taken.flatMap(ownersOf).map((owner) => [`${owner.namespace}/${owner.name}`, owner] as const))
  return (namespace, podName) => {
    const owner = owners.get(`${namespace}/${podName.replace(/-([a-z0-9]{5}|\d+)$/, '')}`)
    return owner === undefined ? null : rollUp(owner)
  }
}

function listedWorkloads(
  taken: readonly Listed[],
  pods: readonly PodFacts[],
  rollUp: (workload: Endpoint) => Endpoint,
): Map<string, Endpoint> {
  const workloads = [...taken.flatMap(ownersOf).map(rollUp), ...pods.map(({ workload }) => workload)]
  return new Map(
    workloads.map((workload) => [workloadKey(workload), workload] as const).sort(([a], [b]) => compare(a, b)),
  )
}

function serviceAccountsOf(podsOf: ReadonlyMap<string, readonly PodFacts[]>): Facts['serviceAccountOf'] {
  const only = new Map(
    [...podsOf].map(([key, pods]) => {
      const [name, ...others] = new Set(pods.map(({ serviceAccount }) => serviceAccount))
      return [key, name === undefined || others.length > 0 ? null : name] as const
    }),
  )
  return (workload) => only.get(workloadKey(workload)) ?? null
}

function templateServiceAccount(taken: readonly Listed[]): Facts['templateServiceAccount'] {
  const templates = taken.flatMap(({ cronjobs, daemonsets, deployments, jobs, replicasets, statefulsets }) => [
    ...cronjobs.map(({ metadata, spec }) => ({ kind: 'cronjob', metadata, template: spec.jobTemplate.spec?.template })),
    ...Object.entries({
      daemonset: daemonsets,
      deployment: deployments,
      job: jobs,
      replicaset: replicasets,
      statefulset: statefulsets,
    }).flatMap(([kind, objects]) => objects.map(({ metadata, spec }) => ({ kind, metadata, template: spec.template }))),
  ])
  const names = new Map(
    templates.map(
      ({ kind, metadata, template }) =>
        [
          workloadKey({ kind, namespace: metadata.namespace ?? '', name: metadata.name }),
          template?.spec?.serviceAccountName ?? 'default',
        ] as const,
    ),
  )
  return (workload) => names.get(workloadKey(workload)) ?? null
}

/** Everything in a snapshot's lists that owns pods. ReplicaSets without an owner are workloads of their own. */
function ownersOf(listed: Listed): Endpoint[] {
  const kinds = [
    ['cronjob', listed.cronjobs],
    ['daemonset', listed.daemonsets],
    ['deployment', listed.deployments],
    ['job', listed.jobs],
    ['replicaset', listed.replicasets],
    ['statefulset', listed.statefulsets],
  ] as const
  return kinds.flatMap(([kind, objects]) =>
    objects.map(({ metadata }) => ({ kind, namespace: metadata.namespace ?? '', name: metadata.name })),
  )
}

/** Orders text by code units, the same in every locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

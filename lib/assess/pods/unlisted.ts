import { toSeconds } from '../../time/windows.ts'
import type { Endpoint } from '../../model/path.ts'
import type { Seconds } from '../../model/time.ts'
import { END_SECONDS, type ListedPod, type SeenPod, type SeenPods, isSameUid } from './seen-pods.ts'
import type { KubernetesLists } from './lists.ts'
import { type PodFacts, controllerOf } from './pods.ts'
import { compareText } from '../../text/order.ts'

/** A pod, or pods, that lived in a window and may or may not have had a proxy. */
export type UnknownPod = {
  readonly workload: Endpoint
  readonly from: Seconds
  readonly to: Seconds
  /**
   * `sandbox-only`: cAdvisor sampled its sandbox and no container; `created`: an event reports its creation; `replicaset`: a ReplicaSet was created and none
   * of its pods is known; `replicas`: fewer pods are known than the workload should have.
   */
  readonly why: 'sandbox-only' | 'created' | 'replicaset' | 'replicas'
}

/** Facts about unlisted pods. */
export type Unlisted = {
  /** Those whose containers cAdvisor showed. */
  readonly pods: readonly PodFacts[]
  readonly unknown: readonly UnknownPod[]
}

/** A window `(start, end]` and its sources. */
type UnlistedInput = {
  readonly start: Seconds
  readonly end: Seconds
  readonly before: KubernetesLists | null
  readonly after: KubernetesLists | null
  /** Pods of the lists that lived in the window. */
  readonly listed: readonly PodFacts[]
  readonly seen: SeenPods | null
  readonly ownerOf: (namespace: string, podName: string) => Endpoint | null
  /** The ServiceAccount in a workload's template; null if the workload is unlisted. */
  readonly serviceAccountOf: (workload: Endpoint) => string | null
}

/** Finds pods that lived in a window and are in neither of its lists, from the other sources. Sorted. */
export function unlistedPods(input: UnlistedInput): Unlisted {
  const { start, end, listed, seen, ownerOf, serviceAccountOf, before, after } = input
  const inLists = listedByName([before, after].filter((list) => list !== null))
  const isListed = (pod: SeenPod) =>
    inLists.get(`${pod.namespace}/${pod.name}`)?.some((one) => isSameUid(pod, one)) === true
  const others = (seen?.pods ?? []).filter(
    (pod) => pod.last + END_SECONDS > start && pod.first <= end && !isListed(pod),
  )
  const ownerOfPod = (namespace: string, name: string): Endpoint =>
    ownerOf(namespace, name) ?? { kind: 'pod', namespace, name }
  const pods = others
    .filter(({ containers }) => containers.length > 0)
    .map((pod) => {
      const workload = ownerOfPod(pod.namespace, pod.name)
      return podOf(pod, workload, { listed, serviceAccount: serviceAccountOf(workload) })
    })
  const sandboxes = others
    .filter(({ containers }) => containers.length === 0)
    .map((pod): UnknownPod => ({
      workload: ownerOfPod(pod.namespace, pod.name),
      ...lifeOf(pod, input),
      why: 'sandbox-only',
    }))
  // Creations matter only after the first list, which contains the pods that lived before.
  const since = Math.max(before?.takenAt ?? start, start)
  const names = new Set([...inLists.keys(), ...others.map(({ namespace, name }) => `${namespace}/${name}`)])
  const created = createdPods(input, { names, since, ownerOfPod })
  const known = [...listed, ...pods]
  const guessed =
    seen?.isWhole === true || before === null || after === null
      ? []
      : [...replicaSets(input, { names, since, created }), ...missingReplicas(input, known, created)]
  return {
    pods,
    unknown: [...sandboxes, ...created.map(({ pod, ...one }) => one), ...guessed].sort(
      (a, b) => a.from - b.from || compareText(JSON.stringify(a), JSON.stringify(b)),
    ),
  }
}

/** All pods of the lists by `namespace/name`, including those that do not run yet. */
function listedByName(lists: readonly KubernetesLists[]): ReadonlyMap<string, readonly ListedPod[]> {
  const pods = lists.flatMap(({ pods: own }) =>
    own.map(({ metadata: { namespace = '', name, uid = null, ownerReferences } }) => ({
      namespace,
      name,
      uid,
      isStatic: ownerReferences?.some(({ kind }) => kind === 'Node') ?? false,
    })),
  )
  return Map.groupBy(pods, ({ namespace, name }) => `${namespace}/${name}`)
}

function lifeOf(
  { first, last }: SeenPod,
  { start, end }: Pick<UnlistedInput, 'start' | 'end'>,
): {
  from: Seconds
  to: Seconds
} {
  return { from: Math.max(start, first), to: Math.min(end, last + END_SECONDS) }
}

/** Makes a pod whose containers cAdvisor showed. The rest of its spec comes from a pod of its ReplicaSet, or else of its workload. */
function podOf(
  { namespace, name, uid, containers, first, last }: SeenPod,
  workload: Endpoint,
  { listed, serviceAccount }: { readonly listed: readonly PodFacts[]; readonly serviceAccount: string | null },
): PodFacts {
  const own = listed.filter(
    (pod) =>
      pod.workload.kind === workload.kind &&
      pod.workload.namespace === namespace &&
      pod.workload.name === workload.name,
  )
  const meshed = containers.includes('linkerd-proxy')
  // Pods of a StatefulSet or DaemonSet keep their name's stem across a rollout; if they differ, its template is unknown.
  const alike = own.filter((pod) => pod.meshed === meshed && stemOf(pod.name) === stemOf(name))
  const sameTemplate = new Set(alike.map(bypassOf)).size === 1 ? alike[0] : undefined
  const sibling = sameTemplate ?? own.find((pod) => pod.meshed === meshed) ?? own[0]
  return {
    ...(sibling ?? { ...NO_SPEC, serviceAccount: serviceAccount ?? NO_SPEC.serviceAccount }),
    namespace,
    name,
    uid,
    isStatic: false,
    workload,
    identity: null,
    meshed,
    otherControlPlane: false,
    hostNetwork: false,
    hostAddresses: [],
    looks: [],
    overriding: [],
    addresses: [],
    life: { from: first, to: last + END_SECONDS, isOver: true },
    isGone: true,
    createdAt: first,
    unlisted: sameTemplate === undefined ? 'spec-unknown' : 'spec-of-sibling',
  }
}

/** Parts of a pod's spec that let connections bypass its proxy, as text. */
function bypassOf({ skipInbound, skipOutbound, skipSubnets, isIPv6Unproxied }: PodFacts): string {
  return JSON.stringify([skipInbound, skipOutbound, skipSubnets, isIPv6Unproxied])
}

/** Spec for a workload without listed pods. */
const NO_SPEC = {
  serviceAccount: 'default',
  isIPv6Unproxied: false,
  earlyInit: [],
  annotations: {},
  labels: {},
  skipInbound: [],
  skipOutbound: [],
  skipSubnets: [],
  opaque: [],
  defaultPolicy: null,
  requiresIdentity: [],
  trustAnchors: null,
  probes: [],
  ports: [],
  automount: null,
} as const

/** Returns a pod's name without its controller's suffix: the name of its ReplicaSet, StatefulSet, DaemonSet or Job. */
function stemOf(name: string): string {
  return name.replace(/-[a-z0-9]+$/, '')
}

type Created = UnknownPod & { readonly pod: string }

const CREATED = [/^Created pod: (\S+)/, /^create Pod (\S+) in StatefulSet/]

/** Pods whose creation an event reports and that no source shows. */
function createdPods(
  { end, after, before, seen }: UnlistedInput,
  {
    names,
    since,
    ownerOfPod,
  }: {
    readonly names: ReadonlySet<string>
    readonly since: Seconds
    readonly ownerOfPod: (namespace: string, name: string) => Endpoint
  },
): Created[] {
  const events = [...(before?.events ?? []), ...(after?.events ?? [])].filter(
    ({ reason }) => reason === 'SuccessfulCreate',
  )
  const all = new Map<string, Created>()
  for (const { metadata, message = '', involvedObject } of events) {
    const pod = CREATED.map((form) => form.exec(message)?.[1]).find((name) => name !== undefined)
    const namespace = involvedObject.namespace ?? metadata.namespace ?? ''
    const at = metadata.creationTimestamp === undefined ? undefined : toSeconds(metadata.creationTimestamp)
    if (pod === undefined || at === undefined || at <= since || at > end || names.has(`${namespace}/${pod}`)) continue
    // If cAdvisor saw every node, a pod without samples ran for a few seconds at most.
    const to = seen?.isWhole === true ? Math.min(end, at + END_SECONDS) : end
    all.set(`${namespace}/${pod}`, { pod, workload: ownerOfPod(namespace, pod), from: at, to, why: 'created' })
  }
  return [...all.values()]
}

/** ReplicaSets that were created in the window and have no known pod: their pods came and went between the lists. */
function replicaSets(
  { end, before, after, ownerOf }: UnlistedInput,
  {
    names,
    since,
    created,
  }: { readonly names: ReadonlySet<string>; readonly since: Seconds; readonly created: readonly Created[] },
): UnknownPod[] {
  const earlier = new Set(before?.replicasets.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`))
  const known = [...names, ...created.map(({ pod, workload }) => `${workload.namespace}/${pod}`)]
  const all = (after?.replicasets ?? []).flatMap(({ metadata }) => {
    const namespace = metadata.namespace ?? ''
    const at = metadata.creationTimestamp === undefined ? undefined : toSeconds(metadata.creationTimestamp)
    const workload = ownerOf(namespace, `${metadata.name}-`)
    return at === undefined || workload === null ? [] : [{ key: `${namespace}/${metadata.name}`, at, workload }]
  })
  return all.flatMap(({ key, at, workload }): UnknownPod[] => {
    if (at <= since || at > end || earlier.has(key) || known.some((name) => name.startsWith(`${key}-`))) return []
    // The next ReplicaSet of the same Deployment ends it.
    const next = all.filter(
      (one) => one.workload.name === workload.name && one.workload.namespace === workload.namespace && one.at > at,
    )
    return [{ workload, from: at, to: Math.min(end, ...next.map((one) => one.at)), why: 'replicaset' }]
  })
}

/** A controller normally replaces a pod within this time. */
const REPLACED_WITHIN: Seconds = 60

/** Counts the pods of each DaemonSet, because its stored object does not contain a desired number. */
function podsOfDaemonSets(listed: KubernetesLists | null): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { metadata } of listed?.pods ?? []) {
    const owner = controllerOf(metadata.ownerReferences, metadata.namespace ?? '')
    if (owner?.kind !== 'daemonset') continue
    const key = `${owner.kind}/${owner.namespace}/${owner.name}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

/** Returns times with fewer known pods than a workload should have according to both lists. */
function missingReplicas(
  { start, end, before, after }: UnlistedInput,
  pods: readonly PodFacts[],
  created: readonly Created[],
): UnknownPod[] {
  const wanted = (listed: KubernetesLists | null) =>
    new Map([
      ...[
        ['deployment', listed?.deployments ?? []] as const,
        ['statefulset', listed?.statefulsets ?? []] as const,
      ].flatMap(([kind, objects]) =>
        objects.map(
          ({ metadata, spec }) => [`${kind}/${metadata.namespace ?? ''}/${metadata.name}`, spec.replicas ?? 0] as const,
        ),
      ),
      ...podsOfDaemonSets(listed),
    ])
  const [was, is] = [wanted(before), wanted(after)]
  const byWorkload = Map.groupBy(pods, ({ workload: { kind, namespace, name } }) => `${kind}/${namespace}/${name}`)
  return [...is].flatMap(([key, replicas]): UnknownPod[] => {
    const least = Math.min(replicas, was.get(key) ?? 0)
    const own = byWorkload.get(key) ?? []
    const [kind = '', namespace = '', name = ''] = key.split('/')
    if (
      least === 0 ||
      created.some(
        ({ workload }) => workload.kind === kind && workload.namespace === namespace && workload.name === name,
      )
    )
      return []
    const cuts = [start, end, ...own.flatMap(({ createdAt, life }) => [createdAt, life.to ?? end])]
      .filter((time) => time >= start && time <= end)
      .sort((a, b) => a - b)
    return cuts.flatMap((from, index): UnknownPod[] => {
      const to = cuts[index + 1] ?? from
      const alive = own.filter(({ createdAt, life }) => createdAt <= from && (life.to ?? end) >= to).length
      return to - from > REPLACED_WITHIN && alive < least
        ? [{ workload: { kind, namespace, name }, from, to, why: 'replicas' }]
        : []
    })
  })
}

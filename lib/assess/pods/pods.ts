import { decidingLabels } from '../../observed/pod-labels.ts'
import type { OwnerReference, Pod } from '../../observed/kubernetes-fields.ts'
import { toSeconds } from '../../time/windows.ts'
import type { Endpoint } from '../../model/path.ts'
import type { Seconds } from '../../model/time.ts'
import { type PortRanges, parsePorts } from './ports.ts'
import { type ProbeLook, type Probe, lookOf, probesOf } from '../probes/declared-probes.ts'
import { isIPv6 } from './ip-family.ts'

/** When a pod lived; `to` is null if the end is unknown. */
type Life = {
  readonly from: Seconds
  readonly to: Seconds | null
  /** The list shows that it has ended, so later lists add nothing about its end. */
  readonly isOver: boolean
}

/** A pod as the API server described it around a window. */
export type PodFacts = {
  readonly namespace: string
  readonly name: string
  /** Null if only cAdvisor showed the pod, without its uid. */
  readonly uid: string | null
  /** It is a static pod, which the kubelet knows by another uid. */
  readonly isStatic: boolean
  readonly workload: Endpoint
  readonly serviceAccount: string
  /** The identity that its proxy is configured to request; null if there is none. */
  readonly identity: string | null
  /** It has a proxy of the audited control plane. */
  readonly meshed: boolean
  readonly otherControlPlane: boolean
  readonly hostNetwork: boolean
  readonly addresses: readonly string[]
  /** The node's addresses, for a pod on the host's network. */
  readonly hostAddresses: readonly string[]
  /** It has a proxy and an IPv6 address, and IPv6 connections are not redirected to the proxy. */
  readonly isIPv6Unproxied: boolean
  /** Its own init containers that run before `linkerd-init` redirects connections to the proxy. */
  readonly earlyInit: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  /** Its labels, in either list, that override a metric label of its proxy. Unordered. */
  readonly overriding: readonly string[]
  readonly annotations: Readonly<Record<string, string>>
  /** Ports whose inbound or outbound traffic bypasses the proxy (`linkerd-init`'s arguments, or else the annotations). */
  readonly skipInbound: PortRanges
  readonly skipOutbound: PortRanges
  readonly skipSubnets: readonly string[]
  readonly opaque: PortRanges
  readonly defaultPolicy: string | null
  readonly requiresIdentity: PortRanges
  readonly trustAnchors: string | null
  /** Probes of the kubelet. Linkerd admits only those of kind `http` as `probe`. */
  readonly probes: readonly Probe[]
  /** Its readiness in the lists, oldest first. */
  readonly looks: readonly ProbeLook[]
  readonly ports: readonly { readonly name: string | null; readonly port: number; readonly protocol: string }[]
  /** When its proxy (meshed) or the pod was running. */
  readonly life: Life
  /** The list after the window does not contain it, so it ended at an unknown time in between. */
  readonly isGone: boolean
  readonly automount: boolean | null
  readonly createdAt: Seconds
  /**
   * Absent if a list contains the pod. Otherwise only cAdvisor showed it, with its containers. Its spec is that of a pod with the same template
   * (`spec-of-sibling`) or a guess (`spec-unknown`). Its addresses and overriding labels are unknown.
   */
  readonly unlisted?: 'spec-of-sibling' | 'spec-unknown'
}

/** Whether labels of a pod may override its proxy's: then its own readings never prove encryption, however they were read. */
export function isDoubted({ overriding }: Pick<PodFacts, 'overriding'>): boolean {
  return overriding.length > 0
}

/**
 * Joins a pod's facts from both lists. The kubelet remembers only one restart, so the earlier list may know a longer life; and a recreated sandbox has
 * another address.
 */
export function joinPods(earlier: PodFacts | null, later: PodFacts | null): PodFacts | null {
  if (earlier === null || later === null) return later ?? earlier
  return {
    ...later,
    addresses: [...new Set([...later.addresses, ...earlier.addresses])],
    overriding: [...new Set([...later.overriding, ...earlier.overriding])],
    looks: [...earlier.looks, ...later.looks],
    life: {
      ...later.life,
      from: Math.min(earlier.life.from, later.life.from),
      to: earlier.life.isOver ? earlier.life.to : later.life.to,
    },
  }
}

type PodContext = {
  readonly rollUp: (workload: Endpoint) => Endpoint
  readonly linkerdNamespace: string
  /** `disableIPv6` of the control plane's settings; undefined if unknown. */
  readonly isIPv6Disabled: boolean | undefined
  readonly takenAt: Seconds
  readonly isGone: boolean
}

/** Returns a list's facts about a pod. Null for a pod that never ran, because it could not send anything. */
export function podFacts(
  pod: Pod,
  { rollUp, linkerdNamespace, isIPv6Disabled, takenAt, isGone }: PodContext,
): PodFacts | null {
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
  const addresses = [...new Set([status?.podIP ?? '', ...(status?.podIPs ?? []).map(({ ip }) => ip ?? '')])].filter(
    Boolean,
  )
  const ports = containers.flatMap((container) => container.ports ?? [])
  const argument = (flag: string) => init?.args?.[init.args.indexOf(flag) + 1] ?? ''
  const skipped = (flag: string, annotation: string) =>
    parsePorts(init?.args?.includes(flag) === true ? argument(flag) : (annotations[annotation] ?? ''))
  return {
    namespace,
    name: metadata.name,
    uid: metadata.uid ?? null,
    isStatic: metadata.ownerReferences?.some(({ kind }) => kind === 'Node') ?? false,
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
    addresses: spec.hostNetwork === true ? [] : addresses,
    hostAddresses: spec.hostNetwork === true ? addresses : [],
    isIPv6Unproxied: proxy !== undefined && addresses.some(isIPv6) && !isIPv6Proxied(init?.args, isIPv6Disabled),
    earlyInit: earlyInitOf(spec.initContainers ?? []),
    labels,
    overriding: decidingLabels(labels, { namespace, pod: metadata.name }),
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
    probes: probesOf(containers),
    looks: [lookOf(pod, takenAt)],
    ports: ports.map(({ name, containerPort, protocol }) => ({
      name: name ?? null,
      port: containerPort,
      protocol: protocol ?? 'TCP',
    })),
    life,
    isGone,
    automount: spec.automountServiceAccountToken ?? null,
    createdAt: metadata.creationTimestamp === undefined ? life.from : toSeconds(metadata.creationTimestamp),
  }
}

/**
 * Whether `linkerd-init` redirects IPv6 connections to the proxy. By its own default it does (`--ipv6`, true if absent; linkerd2-proxy-init, cmd/root.go). By
 * Linkerd's default it does not: the chart writes `--ipv6=false` unless installed with `disableIPv6=false`. Without `linkerd-init`, the CNI plugin has the
 * same setting and default. A value that Go cannot parse makes it fail.
 */
function isIPv6Proxied(args: readonly string[] | undefined, isDisabled: boolean | undefined): boolean {
  if (args === undefined) return isDisabled === false
  const flag = args.findLast((arg) => /^--?ipv6(=|$)/.test(arg))
  return flag === undefined || !/=(0|f|F|false|FALSE|False)$/.test(flag)
}

/** Returns the init containers before `linkerd-init`. Without a native sidecar, the injector puts `linkerd-init` after all others. */
function earlyInitOf(initContainers: NonNullable<Pod['spec']['initContainers']>): string[] {
  const init = initContainers.findIndex(({ name }) => name === 'linkerd-init')
  return initContainers
    .slice(0, Math.max(0, init))
    .map(({ name }) => name)
    .filter((name) => name !== 'linkerd-proxy')
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

function lifeOf({ metadata, status }: Pod, statuses: readonly ContainerStatus[], takenAt: Seconds): Life | null {
  const states = statuses.flatMap(({ state, lastState }) => [state, lastState])
  const started = states
    .flatMap((state) => [state?.running?.startedAt, state?.terminated?.startedAt])
    .filter((time) => time !== undefined && time !== null)
  // After several restarts the first start is forgotten, so only the pod's own start is certain.
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
  // Evicted: the kubelet may have dropped the container statuses, and the end was some time before the list.
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return { from, to: takenAt, isOver: true }
  // A deletion time includes the grace period; a pod that is still listed after it may still run.
  const deleted = metadata.deletionTimestamp
  return { from, to: deleted === undefined ? null : Math.max(toSeconds(deleted), takenAt), isOver: false }
}

/** Returns `sa.namespace.serviceaccount.identity...` from the proxy's template; null without one. */
function identityOf(template: string | undefined, serviceAccount: string, namespace: string): string | null {
  if (template === undefined) return null
  return template.replaceAll('$(_pod_sa)', serviceAccount).replaceAll('$(_pod_ns)', namespace)
}

/** Returns the owner of an object; null if there is none, or only a node. */
export function controllerOf(owners: readonly OwnerReference[] | undefined, namespace: string): Endpoint | null {
  const owner = owners?.find(({ controller }) => controller === true)
  // A static pod belongs to its node, which is not a workload.
  return owner === undefined || owner.kind === 'Node'
    ? null
    : { kind: owner.kind.toLowerCase(), namespace, name: owner.name }
}

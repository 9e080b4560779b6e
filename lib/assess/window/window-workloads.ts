import { toTime } from '../../time/windows.ts'
import type { BlindSpot, Coverage, Gap, Workload } from '../../model/window.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import type { PodFacts } from '../pods/pods.ts'
import { includesPort, parsePorts, printPorts } from '../pods/ports.ts'
import type { UnknownPod } from '../pods/unlisted.ts'
import { compareText } from '../../text/order.ts'

/** Ports that Linkerd skips, and treats as opaque, by default. */
const DEFAULT_SKIPPED = '4567,4568'
const DEFAULT_OPAQUE = '25,587,3306,4444,5432,6379,9300,11211'
/** The proxy's own ports are never redirected. */
const OWN_PORTS = '4190,4191'

/** Blind spot of a workload without listed pods in a window without scrapes: it may have run and ended unobserved. */
const UNSEEN: readonly BlindSpot[] = [
  { kind: 'not-scraped', port: null, detail: 'no proxy was scraped in this window' },
]

/** Returns every workload of a window: whether it is meshed and why, and its blind spots. Sorted by kind, namespace and name. */
export function workloadsOf(
  cluster: string,
  facts: Facts,
  {
    coverage,
    isCollected,
    proxiedBytes,
  }: {
    readonly coverage: readonly Coverage[]
    readonly isCollected: boolean
    /** Bytes that each pod's proxy counted, in both directions. */
    readonly proxiedBytes: ReadonlyMap<PodFacts, number>
  },
): Workload[] {
  const unknown = Map.groupBy(facts.unknownPods, (pod) => workloadKey(pod.workload))
  const covered = new Map(coverage.map((row) => [workloadKey(row.workload), row] as const))
  return [...facts.workloads].flatMap(([key, workload]): Workload[] => {
    const pods = facts.podsOf.get(key) ?? []
    const unknownPods = unknown.get(key) ?? []
    // A finished Job or an old ReplicaSet runs nothing; other kinds can run again and are listed with 0 pods.
    if (
      pods.length + unknownPods.length === 0 &&
      (workload.kind === 'job' || workload.kind === 'replicaset' || workload.kind === 'pod')
    )
      return []
    const meshed = facts.fact(key, (pod) => pod.meshed)
    const agreed = <T>(read: (pod: PodFacts) => T): T | null => {
      const fact = facts.fact(key, read)
      const [value] = fact.known && fact.value.length === 1 ? fact.value : []
      return value ?? null
    }
    const unmeshed = pods.filter((pod) => !pod.meshed)
    return [
      {
        cluster,
        ...workload,
        serviceAccount: agreed((pod) => pod.serviceAccount),
        meshed:
          !meshed.known || meshed.value.length === 0 || unknownPods.length > 0
            ? 'unknown'
            : meshed.value.length > 1
              ? 'partly'
              : meshed.value[0] === true
                ? 'yes'
                : 'no',
        pods: pods.length,
        reason: unmeshed[0] === undefined ? null : unmeshedReason(unmeshed[0], facts),
        defaultPolicy: agreed((pod) => pod.defaultPolicy),
        skipInbound: agreed((pod) => notable(pod.skipInbound)) ?? [],
        skipOutbound: agreed((pod) => notable(pod.skipOutbound)) ?? [],
        opaque: agreed((pod) => opaqueOf(pod)) ?? [],
        blindSpots:
          isCollected || pods.length > 0
            ? blindSpotsOf({ pods, unmeshed, unknownPods }, facts, covered.get(key))
            : UNSEEN,
        ...unseenBytes(pods, facts, proxiedBytes),
        ...labelsOf(pods.filter(({ unlisted }) => unlisted === undefined)),
      },
    ]
  })
}

/** Labels that controllers add to distinguish pods or templates; they change without a change of the workload. */
const COUNTING_LABELS: ReadonlySet<string> = new Set([
  'pod-template-hash',
  'pod-template-generation',
  'controller-revision-hash',
  'controller-uid',
  'job-name',
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-name',
  'batch.kubernetes.io/job-completion-index',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
])

/** Labels that all pods share, and labels of any pod that override a metric label of its proxy. */
function labelsOf(pods: readonly PodFacts[]): Pick<Workload, 'labels' | 'overriding'> {
  const [first, ...others] = pods
  if (first === undefined) return {}
  const shared = Object.entries(first.labels).filter(
    ([name, value]) => !COUNTING_LABELS.has(name) && others.every(({ labels }) => labels[name] === value),
  )
  const overriding = new Set(pods.flatMap((pod) => pod.overriding))
  return {
    labels: Object.fromEntries(shared),
    ...(overriding.size > 0 ? { overriding: [...overriding].sort(compareText) } : {}),
  }
}

/** Returns why a pod has no proxy of the audited control plane. */
export function unmeshedReason(pod: PodFacts, facts: Facts): Workload['reason'] {
  if (pod.otherControlPlane) return 'other-control-plane'
  if (pod.hostNetwork) return 'host-network'
  const listed = facts.after ?? facts.before
  const namespace = listed?.namespaces.find(({ metadata }) => metadata.name === pod.namespace)?.metadata
  const own = pod.annotations['linkerd.io/inject']
  const intent = own ?? namespace?.annotations?.['linkerd.io/inject']
  if (intent === 'disabled') return 'disabled'
  if (intent !== 'enabled' && intent !== 'ingress') return 'not-annotated'
  const projected =
    listed?.configmaps.every(({ values }) => values?.identity?.serviceAccountTokenProjection !== false) ?? true
  if (pod.automount === false && !projected) return 'automount-disabled'
  const skipped = listed?.events.some(({ reason, involvedObject }) => {
    const owner = pod.workload
    return (
      reason === 'InjectionSkipped' &&
      involvedObject.namespace === pod.namespace &&
      (involvedObject.name === pod.name || involvedObject.name === owner.name)
    )
  })
  const webhookOff =
    namespace?.labels?.['config.linkerd.io/admission-webhooks'] === 'disabled' || pod.namespace === 'kube-system'
  return skipped === true || webhookOff ? 'injection-skipped' : 'created-before-injection'
}

/** Headers of Ethernet, IP and TCP with its usual options. */
const PACKET_OVERHEAD_BYTES = 66

/** Bytes of a workload's pods that no proxy saw. */
function unseenBytes(
  pods: readonly PodFacts[],
  { trafficOf }: Facts,
  proxiedBytes: ReadonlyMap<PodFacts, number>,
): Pick<Workload, 'withoutProxy' | 'aroundProxy'> {
  const traffic = (of: readonly PodFacts[]) =>
    of.flatMap((pod) => {
      const own = pod.hostNetwork ? null : trafficOf(pod)
      return own === null ? [] : [{ ...own, proxied: proxiedBytes.get(pod) ?? 0 }]
    })
  const unmeshed = traffic(pods.filter(({ meshed }) => !meshed))
  const bypassing = traffic(pods.filter((pod) => pod.meshed && isBypassed(pod)))
  const sum = (values: readonly number[]) => Math.round(values.reduce((total, value) => total + value, 0))
  return {
    ...(unmeshed.length === 0
      ? {}
      : {
          withoutProxy: {
            sentBytes: sum(unmeshed.map(({ sentBytes }) => sentBytes)),
            receivedBytes: sum(unmeshed.map(({ receivedBytes }) => receivedBytes)),
          },
        }),
    ...(bypassing.length === 0
      ? {}
      : {
          aroundProxy: {
            maxBytes: sum(
              bypassing.map(({ sentBytes, receivedBytes, packets, proxied }) =>
                Math.max(0, sentBytes + receivedBytes - PACKET_OVERHEAD_BYTES * packets - proxied),
              ),
            ),
          },
        }),
  }
}

/** Whether some traffic of a meshed pod may bypass its proxy. */
function isBypassed(pod: PodFacts): boolean {
  return (
    notable(pod.skipInbound).length > 0 ||
    notable(pod.skipOutbound).length > 0 ||
    pod.skipSubnets.length > 0 ||
    pod.isIPv6Unproxied ||
    pod.ports.some(({ protocol }) => protocol === 'UDP')
  )
}

/** When unlisted pods lived, as far as known; empty for listed pods. */
function timesOf(pods: readonly PodFacts[]): string {
  const times = pods
    .filter(({ unlisted }) => unlisted !== undefined)
    .map(({ life: { from, to } }) => `${timeOf(from)} to ${to === null ? 'now' : timeOf(to)}`)
  return times.length === 0 ? '' : `; in no Kubernetes list, seen by cAdvisor about ${[...new Set(times)].join(', ')}`
}

function timeOf(seconds: number): string {
  return toTime(Math.round(seconds))
}

const UNKNOWN_POD: Readonly<Record<UnknownPod['why'], string>> = {
  'sandbox-only': 'a pod whose containers were not sampled',
  created: 'a pod that an event says was created, and that nothing else shows',
  replicaset: 'pods of a ReplicaSet that was created, and of which none is known',
  replicas: 'fewer pods are known than the workload was to have',
}

function blindSpotsOf(
  {
    pods,
    unmeshed,
    unknownPods,
  }: {
    readonly pods: readonly PodFacts[]
    readonly unmeshed: readonly PodFacts[]
    readonly unknownPods: readonly UnknownPod[]
  },
  facts: Facts,
  covered: Coverage | undefined,
): BlindSpot[] {
  const spots = new Map<string, BlindSpot>()
  const add = (kind: BlindSpot['kind'], port: string | null, detail: string) =>
    spots.set(`${kind} ${port ?? ''} ${detail}`, { kind, port, detail })
  const [first] = unmeshed
  if (first !== undefined) {
    const why = unmeshedReason(first, facts)
    add(
      why === 'host-network' ? 'host-network' : 'unmeshed',
      null,
      `${unmeshed.length} of ${pods.length} pods have no proxy: ${why ?? 'unknown'}${timesOf(unmeshed)}`,
    )
    if (why === 'host-network')
      add('unmeshed', null, `${unmeshed.length} of ${pods.length} pods have no proxy: host-network`)
  }
  for (const pod of pods) {
    if (pod.meshed) {
      for (const port of notable(pod.skipInbound))
        add('skip-inbound', port, 'inbound connections go around the proxy; only a meshed client sees them')
      for (const port of notable(pod.skipOutbound))
        add('skip-outbound', port, 'outbound connections go around the proxy; only a meshed server sees them')
      for (const subnet of pod.skipSubnets) add('skip-subnet', null, `connections with ${subnet} go around the proxy`)
      for (const port of opaqueOf(pod)) add('opaque-port', port, 'only TCP is seen; what the application spoke is not')
    }
    if (pod.isIPv6Unproxied) add('ipv6', null, 'connections by IPv6 go around the proxy (disableIPv6)')
    if (pod.meshed)
      for (const name of pod.earlyInit)
        add('init-container', null, `${name} runs before linkerd-init, so its connections go around the proxy`)
    for (const { port, protocol } of pod.ports)
      if (protocol === 'UDP') add('udp', String(port), 'Linkerd carries TCP only')
  }
  for (const { meshed, unlisted, life } of pods)
    if (meshed && unlisted === 'spec-unknown')
      add(
        'pod-unknown',
        null,
        `a pod with a proxy that no list holds, so that what goes around it is not known, from ${timeOf(life.from)} to ${life.to === null ? 'now' : timeOf(life.to)}`,
      )
  for (const { why, from, to } of unknownPods)
    add('pod-unknown', null, `${UNKNOWN_POD[why]}, from ${timeOf(from)} to ${timeOf(to)}`)
  // Other gaps are reported above.
  const isUnscraped = ({ reason, isBrief }: Gap) =>
    isBrief !== true && reason !== 'no-proxy' && reason !== 'pod-unknown'
  for (const gap of (covered?.gaps ?? []).filter(isUnscraped))
    add(
      'not-scraped',
      null,
      `${gap.pods} ${gap.pods === 1 ? 'pod' : 'pods'} from ${gap.from} to ${gap.to}: ${gap.reason}`,
    )
  return [...spots.entries()].sort(([a], [b]) => compareText(a, b)).map(([, spot]) => spot)
}

/** Skipped ports other than the proxy's own and Linkerd's defaults, which apply everywhere. */
function notable(ranges: PodFacts['skipInbound']): string[] {
  const usual = parsePorts(`${DEFAULT_SKIPPED},${OWN_PORTS}`)
  return printPorts(ranges.filter(({ from, to }) => from !== to || !includesPort(usual, from)))
}

/** Opaque ports that were configured, and default ones that the pod declares. */
function opaqueOf(pod: PodFacts): string[] {
  const usual = parsePorts(DEFAULT_OPAQUE)
  return printPorts(
    pod.opaque.filter(
      ({ from, to }) => from !== to || !includesPort(usual, from) || pod.ports.some(({ port }) => port === from),
    ),
  )
}

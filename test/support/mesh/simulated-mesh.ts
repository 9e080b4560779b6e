import type { Endpoint } from '../../../lib/model/path.ts'
import type { Seconds } from '../../../lib/model/time.ts'

/**
 * A mesh in simulated time: who lived when and what was sent, of which everything else is made (what proxies counted and Prometheus scraped:
 * simulated-scrapes.ts; what the API server listed: simulated-lists.ts). It knows nothing of the code that is judged by it. Times are seconds
 * since the epoch.
 */

/** From one moment until another. */
export type Span = { readonly from: Seconds; readonly to: Seconds }

/** What the kubelet asks a container, from where no proxy is in the way. */
export type Probe = {
  readonly kind: 'httpGet' | 'https' | 'grpc' | 'tcpSocket'
  readonly role: 'readiness' | 'liveness' | 'startup'
  readonly port: number
  readonly path: string
  readonly periodSeconds: number
  readonly initialDelaySeconds: number
}

/** What owns pods. Its pods are listed with it as their owner, or with a ReplicaSet or a Job of it. */
export type SimulatedWorkload = Endpoint & {
  readonly serviceAccount: string
  /** How many pods it was to have since when, oldest first. */
  readonly replicas: readonly { readonly since: Seconds; readonly pods: number }[]
}

export type SimulatedPod = {
  readonly workload: SimulatedWorkload
  readonly name: string
  readonly uid: string
  readonly ip: string
  readonly node: string
  /** The name of its ReplicaSet or Job; that of the workload where it owns its pods itself. */
  readonly owner: string
  readonly meshed: boolean
  /** The proxy is a container among the others, as before native sidecars. */
  readonly isClassic: boolean
  readonly created: Seconds
  /** When the application began; the proxy does a second earlier. */
  readonly started: Seconds
  /** When its readiness probe first succeeded. */
  readonly ready: Seconds
  readonly ended: Seconds
  /** When the API server no longer listed it. */
  readonly deleted: Seconds
  /** Times without a proxy, between two processes of it. */
  readonly restarts: readonly Span[]
  readonly ports: readonly number[]
  readonly probes: readonly Probe[]
  readonly skipInbound: readonly number[]
  readonly skipOutbound: readonly number[]
  readonly opaque: readonly number[]
}

/** One connection. */
export type Call = {
  readonly from: SimulatedPod | 'kubelet'
  readonly to: SimulatedPod
  readonly port: number
  /** `tls`: the application's own. */
  readonly protocol: 'http' | 'tcp' | 'tls'
  readonly opened: Seconds
  readonly closed: Seconds
  /** When something was sent: one request each, where it is HTTP. Sorted. */
  readonly moments: readonly Seconds[]
  /** What the kubelet asked for. */
  readonly path?: string
}

/** A mesh, and how it is watched. */
export type SimulatedMesh = {
  readonly seed: number
  readonly workloads: readonly SimulatedWorkload[]
  readonly pods: readonly SimulatedPod[]
  /** Without the kubelet's, which follow from the pods. */
  readonly calls: readonly Call[]
  /** When Prometheus looks, from the first scrape to the last. */
  readonly scraped: Span
  readonly interval: Seconds
  /** Prometheus is not there. */
  readonly away: readonly Span[]
  /** Scrapes of a pod fail. */
  readonly failing: readonly (Span & { readonly pod: SimulatedPod })[]
  /** By how much the samples of pods come late, by uid, as with a shard of remote write that hangs. */
  readonly late: ReadonlyMap<string, Seconds>
  /** By how much the clocks of nodes are ahead. */
  readonly clocks: ReadonlyMap<string, Seconds>
  readonly hasCadvisor: boolean
  /** The API server still has the events of the last hour. */
  readonly hasEvents: boolean
}

/** A number from 0 to 1 that is always the same for the same seed and texts. */
export function chance(seed: number, ...texts: readonly (string | number)[]): number {
  let hash = (2_166_136_261 ^ seed) >>> 0
  for (const letter of texts.join('/')) hash = Math.imul(hash ^ letter.charCodeAt(0), 16_777_619) >>> 0
  // Mixed once more, or similar texts would have similar numbers.
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_507) >>> 0
  hash = Math.imul(hash ^ (hash >>> 13), 3_266_489_909) >>> 0
  return ((hash ^ (hash >>> 16)) >>> 0) / 4_294_967_296
}

export function isIn(spans: readonly Span[], moment: Seconds): boolean {
  return spans.some(({ from, to }) => moment >= from && moment < to)
}

/** When a pod's proxy begins. */
export function proxyStarted({ started }: SimulatedPod): Seconds {
  return started - 1
}

/** The lives of a pod's proxy processes, oldest first; none where it has no proxy. */
export function processesOf(pod: SimulatedPod): Span[] {
  if (!pod.meshed) return []
  const starts = [proxyStarted(pod), ...pod.restarts.map(({ to }) => to)]
  const ends = [...pod.restarts.map(({ from }) => from), pod.ended]
  return starts.map((from, index) => ({ from, to: ends[index] ?? pod.ended }))
}

/** Whether a proxy process of the pod is in the way of what begins then. */
function hasProxy(pod: SimulatedPod, moment: Seconds): boolean {
  return processesOf(pod).some(({ from, to }) => moment >= from && moment < to)
}

/** Whose proxy sees a connection: of each end where it is not told to leave the port alone. */
export function seenBy({ from, to, port, opened }: Call): { readonly client: boolean; readonly server: boolean } {
  return {
    client: from !== 'kubelet' && hasProxy(from, opened) && !from.skipOutbound.includes(port),
    server: hasProxy(to, opened) && !to.skipInbound.includes(port),
  }
}

export type CallClass = 'mtls' | 'clear' | 'app-tls' | 'probe'

/** What was on the wire. */
export function classOf(call: Call): CallClass {
  if (call.from === 'kubelet') return 'probe'
  const { client, server } = seenBy(call)
  return client && server ? 'mtls' : call.protocol === 'tls' ? 'app-tls' : 'clear'
}

/** The kubelet's probes of a pod in a span: on a grid of their own, from when the container has run for long enough. */
export function probeCalls({ seed }: Pick<SimulatedMesh, 'seed'>, pod: SimulatedPod, { from, to }: Span): Call[] {
  return pod.probes.flatMap((probe, index) => {
    const phase = chance(seed, pod.uid, 'probe', index) * Math.min(2, probe.periodSeconds)
    const first = pod.started + probe.initialDelaySeconds + phase
    const until = Math.min(to, pod.ended, probe.role === 'startup' ? pod.ready : Infinity)
    const calls: Call[] = []
    const skipped = Math.max(0, Math.ceil((from - first) / probe.periodSeconds))
    for (let at = first + skipped * probe.periodSeconds; at < until; at += probe.periodSeconds)
      calls.push(probeCall(pod, probe, at))
    // While a pod is not ready, the kubelet also probes whenever it is told of a change of it (prober_manager.go).
    if (probe.role === 'readiness' && pod.ready > pod.started + 15)
      for (let at = first + 0.7; at < Math.min(until, pod.ready); at += 60)
        if (at >= from) calls.push(probeCall(pod, probe, at))
    return calls
  })
}

function probeCall(to: SimulatedPod, { kind, port, path }: Probe, opened: Seconds): Call {
  return {
    from: 'kubelet',
    to,
    port,
    protocol: kind === 'tcpSocket' || kind === 'https' ? 'tcp' : 'http',
    opened,
    closed: opened + 0.01,
    moments: kind === 'tcpSocket' ? [] : [opened + 0.002],
    ...(kind === 'httpGet' ? { path } : {}),
  }
}

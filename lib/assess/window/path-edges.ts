import { ADMIN_PORTS } from '../../observed/prometheus-queries.ts'
import type { Destination, Source } from '../../model/path.ts'
import type { Edge } from '../../model/window.ts'
import type { Attribution } from '../ends/attribution.ts'
import { API_SERVER_REASON } from '../ends/api-server.ts'
import { type Reached, destinations } from '../ends/destination.ts'
import { isEncrypted } from './episode-lifecycle.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { parseIdentity } from '../ends/identity.ts'
import { pathId } from '../ends/path-id.ts'
import { addressOf } from '../counters/labels.ts'
import { compareText } from '../../text/order.ts'
import type { CounterReading } from '../counters/reading.ts'

const UNMESHED: Source = { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null }
const PROBE: Source = { kind: 'probe', namespace: '', name: '', serviceAccount: null }

/** An edge, and how certain its attribution is. */
export type ReadEdge = Edge & {
  readonly standing: Attribution['standing']
  /** True: the pod's labels may be false, so another proxy must confirm that the edge is encrypted. */
  readonly isDoubted: boolean
  /** The scraped address, if it belongs to an unlisted pod that cAdvisor shows with a proxy; else null. */
  readonly witness: string | null
  /** How the destination of an outbound edge is known; null for an inbound one. */
  readonly reached: Reached['by'] | null
  /** The listed pods that an outbound edge may have reached, and whether it may have reached an unlisted one; empty for an inbound one. */
  readonly reachedPods: Pick<Reached, 'pods' | 'isPodUnknown'>
}

/**
 * Makes edges from readings by finding both ends. Sorted, so that the order of answers does not matter.
 *
 * @param vizNamespace namespace of the Prometheus that scrapes every proxy
 */
export function edgesOf(
  cluster: string,
  readings: readonly CounterReading[],
  facts: Facts,
  vizNamespace: string | null = null,
): ReadEdge[] {
  const destinationOf = destinations(facts)
  const edges = readings.map((reading): ReadEdge => {
    const { at, side, port, peerId, opens, sinceUnknown, openAtScrape, bytes } = reading
    const own = { ...at.workload, serviceAccount: at.pod?.serviceAccount ?? facts.serviceAccountOf(at.workload) }
    const source = side === 'outbound' ? own : sourceOf(reading)
    const reached = side === 'outbound' ? destinationOf(at.labels) : null
    const destination: Destination = reached?.destination ?? { ...own, cluster: null }
    const { state, reason } = onPort(reading, { destination, by: reached?.by ?? null }, { facts, vizNamespace })
    return {
      pathId: pathId(cluster, source, destination, port),
      side,
      source,
      destination,
      port,
      state,
      outcome: reading.verdict.outcome,
      reason,
      opens,
      sinceUnknown,
      openAtScrape,
      bytes,
      clientId: side === 'inbound' && peerId !== '' ? peerId : null,
      serverId: side === 'outbound' && peerId !== '' ? peerId : null,
      standing: at.standing,
      isDoubted: at.overridden,
      witness: at.isWitnessed === true ? at.instance : null,
      reached: reached?.by ?? null,
      reachedPods: { pods: reached?.pods ?? [], isPodUnknown: reached?.isPodUnknown ?? false },
    }
  })
  return edges
    .map((edge) => ({
      edge,
      order: JSON.stringify([
        edge.pathId,
        edge.side,
        edge.state,
        edge.outcome,
        edge.reason,
        edge.clientId,
        edge.serverId,
        edge.opens,
        edge.bytes,
      ]),
    }))
    .sort((a, b) => compareText(a.order, b.order))
    .map(({ edge }) => edge)
}

/** Returns the source of an inbound reading: an identity seen on the wire, a probe, or an unmeshed client. */
function sourceOf({ peerId, verdict }: CounterReading): Source {
  if (peerId === '') return verdict.source === 'probe' ? PROBE : UNMESHED
  const identity = parseIdentity(peerId)
  return identity === null
    ? { kind: 'serviceaccount', namespace: '', name: peerId, serviceAccount: peerId }
    : {
        kind: 'serviceaccount',
        namespace: identity.namespace,
        name: identity.serviceAccount,
        serviceAccount: identity.serviceAccount,
      }
}

type End = { readonly destination: Destination; readonly by: Reached['by'] | null }
type Known = { readonly facts: Facts; readonly vizNamespace: string | null }

/** Exempts the proxy's own ports and TLS to the Kubernetes API server, with their state as the reason. Port 0 makes the state unknown. */
function onPort(reading: CounterReading, end: End, known: Known): { state: Edge['state']; reason: string } {
  const { port, verdict } = reading
  if (port === 0) return { state: 'unknown', reason: 'no-port' }
  if (end.by === 'api-server' && verdict.state === 'no-mesh-tls' && isTrusted(reading))
    return { state: 'exempt', reason: `${API_SERVER_REASON} (${verdict.state})` }
  if (!ADMIN_PORTS.some((admin) => admin === port) || !(isProxys(reading, end, known) || isScrape(reading, end, known)))
    return verdict
  return { state: 'exempt', reason: `admin-port (${verdict.state})` }
}

/** Whether labels that the pod cannot set prove that the series belongs to the pod it names. */
function isTrusted({ at }: CounterReading): boolean {
  return at.standing !== 'impostor' && !at.overridden
}

/** Whether a port with an admin port's number really is the proxy's. Pods with false labels, and applications on that port, must not hide behind it. */
function isProxys({ side, port, at, verdict }: CounterReading, { destination }: End, { facts }: Known): boolean {
  if (at.standing === 'impostor' || (at.standing !== 'confirmed' && at.overridden)) return false
  const pods = side === 'inbound' ? [at.pod] : (facts.podsOf.get(workloadKey(destination)) ?? [])
  const admin = pods.flatMap((pod) => pod?.ports.filter(({ name }) => name === 'linkerd-admin') ?? [])
  if (admin.length > 0) return port === 4190 || admin.some((one) => one.port === port)
  return side === 'inbound' || isEncrypted(verdict.state)
}

/** Whether the reading is viz's own Prometheus scraping an unlisted pod, which it does for a moment after the pod ended. */
function isScrape(reading: CounterReading, { destination, by }: End, { vizNamespace }: Known): boolean {
  const { side, at } = reading
  if (side !== 'outbound' || at.standing !== 'confirmed' || !isTrusted(reading)) return false
  const isByAddress = by === 'unlisted' || (by === 'outside' && destination.name === addressOf(at.labels))
  return at.workload.namespace === vizNamespace && isByAddress
}

import { hash } from 'node:crypto'
import { ADMIN_PORTS } from '../collect/queries.ts'
import type { Destination, Edge, Endpoint, Source } from '../model.ts'
import type { Attribution } from './attribution.ts'
import { destinations } from './destination.ts'
import { isEncrypted } from './episodes.ts'
import { type Facts, workloadKey } from './facts.ts'
import { parseIdentity } from './identity.ts'
import type { Reading } from './readings.ts'
import { compareText } from '../text-order.ts'

/** The lasting identity of a path. ServiceAccounts are not in it: a changed identity is a change of the path. */
export function pathId(
  cluster: string,
  source: Endpoint,
  destination: Endpoint & { readonly cluster: string | null },
  port: number,
): string {
  const part = (text: string) => (text === '' ? null : text)
  // An array of texts, numbers and nulls is its own canonical JSON (RFC 8785).
  const identity = [
    cluster,
    source.kind,
    part(source.namespace),
    part(source.name),
    destination.kind,
    part(destination.namespace),
    part(destination.name),
    destination.cluster,
    port,
  ]
  return hash('sha256', JSON.stringify(identity), 'hex').slice(0, 16)
}

const UNMESHED: Source = { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null }
const PROBE: Source = { kind: 'probe', namespace: '', name: '', serviceAccount: null }

/** An edge, and how sure it is whose it is. */
export type ReadEdge = Edge & {
  readonly standing: Attribution['standing']
  /** The word of a pod whose labels may lie: what is encrypted in it needs another proxy that saw it. */
  readonly isDoubted: boolean
}

/** Makes edges of readings: who is at each end of them. Sorted, so that the order of answers changes nothing. */
export function edgesOf(cluster: string, readings: readonly Reading[], facts: Facts): ReadEdge[] {
  const destinationOf = destinations(facts)
  const edges = readings.map((reading): ReadEdge => {
    const { at, side, port, peerId, opens, sinceUnknown, openAtScrape, bytes } = reading
    const own = { ...at.workload, serviceAccount: at.pod?.serviceAccount ?? facts.serviceAccountOf(at.workload) }
    const source = side === 'outbound' ? own : sourceOf(reading)
    const destination: Destination = side === 'outbound' ? destinationOf(at.labels) : { ...own, cluster: null }
    const { state, reason } = onPort(reading, destination, facts)
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

/** Who an inbound reading came from: an identity that was on the wire, a probe, or nobody that the mesh knows. */
function sourceOf({ peerId, verdict }: Reading): Source {
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

/** The proxy's own ports keep their state as a reason, and are not scored; a port that is none cannot be told. */
function onPort(reading: Reading, destination: Destination, facts: Facts): { state: Edge['state']; reason: string } {
  const { port, verdict } = reading
  if (port === 0) return { state: 'unknown', reason: 'no-port' }
  if (!ADMIN_PORTS.some((admin) => admin === port) || !isProxys(reading, destination, facts)) return verdict
  return { state: 'exempt', reason: `admin-port (${verdict.state})` }
}

/** Whether a port with the number of the proxy's own is that: whoever may lie may not hide behind it, nor an application that took it. */
function isProxys({ side, port, at, verdict }: Reading, destination: Destination, facts: Facts): boolean {
  if (at.standing === 'impostor' || (at.standing !== 'confirmed' && at.overridden)) return false
  const pods = side === 'inbound' ? [at.pod] : (facts.podsOf.get(workloadKey(destination)) ?? [])
  const admin = pods.flatMap((pod) => pod?.ports.filter(({ name }) => name === 'linkerd-admin') ?? [])
  if (admin.length > 0) return port === 4190 || admin.some((one) => one.port === port)
  return side === 'inbound' || isEncrypted(verdict.state)
}

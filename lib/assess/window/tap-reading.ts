import type { TapEvent } from '../../observed/tap-events.ts'
import type { State } from '../../model/path.ts'

/** Encryption of the request of one tap event, as its proxy reports it. */
export type TapState = {
  /** The event's `tls=` value; empty if there is none. */
  readonly tls: string
  readonly state: Extract<State, 'mtls' | 'tls-anonymous' | 'app-tls' | 'plaintext' | 'unknown' | 'exempt'>
}

/** Reasons for no mesh TLS on a connection whose HTTP the proxy parsed: it was plaintext. */
const CLEAR: ReadonlySet<string> = new Set(['no_tls_from_remote', 'not_provided_by_service_discovery'])

/**
 * Reads an event. The proxy saw only one connection: an inbound event is read from its source, an outbound one from its destination. Any other value is
 * `unknown`.
 */
export function readTap({ proxy, source, destination }: TapEvent): TapState {
  if (proxy === 'unknown') return { tls: '', state: 'unknown' }
  const { labels } = proxy === 'in' ? source : destination
  const tls = labels.get('tls') ?? ''
  const identity = labels.get(proxy === 'in' ? 'client_id' : 'server_id') ?? ''
  return { tls, state: stateOf(tls, identity, proxy) }
}

function stateOf(tls: string, identity: string, proxy: 'in' | 'out'): TapState['state'] {
  if (tls === 'true') {
    if (identity !== '') return 'mtls'
    return proxy === 'in' ? 'tls-anonymous' : 'unknown'
  }
  // Only mesh TLS has identities, so an identity with any other value is a contradiction.
  if (identity !== '') return 'unknown'
  if (CLEAR.has(tls)) return 'plaintext'
  if (tls === 'passthru') return 'app-tls'
  return tls === 'loopback' ? 'exempt' : 'unknown'
}

/** Whether the server's policy let an event's request in as a probe. The policy checks only the path, so any client may send it. */
export function isOnProbePath({ proxy, destination }: TapEvent): boolean {
  return proxy === 'in' && destination.labels.get('authz_name') === 'probe'
}

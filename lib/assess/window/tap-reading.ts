import type { TapEvent } from '../../observed/tap-events.ts'
import type { State } from '../../model/path.ts'

/** What one event of tap says of the encryption of its request, in the words of the proxy that saw it. */
export type TapState = {
  /** The proxy's own word for it (`tls=` of an event); empty where it says none. */
  readonly tls: string
  readonly state: Extract<State, 'mtls' | 'tls-anonymous' | 'app-tls' | 'plaintext' | 'unknown' | 'exempt'>
}

/** Why a proxy had no mesh TLS on a connection on which it then parsed HTTP: that is plain text. */
const CLEAR: ReadonlySet<string> = new Set(['no_tls_from_remote', 'not_provided_by_service_discovery'])

/**
 * Reads an event. The side that did not see the event's connection says nothing: an inbound event is told by its source, an outbound one by
 * its destination. Whatever is not known word for word is `unknown`.
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
  // Identities belong to mesh TLS alone: both together are a contradiction.
  if (identity !== '') return 'unknown'
  if (CLEAR.has(tls)) return 'plaintext'
  if (tls === 'passthru') return 'app-tls'
  return tls === 'loopback' ? 'exempt' : 'unknown'
}

/** Whether the server's policy let an event's request in as a probe: it is told by its path, so that anybody may send it. */
export function isOnProbePath({ proxy, destination }: TapEvent): boolean {
  return proxy === 'in' && destination.labels.get('authz_name') === 'probe'
}

import type { Outcome, State } from '../model.ts'
import type { Moved } from './metrics.ts'

/** What an edge is said to be. `probe` is a source of its own: it is listed and not scored. */
export type Verdict = {
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  readonly source: 'unmeshed' | 'probe' | 'named'
}

/** The labels of one side's series that say how it was encrypted, as the proxy wrote them; empty where absent. */
export type Tls = {
  readonly tls: string
  readonly reason: string
  readonly peerId: string
  readonly sni: string
}

/** Whether a reading may be taken at its word (lies only lower). */
export type Standing = { readonly overridden: boolean; readonly impostor: boolean }

/** What a port's counters say of inbound traffic without mesh TLS, for one pod and one way of not having it. */
export type Inbound = {
  readonly opened: Moved
  readonly openAtScrape: number
  /** A connection was open at two scrapes in a row: at one scrape it may be a probe that happened to be there. */
  readonly isHeldOpen: boolean
  /** Read and written bytes together. */
  readonly bytes: Moved
  /** Both byte counters were there: missing is not zero. */
  readonly isCounted: boolean
  readonly httpAllowed: Moved
  readonly httpProbed: Moved
  readonly httpRefused: Moved
  readonly tcpAllowed: Moved
  readonly tcpRefused: Moved
  /** How many requests the pod's own probes can have made in the time that was read; null where its probes are not known. */
  readonly probesExpected: number | null
}

/** What an outbound series and the requests with the same labels say. */
export type Outbound = {
  readonly opened: Moved
  readonly openAtScrape: number
  readonly bytes: Moved
  readonly isCounted: boolean
  readonly requests: Moved
}

/** The reasons that mean "no mesh TLS" (measured: they do not mean "clear on the wire"). */
const NO_MESH_TLS = new Set(['not_provided_by_service_discovery', 'no_tls_from_remote', 'port_skipped'])

/**
 * The state that the labels alone allow: encrypted, or not encrypted with a reason, or unknown. Anything that Linkerd's labels were not
 * seen to say is `unknown`, never more.
 */
export function stateOfLabels(
  side: 'outbound' | 'inbound',
  { tls, reason, peerId, sni }: Tls,
): { state: State; reason: string } {
  if (tls === 'true') {
    if (reason !== '') return { state: 'unknown', reason: 'labels-contradict' }
    if (peerId !== '') return { state: 'mtls', reason: '' }
    return side === 'inbound'
      ? { state: 'tls-anonymous', reason: '' }
      : { state: 'unknown', reason: 'no-server-identity' }
  }
  if (tls === 'opaque' && side === 'inbound' && sni !== '' && reason === '')
    return { state: 'app-tls', reason: 'application-tls' }
  if (tls === 'disabled' && reason === '') return { state: 'no-mesh-tls', reason: 'disabled' }
  if (tls === 'no_identity' && reason === 'loopback') return { state: 'exempt', reason: 'loopback' }
  if (tls === 'no_identity' && NO_MESH_TLS.has(reason)) return { state: 'no-mesh-tls', reason }
  return { state: 'unknown', reason: reason === '' ? `tls=${tls === '' ? 'absent' : tls}` : reason }
}

/** Lowers a state by who says it: an encrypted reading of an overridden pod proves nothing, an impostor never worsens below unknown. */
export function lowered(
  state: State,
  reason: string,
  { overridden, impostor }: Standing,
): { state: State; reason: string } {
  if (impostor) return { state: 'unknown', reason: 'instance-not-confirmed' }
  const isEncrypted = state === 'mtls' || state === 'tls-anonymous' || state === 'app-tls' || state === 'exempt'
  return overridden && isEncrypted ? { state: 'unknown', reason: 'labels-overridden' } : { state, reason }
}

/** Classifies outbound traffic without mesh TLS; null where nothing was open or opened in the window. */
export function classifyOutbound(labels: Tls, seen: Outbound, standing: Standing): Verdict | null {
  if (seen.opened.count === 0 && seen.openAtScrape === 0 && seen.bytes.count === 0) return null
  const named = (state: State, reason: string): Verdict => ({
    ...lowered(state, reason, standing),
    outcome: 'allowed',
    source: 'named',
  })
  const { state, reason } = stateOfLabels('outbound', labels)
  if (state !== 'no-mesh-tls') return named(state, reason)
  // Counters of bytes move while a connection lives, so none over the series' life means that nothing was sent in the clear.
  if (seen.isCounted && !seen.bytes.ever && seen.requests.count === 0) return named('exempt', 'no payload')
  return named(isProved(seen.requests, seen.opened) ? 'plaintext' : 'no-mesh-tls', reason)
}

/**
 * Classifies inbound traffic without mesh TLS of one pod's port, first match first. Allowed, refused and probe traffic
 * each give a verdict; no verdict where nothing was open or moved.
 */
export function classifyInbound(labels: Tls, seen: Inbound, standing: Standing): Verdict[] {
  const verdict = (
    state: State,
    outcome: Outcome,
    reason: string,
    source: Verdict['source'] = 'unmeshed',
  ): Verdict => ({
    ...lowered(state, reason, standing),
    outcome,
    source,
  })
  const { state, reason } = stateOfLabels('inbound', labels)
  const moved = [seen.httpAllowed, seen.httpProbed, seen.httpRefused, seen.tcpAllowed, seen.tcpRefused].some(
    ({ count }) => count > 0,
  )
  if (!moved && seen.opened.count === 0 && seen.openAtScrape === 0 && seen.bytes.count === 0) return []
  if (state === 'exempt') return [verdict(state, 'allowed', reason)]
  if (state === 'app-tls') {
    const refused = seen.tcpRefused.count > 0 && seen.tcpAllowed.count === 0 && seen.openAtScrape === 0
    return [verdict(state, refused ? 'refused' : 'allowed', reason)]
  }
  if (state !== 'no-mesh-tls') return [verdict(state, 'allowed', reason)]

  const verdicts: Verdict[] = []
  // A connection that is held open without a move is what its counters once said it is: an idle clear connection is present in each window.
  const did = (counter: Moved) => counter.count > 0 || (counter.ever && (seen.isHeldOpen || !moved))
  const hasPayload = seen.bytes.ever
  const hasNone = seen.isCounted && !seen.bytes.ever
  if (did(seen.httpAllowed)) verdicts.push(verdict('plaintext', 'allowed', reason))
  else if (did(seen.tcpAllowed) && hasPayload) verdicts.push(verdict('no-mesh-tls', 'allowed', reason))
  if (did(seen.httpRefused)) verdicts.push(verdict('plaintext', 'refused', reason))
  else if (did(seen.tcpRefused)) verdicts.push(verdict('no-mesh-tls', 'refused', reason))
  if (did(seen.httpProbed)) {
    if (seen.probesExpected === null) verdicts.push(verdict('unknown', 'allowed', 'probe path, probes not known'))
    else if (seen.httpProbed.count > seen.probesExpected)
      verdicts.push(verdict('plaintext', 'allowed', 'probe path called too often'))
    else verdicts.push(verdict('exempt', 'allowed', 'probe path', 'probe'))
  }
  if (verdicts.length > 0) return verdicts
  return [
    hasNone
      ? verdict('exempt', 'allowed', 'no payload')
      : verdict('unknown', 'allowed', hasPayload ? 'no authorization counter moved' : 'no byte counters'),
  ]
}

/** HTTP was parsed with the same labels: in the window, or before it where the connection is an old one. */
function isProved(parsed: Moved, opened: Moved): boolean {
  return parsed.count > 0 || (parsed.ever && opened.count === 0)
}

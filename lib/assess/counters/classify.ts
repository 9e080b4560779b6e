import type { Outcome, State } from '../../model/path.ts'
import type { Moved } from './counter-movement.ts'

/** Classification of an edge. `probe` is a separate source: it is listed, not scored. */
export type LabelVerdict = {
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  readonly source: 'unmeshed' | 'probe' | 'named'
}

/** TLS labels of one side's series, as the proxy wrote them; empty if absent. */
export type Tls = {
  readonly tls: string
  readonly reason: string
  readonly peerId: string
  readonly sni: string
}

/** Whether a reading can be trusted; false labels can only lower its state. */
export type LabelTrust = { readonly overridden: boolean; readonly impostor: boolean }

/** Counters of a port's inbound traffic without mesh TLS, for one pod and one reason. */
export type Inbound = {
  readonly opened: Moved
  readonly openAtScrape: number
  /**
   * Whether a connection was open at two scrapes in a row. `surely`: fewer connections were opened in between than are open. `perhaps`: it may also be a slow
   * probe in phase with the scrapes.
   */
  readonly heldOpen: 'surely' | 'perhaps' | 'no'
  /** The pod's probes alone can explain what looks held open: the number of connections matches, and all had the same bytes. */
  readonly isLikeProbes: boolean
  /** Read and written bytes together. */
  readonly bytes: Moved
  /** Both byte counters exist: missing is not zero. */
  readonly isCounted: boolean
  readonly httpAllowed: Moved
  readonly httpProbed: Moved
  readonly httpRefused: Moved
  readonly tcpAllowed: Moved
  readonly tcpRefused: Moved
  /** The first value of the counter may belong to the window: no scrape or dropped series shows that it is older. */
  readonly mayBeNew: boolean
  /** How much of each counter the pod's probes can explain; null if its probes are unknown. */
  readonly probes: {
    readonly httpProbed: ByProbes
    readonly httpAllowed: ByProbes
    readonly tcpAllowed: ByProbes
  } | null
}

/** Reason for values counted before a proxy's first scrape. */
export const COUNTED_BEFORE = 'counted before the first scrape'

/** Reason for requests that may be more than the kubelet's probes. */
export const MAYBE_PROBES = 'probes, or more than probes'

/** Reason for requests that only their rate identifies as probes. */
export const BY_RATE = 'probe, by its rate'

/** How a counter compares with the kubelet's possible probes: no more, perhaps more, surely more; `none`: no probe is counted there. */
export type ByProbes = 'within' | 'perhaps' | 'more' | 'none'

/** Counters of an outbound series and of the requests with the same labels. */
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
 * Returns the state that the labels alone allow: encrypted, not encrypted with a reason, or unknown. Label values that were never observed in Linkerd are
 * `unknown`.
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

/** Lowers a state by how far its pod can be trusted: an encrypted reading of an overridden pod proves nothing, and an impostor's is unknown. */
export function lowered(
  state: State,
  reason: string,
  { overridden, impostor }: LabelTrust,
): { state: State; reason: string } {
  if (impostor) return { state: 'unknown', reason: 'instance-not-confirmed' }
  const isEncrypted = state === 'mtls' || state === 'tls-anonymous' || state === 'app-tls' || state === 'exempt'
  return overridden && isEncrypted ? { state: 'unknown', reason: 'labels-overridden' } : { state, reason }
}

/** Classifies outbound traffic without mesh TLS; null if nothing was open or opened in the window. */
export function classifyOutbound(labels: Tls, seen: Outbound, standing: LabelTrust): LabelVerdict | null {
  if (total(seen.opened) === 0 && seen.openAtScrape === 0 && total(seen.bytes) === 0) return null
  const named = (state: State, reason: string): LabelVerdict => ({
    ...lowered(state, reason, standing),
    outcome: 'allowed',
    source: 'named',
  })
  const { state, reason } = stateOfLabels('outbound', labels)
  if (state !== 'no-mesh-tls') return named(state, reason)
  // Byte counters move while a connection lives, so zero over the series' life means that no plaintext was sent.
  if (seen.isCounted && !seen.bytes.ever && total(seen.requests) === 0) return named('exempt', 'no payload')
  return named(isProved(seen.requests, seen.opened) ? 'plaintext' : 'no-mesh-tls', reason)
}

/**
 * Classifies inbound traffic without mesh TLS of one pod's port, first match first. Allowed, refused and probe traffic each give a verdict; empty if nothing
 * was open or moved.
 */
export function classifyInbound(labels: Tls, seen: Inbound, standing: LabelTrust): LabelVerdict[] {
  const verdict = (
    state: State,
    outcome: Outcome,
    reason: string,
    source: LabelVerdict['source'] = 'unmeshed',
  ): LabelVerdict => ({
    ...lowered(state, reason, standing),
    outcome,
    source,
  })
  const { state, reason } = stateOfLabels('inbound', labels)
  const decided = [seen.httpAllowed, seen.httpProbed, seen.httpRefused, seen.tcpAllowed, seen.tcpRefused]
  const moved = decided.some(({ count }) => count > 0)
  const isPresent = seen.opened.count > 0 || seen.openAtScrape > 0 || seen.bytes.count > 0
  // Linkerd never evicts authorization counters, so a first value may date from any time since the proxy's start.
  const isNew = (counter: Moved) => counter.undated > 0 && seen.mayBeNew
  if (!moved && !isPresent && total(seen.opened) === 0 && total(seen.bytes) === 0 && !decided.some(isNew)) return []
  if (state === 'exempt') return [verdict(state, 'allowed', reason)]
  if (state === 'app-tls') {
    const refused = seen.tcpRefused.count > 0 && seen.tcpAllowed.count === 0 && seen.openAtScrape === 0
    return [verdict(state, refused ? 'refused' : 'allowed', reason)]
  }
  if (state !== 'no-mesh-tls') return [verdict(state, 'allowed', reason)]

  const verdicts: LabelVerdict[] = []
  const unsure = (outcome: Outcome) => verdict('unknown', outcome, COUNTED_BEFORE)
  const isHeld = seen.heldOpen === 'surely' || (seen.heldOpen === 'perhaps' && !seen.isLikeProbes)
  // An idle open connection keeps the state its counters once had: idle plaintext is present in each window.
  const isStill = (counter: Moved, isOpen: boolean) => counter.ever && (isOpen || (!moved && isPresent))
  const did = (counter: Moved, isOpen: boolean) => counter.count > 0 || isStill(counter, isOpen)
  const allowed = (counter: Moved, byProbes: ByProbes, isOpen: boolean, is: State): LabelVerdict[] => {
    const byRate = verdict('exempt', 'allowed', BY_RATE, 'probe')
    if (!did(counter, isOpen)) return isNew(counter) ? [byProbes === 'within' ? byRate : unsure('allowed')] : []
    // A probe is never open at two scrapes in a row while another one begins.
    if (counter.count === 0 || seen.heldOpen === 'surely') return [verdict(is, 'allowed', reason)]
    if (byProbes === 'within') return [byRate]
    if (byProbes === 'perhaps') return [verdict('unknown', 'allowed', MAYBE_PROBES)]
    return [verdict(is, 'allowed', reason)]
  }
  const hasPayload = seen.bytes.ever
  const hasNone = seen.isCounted && !seen.bytes.ever
  const http = allowed(seen.httpAllowed, seen.probes?.httpAllowed ?? 'none', isHeld, 'plaintext')
  const tcp = hasPayload
    ? allowed(seen.tcpAllowed, seen.probes?.tcpAllowed ?? 'none', seen.heldOpen !== 'no', 'no-mesh-tls')
    : []
  verdicts.push(...(http.some((one) => one.state === 'plaintext') ? http : [...tcp, ...http]))
  if (did(seen.httpRefused, isHeld)) verdicts.push(verdict('plaintext', 'refused', reason))
  else if (did(seen.tcpRefused, isHeld)) verdicts.push(verdict('no-mesh-tls', 'refused', reason))
  else if (isNew(seen.httpRefused) || seen.tcpRefused.undated > 0) verdicts.push(unsure('refused'))
  if (did(seen.httpProbed, isHeld) || isNew(seen.httpProbed)) {
    if (seen.probes === null) verdicts.push(verdict('unknown', 'allowed', 'probe path, probes not known'))
    else if (seen.httpProbed.count > 0 && (seen.probes.httpProbed === 'more' || seen.probes.httpProbed === 'none'))
      verdicts.push(verdict('plaintext', 'allowed', 'probe path called too often'))
    else if (seen.probes.httpProbed === 'within') verdicts.push(verdict('exempt', 'allowed', 'probe path', 'probe'))
    else verdicts.push(verdict('unknown', 'allowed', MAYBE_PROBES))
  }
  // Connections opened in the window come before values counted earlier.
  if (verdicts.length > 0) return verdicts.toSorted((a, b) => Number(isBefore(a)) - Number(isBefore(b)))
  return [
    hasNone
      ? verdict('exempt', 'allowed', 'no payload')
      : verdict('unknown', 'allowed', hasPayload ? 'no authorization counter moved' : 'no byte counters'),
  ]
}

function isBefore({ reason }: LabelVerdict): boolean {
  return reason === COUNTED_BEFORE
}

/** Sum of a counter's dated and undated values. */
function total({ count, undated }: Moved): number {
  return count + undated
}

/** Whether HTTP was parsed with the same labels: in the window, or earlier if the connection is older. */
function isProved(parsed: Moved, opened: Moved): boolean {
  return total(parsed) > 0 || (parsed.ever && total(opened) === 0)
}

import type { Flow, Hello, Sent } from './flows.ts'
import { type Identity, parseIdentity } from '../ends/identity.ts'

/**
 * Verdicts on a flow's packets. `tls` needs a whole ClientHello, a whole ServerHello and no contradiction; `clear` needs proof, too. Anything else is
 * `unknown`.
 */
export const FLOW_VERDICTS = ['clear', 'unknown', 'tls', 'no-payload'] as const

/** Verdict on a flow's encryption, from its packets. */
export type FlowVerdict = (typeof FLOW_VERDICTS)[number]

/** Reason of a flow's verdict, in order of precedence. Empty for `tls` and `no-payload`. */
export type FlowReason =
  | ''
  // clear
  | 'null-cipher'
  | 'clear-then-tls'
  | 'text'
  | 'begins-without-tls'
  // unknown
  | 'udp'
  | 'ssh'
  | 'leaves-tls'
  | 'hello-in-wrong-direction'
  | 'hello-broken'
  | 'handshake-refused'
  | 'handshake-unfinished'
  | 'tls-version-unknown'
  | 'handshake-not-captured'
  | 'payload-not-captured'
  | 'one-side-captured'
  | 'beginning-not-captured'

/** TLS parameters from the hellos. The server's fields are null if there was no whole ServerHello. */
export type FlowTls = {
  /** For example `TLS 1.3`; null if the server has not chosen. */
  readonly version: string | null
  readonly serverName: string | null
  /** Application protocols that the client offered, in its order. */
  readonly offered: readonly string[]
  /** The protocol that the server chose; null if it chose none, and in TLS 1.3, which hides it. */
  readonly chosen: string | null
  /** `not-visible`: TLS 1.3 encrypts certificates, and a resumed session sends none. */
  readonly clientCertificate: 'seen' | 'not-seen' | 'not-visible'
  /** The server's identity, if the requested name is a Linkerd identity. */
  readonly identity: Identity | null
}

/** A flow with its verdict; `tls` is null if no TLS was seen. */
export type ReadFlow = Flow & {
  readonly verdict: FlowVerdict
  readonly reason: FlowReason
  readonly tls: FlowTls | null
  /** Traffic within one pod or host: an application and its own proxy. */
  readonly isLoopback: boolean
}

/** Reads flows, in their order. */
export function readFlows(flows: readonly Flow[]): ReadFlow[] {
  const isLoopback = loopbacks(flows)
  return flows.map((flow) => ({
    ...flow,
    ...readVerdict(flow),
    tls: tlsOf(flow),
    isLoopback: isLoopback(flow),
  }))
}

function readVerdict(flow: Flow): { readonly verdict: FlowVerdict; readonly reason: FlowReason } {
  const reason = clearReason(flow)
  if (reason !== null) return { verdict: 'clear', reason }
  const doubt = doubtOf(flow)
  if (doubt !== null) return { verdict: 'unknown', reason: doubt }
  const hasPayload = flow.sent.client.bytes + flow.sent.server.bytes > 0
  return { verdict: hasPayload ? 'tls' : 'no-payload', reason: '' }
}

/** Returns the proof that plaintext was on the wire; null if there is none. */
function clearReason({ sent }: Flow): FlowReason | null {
  const sides = [sent.client, sent.server]
  const hasTls = sides.some(({ records }) => records > 0)
  const suite = sent.server.serverHello?.cipherSuites[0]
  if (suite !== undefined && NULL_CIPHERS.has(suite)) return 'null-cipher'
  if (sides.some(({ beginsClear }) => beginsClear)) return hasTls ? 'clear-then-tls' : 'begins-without-tls'
  if (sides.some(({ hasText }) => hasText)) return hasTls ? 'clear-then-tls' : 'text'
  return null
}

/** Returns why a flow is neither surely TLS nor surely empty; null if it is. */
function doubtOf({ protocol, sent }: Flow): FlowReason | null {
  const { client, server } = sent
  const sides = [client, server]
  const some = (holds: (side: Sent) => boolean): boolean => sides.some(holds)
  const isEmpty = sides.every(({ bytes }) => bytes === 0)
  if (protocol === 'udp') return isEmpty ? null : 'udp'
  if (isEmpty) {
    if (some(({ isMissing }) => isMissing)) return 'payload-not-captured'
    // An unanswered SYN is a whole flow.
    const [speaker, silent] = client.packets === 0 ? [server, client] : [client, server]
    return silent.packets === 0 && speaker.hasSpoken ? 'one-side-captured' : null
  }
  if (some(({ leavesTls }) => leavesTls)) return 'leaves-tls'
  if (some(({ beginsSsh }) => beginsSsh)) return 'ssh'
  if (client.serverHello !== null || server.clientHello !== null) return 'hello-in-wrong-direction'
  if (client.clientHello !== null && server.serverHello !== null)
    return versionOf(server.serverHello) === null ? 'tls-version-unknown' : null
  if (some(({ hasBrokenHello }) => hasBrokenHello)) return 'hello-broken'
  if (client.clientHello !== null) return server.hasAlert ? 'handshake-refused' : 'handshake-unfinished'
  if (some(({ records }) => records > 0)) return 'handshake-not-captured'
  return 'beginning-not-captured'
}

/** Cipher suites in the IANA registry that encrypt nothing: integrity only, or not even that. */
const NULL_CIPHERS: ReadonlySet<number> = new Set([
  0x0000, 0x0001, 0x0002, 0x002c, 0x002d, 0x002e, 0x003b, 0x0082, 0x0083, 0x00b0, 0x00b1, 0x00b4, 0x00b5, 0x00b8,
  0x00b9, 0xc001, 0xc006, 0xc00b, 0xc010, 0xc015, 0xc039, 0xc03a, 0xc03b, 0xc0b4, 0xc0b5, 0xc100, 0xc101, 0xc102,
])

const VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0300, 'SSL 3.0'],
  [0x0301, 'TLS 1.0'],
  [0x0302, 'TLS 1.1'],
  [0x0303, 'TLS 1.2'],
  [0x0304, 'TLS 1.3'],
])

function versionOf({ supportedVersions, versions }: Hello): string | null {
  return VERSIONS.get(supportedVersions[0] ?? versions[0] ?? 0) ?? null
}

function tlsOf({ sent: { client, server } }: Flow): FlowTls | null {
  const { clientHello } = client
  const { serverHello } = server
  if (clientHello === null) return null
  const version = serverHello === null ? null : versionOf(serverHello)
  const [serverName, ...others] = clientHello.serverNames
  const isVisible = version !== null && version !== 'TLS 1.3' && server.certificate !== null
  return {
    version,
    serverName: serverName ?? null,
    offered: clientHello.protocols,
    chosen: serverHello?.protocols[0] ?? null,
    clientCertificate: !isVisible ? 'not-visible' : client.certificate === 'sent' ? 'seen' : 'not-seen',
    identity: serverName === undefined || others.length > 0 ? null : parseIdentity(serverName),
  }
}

/**
 * Finds flows that never leave a pod: from an address to itself, and loopback addresses. Linkerd's iptables rules send an application's packets to its proxy
 * at 127.0.0.1, while answers have the dialled address, so each direction is a separate flow.
 */
function loopbacks(flows: readonly Flow[]): (flow: Flow) => boolean {
  const isPlain = ({ client, server }: Flow): boolean =>
    client.address === server.address || isLoopbackAddress(client.address) || isLoopbackAddress(server.address)
  const isOneWay = ({ sent }: Flow): boolean => sent.client.packets === 0 || sent.server.packets === 0
  const asking = new Set(
    flows
      .filter((flow) => isPlain(flow) && isOneWay(flow) && flow.protocol === 'tcp')
      .map(({ client, server, sent }) => endText(sent.client.packets > 0 ? client : server)),
  )
  return (flow) => {
    if (isPlain(flow)) return true
    if (!isOneWay(flow) || flow.protocol !== 'tcp') return false
    const { client, server, sent } = flow
    return asking.has(endText(sent.client.packets > 0 ? server : client))
  }
}

function isLoopbackAddress(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}

function endText({ address, port }: Flow['client']): string {
  return `${address} ${port}`
}

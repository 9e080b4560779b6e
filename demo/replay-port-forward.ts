import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { ReplayAnswer } from './replay-answer.ts'

/** A port of a pod that somebody wants to reach. */
export type WantedPort = { readonly namespace: string; readonly pod: string; readonly port: number }

/** What to do with a wish: refuse it with an answer, or lead it to a port on loopback. */
export type ForwardDecision = ReplayAnswer | { readonly loopbackPort: number }

/** Carries bytes between a WebSocket that is open and a port on loopback, as the kubelet does. */
export type Relay = (socket: WebSocket, wanted: WantedPort, loopbackPort: number) => void

const PROTOCOL = 'v4.channel.k8s.io'

/**
 * Makes a server forward ports of pods, as an API server with a kubelet behind it does: WebSocket with the protocol
 * `v4.channel.k8s.io`, one TCP connection each, the first two bytes of each channel the port.
 *
 * @param isOthers which addresses are left to others that listen
 */
export function servePortForward(
  server: Server,
  decide: (wanted: WantedPort, request: IncomingMessage) => ForwardDecision,
  relay: Relay = relayToPort,
  isOthers: (url: string) => boolean = () => false,
): void {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  })
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    if (isOthers(request.url ?? '')) return
    stream.on('error', () => undefined) // whoever hangs up needs no answer
    const wanted = readWanted(request.url ?? '')
    const decision = wanted === undefined ? { status: 404, body: '{}' } : decide(wanted, request)
    if (wanted === undefined || !('loopbackPort' in decision)) return refuse(stream, decision as ReplayAnswer)
    sockets.handleUpgrade(request, stream, head, (socket) => relay(socket, wanted, decision.loopbackPort))
  })
}

function readWanted(url: string): WantedPort | undefined {
  const { pathname, searchParams } = new URL(url, 'https://replay.invalid')
  const [, namespace, pod] = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/portforward$/.exec(pathname) ?? []
  const port = Number(searchParams.get('ports') ?? '')
  return namespace === undefined || pod === undefined || !Number.isInteger(port) ? undefined : { namespace, pod, port }
}

function refuse(stream: Duplex, { status, body }: ReplayAnswer): void {
  stream.end(
    `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

/** A message of a channel: 0 for data, 1 for errors. */
export function messageOf(channel: 0 | 1, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(channel), bytes])
}

/** The two bytes with which each channel begins. */
export function portBytes(port: number): Buffer {
  return Buffer.of(port & 0xff, port >> 8)
}

/** Begins both channels, connects, and carries bytes until one side is closed. */
export function relayToPort(socket: WebSocket, { port }: WantedPort, loopbackPort: number): void {
  socket.send(messageOf(0, portBytes(port)))
  socket.send(messageOf(1, portBytes(port)))
  const inside = connect({ host: '127.0.0.1', port: loopbackPort, noDelay: true })
  inside.on('data', (bytes: Buffer) => {
    inside.pause()
    socket.send(messageOf(0, bytes), () => inside.resume())
  })
  inside.on('error', ({ message }) =>
    socket.send(messageOf(1, Buffer.from(`error forwarding port ${port}: ${message}`))),
  )
  inside.on('close', () => socket.close())
  socket.on('message', (message: Buffer) => {
    if (message[0] === 0) inside.write(message.subarray(1))
  })
  socket.on('close', () => inside.destroy())
  socket.on('error', () => inside.destroy())
}

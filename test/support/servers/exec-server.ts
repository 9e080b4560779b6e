import { type ChildProcess, spawn } from 'node:child_process'
import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'

/** A command that somebody wants to run in a container. */
export type WantedCommand = {
  readonly namespace: string
  readonly pod: string
  readonly container: string
  readonly command: readonly string[]
}

/** What becomes of a command: refused with an answer, or run by whoever gets its connection. */
export type ExecDecision = ReplayAnswer | ((socket: WebSocket) => void)

const PROTOCOL = 'v5.channel.k8s.io'
const PATH = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/exec$/

/** Makes a server run commands in containers, as an API server with a kubelet behind it does. Other upgrades are left to others. */
export function serveExec(
  server: Server,
  decide: (wanted: WantedCommand, request: IncomingMessage) => ExecDecision,
): void {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  })
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://replay.invalid')
    const [, namespace, pod] = PATH.exec(pathname) ?? []
    if (namespace === undefined || pod === undefined) return
    stream.on('error', () => undefined) // whoever hangs up needs no answer
    const container = searchParams.get('container') ?? ''
    const decision = decide({ namespace, pod, container, command: searchParams.getAll('command') }, request)
    if (typeof decision === 'function') return sockets.handleUpgrade(request, stream, head, decision)
    const { status, body } = decision
    stream.end(
      `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  })
}

/** A message of a channel: 1 standard output, 2 standard error, 3 how it ended. */
export function execMessage(channel: number, bytes: Uint8Array | string): Buffer {
  return Buffer.concat([Buffer.of(channel), Buffer.from(bytes)])
}

/** How a command ended, as the kubelet says it. */
export function execStatus(code: number): string {
  if (code === 0) return JSON.stringify({ metadata: {}, status: 'Success' })
  return JSON.stringify({
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  })
}

/** Runs a command on this machine, and carries what it says. `started` gets the process. */
export function runHere(
  [program = '', ...args]: readonly string[],
  started: (child: ChildProcess) => void = () => undefined,
): (socket: WebSocket) => void {
  return (socket) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    started(child)
    child.stdout.on('data', (bytes: Buffer) => {
      child.stdout.pause()
      socket.send(execMessage(1, bytes), () => child.stdout.resume())
    })
    child.stderr.on('data', (bytes: Buffer) => socket.send(execMessage(2, bytes)))
    socket.on('close', () => child.kill('SIGKILL')) // a real one lives on, until it ends by itself
    child.on('error', () => undefined)
    child.on('close', (code) => {
      socket.send(execMessage(3, execStatus(code ?? 137)))
      socket.close()
    })
  }
}

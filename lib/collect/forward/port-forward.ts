import { Duplex } from 'node:stream'
import type WebSocket from 'ws'
import { openWebSocket } from '../cluster/api-websocket.ts'
import type { ApiServerConnection, OpenWebSocketOptions } from '../cluster/api-websocket.ts'
import { connectionCode } from '../../net/error-messages.ts'
import { withoutSecrets } from '../../text/redact.ts'
import { UnreachableError } from '../../net/errors.ts'

/**
 * Port-forward in the kubelet's protocol over WebSocket (kubernetes: pkg/kubelet/cri/streaming/portforward/websocket.go): each binary message begins with a
 * byte for its channel, 0 for data in both directions, 1 for errors from the server. The first two bytes on each channel are the port, low byte first. One
 * WebSocket is one TCP connection in the pod; neither side can half-close it.
 */
const PROTOCOL = 'v4.channel.k8s.io'
const DATA = 0
const ERROR = 1

/** A port of a pod. The names are valid Kubernetes names. */
export type PodPort = { readonly namespace: string; readonly pod: string; readonly port: number }

/**
 * Opens a connection to a port of a pod, through the API server. It is used like a socket but never ends, because an end would make a truncated answer look
 * whole: whatever closes it is an {@link UnreachableError}, after all earlier data has been read. It keeps the process alive until it is destroyed.
 *
 * @throws UnreachableError with the reason of the refusal
 */
export function openForward(way: ApiServerConnection, to: PodPort, options: OpenWebSocketOptions): Promise<Duplex> {
  const path = `/api/v1/namespaces/${to.namespace}/pods/${to.pod}/portforward?ports=${to.port}`
  const late = `forward to ${nameOf(to)}`
  const asking = { path, protocol: PROTOCOL, late, resource: 'pods/portforward', namespace: to.namespace } as const
  return openWebSocket(way, asking, options, (socket) => new Forward(socket, to, way.secrets))
}

function nameOf({ namespace, pod, port }: PodPort): string {
  return `pod "${pod}" in the namespace "${namespace}", port ${port}`
}

/** An open WebSocket as a byte stream of one TCP connection in the pod. */
class Forward extends Duplex {
  readonly #socket: WebSocket
  readonly #to: PodPort
  readonly #secrets: readonly string[]
  /** The two bytes that begin each channel, as far as received. */
  readonly #portBytes = { [DATA]: Buffer.alloc(0), [ERROR]: Buffer.alloc(0) }
  /** Why the connection ended. */
  #over: UnreachableError | undefined

  constructor(socket: WebSocket, to: PodPort, secrets: readonly string[]) {
    super()
    // It may fail before the caller can listen; the caller then checks `errored`.
    this.on('error', () => undefined)
    this.#socket = socket
    this.#to = to
    this.#secrets = secrets
    socket.on('message', (message, isBinary) => this.#receive(message, isBinary))
    socket.on('close', () => this.#end('was closed'))
    socket.on('error', (error) =>
      this.#end(`broke (${connectionCode(error) || withoutSecrets(error.message, secrets)})`),
    )
  }

  #receive(message: WebSocket.RawData, isBinary: boolean): void {
    if (this.#over !== undefined || this.destroyed) return
    if (!isBinary || !Buffer.isBuffer(message)) return this.#end('brought text where bytes were wanted')
    const channel = message[0]
    if (channel === undefined) return // a message without a channel is meaningless
    if (channel !== DATA && channel !== ERROR) return this.#end(`brought a message on the unknown channel ${channel}`)
    const payload = this.#withoutPort(channel, message.subarray(1))
    if (payload === undefined) return this.#end('is to another port than was asked for')
    if (payload.length === 0) return
    if (channel === ERROR) {
      const said = payload.toString('utf8')
      // The text before it holds names of pods and namespaces from the container runtime.
      const [reason] = /failed to connect to .*/s.exec(said) ?? [said]
      return this.#end(`failed in the cluster: "${withoutSecrets(reason, this.#secrets)}"`)
    }
    if (!this.push(payload)) this.#socket.pause()
  }

  /** The data after the two bytes of the port; undefined if they name another port. */
  #withoutPort(channel: typeof DATA | typeof ERROR, bytes: Buffer): Buffer | undefined {
    const known = this.#portBytes[channel]
    if (known.length === 2) return bytes
    const missing = 2 - known.length
    const port = Buffer.concat([known, bytes.subarray(0, missing)])
    this.#portBytes[channel] = port
    if (port.length === 2 && port.readUInt16LE() !== this.#to.port) return undefined
    return bytes.subarray(missing)
  }

  /** Closes the connection. Earlier data is still read; then the stream fails. */
  #end(how: string): void {
    if (this.#over !== undefined || this.destroyed) return
    this.#over = new UnreachableError('connection', `the port-forward to ${nameOf(this.#to)} ${how}`, { again: true })
    this.#socket.terminate()
    this.#breakWhenRead()
  }

  #breakWhenRead(): void {
    if (this.#over !== undefined && this.readableLength === 0) this.destroy(this.#over)
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    // Deferred: the reader may unshift a part.
    if (this.#over !== undefined) process.nextTick(() => this.#breakWhenRead())
    return chunk
  }

  override _read(): void {
    this.#socket.resume()
  }

  /** Bytes written together go in one message. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const message = Buffer.concat([Buffer.of(DATA), ...chunks.map(({ chunk }) => chunk)])
    // If it fails, the connection is closed, and its reason says more than the error code of a write.
    this.#socket.send(message, { binary: true }, () => done())
  }

  override _final(done: () => void): void {
    done() // the other half stays open: the protocol has no half-close
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.terminate()
    done(error)
  }
}

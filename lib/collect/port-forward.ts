import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { Duplex } from 'node:stream'
import WebSocket from 'ws'
import {
  RETRIED_CODES,
  RETRIED_STATUSES,
  codeOf,
  describeConnection,
  describeStatus,
  reasonOf,
} from './failure-words.ts'
import { UnreachableError } from './http.ts'
import type { Hints } from './http.ts'
import { grantText } from './rights.ts'
import { withoutSecrets } from './text.ts'

/**
 * Port-forward as the kubelet speaks it over WebSocket (kubernetes: pkg/kubelet/cri/streaming/portforward/websocket.go): each binary
 * message begins with a byte that says its channel, 0 for data in both directions, 1 for errors from the server. The first two bytes
 * on each channel are the port, low byte first. One WebSocket is one TCP connection in the pod; neither side can end only its half.
 */
const PROTOCOL = 'v4.channel.k8s.io'
const DATA = 0
const ERROR = 1

/** The kubelet copies in pieces of 32 KiB. */
const LARGEST_MESSAGE = 16 * 1024 * 1024

/** The part of a refusal that is read, to find out what it says. */
const REFUSAL_BYTES = 64 * 1024

/** How long a peer that said goodbye may keep its connection open. */
const GOODBYE_MS = 1_000

/** What to do where the API server, and not what runs in the pod, is in the way. */
const HINTS: Hints = {
  unauthorized: 'the credentials are wrong or expired, renew those in the kubeconfig',
  'not-found': 'the pod may have been replaced, collect again',
  connection: 'is the server in the kubeconfig right, and can it be reached from here?',
  timeout: 'is the API server reachable from here, and not overloaded?',
  certificate: "correct certificate-authority-data, or the server's name, in the kubeconfig",
  redirect: "give the API server's own address in the kubeconfig",
  'rate-limited': 'the API server is busy, collect again later',
  server: 'the API server or the kubelet is broken or overloaded, collect again later',
}

/** Whom to trust and how to prove who asks, as options of Node's `tls.connect`. PEM. */
type ApiServerTls = {
  readonly rejectUnauthorized: true
  /** For connecting, in milliseconds. */
  readonly timeout?: number
  readonly ca?: string
  readonly servername?: string
  readonly cert?: string
  readonly key?: string
  readonly lookup?: LookupFunction
}

/** How an API server is reached just now. */
export type ApiServerWay = {
  /** Its address, with its base path. */
  readonly base: URL
  readonly tls: ApiServerTls
  readonly headers: Readonly<Record<string, string>>
  /** Credentials that must never stand in a message. */
  readonly secrets: readonly string[]
  /** Whether there are other credentials by now, where these were refused (401). */
  readonly renewed?: () => Promise<boolean>
  /** What to do where the API server is in the way and no kubeconfig leads to it; absent: one does. */
  readonly hints?: Hints
}

/** A port of a pod. The names are valid names of Kubernetes. */
export type PodPort = { readonly namespace: string; readonly pod: string; readonly port: number }

export type ForwardOptions = {
  /** For everything until the port is open. */
  readonly timeoutMs: number
  /** Ends whatever is being opened. */
  readonly signal?: AbortSignal
}

/**
 * Opens a connection to a port of a pod, through the API server. What comes back is used like a socket, but it never ends, since an end
 * would make an answer that was cut look whole: whatever closes it is an {@link UnreachableError}, after all that came before has been
 * read. Until it is destroyed it holds the process.
 *
 * @throws UnreachableError that says what refused
 */
export function openForward(
  { base, tls, headers, secrets, hints: own }: ApiServerWay,
  to: PodPort,
  { timeoutMs, signal }: ForwardOptions,
): Promise<Duplex> {
  const path = `/api/v1/namespaces/${to.namespace}/pods/${to.pod}/portforward?ports=${to.port}`
  const hints = { ...HINTS, ...own }
  const url = `wss://${base.host}${base.pathname.replace(/\/$/, '')}${path}`
  return new Promise((resolve, reject) => {
    // Its types do not know `closeTimeout` yet.
    const options: WebSocket.ClientOptions & { readonly closeTimeout: number } = {
      ...tls,
      headers: { 'user-agent': 'ciphertrail', ...headers },
      perMessageDeflate: false,
      maxPayload: LARGEST_MESSAGE,
      closeTimeout: GOODBYE_MS,
    }
    const socket = new WebSocket(url, [PROTOCOL], options)
    const timer = setTimeout(() => {
      const problem = `the API server at ${base.host} did not forward to ${nameOf(to)} within ${timeoutMs / 1000} s`
      fail(new UnreachableError('timeout', problem, { hint: hints.timeout }))
    }, timeoutMs)
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    const fail = (error: UnreachableError): void => {
      settle()
      socket.terminate()
      reject(error)
    }
    const onAbort = (): void => fail(new UnreachableError('connection', 'the port-forward is no longer wanted'))
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()

    socket.on('error', (error) => {
      if (error instanceof UnreachableError) return fail(error)
      const { kind, problem } = describeConnection(error, 'the API server', { base, secrets, isReading: false })
      fail(new UnreachableError(kind, problem, { again: RETRIED_CODES.has(codeOf(error)), hint: hints[kind] }))
    })
    socket.on('unexpected-response', (_, response) => {
      refusalOf(response, to, { secrets, hints }).then(fail, fail)
    })
    socket.on('open', () => {
      settle()
      socket.removeAllListeners('error')
      resolve(new Forward(socket, to, secrets))
    })
  })
}

function nameOf({ namespace, pod, port }: PodPort): string {
  return `pod "${pod}" in the namespace "${namespace}", port ${port}`
}

/** Why the API server did not open a WebSocket. */
async function refusalOf(
  response: IncomingMessage,
  { namespace }: PodPort,
  { secrets, hints }: { readonly secrets: readonly string[]; readonly hints: Hints },
): Promise<UnreachableError> {
  const status = response.statusCode ?? 0
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size > REFUSAL_BYTES) break
    }
  } catch {
    // The status says enough.
  }
  const text = Buffer.concat(chunks).toString('utf8')
  const said = reasonOf(text, secrets)
  const { kind, problem } = describeStatus(status, said, 'the API server', response.headers.location ?? '')
  // From Kubernetes 1.35 on it asks for two rights, and says which one lacks.
  const verb = / cannot (get|create) resource \\?"pods\/portforward/.exec(text)?.[1] === 'create' ? 'create' : 'get'
  const grant = grantText({ verb, group: '', resource: 'pods/portforward', namespace })
  const hint = kind === 'forbidden' ? grant : hints[kind]
  // 404: the pod is gone; there may be another by now.
  return new UnreachableError(kind, problem, { again: RETRIED_STATUSES.has(status) || status === 404, hint })
}

/** A WebSocket that is open, as a stream of the bytes of one TCP connection in the pod. */
class Forward extends Duplex {
  readonly #socket: WebSocket
  readonly #to: PodPort
  readonly #secrets: readonly string[]
  /** What came of the two bytes that begin each channel. */
  readonly #portBytes = { [DATA]: Buffer.alloc(0), [ERROR]: Buffer.alloc(0) }
  /** Why nothing more will come. */
  #over: UnreachableError | undefined

  constructor(socket: WebSocket, to: PodPort, secrets: readonly string[]) {
    super()
    // It may break before whoever asked for it can listen; `errored` then tells them.
    this.on('error', () => undefined)
    this.#socket = socket
    this.#to = to
    this.#secrets = secrets
    socket.on('message', (message, isBinary) => this.#receive(message, isBinary))
    socket.on('close', () => this.#end('was closed'))
    socket.on('error', (error) => this.#end(`broke (${codeOf(error) || withoutSecrets(error.message, secrets)})`))
  }

  #receive(message: WebSocket.RawData, isBinary: boolean): void {
    if (this.#over !== undefined || this.destroyed) return
    if (!isBinary || !Buffer.isBuffer(message)) return this.#end('brought text where bytes were wanted')
    const channel = message[0]
    if (channel === undefined) return // a message without a channel says nothing
    if (channel !== DATA && channel !== ERROR) return this.#end(`brought a message on the unknown channel ${channel}`)
    const payload = this.#withoutPort(channel, message.subarray(1))
    if (payload === undefined) return this.#end('is to another port than was asked for')
    if (payload.length === 0) return
    if (channel === ERROR) {
      const said = payload.toString('utf8')
      // Before it come the names of pods and namespaces as the container runtime has them.
      const [reason] = /failed to connect to .*/s.exec(said) ?? [said]
      return this.#end(`failed in the cluster: "${withoutSecrets(reason, this.#secrets)}"`)
    }
    if (!this.push(payload)) this.#socket.pause()
  }

  /** What follows the two bytes of the port; undefined where they are of another port. */
  #withoutPort(channel: typeof DATA | typeof ERROR, bytes: Buffer): Buffer | undefined {
    const known = this.#portBytes[channel]
    if (known.length === 2) return bytes
    const missing = 2 - known.length
    const port = Buffer.concat([known, bytes.subarray(0, missing)])
    this.#portBytes[channel] = port
    if (port.length === 2 && port.readUInt16LE() !== this.#to.port) return undefined
    return bytes.subarray(missing)
  }

  /** Closes the connection. What came before is still read; then the stream breaks. */
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
    // Only later: whoever reads may give a part back.
    if (this.#over !== undefined) process.nextTick(() => this.#breakWhenRead())
    return chunk
  }

  override _read(): void {
    this.#socket.resume()
  }

  /** What was written together goes in one message. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const message = Buffer.concat([Buffer.of(DATA), ...chunks.map(({ chunk }) => chunk)])
    // Where it fails, the connection is over, and tells why better than the code of a write.
    this.#socket.send(message, { binary: true }, () => done())
  }

  override _final(done: () => void): void {
    done() // the other half stays open: there is no way to say that this one ended
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.terminate()
    done(error)
  }
}

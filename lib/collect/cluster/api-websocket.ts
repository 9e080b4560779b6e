import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import WebSocket from 'ws'
import {
  RETRIED_CODES,
  RETRIED_STATUSES,
  connectionCode,
  describeConnection,
  describeStatus,
  reasonOf,
} from '../../net/error-messages.ts'
import { grantText } from './rights.ts'
import { UnreachableError } from '../../net/errors.ts'
import type { Hints } from '../../net/errors.ts'

/** The kubelet copies in pieces of 32 KiB. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024

/** Bytes of a refusal that are read for its message. */
const REFUSAL_BYTES = 64 * 1024

/** How long a peer may keep its connection open after closing. */
const GOODBYE_MS = 1_000

/** Remedies if the API server, not the pod, is the problem. */
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

/** Trusted authority and client credentials, as options of Node's `tls.connect`. PEM. */
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

/** Current connection settings of an API server. */
export type ApiServerConnection = {
  /** Its URL, with its base path. */
  readonly base: URL
  readonly tls: ApiServerTls
  readonly headers: Readonly<Record<string, string>>
  /** Credentials that must never appear in a message. */
  readonly secrets: readonly string[]
  /** Whether other credentials are available after these were refused (401). */
  readonly renewed?: () => Promise<boolean>
  /** Remedies if the API server is the problem and no kubeconfig is used; absent: one is. */
  readonly hints?: Hints
}

/** Opens a connection with the current credentials; retries once if they were refused and others are available. */
export async function openRenewed<T>(
  apiServer: () => Promise<ApiServerConnection>,
  open: (way: ApiServerConnection) => Promise<T>,
): Promise<T> {
  const way = await apiServer()
  try {
    return await open(way)
  } catch (error) {
    const isRenewed = error instanceof UnreachableError && error.kind === 'unauthorized' && (await way.renewed?.())
    if (isRenewed !== true) throw error
    return open(await apiServer())
  }
}

/** A WebSocket request to an API server. */
export type WebSocketRequest = {
  /** Includes the query. */
  readonly path: string
  readonly protocol: string
  /** What did not happen before the timeout, after "the API server did not". */
  readonly late: string
  /** The permission that it needs, with `get` and from Kubernetes 1.35 on also `create`. */
  readonly resource: 'pods/portforward' | 'pods/exec'
  readonly namespace: string
}

/** Limits for opening a WebSocket. */
export type OpenWebSocketOptions = {
  /** Until it is open. */
  readonly timeoutMs: number
  /** Aborts the opening. */
  readonly signal?: AbortSignal
}

/**
 * Opens a WebSocket to an API server, and returns what the callback makes of it. The callback runs as soon as the socket is open and must add all listeners,
 * since messages may have come with the answer.
 *
 * @throws UnreachableError with the reason of the refusal
 */
export function openWebSocket<T>(
  { base, tls, headers, secrets, hints: own }: ApiServerConnection,
  request: WebSocketRequest,
  { timeoutMs, signal }: OpenWebSocketOptions,
  make: (socket: WebSocket) => T,
): Promise<T> {
  const hints = { ...HINTS, ...own }
  const url = `wss://${base.host}${base.pathname.replace(/\/$/, '')}${request.path}`
  return new Promise((resolve, reject) => {
    // Its types do not know `closeTimeout` yet.
    const options: WebSocket.ClientOptions & { readonly closeTimeout: number } = {
      ...tls,
      headers: { 'user-agent': 'ciphertrail', ...headers },
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      closeTimeout: GOODBYE_MS,
    }
    const socket = new WebSocket(url, [request.protocol], options)
    const timer = setTimeout(() => {
      const problem = `the API server at ${base.host} did not ${request.late} within ${timeoutMs / 1000} s`
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
    const onAbort = (): void => fail(new UnreachableError('connection', 'it is no longer wanted'))
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()

    socket.on('error', (error) => {
      if (error instanceof UnreachableError) return fail(error)
      const { kind, problem } = describeConnection(error, 'the API server', { base, secrets, isReading: false })
      fail(new UnreachableError(kind, problem, { again: RETRIED_CODES.has(connectionCode(error)), hint: hints[kind] }))
    })
    socket.on('unexpected-response', (_, response) => {
      refusalOf(response, request, { secrets, hints }).then(fail, fail)
    })
    socket.on('open', () => {
      settle()
      socket.removeAllListeners('error')
      resolve(make(socket))
    })
  })
}

/** Why the API server did not open a WebSocket. */
async function refusalOf(
  response: IncomingMessage,
  { resource, namespace }: WebSocketRequest,
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
    // The status is enough.
  }
  const text = Buffer.concat(chunks).toString('utf8')
  const said = reasonOf(text, secrets)
  const { kind, problem } = describeStatus(status, said, 'the API server', response.headers.location ?? '')
  // From Kubernetes 1.35 on it requires two permissions, and says which one is missing.
  const [, verb, which] = / cannot (get|create) resource \\?"(pods\/[a-z]+)/.exec(text) ?? []
  const lacking = which === resource && verb === 'create' ? 'create' : 'get'
  const grant = grantText({ verb: lacking, group: '', resource, namespace })
  const hint = kind === 'forbidden' ? grant : hints[kind]
  // 404: the pod is gone; another one may have replaced it.
  return new UnreachableError(kind, problem, { again: RETRIED_STATUSES.has(status) || status === 404, hint })
}

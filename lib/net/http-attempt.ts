import type { Dispatcher } from 'undici'
import type { SourceName, FailureKind, Hints } from './errors.ts'
import { SourceError, SetupError, UnreachableError } from './errors.ts'
import {
  describeStatus,
  RETRIED_STATUSES,
  connectionCode,
  reasonOf,
  errorMessage,
  describeConnection,
  RETRIED_CODES,
} from './error-messages.ts'
import { oneLine } from '../text/redact.ts'
import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

/** Limits of one request with all its tries. */
export type Limits = {
  /** For everything: credentials, connecting, headers, the whole body, and retries. */
  readonly deadlineMs: number
  /** Largest body, after decompression. */
  readonly maxBytes: number
  /** Wait before the first retry; doubled for each further one. */
  readonly retryDelayMs: number
}

/** A request as it is sent, for the signer. */
export type SentRequest = {
  readonly method: 'GET' | 'POST'
  /** As in the Host header: with its port, unless it is the protocol's default. */
  readonly host: string
  /** From the root, with its query. */
  readonly path: string
  /** Content type and text of the body; absent: none. */
  readonly type?: string | undefined
  readonly body?: string | undefined
}

/** A server that is ready for requests. */
export type Connection = {
  readonly dispatcher: Dispatcher
  /** Base URL of the server, with its path and without a slash at the end. */
  readonly base: URL
  readonly headers: Readonly<Record<string, string>>
  /** Headers that belong to one request, since they sign it; absent: none. */
  readonly sign?: (request: SentRequest) => Readonly<Record<string, string>>
  /** Credentials that must never appear in a message. */
  readonly secrets: readonly string[]
  /** Whether other credentials are available after these were refused (401); absent: never. */
  readonly renewed?: () => Promise<boolean>
}

/** One server of one cluster: its name, connection and limits. */
export type Server = {
  readonly source: SourceName
  /** In sentences: `the API server`. */
  readonly name: string
  /** What `connect` waits for, before the name: default `credentials for`. */
  readonly needs?: string
  /** Called for each request. Throws {@link SetupError}, or any error of Node. */
  readonly connect: () => Promise<Connection>
  readonly limits: Limits
}

/** The parts of a request that an error message needs. */
type Asked = Pick<JsonRequest, 'what' | 'hints'>

/** Bytes of an error response that are read for its message. */
const ERROR_BYTES = 64 * 1024

/** A failed try: the error to report if it was the last, and whether a retry may help. */
export class Failure extends Error {
  readonly reported: SourceError
  readonly again: boolean
  /** The wait that the server asked for (Retry-After); undefined if it did not. */
  readonly waitMs: number | undefined

  constructor(reported: SourceError, { again = false, waitMs }: { again?: boolean; waitMs?: number | undefined } = {}) {
    super(reported.message)
    this.reported = reported
    this.again = again
    this.waitMs = waitMs
  }
}

/** The progress of a request, for the message after its deadline. */
export type RequestPhase = { connection: Connection | undefined; phase: 'connect' | 'ask' | 'read' }

/** The deadline of a request with all its tries. */
export type Deadline = {
  readonly signal: AbortSignal
  readonly reason: Error
  /** Rejects with the reason at the deadline. */
  readonly passed: Promise<never>
  readonly remainingMs: () => number
  readonly end: () => void
}

/** `AbortSignal.timeout()` would not keep the process alive, and a process that ends while waiting prints no message. */
export function startDeadline(milliseconds: number): Deadline {
  const reason = new Error('Deadline passed')
  const controller = new AbortController()
  const { promise: passed, reject } = Promise.withResolvers<never>()
  passed.catch(() => undefined) // handled by the race, which may be over by then
  const start = performance.now()
  const timer = setTimeout(() => {
    reject(reason)
    controller.abort(reason)
  }, milliseconds)
  return {
    signal: controller.signal,
    reason,
    passed,
    remainingMs: () => milliseconds - (performance.now() - start),
    end: () => {
      clearTimeout(timer)
      controller.abort(reason) // nobody awaits the rest any more
    },
  }
}

/** Makes one try of a request, and returns its body as text. Throws a {@link Failure} for any other answer, or the connection's error. */
export async function ask(
  server: Server,
  request: JsonRequest,
  { dispatcher, base, headers, sign, secrets, renewed }: Connection,
  progress: RequestPhase,
  { signal }: Deadline,
): Promise<string> {
  const sent = sentBody(request)
  const wanted = request.wanted ?? JSON_TYPE
  const method = sent === undefined ? 'GET' : 'POST'
  const path = `${base.pathname.replace(/\/$/, '')}${request.path}`
  const {
    statusCode,
    headers: answered,
    body,
  } = await dispatcher.request({
    origin: base.origin,
    path,
    method,
    headers: {
      accept: wanted.types.join(', '),
      'accept-encoding': 'gzip',
      'user-agent': 'ciphertrail',
      ...(sent === undefined ? {} : { 'content-type': sent.type }),
      ...headers,
      ...sign?.({ method, host: base.host, path, type: sent?.type, body: sent?.text }),
    },
    body: sent?.text ?? null,
    signal,
    headersTimeout: 0, // the deadline covers everything
    bodyTimeout: 0,
  })
  progress.phase = 'read'
  const encoding = headerText(answered['content-encoding'])
  const type = headerText(answered['content-type'])
  const problem = (kind: FailureKind, text: string): SourceError =>
    new SourceError({ source: server.source, what: request.what }, kind, text, {
      status: statusCode,
      hint: request.hints?.[kind],
    })

  // 201: the API answers some reads by POST as if an object was created.
  if (statusCode !== 200 && !(statusCode === 201 && request.json !== undefined)) {
    const said = await readReason(body, encoding, secrets)
    const failure = describeStatus(statusCode, said, server.name, headerText(answered['location']))
    throw new Failure(problem(failure.kind, failure.problem), {
      again: RETRIED_STATUSES.has(statusCode) || (statusCode === 401 && (await renewed?.()) === true),
      waitMs: retryAfterMs(headerText(answered['retry-after'])),
    })
  }
  if (!wanted.types.includes(type.replace(/\s*;.*$/s, ''))) {
    body.on('error', () => undefined).destroy()
    const came = type === '' ? 'an answer without a content type' : `"${oneLine(type)}"`
    throw new Failure(problem('malformed', `${server.name} sent ${came} instead of ${wanted.name}`))
  }
  const tooLarge = (): Failure =>
    new Failure(
      problem(
        'too-large',
        `the answer of ${server.name} is larger than ${Math.round(server.limits.maxBytes / 1e6)} MB`,
      ),
    )
  const received = await readAll(body, server.limits.maxBytes)
  if (received === undefined) throw tooLarge()
  let bytes: Buffer
  try {
    bytes = await decompress(received, encoding, server.limits.maxBytes)
  } catch (error) {
    if (connectionCode(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    throw new Failure(problem('malformed', `the compressed answer of ${server.name} is cut or damaged`))
  }
  if (!isUtf8(bytes)) throw new Failure(problem('malformed', `the answer of ${server.name} is not UTF-8`))
  return bytes.toString('utf8')
}

/** The bytes of a body, or undefined if there are more than allowed. */
async function readAll(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop early destroys the body, and its connection with it.
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

const gunzipAsync = promisify(gunzip)

async function decompress(bytes: Buffer, encoding: string, maxBytes: number): Promise<Buffer> {
  if (encoding === '' || encoding === 'identity') return bytes
  if (encoding !== 'gzip') throw new Error(`Unknown content encoding "${encoding}"`)
  return gunzipAsync(bytes, { maxOutputLength: maxBytes })
}

/** The message of an error response; empty if it cannot be read: the status is enough. */
export async function readReason(
  body: Dispatcher.ResponseData['body'],
  encoding: string,
  secrets: readonly string[],
): Promise<string> {
  try {
    const bytes = await readAll(body, ERROR_BYTES)
    if (bytes === undefined) return ''
    return reasonOf((await decompress(bytes, encoding, ERROR_BYTES)).toString('utf8'), secrets)
  } catch {
    return ''
  }
}

/** Describes whatever a try threw. */
export function toFailure(error: unknown, server: Server, request: Asked, progress: RequestPhase): Failure {
  if (error instanceof Failure) return error
  const report = (kind: FailureKind, problem: string): SourceError =>
    new SourceError({ source: server.source, what: request.what }, kind, problem, { hint: request.hints?.[kind] })
  if (error instanceof SetupError) return new Failure(report('configuration', error.message))
  if (error instanceof UnreachableError) {
    const { kind, message, again, hint = request.hints?.[kind] } = error
    return new Failure(new SourceError({ source: server.source, what: request.what }, kind, message, { hint }), {
      again,
    })
  }
  const { connection } = progress
  if (connection === undefined)
    return new Failure(report('configuration', `${server.name} cannot be reached: ${oneLine(errorMessage(error))}`))
  const { kind, problem } = describeConnection(error, server.name, {
    base: connection.base,
    secrets: connection.secrets,
    isReading: progress.phase === 'read',
  })
  return new Failure(report(kind, problem), { again: RETRIED_CODES.has(connectionCode(error)) })
}

/** The error after the deadline, by how far the request had come. */
export function timeoutError(server: Server, request: Asked, { connection, phase }: RequestPhase): SourceError {
  const seconds = `${server.limits.deadlineMs / 1000} s`
  const at = connection === undefined ? server.name : `${server.name} at ${connection.base.host}`
  const problem = {
    connect: `no ${server.needs ?? 'credentials for'} ${at} within ${seconds}`,
    ask: `no answer from ${at} within ${seconds}`,
    read: `the answer of ${at} did not end within ${seconds}`,
  }[phase]
  return new SourceError({ source: server.source, what: request.what }, 'timeout', problem, {
    hint: request.hints?.timeout,
  })
}

/** Milliseconds in Retry-After; undefined if absent or unreadable. */
function retryAfterMs(value: string): number | undefined {
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

/** The first value of a header in lower case; empty if there is none. */
export function headerText(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : (value?.[0] ?? '')).trim().toLowerCase()
}

/** A request for JSON, or for other wanted types. */
export type JsonRequest = {
  /** Its purpose, after "Cannot ": `list pods of cluster "prod"`. */
  readonly what: string
  /** Path below the server's base, with its query. */
  readonly path: string
  /** Sent by POST as a form; absent: GET. */
  readonly form?: URLSearchParams | undefined
  /** Sent by POST as JSON; absent: see `form`. */
  readonly json?: unknown
  /** The accepted content types, and their name in messages; absent: JSON. */
  readonly wanted?: { readonly types: readonly string[]; readonly name: string }
  readonly hints?: Hints | undefined
}

const JSON_TYPE = { types: ['application/json'], name: 'JSON' } as const

function sentBody({ form, json }: JsonRequest): { readonly type: string; readonly text: string } | undefined {
  if (form !== undefined) return { type: 'application/x-www-form-urlencoded', text: form.toString() }
  return json === undefined ? undefined : { type: 'application/json', text: JSON.stringify(json) }
}

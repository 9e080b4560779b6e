import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import pRetry from 'p-retry'
import type { Dispatcher } from 'undici'
import {
  RETRIED_CODES,
  RETRIED_STATUSES,
  codeOf,
  describeConnection,
  describeStatus,
  messageOf,
  reasonOf,
} from './failure-words.ts'
import { oneLine } from './text.ts'

/** Which source failed: the Kubernetes API, Prometheus, the dashboard of linkerd-viz, or a proxy that was read by its pod's name. */
export type SourceName = 'kubernetes' | 'metrics' | 'viz' | 'proxies'

/** How a source failed; each has its own wording and, from the caller, its own hint. */
export type FailureKind =
  | 'configuration'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'rejected'
  | 'rate-limited'
  | 'server'
  | 'timeout'
  | 'certificate'
  | 'clock'
  | 'connection'
  | 'redirect'
  | 'malformed'
  | 'too-large'

/** What to do about a failure of a kind, in a few words that follow a semicolon. */
export type Hints = Readonly<Partial<Record<FailureKind, string>>>

/**
 * A source that could not be read. The message is one line that says what could not be done, what came instead and how to
 * fix it. It holds no credential: text from a server is cut, cleaned and searched for the credentials that were sent.
 */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly source: SourceName
  readonly kind: FailureKind
  /** What could not be done: `list pods of cluster "prod"`. */
  readonly what: string
  /** What came instead, and what to do about it: the other parts of the message. */
  readonly problem: string
  readonly hint: string | undefined
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined

  constructor(
    { source, what }: { readonly source: SourceName; readonly what: string },
    kind: FailureKind,
    problem: string,
    { status, hint }: { readonly status?: number | undefined; readonly hint?: string | undefined } = {},
  ) {
    super(`Cannot ${what}: ${problem}${hint === undefined ? '' : `; ${hint}`}`)
    this.source = source
    this.kind = kind
    this.what = what
    this.problem = problem
    this.hint = hint
    this.status = status
  }
}

/** Bounds of one request with all its tries. */
export type Limits = {
  /** For everything: credentials, connecting, headers, the whole body, and the tries after the first. */
  readonly deadlineMs: number
  /** Largest body, after decompression. */
  readonly maxBytes: number
  /** Wait before the second try; doubled for each further one. */
  readonly retryDelayMs: number
}

/** A request as it goes over the wire, for whoever signs it. */
export type SentRequest = {
  readonly method: 'GET' | 'POST'
  /** As the Host header has it: with its port, unless that is the protocol's own. */
  readonly host: string
  /** From the root, with its query. */
  readonly path: string
  /** Content type and text of the body; absent: none. */
  readonly type?: string | undefined
  readonly body?: string | undefined
}

/** A server that is ready to be asked. */
export type Connection = {
  readonly dispatcher: Dispatcher
  /** Where the server is, with its base path and without a slash at the end. */
  readonly base: URL
  readonly headers: Readonly<Record<string, string>>
  /** Headers that only one request may have, since they sign it; absent: none. */
  readonly sign?: (request: SentRequest) => Readonly<Record<string, string>>
  /** Credentials that must never stand in a message. */
  readonly secrets: readonly string[]
  /** Whether there are other credentials by now, where these were refused (401); absent: never. */
  readonly renewed?: () => Promise<boolean>
}

/** One server of one cluster: how to name it, how to connect to it and how long to wait for it. */
export type Server = {
  readonly source: SourceName
  /** In sentences: `the API server`. */
  readonly name: string
  /** What `connect` waits for, before the name: default `credentials for`. */
  readonly needs?: string
  /** Is called for each request. Throws {@link SetupError}, or any error of Node. */
  readonly connect: () => Promise<Connection>
  readonly limits: Limits
}

/** A server that cannot be asked, because of what the user has set up. The message reads on from "Cannot ...: ". */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}

/**
 * A server that could not be reached this time. The message reads on from "Cannot ...: " and holds no credential. Is thrown by
 * {@link Server.connect}, or by what opens the connections of its dispatcher.
 */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
  readonly kind: FailureKind
  /** Whether another try may help. */
  readonly again: boolean
  /** Instead of the request's own hint for this kind. */
  readonly hint: string | undefined

  constructor(
    kind: FailureKind,
    problem: string,
    { again = false, hint }: { readonly again?: boolean; readonly hint?: string | undefined } = {},
  ) {
    super(problem)
    this.kind = kind
    this.again = again
    this.hint = hint
  }
}

export type JsonRequest = {
  /** What it is for, after "Cannot ": `list pods of cluster "prod"`. */
  readonly what: string
  /** Path below the server's base, with its query. */
  readonly path: string
  /** Sent by POST as a form; absent: GET. */
  readonly form?: URLSearchParams | undefined
  /** Sent by POST as JSON; absent: see `form`. */
  readonly json?: unknown
  /** The content types to take, and their name in messages; absent: JSON. */
  readonly wanted?: { readonly types: readonly string[]; readonly name: string }
  readonly hints?: Hints | undefined
}

/** What the wording of a failure needs of a request. */
type Asked = Pick<JsonRequest, 'what' | 'hints'>

const JSON_TYPE = { types: ['application/json'], name: 'JSON' } as const

/** Tries in all. More would not help: whatever lasts longer than two short waits is for the next window's attempt. */
const TRIES = 3

/** The part of an error answer that is read, to find out what it says. */
const ERROR_BYTES = 64 * 1024

/**
 * Asks a server for JSON, or what else is wanted, and returns the text exactly as received, decompressed. Does not parse it: who asked knows what
 * must be in it. Busy and broken servers, and lost connections, are tried again within the deadline.
 *
 * @throws SourceError for anything but a complete answer with status 200 (201 to JSON) and a wanted content type
 */
export async function requestJson(server: Server, request: JsonRequest): Promise<string> {
  const deadline = startDeadline(server.limits.deadlineMs)
  const progress: Progress = { connection: undefined, phase: 'connect' }
  const attempt = async (): Promise<string> => {
    progress.phase = 'connect'
    progress.connection = await server.connect()
    progress.phase = 'ask'
    return ask(server, request, progress.connection, progress, deadline)
  }
  const work = pRetry(
    async () => {
      try {
        return await attempt()
      } catch (error) {
        throw toFailure(error, server, request, progress)
      }
    },
    {
      retries: TRIES - 1,
      minTimeout: server.limits.retryDelayMs,
      signal: deadline.signal,
      shouldRetry: ({ error }) => error instanceof Failure && error.again,
      onFailedAttempt: async ({ error, retriesLeft }) => {
        if (error instanceof Failure && error.again && retriesLeft > 0) await waitAsAsked(error, deadline)
      },
    },
  )
  try {
    // The race matters: a connection that hangs in its TLS handshake does not listen to the signal.
    return await Promise.race([work, deadline.passed])
  } catch (error) {
    if (error instanceof Failure) throw error.reported
    if (error !== deadline.reason) throw error
    throw timeoutError(server, request, progress)
  } finally {
    deadline.end()
  }
}

export type StreamRequest = {
  readonly what: string
  readonly path: string
  /** Sent by POST. */
  readonly body: Uint8Array
  /** The content type of the body and of the answer. */
  readonly type: string
  readonly hints?: Hints | undefined
}

/** An answer that comes bit by bit. */
export type StreamAnswer = {
  /** A header of the answer, empty where it is absent. */
  readonly header: (name: string) => string
  /** Ends with the answer, or when the time is up; throws SourceError where the answer does not end well, or is too large. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * Posts bytes and reads the answer for some time, as it comes. Null where no answer began in that time: servers that have nothing to say
 * do not even send headers. Not tried again: what was said in between would be lost without a word.
 *
 * @throws SourceError for an answer with another status or content type
 */
export async function requestStream(
  server: Server,
  request: StreamRequest,
  forMs: number,
): Promise<StreamAnswer | null> {
  const progress: Progress = { connection: undefined, phase: 'connect' }
  const fail = (error: unknown): SourceError => toFailure(error, server, request, progress).reported
  const deadline = startDeadline(server.limits.deadlineMs)
  let connection: Connection
  try {
    connection = await Promise.race([server.connect(), deadline.passed])
  } catch (error) {
    throw error === deadline.reason ? timeoutError(server, request, progress) : fail(error)
  } finally {
    deadline.end()
  }
  progress.connection = connection
  progress.phase = 'ask'

  const over = startDeadline(forMs)
  try {
    const { dispatcher, base, headers } = connection
    const asked = dispatcher.request({
      origin: base.origin,
      path: `${base.pathname.replace(/\/$/, '')}${request.path}`,
      method: 'POST',
      headers: { accept: request.type, 'content-type': request.type, 'user-agent': 'ciphertrail', ...headers },
      body: request.body,
      signal: over.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    asked.catch(() => undefined) // handled by the race, which may be over by then
    const answer = await Promise.race([asked, over.passed])
    progress.phase = 'read'
    await checkStream(server, request, answer, connection.secrets)
    return {
      header: (name) => headerText(answer.headers[name]),
      bytes: bytesUntil(answer.body, over, server, request, fail),
    }
  } catch (error) {
    const isOver = over.signal.aborted
    over.end()
    if (isOver && !(error instanceof Failure)) return null
    throw fail(error)
  }
}

/** Throws {@link Failure} for an answer that is no stream of the wanted type. */
async function checkStream(
  { source, name }: Server,
  { what, type, hints }: StreamRequest,
  { statusCode, headers, body }: Dispatcher.ResponseData,
  secrets: readonly string[],
): Promise<void> {
  const problem = (kind: FailureKind, text: string): Failure =>
    new Failure(new SourceError({ source, what }, kind, text, { status: statusCode, hint: hints?.[kind] }))
  if (statusCode !== 200) {
    const said = await readReason(body, headerText(headers['content-encoding']), secrets)
    const failure = describeStatus(statusCode, said, name, headerText(headers['location']))
    throw problem(failure.kind, failure.problem)
  }
  const came = headerText(headers['content-type'])
  if (came === type) return
  body.on('error', () => undefined).destroy()
  throw problem(
    'malformed',
    `${name} sent ${came === '' ? 'an answer without a content type' : `"${oneLine(came)}"`} instead of ${type}`,
  )
}

async function* bytesUntil(
  body: Dispatcher.ResponseData['body'],
  over: Deadline,
  server: Server,
  { what, hints }: StreamRequest,
  fail: (error: unknown) => SourceError,
): AsyncGenerator<Uint8Array> {
  const { maxBytes } = server.limits
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length
      if (size > maxBytes)
        throw new Failure(
          new SourceError(
            { source: server.source, what },
            'too-large',
            `the answer of ${server.name} is larger than ${Math.round(maxBytes / 1e6)} MB`,
            { hint: hints?.['too-large'] },
          ),
        )
      yield chunk
    }
  } catch (error) {
    if (error instanceof Failure || !over.signal.aborted) throw fail(error)
  } finally {
    over.end()
    body.on('error', () => undefined).destroy()
  }
}

/** A failed try: the error to report if it was the last, and whether another one may help. */
class Failure extends Error {
  readonly reported: SourceError
  readonly again: boolean
  /** What the server asked to wait (Retry-After); undefined where it said nothing. */
  readonly waitMs: number | undefined

  constructor(reported: SourceError, { again = false, waitMs }: { again?: boolean; waitMs?: number | undefined } = {}) {
    super(reported.message)
    this.reported = reported
    this.again = again
    this.waitMs = waitMs
  }
}

/** How far a request came, for the wording of a deadline that passed. */
type Progress = { connection: Connection | undefined; phase: 'connect' | 'ask' | 'read' }

type Deadline = {
  readonly signal: AbortSignal
  readonly reason: Error
  /** Rejects with the reason when the time is up. */
  readonly passed: Promise<never>
  readonly remainingMs: () => number
  readonly end: () => void
}

/** `AbortSignal.timeout()` would not keep the process alive, and a wait that ends with the process has no message. */
function startDeadline(milliseconds: number): Deadline {
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
      controller.abort(reason) // whatever is still under way belongs to nobody now
    },
  }
}

async function waitAsAsked(failure: Failure, deadline: Deadline): Promise<void> {
  const { waitMs, reported } = failure
  if (waitMs === undefined || waitMs <= 0) return
  if (waitMs > deadline.remainingMs()) {
    const seconds = Math.ceil(waitMs / 1000)
    const problem = `${reported.problem} (it asks to wait ${seconds} s, which is longer than the deadline)`
    throw new Failure(new SourceError(reported, reported.kind, problem, { status: reported.status }))
  }
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, waitMs)
    deadline.signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        reject(deadline.reason)
      },
      { once: true },
    )
  })
}

function sentBody({ form, json }: JsonRequest): { readonly type: string; readonly text: string } | undefined {
  if (form !== undefined) return { type: 'application/x-www-form-urlencoded', text: form.toString() }
  return json === undefined ? undefined : { type: 'application/json', text: JSON.stringify(json) }
}

async function ask(
  server: Server,
  request: JsonRequest,
  { dispatcher, base, headers, sign, secrets, renewed }: Connection,
  progress: Progress,
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
    headersTimeout: 0, // the deadline covers all
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

  // 201: what was sent is answered like a thing that was created.
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
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    throw new Failure(problem('malformed', `the compressed answer of ${server.name} is cut or damaged`))
  }
  if (!isUtf8(bytes)) throw new Failure(problem('malformed', `the answer of ${server.name} is not UTF-8`))
  return bytes.toString('utf8')
}

/** The bytes of a body, or undefined where they are more than allowed. */
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

/** What an error answer says; empty where it cannot be read: the status says enough. */
async function readReason(
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

/** Puts words to whatever a try threw. */
function toFailure(error: unknown, server: Server, request: Asked, progress: Progress): Failure {
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
    return new Failure(report('configuration', `${server.name} cannot be reached: ${oneLine(messageOf(error))}`))
  const { kind, problem } = describeConnection(error, server.name, {
    base: connection.base,
    secrets: connection.secrets,
    isReading: progress.phase === 'read',
  })
  return new Failure(report(kind, problem), { again: RETRIED_CODES.has(codeOf(error)) })
}

function timeoutError(server: Server, request: Asked, { connection, phase }: Progress): SourceError {
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

/** Milliseconds that Retry-After asks for; undefined where it is absent or unreadable. */
function retryAfterMs(value: string): number | undefined {
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

function headerText(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : (value?.[0] ?? '')).trim().toLowerCase()
}

import type { Hints, FailureKind } from './errors.ts'
import type { Server, RequestPhase, Connection, Deadline } from './http-attempt.ts'
import { SourceError } from './errors.ts'
import { toFailure, startDeadline, timeoutError, headerText, Failure, readReason } from './http-attempt.ts'
import type { Dispatcher } from 'undici'
import { describeStatus } from './error-messages.ts'
import { oneLine } from '../text/redact.ts'

/** A request whose answer is streamed. */
export type StreamRequest = {
  readonly what: string
  readonly path: string
  /** Sent by POST. */
  readonly body: Uint8Array
  /** The content type of the body and of the answer. */
  readonly type: string
  readonly hints?: Hints | undefined
}

/** A streamed answer. */
export type StreamAnswer = {
  /** A header of the answer, empty if absent. */
  readonly header: (name: string) => string
  /** Ends with the answer, or at the timeout; throws SourceError if the answer does not end well, or is too large. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * Posts bytes and streams the answer for some time. Null if no answer began in that time: servers with nothing to say do not even send headers. Not retried:
 * anything sent in between would be lost silently.
 *
 * @throws SourceError for an answer with another status or content type
 */
export async function requestStream(
  server: Server,
  request: StreamRequest,
  forMs: number,
): Promise<StreamAnswer | null> {
  const progress: RequestPhase = { connection: undefined, phase: 'connect' }
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

/** Throws {@link Failure} unless the answer is a stream of the wanted type. */
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

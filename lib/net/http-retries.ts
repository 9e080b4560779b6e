import pRetry from 'p-retry'
import { SourceError } from './errors.ts'
import type { Server, RequestPhase, Deadline, JsonRequest } from './http-attempt.ts'
import { Failure, startDeadline, ask, toFailure, timeoutError } from './http-attempt.ts'

/** Tries in all. More would not help: longer outages are left to the next window's attempt. */
const TRIES = 3

/**
 * Requests JSON, or other wanted types, and returns the text exactly as received, decompressed. Does not parse it: the caller knows what must be in it. Retries
 * busy and broken servers, and lost connections, within the deadline.
 *
 * @throws SourceError for anything but a complete answer with status 200 (201 to JSON) and a wanted content type
 */
export async function requestJson(server: Server, request: JsonRequest): Promise<string> {
  const deadline = startDeadline(server.limits.deadlineMs)
  const progress: RequestPhase = { connection: undefined, phase: 'connect' }
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
    // The race matters: a connection that hangs in its TLS handshake ignores the signal.
    return await Promise.race([work, deadline.passed])
  } catch (error) {
    if (error instanceof Failure) throw error.reported
    if (error !== deadline.reason) throw error
    throw timeoutError(server, request, progress)
  } finally {
    deadline.end()
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

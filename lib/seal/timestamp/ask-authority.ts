/** Asks a time-stamping authority by HTTP (RFC 3161, 3.4). */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { addressCheck, checkedLookup, refuseAddress } from '../../net/refused-addresses.ts'
import { errorLine } from '../../text/error-line.ts'
import { TimestampError } from './timestamp-error.ts'

/** Sends a request, and returns the answer: whatever it is. Throws {@link TimestampError} if there is none. */
export type AskAuthority = (request: Uint8Array) => Promise<Uint8Array>

const TIMEOUT_MS = 10_000

/** Larger than any time stamp with its certificates. */
export const MAX_TIMESTAMP_BYTES = 100_000

/**
 * Asks at an address, but never a metadata service or the like, whatever a name resolves to. Follows no redirects, and reads at most
 * {@link MAX_TIMESTAMP_BYTES}.
 *
 * @param allowedNetworks as in `CIPHERTRAIL_ALLOWED_NETWORKS`
 * @param timeoutMs for everything: resolving, connecting, and the whole answer
 */
export function askAuthority(
  url: URL,
  allowedNetworks: string | undefined,
  timeoutMs: number = TIMEOUT_MS,
): AskAuthority {
  const check = addressCheck(allowedNetworks)
  const lookup = checkedLookup(check)
  return async (body) => {
    try {
      refuseAddress(url, check)
      return await exchange(url, body, lookup, timeoutMs)
    } catch (error) {
      if (error instanceof TimestampError) throw error
      const isLate = error instanceof Error && error.name === 'TimeoutError'
      throw new TimestampError(
        isLate ? `it did not answer within ${timeoutMs / 1000} s` : `it cannot be reached: ${errorLine(error)}`,
        { cause: error },
      )
    }
  }
}

async function exchange(
  url: URL,
  body: Uint8Array,
  lookup: ReturnType<typeof checkedLookup>,
  timeoutMs: number,
): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(timeoutMs)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const headers = {
    'content-type': 'application/timestamp-query',
    'content-length': body.length,
    accept: 'application/timestamp-reply',
    'user-agent': 'ciphertrail',
  }
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  const request = send(url, { method: 'POST', headers, lookup, signal, agent: false }, resolve)
  request.on('error', (error) => reject(signal.aborted ? signal.reason : error))
  request.end(body)
  const response = await promise
  try {
    return await answerOf(response)
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    response.destroy()
  }
}

async function answerOf(response: IncomingMessage): Promise<Uint8Array> {
  const status = response.statusCode ?? 0
  if (status !== 200)
    throw new TimestampError(
      `it answered HTTP ${status}${status >= 300 && status < 400 ? ': redirects are not followed, give the address that it leads to' : ''}`,
    )
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of response as AsyncIterable<Uint8Array>) {
    size += piece.length
    if (size > MAX_TIMESTAMP_BYTES) throw new TimestampError(`its answer is larger than ${MAX_TIMESTAMP_BYTES} bytes`)
    pieces.push(piece)
  }
  if (!response.complete) throw new TimestampError('its answer was cut off')
  return Buffer.concat(pieces, size)
}

/** `fetch` for a server that the operator names by a URL, such as the issuer of tokens. */
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { type AddressCheck, checkedLookup, refuseAddress } from './refused-addresses.ts'

/** What is asked, as the libraries that take a `fetch` of one's own say it. */
export type CheckedRequest = {
  readonly method?: string
  readonly headers?: ConstructorParameters<typeof Headers>[0]
  readonly body?: URLSearchParams | null | undefined
  readonly signal?: AbortSignal | null | undefined
}

/** Metadata, keys and tokens are smaller. */
const MAX_BYTES = 1_000_000

const TIMEOUT_MS = 5_000

/**
 * Returns a `fetch` that connects to no address that is refused, whatever a name resolves to. It follows no redirects, and gives up after a
 * megabyte, and after five seconds unless a signal says when. It rejects with an `Error` of one line.
 */
export function checkedFetch(
  check: AddressCheck,
): (address: string | URL, request?: CheckedRequest) => Promise<Response> {
  const lookup = checkedLookup(check)
  return async (address, { method = 'GET', headers, body, signal } = {}) => {
    const url = new URL(address)
    refuseAddress(url, check)
    const sent = Object.fromEntries(new Headers(headers))
    const text = body?.toString()
    const isOurs = signal === undefined || signal === null
    const limit = isOurs ? AbortSignal.timeout(TIMEOUT_MS) : signal
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = send(
      url,
      {
        method,
        headers: text === undefined ? sent : { ...sent, 'content-length': Buffer.byteLength(text) },
        lookup,
        signal: limit,
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_BYTES) request.destroy(new Error(`it answered more than ${MAX_BYTES} bytes`))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode: status = 0 } = response
          if (status < 200 || status > 599) return reject(new Error(`it answered HTTP ${status}`))
          const type = response.headers['content-type']
          resolve(
            new Response(status === 204 || status === 304 ? null : Buffer.concat(chunks), {
              status,
              headers: type === undefined ? {} : { 'content-type': type },
            }),
          )
        })
      },
    )
    request.on('error', (error) =>
      reject(isOurs && limit.aborted ? new Error(`it did not answer within ${TIMEOUT_MS / 1000} s`) : error),
    )
    request.end(text)
    return promise
  }
}

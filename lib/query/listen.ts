import { once } from 'node:events'
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'

/** A server that answers. */
export type Listening = {
  /** Where, with the port that it got. */
  readonly url: string
  /** Takes no more requests, lets those under way end for so many milliseconds, and cuts off what is left. */
  readonly close: (graceMs: number) => Promise<void>
}

/** Limits for those who ask slowly, in milliseconds. */
export type SlowLimits = {
  /** For the head of a request. */
  readonly headersMs: number
  /** For all of a request: its head and its body. */
  readonly requestMs: number
  /** How often connections are looked at, so that one may last this much longer. */
  readonly checkMs: number
}

const SLOW_LIMITS: SlowLimits = { headersMs: 10_000, requestMs: 20_000, checkMs: 5_000 }

/**
 * Answers HTTP requests at an address by a function of the Fetch API. Whoever is too slow at sending a request is answered 408 and cut off, however much it
 * sent. Throws an `Error` of one line where it cannot listen there.
 */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port }: { readonly host: string; readonly port: number },
  { headersMs, requestMs, checkMs }: SlowLimits = SLOW_LIMITS,
): Promise<Listening> {
  // The globals of this process stay those of Node.
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false })
  // It answers its own failures, too.
  const limits = { headersTimeout: headersMs, requestTimeout: requestMs, connectionsCheckingInterval: checkMs }
  const server = createServer(limits, (request, response) => void answer(request, response))
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
    const state =
      {
        EADDRINUSE: 'something else listens there',
        EACCES: 'that port needs more rights',
        EADDRNOTAVAIL: 'this machine has no such address',
      }[code] ?? code
    throw new Error(`Cannot listen on ${host}:${port}: ${state}, choose another address`, { cause: error })
  }
  const address = server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    async close(graceMs) {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), graceMs)
      await closed
      clearTimeout(timer)
    },
  }
}

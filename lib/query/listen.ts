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

/** Whoever is slower than this at sending a request holds a connection and nothing else. */
const REQUEST_TIMEOUT_MS = 30_000

/** Answers HTTP requests at an address by a function of the Fetch API. Throws an `Error` of one line where it cannot listen there. */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Listening> {
  // The globals of this process stay those of Node.
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false })
  // It answers its own failures, too.
  const server = createServer((request, response) => void answer(request, response))
  server.requestTimeout = REQUEST_TIMEOUT_MS
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

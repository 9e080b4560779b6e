/** A time-stamping authority over HTTP, which can be told to misbehave. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import {
  type AskedStamp,
  type Certified,
  certified,
  pemOf,
  readRequest,
  stampOf,
  type StampOptions,
} from './time-stamps.ts'

/** A running authority. */
export type TimestampServer = {
  readonly url: string
  /** The certificates that its time stamps lead to, as PEM. */
  readonly authorities: string
  readonly signer: Certified
  /** Requests that came, in order. */
  readonly asked: readonly (AskedStamp & { readonly type: string | undefined })[]
  /** How it answers from now on: what its time stamps say otherwise, or an answer of its own. */
  behave: Partial<StampOptions> | ((request: IncomingMessage, response: ServerResponse) => void)
}

/** Starts an authority. Its time stamps tell the time that `now` gives. */
export async function startTimestampServer(
  t: { readonly after: (run: () => void) => void },
  now: () => Date,
): Promise<TimestampServer> {
  const root = certified('Root of time', { isAuthority: true })
  const signer = certified('Time-stamping authority', { issuer: root })
  const asked: (AskedStamp & { type: string | undefined })[] = []
  const server = createServer((request, response) => void answer(request, response))
  const state: TimestampServer = { url: '', authorities: pemOf(root), signer, asked, behave: {} }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const own = readRequest(await buffer(request))
    asked.push({ ...own, type: request.headers['content-type'] })
    const { behave } = running
    if (typeof behave === 'function') return behave(request, response)
    const { imprint, nonce } = own
    response.writeHead(200, { 'content-type': 'application/timestamp-reply' })
    response.end(stampOf({ signer, at: now(), imprint, nonce, ...behave }))
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const running = { ...state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsr` }
  return running
}

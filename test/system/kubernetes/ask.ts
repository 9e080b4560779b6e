import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'

/** What an API server said. */
export type Answered = { readonly status: number; readonly body: unknown }

/** An API server, and a client certificate for it. PEM. */
export type Asked = { readonly host: string; readonly ca: string; readonly cert?: string; readonly key?: string }

/** Asks an API server, without anything of the code under test. */
export async function askServer(
  server: Asked,
  headers: Readonly<Record<string, string>>,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answered> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  const asking = request({
    ...server,
    port: 6443,
    method,
    path,
    timeout: 10_000,
    headers: { ...headers, 'content-type': type },
  })
  asking.on('timeout', () => asking.destroy(new Error('The API server did not answer')))
  asking.end(body === undefined ? undefined : JSON.stringify(body))
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  const answer = await text(response)
  const isJson = response.headers['content-type']?.startsWith('application/json') === true
  return { status: response.statusCode ?? 0, body: isJson ? JSON.parse(answer) : answer }
}

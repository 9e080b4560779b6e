/** An API Gateway on loopback (HTTP API, payload 2.0, routes without an authoriser): makes events of requests, and responses of what a function returns. */
import { createServer } from 'node:http'
import type { TestContext } from 'node:test'
import type { APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { contextOf } from './lambda.ts'

/** A function behind it. */
export type GatewayHandler = (event: unknown, context: Context) => Promise<APIGatewayProxyStructuredResultV2>

/** What Lambda takes from a function at most. */
const MAX_RESPONSE_BYTES = 6 * 1024 * 1024

/** Starts one until the test ends. The function is told later, since it may have to know the address. */
export async function startApiGateway(
  t: Pick<TestContext, 'after'>,
): Promise<{ readonly url: string; readonly lead: (handler: GatewayHandler) => void }> {
  let handler: GatewayHandler = async () => ({ statusCode: 503 })
  const server = createServer((request, response) => {
    const { pathname, search, host } = new URL(request.url ?? '/', `http://${request.headers.host}`)
    const { cookie, ...headers } = request.headers
    const event = {
      version: '2.0',
      routeKey: '$default',
      rawPath: pathname,
      rawQueryString: search.slice(1),
      ...(cookie === undefined ? {} : { cookies: cookie.split('; ') }),
      headers,
      requestContext: { domainName: host, http: { method: request.method ?? 'GET', path: pathname } },
      isBase64Encoded: false,
    }
    void handler(event, contextOf(29_000))
      .then((result) => {
        const { statusCode = 200, headers: given = {}, cookies = [], body = '', isBase64Encoded } = result
        if (JSON.stringify(result).length > MAX_RESPONSE_BYTES) return response.writeHead(413).end()
        for (const [name, value] of Object.entries(given)) response.setHeader(name, String(value))
        if (cookies.length > 0) response.setHeader('set-cookie', cookies)
        return response.writeHead(statusCode).end(Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8'))
      })
      .catch(() => response.writeHead(502).end())
  })
  const { port, close } = await listenOnLoopback(server)
  t.after(close)
  return {
    url: `http://127.0.0.1:${port}`,
    lead: (next) => {
      handler = next
    },
  }
}

import type { Socket } from 'node:net'
import { callbackify } from 'node:util'
import type { Connections } from '../../net/connections.ts'
import { forwardTo } from '../forward/forward-to.ts'
import type { ForwardToDeps } from '../forward/forward-to.ts'
import { requestJson } from '../../net/http-retries.ts'
import type { PodPort } from '../forward/port-forward.ts'
import { oneLine } from '../../text/redact.ts'
import type { Hints } from '../../net/errors.ts'

/** Reads the metrics page of one proxy, as received. Throws SourceError. */
export type PageReader = (pod: PodPort) => Promise<string>

const HINTS: Hints = {
  'not-found': 'is it a Linkerd proxy that listens there?',
  malformed: 'is it a Linkerd proxy that listens there?',
  connection: 'the pod may have ended',
}

/** The content types of proxies, now and with the other format that Prometheus accepts. */
const PAGE = { types: ['text/plain', 'application/openmetrics-text'], name: 'a metrics page' } as const

/** Reaches each proxy by port-forward, which arrives on loopback: no policy of the pod refuses it, and the API server resolves its name. */
export function proxyPages(
  cluster: string,
  { newPool, ...forward }: ForwardToDeps & { readonly newPool: Connections['newPool'] },
): PageReader {
  return async (pod) => {
    const name = `${pod.namespace}/${pod.pod}`
    const origin = `http://${pod.pod}.${pod.namespace}:${pod.port}`
    const pool = await newPool(origin, (_, callback) => {
      callbackify(forwardTo)(pod, forward, (error, stream) => {
        if (error !== null) callback(error, null)
        else callback(null, stream as unknown as Socket) // undici needs no more of it than a stream has
      })
    })
    try {
      return await requestJson(
        {
          source: 'proxies',
          name: `the proxy of pod "${oneLine(name)}"`,
          limits: forward.limits,
          connect: async () => ({
            dispatcher: pool,
            base: new URL(origin),
            headers: { host: `localhost:${pod.port}` },
            secrets: [],
          }),
        },
        {
          what: `read the proxy of pod "${oneLine(name)}" of cluster "${cluster}"`,
          path: '/metrics',
          wanted: PAGE,
          hints: HINTS,
        },
      )
    } finally {
      await pool.destroy()
    }
  }
}

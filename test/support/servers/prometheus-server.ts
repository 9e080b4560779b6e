import { createServer } from 'node:http'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { prometheusReplay, readQuery } from '../../../demo/replay-prometheus.ts'
import type { PrometheusReplay } from '../../../demo/replay-prometheus.ts'
import { respond } from './misbehave.ts'
import type { Misbehaviour } from './misbehave.ts'

/** A request as it came. */
type PrometheusRequest = { readonly method: string; readonly path: string; readonly parameters: URLSearchParams }

export type PrometheusServer = {
  readonly url: string
  /** Requests that came, in order. */
  readonly asked: PrometheusRequest[]
  /** What to do with a request instead of answering it well; undefined: nothing. Is asked for each request. */
  readonly misbehave: (how: ((request: PrometheusRequest) => Misbehaviour | undefined) | undefined) => void
  readonly close: () => Promise<void>
}

/**
 * Starts an HTTP server that answers like Prometheus, from files of recorded answers or from a function, and can be told to
 * misbehave.
 *
 * @param prefix base path below which it answers, such as `/prometheus`; default none
 */
export async function startPrometheusServer(
  source: readonly string[] | PrometheusReplay,
  prefix = '',
): Promise<PrometheusServer> {
  const replay = typeof source === 'function' ? source : await prometheusReplay(source)
  let how: ((request: PrometheusRequest) => Misbehaviour | undefined) | undefined
  const asked: PrometheusRequest[] = []
  const server = createServer((request, response) => {
    readQuery(request).then(
      ({ path, parameters }) => {
        const came = { method: request.method ?? '', path, parameters }
        asked.push(came)
        const inside = path.startsWith(prefix) ? path.slice(prefix.length) : ''
        respond(response, replay(inside, parameters), how?.(came))
      },
      () => response.destroy(),
    )
  })
  const { port, close } = await listenOnLoopback(server)
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    asked,
    misbehave: (next) => {
      how = next
    },
    close,
  }
}

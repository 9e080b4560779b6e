import type { Pool } from 'undici'
import { openConnections } from '../../net/connections.ts'
import type { Connections } from '../../net/connections.ts'
import { requestJson } from '../../net/http-retries.ts'
import { budget, jsonSize, raise } from '../../observed/budget.ts'
import { prometheusByForward } from '../prometheus/by-forward.ts'
import { prometheusByUrl } from '../prometheus/by-url.ts'
import { proxyPages } from '../proxies/proxy-page.ts'
import { vizByForward } from '../viz/by-forward.ts'
import type { VizTransport } from '../viz/by-forward.ts'
import type { Cluster } from '../../model/registry.ts'
import type { Environment } from './by-kubeconfig.ts'
import type { ClusterAccess } from './cluster-access.ts'
import { type ApiServerWay, apiServerWay, kubernetesHints } from './ways-in.ts'
import type { RequestPurpose, KubernetesApi, VizApi } from './apis.ts'
import { type Hints, SourceError } from '../../net/errors.ts'
import type { Connection, Limits, Server, JsonRequest } from '../../net/http-attempt.ts'
import { requestStream } from '../../net/http-stream.ts'

/** Environment and request limits of a cluster. */
export type OpenOptions = {
  /** The environment that lib/config.ts read. */
  readonly environment: Environment
  /** Default 30 s. */
  readonly kubernetesDeadlineMs?: number
  /** Default 60 s. */
  readonly prometheusDeadlineMs?: number
  /** Largest answer; default: the budget. */
  readonly maxBytes?: number
  /** Wait before a retry, default 0.5 s; doubled before the third try. */
  readonly retryDelayMs?: number
}

const PAGE_DEADLINE_MS = 10_000

/** Opens a registered cluster. */
export function openCluster(
  cluster: Cluster,
  {
    environment,
    kubernetesDeadlineMs = 30_000,
    prometheusDeadlineMs = 60_000,
    maxBytes = budget().answer,
    retryDelayMs = 500,
  }: OpenOptions,
): ClusterAccess {
  const { newPool, closing, close } = openConnections()
  const kubernetesLimits = { deadlineMs: kubernetesDeadlineMs, maxBytes, retryDelayMs }
  const way = apiServerWay(cluster, environment, { newPool, closing, limits: kubernetesLimits })
  const kubernetes = kubernetesServer(way, newPool, kubernetesLimits)
  const ask = async (
    { what, hints }: RequestPurpose,
    request: Pick<JsonRequest, 'path' | 'json'>,
  ): Promise<unknown> => {
    const text = await requestJson(kubernetes, {
      what,
      ...request,
      hints: { ...TOO_LARGE, ...kubernetesHints(cluster), ...hints },
    })
    const { excess } = jsonSize(text)
    if (excess !== null)
      throw new SourceError({ source: 'kubernetes', what }, 'too-large', `the answer of the API server has ${excess}`, {
        status: 200,
      })
    try {
      return wellFormed(JSON.parse(text), text)
    } catch {
      const problem = 'the answer of the API server is cut or no JSON'
      throw new SourceError({ source: 'kubernetes', what }, 'malformed', problem, { status: 200 })
    }
  }
  const api: KubernetesApi = {
    get: (path, asking) => ask(asking, { path }),
    review: (path, question, asking) => ask(asking, { path, json: question }),
    stream: (path, body, forMs, { what, hints }) =>
      requestStream(
        kubernetes,
        { what, path, body, type: 'application/octet-stream', hints: { ...kubernetesHints(cluster), ...hints } },
        forMs,
      ),
  }
  const limits = { deadlineMs: prometheusDeadlineMs, maxBytes, retryDelayMs }
  const forwarding = { api, apiServer: way, newPool, limits, closing }
  const prometheus =
    cluster.prometheusUrl === undefined
      ? prometheusByForward(cluster, forwarding)
      : prometheusByUrl(cluster.prometheusUrl, cluster.prometheusAuth ?? {}, {
          allowedNetworks: environment.allowedNetworks,
          places: environment.places,
          newPool,
          limits,
        })
  return {
    kubernetes: api,
    proxyPage: proxyPages(cluster.id, {
      apiServer: way,
      newPool,
      closing,
      // Some of many pods are always just ending: they must not delay the others.
      limits: { deadlineMs: Math.min(kubernetesDeadlineMs, PAGE_DEADLINE_MS), maxBytes: budget().page, retryDelayMs },
    }),
    prometheus: {
      servers: prometheus.servers,
      ask: (method, path, parameters, { what, hints }) =>
        requestJson(prometheus, {
          what,
          hints: { ...TOO_LARGE, ...prometheus.hints, ...hints },
          ...(method === 'POST'
            ? { path, form: parameters }
            : { path: `${path}?${parameters.toString().replaceAll('+', '%20')}` }), // "+" means a space in forms only, which would break a signature
        }),
    },
    exec: async (container, command) => {
      const [{ openRenewed }, { openExec }] = await Promise.all([
        import('./api-websocket.ts'),
        import('../packets/exec.ts'),
      ])
      const options = { timeoutMs: kubernetesDeadlineMs, signal: closing }
      return openRenewed(way, (now) => openExec(now, container, command, options))
    },
    viz: cluster.prometheusUrl === undefined ? vizApi(vizByForward(cluster, forwarding)) : null,
    close,
  }
}

const TOO_LARGE: Hints = { 'too-large': raise('answer') }

function vizApi(viz: VizTransport): VizApi {
  return {
    servers: viz.servers,
    get: (path, { what, hints }) => requestJson(viz, { what, path, hints: { ...TOO_LARGE, ...viz.hints, ...hints } }),
  }
}

/** Half a surrogate pair, which JSON can hold, is invalid Unicode and could not be stored: U+FFFD replaces it. */
function wellFormed(value: unknown, text: string): unknown {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return value
  const repair = (part: unknown): unknown => {
    if (typeof part === 'string') return part.toWellFormed()
    if (Array.isArray(part)) return part.map(repair)
    if (typeof part !== 'object' || part === null) return part
    return Object.fromEntries(Object.entries(part).map(([name, member]) => [name.toWellFormed(), repair(member)]))
  }
  return repair(value)
}

function kubernetesServer(way: ApiServerWay, newPool: Connections['newPool'], limits: Limits): Server {
  let pool: { readonly dispatcher: Pool; readonly cert: unknown } | undefined
  return {
    source: 'kubernetes',
    name: 'the API server',
    limits,
    connect: async (): Promise<Connection> => {
      const { base, tls, headers, secrets, renewed } = await way()
      // A plugin may return a new client certificate, which needs new connections.
      if (pool === undefined || pool.cert !== tls.cert)
        pool = { dispatcher: await newPool(base.origin, tls), cert: tls.cert }
      return { dispatcher: pool.dispatcher, base, headers, secrets, ...(renewed === undefined ? {} : { renewed }) }
    },
  }
}

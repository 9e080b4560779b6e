import type { Pool } from 'undici'
import type { Cluster } from '../model.ts'
import type { ApiServer, Environment } from './credentials.ts'
import { SetupError, SourceError, requestJson, requestStream } from './http.ts'
import type { Connection, Hints, Limits, Server, StreamAnswer } from './http.ts'
import { oneLine } from './text.ts'

/** What one request is for. */
type Asking = {
  /** After "Cannot ": `list pods of cluster "prod"`. */
  readonly what: string
  /** What to do about each kind of failure, beside the hints that hold for every request. */
  readonly hints?: Hints
}

/** A cluster's Kubernetes API, read only. */
export type KubernetesApi = {
  /** The parsed answer to a GET of `/api/v1/pods?limit=500` and the like. Throws SourceError. */
  readonly get: (path: string, asking: Asking) => Promise<unknown>
  /** The answer to a POST of bytes, as it comes, for some time; null where none began. It asks as well: tap is a watch. Throws SourceError. */
  readonly stream: (path: string, body: Uint8Array, forMs: number, asking: Asking) => Promise<StreamAnswer | null>
}

/** A cluster's Prometheus. */
export type PrometheusApi = {
  /** The answer's text, as received, to parameters sent to `/api/v1/query` and the like. Throws SourceError. */
  readonly ask: (method: 'GET' | 'POST', path: string, parameters: URLSearchParams, asking: Asking) => Promise<string>
}

/** The two sources of a cluster. Nothing is read or connected before the first request, so opening never fails. */
export type ClusterAccess = {
  readonly kubernetes: KubernetesApi
  readonly prometheus: PrometheusApi
  /** Ends all connections at once. */
  readonly close: () => Promise<void>
}

export type OpenOptions = {
  /** What lib/config.ts read. */
  readonly environment: Environment
  /** Default 30 s. */
  readonly kubernetesDeadlineMs?: number
  /** Default 60 s. */
  readonly prometheusDeadlineMs?: number
  /** Largest answer, default 512 MB. */
  readonly maxBytes?: number
  /** Wait before a request is tried again, default 0.5 s; doubled for the third try. */
  readonly retryDelayMs?: number
}

/** Requests to one server at the same time; lib/collect/kubernetes.ts lists with the same number. */
export const CONNECTIONS = 4

/** Opens a registered cluster. One pool of connections per server: each call would else begin with a new TLS handshake. */
export function openCluster(
  cluster: Cluster,
  {
    environment,
    kubernetesDeadlineMs = 30_000,
    prometheusDeadlineMs = 60_000,
    maxBytes = 512 * 1024 * 1024,
    retryDelayMs = 500,
  }: OpenOptions,
): ClusterAccess {
  const pools: Pool[] = []
  const newPool = async (origin: string, connect: object): Promise<Pool> => {
    const { Pool } = await import('undici') // a tenth of a second that commands on stored data need not pay
    const pool = new Pool(origin, { connections: CONNECTIONS, connect })
    pools.push(pool)
    return pool
  }
  const kubernetes = kubernetesServer(cluster, environment, newPool, {
    deadlineMs: kubernetesDeadlineMs,
    maxBytes,
    retryDelayMs,
  })
  const prometheus = prometheusServer(cluster, newPool, { deadlineMs: prometheusDeadlineMs, maxBytes, retryDelayMs })
  return {
    kubernetes: {
      get: async (path, { what, hints }) => {
        const text = await requestJson(kubernetes, { what, path, hints: { ...kubernetesHints(cluster), ...hints } })
        try {
          return wellFormed(JSON.parse(text), text)
        } catch {
          throw new SourceError(
            { source: 'kubernetes', what },
            'malformed',
            'the answer of the API server is cut or no JSON',
            {
              status: 200,
            },
          )
        }
      },
      stream: (path, body, forMs, { what, hints }) =>
        requestStream(
          kubernetes,
          { what, path, body, type: 'application/octet-stream', hints: { ...kubernetesHints(cluster), ...hints } },
          forMs,
        ),
    },
    prometheus: {
      ask: (method, path, parameters, { what, hints }) =>
        requestJson(prometheus, {
          what,
          hints: { ...PROMETHEUS_HINTS, ...hints },
          ...(method === 'POST' ? { path, form: parameters } : { path: `${path}?${parameters.toString()}` }),
        }),
    },
    close: async () => {
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}

/** Half a surrogate pair, which JSON can hold, is no Unicode text and could not be stored: it is replaced by U+FFFD. */
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

type NewPool = (origin: string, connect: object) => Promise<Pool>

function kubernetesServer(cluster: Cluster, environment: Environment, newPool: NewPool, limits: Limits): Server {
  let found: Promise<ApiServer> | undefined
  let pool: { readonly dispatcher: Pool; readonly certificate: string } | undefined
  return {
    source: 'kubernetes',
    name: 'the API server',
    limits,
    connect: async (): Promise<Connection> => {
      // Its libraries take a third of the time in which a command starts, and most commands ask no cluster.
      found ??= import('./credentials.ts').then(({ findApiServer }) => findApiServer(cluster, environment))
      const { url, ca, serverName, credentials } = await found
      const { headers, certificate, secrets } = await credentials()
      // A plugin may give a new client certificate, which needs new connections.
      if (pool === undefined || pool.certificate !== (certificate?.cert ?? '')) {
        const tls = {
          timeout: limits.deadlineMs,
          rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
          ...(ca === undefined ? {} : { ca }),
          ...(serverName === undefined ? {} : { servername: serverName }),
          ...certificate,
        }
        pool = { dispatcher: await newPool(url.origin, tls), certificate: certificate?.cert ?? '' }
      }
      return { dispatcher: pool.dispatcher, base: url, headers, secrets }
    },
  }
}

function prometheusServer({ prometheusUrl }: Cluster, newPool: NewPool, limits: Limits): Server {
  let pool: Promise<Pool> | undefined
  return {
    source: 'metrics',
    name: 'Prometheus',
    limits,
    connect: async (): Promise<Connection> => {
      const base = prometheusBase(prometheusUrl)
      pool ??= newPool(base.origin, { timeout: limits.deadlineMs, rejectUnauthorized: true })
      return { dispatcher: await pool, base, headers: {}, secrets: [] }
    },
  }
}

function prometheusBase(text: string | undefined): URL {
  if (text === undefined)
    throw new SetupError('no address of Prometheus is registered: register the cluster with --prometheus-url')
  if (!URL.canParse(text)) throw new SetupError(`the address of Prometheus is no URL: "${oneLine(text)}"`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    throw new SetupError('the address of Prometheus holds a user or password, which would be stored: remove them')
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new SetupError(`the address of Prometheus begins with "${oneLine(url.protocol)}": use http or https`)
  return url
}

function kubernetesHints({ context }: Cluster): Hints {
  const user = context === undefined ? 'the kubeconfig' : `the context "${oneLine(context)}" of the kubeconfig`
  return {
    unauthorized: `the credentials are wrong or expired, renew those in ${user}`,
    'not-found': 'is this the address of a Kubernetes API server?',
    connection: `is the server in ${user} right, and can it be reached from here?`,
    timeout: 'is it reachable from here, and not overloaded?',
    certificate: `correct certificate-authority-data, or the server's name, in ${user}`,
    redirect: `give the API server's own address in ${user}`,
    malformed: 'is there a proxy or login page in between?',
    'rate-limited': 'it is busy, collect again later',
    server: 'it is broken or overloaded, collect again later',
  }
}

const PROMETHEUS_HINTS: Hints = {
  unauthorized:
    'it wants credentials, which are not supported yet; use a way that needs none, such as kubectl port-forward',
  forbidden: "viz's own Prometheus only answers over kubectl port-forward",
  'not-found': "is --prometheus-url Prometheus' address, with its path prefix?",
  connection: 'is it running, and is kubectl port-forward still open?',
  timeout: 'is it reachable from here, and not overloaded?',
  certificate: 'add the authority to NODE_EXTRA_CA_CERTS, or correct the name in --prometheus-url',
  redirect: 'give the address that it redirects to, with --prometheus-url',
  malformed: 'is --prometheus-url the address of a Prometheus?',
  'rate-limited': 'it is busy, collect again later',
  server: 'it is broken or overloaded, collect again later',
}

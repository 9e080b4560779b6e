import type { Pool } from 'undici'
import type { ApiServerAddress, Cluster } from '../../model/registry.ts'
import type { ApiServer, Environment } from './by-kubeconfig.ts'
import { addressCheck, checkedLookup, refuseAddress } from '../../net/refused-addresses.ts'
import { openConnections } from '../../net/connections.ts'
import type { Connections } from '../../net/connections.ts'
import { requestJson } from '../../net/http-retries.ts'
import { budget, jsonSize, raise } from '../../observed/budget.ts'
import type { ApiServerConnection } from './api-websocket.ts'
import { prometheusByForward } from '../prometheus/by-forward.ts'
import { prometheusByUrl } from '../prometheus/by-url.ts'
import { proxyPages } from '../proxies/proxy-page.ts'
import { oneLine } from '../../text/redact.ts'
import { vizByForward } from '../viz/by-forward.ts'
import type { VizTransport } from '../viz/by-forward.ts'
import type { ClusterAccess } from './cluster-access.ts'
import type { RequestPurpose, KubernetesApi, VizApi } from './apis.ts'
import { SetupError, SourceError } from '../../net/errors.ts'
import type { Hints } from '../../net/errors.ts'
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

type Way = () => Promise<ApiServerConnection>

/** Current connection settings of the API server: its URL is found once, its credentials are read each time, since they are renewed. */
function apiServerWay(
  cluster: Cluster,
  environment: Environment,
  { newPool, closing, limits }: Pick<Connections, 'newPool' | 'closing'> & { readonly limits: Limits },
): Way {
  const find = async (): Promise<ApiServer> => {
    // Loading these libraries takes a third of a command's start, and most commands contact no cluster.
    if (cluster.agent === true) throw new SetupError('its agent collects it from inside, and nobody else can reach it')
    if (cluster.apiServer !== undefined)
      return (await import('./by-address.ts')).addressServer(cluster.apiServer, limits.deadlineMs, environment.places)
    if (cluster.eks === undefined)
      return (await import('./by-kubeconfig.ts')).findApiServer(cluster, environment, closing)
    const { findEksServer } = await import('./by-eks.ts')
    return findEksServer(cluster.eks, { endpoint: environment.eksEndpoint, newPool, limits })
  }
  let found: Promise<ApiServer> | undefined
  return async () => {
    const check = addressCheck(environment.allowedNetworks)
    found ??= find().catch((error: unknown) => {
      found = undefined
      throw error
    })
    const { url, ca, serverName, credentials } = await found
    refuseAddress(url, check)
    const { headers, certificate, secrets } = await credentials()
    const tls = {
      timeout: limits.deadlineMs,
      lookup: checkedLookup(check),
      rejectUnauthorized: true as const, // regardless of NODE_TLS_REJECT_UNAUTHORIZED
      ...(ca === undefined ? {} : { ca }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...certificate,
    }
    const renewed = async (): Promise<boolean> => {
      const sent = headers['authorization']
      try {
        return (await credentials(sent)).headers['authorization'] !== sent
      } catch {
        return false // the refusal is reported, not the missing alternative
      }
    }
    const isByKubeconfig = cluster.eks === undefined && cluster.apiServer === undefined
    return { base: url, tls, headers, secrets, renewed, ...(isByKubeconfig ? {} : { hints: kubernetesHints(cluster) }) }
  }
}

function kubernetesServer(way: Way, newPool: Connections['newPool'], limits: Limits): Server {
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

function kubernetesHints({ context, eks, apiServer }: Cluster): Hints {
  if (eks !== undefined) return EKS_HINTS
  if (apiServer !== undefined) return addressHints(apiServer)
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

function addressHints({ tokenFile, tokenSecret }: ApiServerAddress): Hints {
  const place =
    tokenSecret === undefined ? `the file "${oneLine(tokenFile ?? '')}"` : `the secret "${oneLine(tokenSecret)}"`
  return {
    unauthorized: `the token is wrong or expired, renew the one in ${place}`,
    'not-found': 'is --api-server the address of a Kubernetes API server?',
    connection: 'is --api-server right, and can it be reached from here?',
    timeout: 'is it reachable from here, and not overloaded?',
    certificate: 'register the authority that signed it, with --ca, or the name that it is for, with --api-server',
    redirect: "register the API server's own address, with --api-server",
    malformed: 'is there a proxy or login page in between?',
    'rate-limited': 'it is busy, collect again later',
    server: 'it is broken or overloaded, collect again later',
  }
}

const EKS_HINTS: Hints = {
  unauthorized: 'EKS does not know whoever asks: give the role an access entry in the cluster',
  connection: 'can its endpoint be reached from here, or is it private?',
  timeout: 'can its endpoint be reached from here, or is it private?',
  malformed: 'is there a proxy or login page in between?',
  'rate-limited': 'it is busy, collect again later',
  server: 'it is broken or overloaded, collect again later',
}

/** The ways into a cluster: by kubeconfig or from inside, by address, by the name of an EKS cluster. */
import type { ApiServerAddress, Cluster } from '../../model/registry.ts'
import type { Connections } from '../../net/connections.ts'
import { type Hints, SetupError } from '../../net/errors.ts'
import type { Limits } from '../../net/http-attempt.ts'
import { addressCheck, checkedLookup, refuseAddress } from '../../net/refused-addresses.ts'
import { oneLine } from '../../text/redact.ts'
import type { ApiServerConnection } from './api-websocket.ts'
import type { ApiServer, Environment } from './by-kubeconfig.ts'

/** How the API server is connected to now. */
export type ApiServerWay = () => Promise<ApiServerConnection>

/** Returns the current connection settings of the API server, by the way in that the cluster is registered with: its URL is found once, its credentials are read each time, since they are renewed. */
export function apiServerWay(
  cluster: Cluster,
  environment: Environment,
  { newPool, closing, limits }: Pick<Connections, 'newPool' | 'closing'> & { readonly limits: Limits },
): ApiServerWay {
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

/** What to do where the API server refuses or cannot be reached, by the way in. */
export function kubernetesHints({ context, eks, apiServer }: Cluster): Hints {
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

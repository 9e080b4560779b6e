import type { Cluster, EksCluster, ApiServerAddress, PrometheusAuth } from '../../lib/model/registry.ts'
import { printable } from '../../lib/text/printable.ts'
import { readDuration } from '../option-values.ts'
import { MAX_TAP_SECONDS } from '../../lib/store/registry/registration.ts'
import { UsageError } from '../console.ts'
import type { Console } from '../console.ts'
import { refuseAddress, addressCheck } from '../../lib/net/refused-addresses.ts'
import { UnreachableError, SetupError } from '../../lib/net/errors.ts'
import { readText } from '../../lib/net/credential-files.ts'
import { resolve } from 'node:path'

/** The options of `cluster add`. */
export type AddClusterOptions = {
  readonly kubeconfig?: string
  readonly context?: string
  readonly eks?: string
  readonly eksRegion?: string
  readonly eksRole?: string
  readonly apiServer?: string
  readonly ca?: string
  readonly tokenFile?: string
  readonly tokenSecret?: string
  readonly agent?: boolean
  readonly prometheusUrl?: string
  readonly portForward?: boolean
  /** False: `--no-prometheus` was given. */
  readonly prometheus?: boolean
  readonly proxies?: string
  readonly prometheusTokenFile?: string
  readonly prometheusUser?: string
  readonly prometheusPasswordFile?: string
  readonly prometheusCertFile?: string
  readonly prometheusKeyFile?: string
  readonly prometheusCaFile?: string
  readonly prometheusSigv4?: string
  readonly prometheusRole?: string
  readonly tap?: string
  readonly linkerdNamespace?: string
  readonly vizNamespace?: string
  readonly window?: string
  readonly json?: boolean
  readonly store?: string
}

/** Where a registration leads, and with what credentials, for people. */
export function connectionText(cluster: Cluster): string {
  const { kubeconfig, context, eks, apiServer, agent, prometheusUrl, prometheusAuth, noPrometheus } = cluster
  const server =
    apiServer === undefined
      ? eks === undefined
        ? agent === true
          ? 'by its agent'
          : `by kubeconfig ${quoted(kubeconfig ?? 'default')}, context ${quoted(context ?? 'current')}`
        : `EKS ${eks.region} ${quoted(eks.name)}${eks.roleArn === undefined ? '' : ` as ${quoted(eks.roleArn)}`}`
      : `${quoted(apiServer.url)} with the token in ${quoted(apiServer.tokenFile ?? apiServer.tokenSecret ?? '')}`
  const credentials = Object.values(prometheusAuth ?? {}).map((one) => quoted(String(one)))
  const prometheus =
    prometheusUrl === undefined
      ? noPrometheus === true
        ? 'no Prometheus'
        : 'Prometheus by port-forward'
      : `Prometheus ${quoted(prometheusUrl)}${credentials.length === 0 ? '' : ` with ${credentials.join(', ')}`}`
  return `${server}; ${prometheus}`
}

function quoted(text: string): string {
  return `"${printable(text)}"`
}

/** For how many seconds to tap; null for "off". Throws UsageError. */
export function parseTap(text: string): number | null {
  return text === 'off' ? null : readDuration('--tap', text, MAX_TAP_SECONDS)
}

/** The cluster of EKS that is named; undefined where none is. Throws UsageError where it is named in part. */
export function eksOf({ eks: name, eksRegion: region, eksRole: roleArn }: AddClusterOptions): EksCluster | undefined {
  if (name === undefined && region === undefined && roleArn === undefined) return undefined
  if (name === undefined || region === undefined)
    throw new UsageError('Cannot reach a cluster of EKS: --eks and --eks-region go together')
  return { name, region, ...(roleArn === undefined ? {} : { roleArn }) }
}

/** Says at once what a connection would be refused for; names are looked at when they are connected to. Throws UsageError. */
export function refuseAddresses(id: string, urls: readonly (string | undefined)[], { config }: Console): void {
  for (const text of urls) {
    const url = text === undefined ? null : URL.parse(text)
    try {
      if (url !== null) refuseAddress(url, addressCheck(config.allowedNetworks))
    } catch (error) {
      if (error instanceof UnreachableError)
        throw new UsageError(`Cannot add cluster "${printable(id)}": ${error.message}; ${error.hint}`)
      throw error instanceof SetupError
        ? new UsageError(`Cannot add cluster "${printable(id)}": ${error.message}`)
        : error
    }
  }
}

/** The API server that is given by its address; undefined where none is. Throws UsageError where it is given in part, or its authority cannot be read. */
export async function apiServerOf(options: AddClusterOptions): Promise<ApiServerAddress | undefined> {
  const { apiServer: url, ca, tokenFile, tokenSecret } = options
  if (url === undefined && ca === undefined && tokenFile === undefined && tokenSecret === undefined) return undefined
  if (url === undefined || ca === undefined || (tokenFile === undefined && tokenSecret === undefined))
    throw new UsageError(
      'Cannot reach an API server by its address: --api-server, --ca, and --token-file or --token-secret go together',
    )
  try {
    return {
      url: url.replace(/\/+$/, ''),
      ca: await readText(ca, 'the authority of the API server'),
      ...(tokenFile === undefined ? {} : { tokenFile: resolve(tokenFile) }),
      ...(tokenSecret === undefined ? {} : { tokenSecret }),
    }
  } catch (error) {
    throw error instanceof SetupError ? new UsageError(`Cannot register an API server: ${error.message}`) : error
  }
}

/** How Prometheus is shown who asks, files as absolute paths; undefined where nothing is said of it. */
export function authOf(options: AddClusterOptions): PrometheusAuth | undefined {
  const { prometheusUser: user, prometheusSigv4: sigv4Region, prometheusRole: sigv4RoleArn } = options
  const files = {
    tokenFile: options.prometheusTokenFile,
    passwordFile: options.prometheusPasswordFile,
    certFile: options.prometheusCertFile,
    keyFile: options.prometheusKeyFile,
    caFile: options.prometheusCaFile,
  }
  const given = [
    ...Object.entries(files).map(([name, file]) => [name, file === undefined ? undefined : resolve(file)]),
    ...Object.entries({ user, sigv4Region, sigv4RoleArn }),
  ].filter(([, value]) => value !== undefined)
  return given.length === 0 ? undefined : (Object.fromEntries(given) as PrometheusAuth)
}

import type { RequestOptions } from 'node:https'
import { isIPv6 } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
// Deep imports: the package's index and its `config.js` load every generated API, 0.5 s of CPU for each command (measured).
import { newClusters, newContexts, newUsers } from '@kubernetes/client-node/dist/config_types.js'
import type { Cluster as KubeCluster, Context, User } from '@kubernetes/client-node/dist/config_types.js'
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js'
import { load } from 'js-yaml'
import { basic, bearer, readSecret, readText } from './credential-files.ts'
import type { SentCredentials } from './credential-files.ts'
import { SetupError } from './http.ts'
import { oneLine, withoutSecrets } from './text.ts'

/** What the environment says about ways into a cluster; see lib/config.ts. */
export type Environment = {
  readonly kubeconfig: string | undefined
  readonly home: string | undefined
  readonly serviceHost: string | undefined
  readonly servicePort: string | undefined
  /** Where EKS is asked; undefined: at its endpoint in the cluster's region. */
  readonly eksEndpoint?: string | undefined
  /** The only networks that are connected to; undefined: all but those of metadata services and the like. */
  readonly allowedNetworks?: string | undefined
}

/** Where an API server is and how to prove who asks. Read anew for each command, never stored. */
export type ApiServer = {
  readonly url: URL
  /** Authorities to trust; undefined: those that Node trusts. */
  readonly ca: string | undefined
  readonly serverName: string | undefined
  /**
   * What to send with one request. Throws SetupError where a file or a credential plugin fails.
   *
   * @param refused the `authorization` that the server refused just now: another one is wanted, if there is one by now
   */
  readonly credentials: (refused?: string) => Promise<Credentials>
}

type Credentials = SentCredentials & {
  /** A client certificate with its key, PEM. */
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Finds the way into a cluster: the kubeconfig that was registered, else the ServiceAccount of the pod this runs in, else the
 * default kubeconfig (`KUBECONFIG`, `~/.kube/config`). A context alone means the default kubeconfig.
 *
 * @throws SetupError that says what is wrong with it; a server whose certificate would not be verified is refused
 */
export async function findApiServer(
  way: { readonly kubeconfig?: string; readonly context?: string },
  environment: Environment,
): Promise<ApiServer> {
  if (way.kubeconfig === undefined && way.context === undefined && environment.serviceHost !== undefined)
    return inCluster(environment.serviceHost, environment.servicePort ?? '443')
  return fromKubeconfig(kubeconfigFiles(way.kubeconfig, environment), way.context)
}

async function inCluster(host: string, port: string): Promise<ApiServer> {
  return {
    url: apiUrl(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`, 'this pod'),
    ca: await readText(`${SERVICE_ACCOUNT}/ca.crt`, 'the authority of the ServiceAccount'),
    serverName: undefined,
    credentials: () => fromTokenFile(`${SERVICE_ACCOUNT}/token`),
  }
}

function kubeconfigFiles(file: string | undefined, { kubeconfig, home }: Environment): string[] {
  if (file !== undefined) return [file]
  if (kubeconfig !== undefined) return kubeconfig.split(delimiter).filter((part) => part !== '')
  if (home !== undefined) return [join(home, '.kube', 'config')]
  throw new SetupError('there is no kubeconfig: give --kubeconfig, or set KUBECONFIG')
}

type Named<T> = T & { readonly folder: string; readonly file: string }
type Kubeconfig = {
  readonly clusters: readonly Named<KubeCluster>[]
  readonly users: readonly Named<User & { readonly tokenFile?: string }>[]
  readonly contexts: readonly Named<Context>[]
  readonly current: string | undefined
}

async function fromKubeconfig(files: readonly string[], wanted: string | undefined): Promise<ApiServer> {
  // As kubectl does: of two entries with one name, the one in the earlier file holds.
  const all = await Promise.all(files.map(readKubeconfig))
  const named = files.map((file) => `"${oneLine(file)}"`).join(', ')
  const contextName = wanted ?? all.find(({ current }) => current !== undefined)?.current
  if (contextName === undefined)
    throw new SetupError(
      `the kubeconfig ${named} has no current context: give --context, or run kubectl config use-context`,
    )
  const contexts = all.flatMap((config) => config.contexts)
  const context = contexts.find(({ name }) => name === contextName)
  if (context === undefined) {
    const known = contexts.length === 0 ? 'none' : contexts.map(({ name }) => `"${oneLine(name)}"`).join(', ')
    throw new SetupError(
      `the kubeconfig ${named} has no context "${oneLine(contextName)}", it has ${oneLine(known)}: give --context`,
    )
  }
  const cluster = all.flatMap(({ clusters }) => clusters).find(({ name }) => name === context.cluster)
  if (cluster === undefined)
    throw new SetupError(
      `the kubeconfig ${named} lacks the cluster "${oneLine(String(context.cluster))}" of the context "${oneLine(contextName)}"`,
    )
  const user = all.flatMap(({ users }) => users).find(({ name }) => name === context.user)
  if (user === undefined)
    throw new SetupError(
      `the kubeconfig ${named} lacks the user "${oneLine(String(context.user))}" of the context "${oneLine(contextName)}"`,
    )
  if (cluster.skipTLSVerify)
    throw new SetupError(
      `the kubeconfig "${oneLine(cluster.file)}" says insecure-skip-tls-verify, so anybody could answer as the API server: replace it by certificate-authority-data`,
    )
  if (cluster.proxyUrl !== undefined)
    throw new SetupError(
      `the kubeconfig "${oneLine(cluster.file)}" says proxy-url, which is not supported: use a direct way`,
    )
  return {
    url: apiUrl(cluster.server, `the kubeconfig "${oneLine(cluster.file)}"`),
    ca: await fileOrData(cluster.folder, cluster.caFile, cluster.caData, 'certificate-authority'),
    serverName: cluster.tlsServerName,
    credentials: credentialsOf(user, cluster),
  }
}

async function readKubeconfig(file: string): Promise<Kubeconfig> {
  const text = await readText(file, 'the kubeconfig')
  try {
    const content: unknown = load(text)
    if (typeof content !== 'object' || content === null || Array.isArray(content))
      throw new Error('it is no YAML object')
    const entries = content as Readonly<Record<string, unknown>>
    const place = { folder: dirname(resolve(file)), file }
    const current = entries['current-context']
    const tokenFiles = tokenFilesOf(entries['users'])
    return {
      clusters: newClusters(entries['clusters']).map((cluster) => ({ ...cluster, ...place })),
      users: newUsers(entries['users']).map((user) => ({ ...user, ...place, ...tokenFiles.get(user.name) })),
      contexts: newContexts(entries['contexts']).map((context) => ({ ...context, ...place })),
      current: typeof current === 'string' && current !== '' ? current : undefined,
    }
  } catch (error) {
    throw new SetupError(`the kubeconfig "${oneLine(file)}" cannot be read: ${firstLine(error)}`)
  }
}

/** `tokenFile` of users, by name: the library reads another spelling. */
function tokenFilesOf(users: unknown): Map<string, { tokenFile: string }> {
  const found = new Map<string, { tokenFile: string }>()
  if (!Array.isArray(users)) return found
  for (const entry of users as { name?: unknown; user?: { tokenFile?: unknown } | null }[]) {
    const tokenFile = entry?.user?.tokenFile
    if (typeof entry?.name === 'string' && typeof tokenFile === 'string') found.set(entry.name, { tokenFile })
  }
  return found
}

function apiUrl(text: string, where: string): URL {
  if (!URL.canParse(text)) throw new SetupError(`the server in ${where} is no URL`)
  const url = new URL(text)
  if (url.protocol !== 'https:')
    throw new SetupError(
      `the server in ${where} is "${oneLine(url.protocol)}//", which proves nothing about who answers: use https`,
    )
  if (url.username !== '' || url.password !== '')
    throw new SetupError(`the server in ${where} holds a user or password in its URL: remove them`)
  return url
}

/** How a user proves who they are, decided once; what comes out is read for each request, since tokens are renewed. */
function credentialsOf(user: Kubeconfig['users'][number], cluster: KubeCluster): () => Promise<Credentials> {
  const impersonation: Record<string, string> = user.impersonateUser ? { 'Impersonate-User': user.impersonateUser } : {}
  const certificate = async (): Promise<Credentials['certificate']> => {
    const cert = await fileOrData(user.folder, user.certFile, user.certData, 'client-certificate')
    const key = await fileOrData(user.folder, user.keyFile, user.keyData, 'client-key')
    if (cert === undefined && key === undefined) return undefined
    if (cert === undefined || key === undefined)
      throw new SetupError(
        `the user "${oneLine(user.name)}" needs client-certificate and client-key, and has only one of them`,
      )
    return { cert, key }
  }
  const plugin = new ExecAuth()
  return async () => {
    let sent: Credentials
    if (user.exec) sent = await fromPlugin(plugin, user)
    else if (user.authProvider) sent = await fromAuthProvider(user, cluster)
    else if (user.token) sent = withoutCertificate(bearer(user.token.trim()))
    else if (user.tokenFile !== undefined) sent = await fromTokenFile(resolve(user.folder, user.tokenFile))
    else if (user.username) sent = withoutCertificate(basic(user.username, user.password ?? ''))
    else sent = { headers: {}, certificate: undefined, secrets: [] }
    return {
      headers: { ...sent.headers, ...impersonation },
      certificate: sent.certificate ?? (await certificate()),
      secrets: sent.secrets,
    }
  }
}

async function fromTokenFile(file: string): Promise<Credentials> {
  return withoutCertificate(bearer(await readSecret(file, 'the token file')))
}

function withoutCertificate(sent: SentCredentials): Credentials {
  return { ...sent, certificate: undefined }
}

/** A credential plugin (`aws eks get-token` and the like). The library runs it and keeps its answer until that expires. */
async function fromPlugin(plugin: ExecAuth, user: User): Promise<Credentials> {
  const { command, apiVersion, env } = user.exec as { command?: unknown; apiVersion?: unknown; env?: unknown }
  const name = `the credential plugin "${oneLine(typeof command === 'string' ? command : '')}"`
  const information = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } }
  const asked = {
    ...user,
    exec: {
      ...(user.exec as object),
      env: [
        ...(Array.isArray(env) ? (env as unknown[]) : []),
        { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(information) },
      ],
    },
  }
  const options: RequestOptions & { headers: Record<string, string> } = { headers: {} }
  try {
    await plugin.applyAuthentication(asked, options)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new SetupError(`${name} of the kubeconfig is not installed`)
    throw new SetupError(`${name} of the kubeconfig failed: ${withoutSecrets(firstLine(error), [])}`)
  }
  const authorization = options.headers['Authorization']
  const { cert, key } = options
  const hasCertificate = typeof cert === 'string' && typeof key === 'string'
  if (authorization === undefined && !hasCertificate)
    throw new SetupError(`${name} of the kubeconfig gave no credentials`)
  return {
    headers: authorization === undefined ? {} : { authorization },
    certificate: hasCertificate ? { cert, key } : undefined,
    secrets: authorization === undefined ? [] : [authorization.replace(/^Bearer /, '')],
  }
}

/** The older way of OIDC and of clouds. Rare, so its library is loaded only here. */
async function fromAuthProvider(user: User, cluster: KubeCluster): Promise<Credentials> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromClusterAndUser(cluster, user)
  const options: RequestOptions & { headers: Record<string, string> } = { headers: {} }
  try {
    await config.applyToHTTPSOptions(options)
  } catch (error) {
    throw new SetupError(
      `the auth-provider of the user "${oneLine(user.name)}" failed: ${withoutSecrets(firstLine(error), [])}`,
    )
  }
  const authorization = options.headers['Authorization']
  if (authorization === undefined)
    throw new SetupError(`the auth-provider of the user "${oneLine(user.name)}" gave no credentials`)
  return { headers: { authorization }, certificate: undefined, secrets: [authorization.replace(/^Bearer /, '')] }
}

async function fileOrData(
  folder: string,
  file: string | undefined | null,
  data: string | undefined | null,
  name: string,
): Promise<string | undefined> {
  // As kubectl does: data holds where both are given.
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString('utf8')
  if (typeof file === 'string' && file !== '') return readText(resolve(folder, file), `the ${name}`)
  return undefined
}

/** YAML errors go on with an excerpt of the file, which may hold credentials. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return oneLine(text.trim().split('\n')[0] ?? '')
}

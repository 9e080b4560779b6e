import { execFile, spawn } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { stat } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { isIPv6 } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
// Deep imports: the package's index and its `config.js` load every generated API, 0.5 s of CPU for each command (measured).
import { newClusters, newContexts, newUsers } from '@kubernetes/client-node/dist/config_types.js'
import type { Cluster as KubeCluster, Context, User } from '@kubernetes/client-node/dist/config_types.js'
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js'
import { load } from 'js-yaml'
import { basicCredentials, bearer, readSecret, readText } from '../../net/credential-files.ts'
import type { SentCredentials } from '../../net/credential-files.ts'
import type { CredentialPlaces } from '../../net/credential-places.ts'
import { oneLine, withoutSecrets } from '../../text/redact.ts'
import { SetupError } from '../../net/errors.ts'

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
  /** Where credentials are read; undefined: anywhere. */
  readonly places?: CredentialPlaces | undefined
  /** All that a plugin gets of the environment, beside what the kubeconfig gives it. */
  readonly pluginEnvironment?: Readonly<Record<string, string>> | undefined
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
  const isRegistered = way.kubeconfig !== undefined
  return fromKubeconfig(kubeconfigFiles(way.kubeconfig, environment), way.context, environment, isRegistered)
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

async function fromKubeconfig(
  files: readonly string[],
  wanted: string | undefined,
  environment: Environment,
  isRegistered: boolean,
): Promise<ApiServer> {
  // What the environment names was named at the start, and so was what a kubeconfig names from there on.
  const anywhere = environment.places === undefined ? undefined : { never: environment.places.never }
  // As kubectl does: of two entries with one name, the one in the earlier file holds.
  const all = await Promise.all(files.map((file) => readKubeconfig(file, isRegistered ? environment.places : anywhere)))
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
    credentials: credentialsOf(user, cluster, { ...environment, places: anywhere }),
  }
}

async function readKubeconfig(file: string, places: CredentialPlaces | undefined): Promise<Kubeconfig> {
  const text = await readText(file, 'the kubeconfig', places)
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
function credentialsOf(
  user: Kubeconfig['users'][number],
  cluster: KubeCluster,
  { places, pluginEnvironment = {} }: Environment,
): () => Promise<Credentials> {
  const impersonation: Record<string, string> = user.impersonateUser ? { 'Impersonate-User': user.impersonateUser } : {}
  const certificate = async (): Promise<Credentials['certificate']> => {
    const cert = await fileOrData(user.folder, user.certFile, user.certData, 'client-certificate', places)
    const key = await fileOrData(user.folder, user.keyFile, user.keyData, 'client-key', places)
    if (cert === undefined && key === undefined) return undefined
    if (cert === undefined || key === undefined)
      throw new SetupError(
        `the user "${oneLine(user.name)}" needs client-certificate and client-key, and has only one of them`,
      )
    return { cert, key }
  }
  const plugin = pluginIn(pluginEnvironment, user)
  return async () => {
    let sent: Credentials
    if (user.exec) sent = await fromPlugin(plugin, user)
    else if (user.authProvider) sent = await fromAuthProvider(user, cluster, pluginEnvironment)
    else if (user.token) sent = withoutCertificate(bearer(user.token.trim()))
    else if (user.tokenFile !== undefined) sent = await fromTokenFile(resolve(user.folder, user.tokenFile), places)
    else if (user.username) sent = withoutCertificate(basicCredentials(user.username, user.password ?? ''))
    else sent = { headers: {}, certificate: undefined, secrets: [] }
    return {
      headers: { ...sent.headers, ...impersonation },
      certificate: sent.certificate ?? (await certificate()),
      secrets: sent.secrets,
    }
  }
}

async function fromTokenFile(file: string, places?: CredentialPlaces): Promise<Credentials> {
  return withoutCertificate(bearer(await readSecret(file, 'the token file', places)))
}

function withoutCertificate(sent: SentCredentials): Credentials {
  return { ...sent, certificate: undefined }
}

/** Runs plugins with the environment that is named, and what the kubeconfig gives them, and nothing else of ours: it names the log's key, among others. */
function pluginIn(environment: Readonly<Record<string, string>>, user: User): ExecAuth {
  const plugin = new ExecAuth()
  const { env } = (user.exec ?? {}) as { env?: unknown }
  const given = new Set(Array.isArray(env) ? (env as { name?: unknown }[]).map(({ name }) => name) : [])
  const execFn = (
    command: string,
    args: readonly string[],
    { env: all = {}, ...options }: SpawnOptions,
  ): ChildProcess => {
    const named = Object.entries(all).filter(([name]) => given.has(name) || name === EXEC_INFO)
    return spawn(command, args, { ...options, env: { ...environment, ...Object.fromEntries(named) } })
  }
  // It gives commands all of our environment, and its types hide how it starts them.
  return Object.assign(plugin, { execFn })
}

const EXEC_INFO = 'KUBERNETES_EXEC_INFO'

/**
 * A kubeconfig can name a command, so it must be the operator's own: of whoever runs this, or of root, and nobody else may write it.
 *
 * @throws SetupError
 */
async function refuseForeign(user: Named<User>): Promise<void> {
  const { mode, uid } = await stat(user.file)
  const own = process.getuid?.()
  const isOwn = own === undefined || uid === own || uid === 0
  if (isOwn && (mode & 0o022) === 0) return
  throw new SetupError(
    `the kubeconfig "${oneLine(user.file)}" names a command, which is not run: ${isOwn ? 'others than its owner may write it, run "chmod go-w" on it and judge whether they have' : 'it belongs to another user'}`,
  )
}

/** A credential plugin (`aws eks get-token` and the like). The library runs it and keeps its answer until that expires. */
async function fromPlugin(plugin: ExecAuth, user: Named<User>): Promise<Credentials> {
  await refuseForeign(user)
  const { command, apiVersion, env } = user.exec as { command?: unknown; apiVersion?: unknown; env?: unknown }
  const name = `the credential plugin "${oneLine(typeof command === 'string' ? command : '')}"`
  const information = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } }
  const asked = {
    ...user,
    exec: {
      ...(user.exec as object),
      env: [...(Array.isArray(env) ? (env as unknown[]) : []), { name: EXEC_INFO, value: JSON.stringify(information) }],
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
async function fromAuthProvider(
  user: Named<User>,
  cluster: KubeCluster,
  environment: Readonly<Record<string, string>>,
): Promise<Credentials> {
  await runTokenCommand(user, environment)
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

type TokenCommand = Readonly<Record<'cmd-path' | 'cmd-args' | 'token-key' | 'expiry-key' | 'expiry', unknown>> & {
  'access-token'?: unknown
  expiry?: unknown
}

/**
 * The command (`cmd-path`) of the older way of clouds, where its last token is over. The library would give it all of our environment, and a shell; with
 * the token in place it runs none.
 */
async function runTokenCommand(user: Named<User>, environment: Readonly<Record<string, string>>): Promise<void> {
  const { config } = (user.authProvider ?? {}) as { config?: TokenCommand }
  const command = config?.['cmd-path']
  if (config === undefined || typeof command !== 'string') return
  await refuseForeign(user)
  const expiry = Date.parse(String(config.expiry))
  if (config['access-token'] !== undefined && (Number.isNaN(expiry) || expiry > Date.now())) return
  const args = typeof config['cmd-args'] === 'string' ? config['cmd-args'].split(/\s+/).filter((arg) => arg !== '') : []
  const name = `the command "${oneLine(command)}" of the user "${oneLine(user.name)}"`
  let answer: unknown
  try {
    const { stdout } = await promisify(execFile)(command, args, { env: environment, timeout: 60_000 })
    answer = JSON.parse(stdout)
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw new SetupError(isAbsent ? `${name} is not installed` : `${name} failed, or gave no JSON`)
  }
  const token = memberOf(answer, config['token-key'] ?? '{.access_token}')
  if (typeof token !== 'string' || token === '') throw new SetupError(`${name} gave no token`)
  const until = memberOf(answer, config['expiry-key'] ?? '{.token_expiry}')
  config['access-token'] = token
  config.expiry = typeof until === 'string' ? until : new Date(Date.now() + 60_000).toISOString()
}

/** What a path such as `{.credential.access_token}` leads to. */
function memberOf(value: unknown, path: unknown): unknown {
  const names = String(path)
    .replaceAll(/[{}]/g, '')
    .split('.')
    .filter((name) => name !== '')
  return names.reduce<unknown>((part, name) => {
    const isObject = typeof part === 'object' && part !== null && Object.hasOwn(part, name)
    return isObject ? (part as Record<string, unknown>)[name] : undefined
  }, value)
}

async function fileOrData(
  folder: string,
  file: string | undefined | null,
  data: string | undefined | null,
  name: string,
  places?: CredentialPlaces,
): Promise<string | undefined> {
  // As kubectl does: data holds where both are given.
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString('utf8')
  if (typeof file === 'string' && file !== '') return readText(resolve(folder, file), `the ${name}`, places)
  return undefined
}

/** YAML errors go on with an excerpt of the file, which may hold credentials. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return oneLine(text.trim().split('\n')[0] ?? '')
}

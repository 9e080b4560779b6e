import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { isIPv6 } from 'node:net'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import * as z from 'zod'
import { basicCredentials, bearer, readSecret, readText } from '../../net/credential-files.ts'
import type { SentCredentials } from '../../net/credential-files.ts'
import type { CredentialPlaces } from '../../net/credential-places.ts'
import { type ExecPlugin, type KubeUser, firstLine, readKubeconfig } from './read-kubeconfig.ts'
import { oneLine, withoutSecrets } from '../../text/redact.ts'
import { SetupError } from '../../net/errors.ts'
import { parseJson } from '../../text/parse-json.ts'

/** Environment settings for reaching clusters; see lib/config.ts. */
export type Environment = {
  readonly kubeconfig: string | undefined
  readonly home: string | undefined
  readonly serviceHost: string | undefined
  readonly servicePort: string | undefined
  /** Endpoint of EKS; undefined: the one of the cluster's region. */
  readonly eksEndpoint?: string | undefined
  /** The only networks to connect to; undefined: all except those of metadata services and the like. */
  readonly allowedNetworks?: string | undefined
  /** Where credentials may be read; undefined: anywhere. */
  readonly places?: CredentialPlaces | undefined
  /** The whole environment of a plugin, except for what the kubeconfig adds. */
  readonly pluginEnvironment?: Readonly<Record<string, string>> | undefined
}

/** The URL and credentials of an API server. Read anew for each command, never stored. */
export type ApiServer = {
  readonly url: URL
  /** Trusted authorities; undefined: those of Node. */
  readonly ca: string | undefined
  readonly serverName: string | undefined
  /**
   * Credentials for one request. Throws SetupError if a file or a credential plugin fails.
   *
   * @param refused the `authorization` that the server refused just now: return another one if available
   */
  readonly credentials: (refused?: string) => Promise<Credentials>
}

type Credentials = SentCredentials & {
  /** A client certificate with its key, PEM. */
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Finds the connection to a cluster: the registered kubeconfig, else the ServiceAccount of the pod this runs in, else the default kubeconfig (`KUBECONFIG`,
 * `~/.kube/config`). A context alone means the default kubeconfig.
 *
 * @throws SetupError that says what is wrong with it; a server whose certificate would not be verified is refused
 */
export async function findApiServer(
  way: { readonly kubeconfig?: string; readonly context?: string },
  environment: Environment,
  closing: AbortSignal,
): Promise<ApiServer> {
  if (way.kubeconfig === undefined && way.context === undefined && environment.serviceHost !== undefined)
    return inCluster(environment.serviceHost, environment.servicePort ?? '443')
  const isRegistered = way.kubeconfig !== undefined
  return fromKubeconfig(kubeconfigFiles(way.kubeconfig, environment), way.context, {
    environment,
    closing,
    isRegistered,
  })
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
  const usual = home === undefined ? undefined : join(home, '.kube', 'config')
  if (usual !== undefined && existsSync(usual)) return [usual]
  const where = usual === undefined ? '' : ` at "${oneLine(usual)}"`
  throw new SetupError(`there is no kubeconfig${where}: give --kubeconfig, or set KUBECONFIG`)
}

async function fromKubeconfig(
  files: readonly string[],
  wanted: string | undefined,
  {
    environment,
    closing,
    isRegistered,
  }: { readonly environment: Environment; readonly closing: AbortSignal; readonly isRegistered: boolean },
): Promise<ApiServer> {
  // The environment is set by the operator at the start, and so is everything that its kubeconfig names.
  const anywhere = environment.places === undefined ? undefined : { never: environment.places.never }
  // Like kubectl: of two entries with one name, the one in the earlier file is used.
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
  if (cluster['insecure-skip-tls-verify'] === true)
    throw new SetupError(
      `the kubeconfig "${oneLine(cluster.file)}" says insecure-skip-tls-verify, so anybody could answer as the API server: replace it by certificate-authority-data`,
    )
  if (typeof cluster['proxy-url'] === 'string')
    throw new SetupError(
      `the kubeconfig "${oneLine(cluster.file)}" says proxy-url, which is not supported: use a direct way`,
    )
  return {
    url: apiUrl(cluster.server.replace(/\/$/, ''), `the kubeconfig "${oneLine(cluster.file)}"`),
    ca: await fileOrData(
      cluster.folder,
      cluster['certificate-authority'],
      cluster['certificate-authority-data'],
      'certificate-authority',
    ),
    serverName: cluster['tls-server-name'] ?? undefined,
    credentials: credentialsOf(user, anywhere, {
      environment: environment.pluginEnvironment ?? {},
      closing,
    }),
  }
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

/** Environment and abort signal of a kubeconfig command. */
type CommandOptions = {
  readonly environment: Readonly<Record<string, string>>
  /** Aborts a command that hangs, which would otherwise keep the process alive until its timeout. */
  readonly closing: AbortSignal
}

/** How a user authenticates, decided once; the credentials are read for each request, since tokens are renewed. */
function credentialsOf(
  user: KubeUser,
  places: CredentialPlaces | undefined,
  options: CommandOptions,
): () => Promise<Credentials> {
  const impersonation: Record<string, string> = user.as ? { 'Impersonate-User': user.as } : {}
  const certificate = async (): Promise<Credentials['certificate']> => {
    const cert = await fileOrData(
      user.folder,
      user['client-certificate'],
      user['client-certificate-data'],
      'client-certificate',
      places,
    )
    const key = await fileOrData(user.folder, user['client-key'], user['client-key-data'], 'client-key', places)
    if (cert === undefined && key === undefined) return undefined
    if (cert === undefined || key === undefined)
      throw new SetupError(
        `the user "${oneLine(user.name)}" needs client-certificate and client-key, and has only one of them`,
      )
    return { cert, key }
  }
  const plugin = user.exec ? pluginOf(user.exec, user, options) : undefined
  return async () => {
    let sent: Credentials
    if (plugin !== undefined) sent = await plugin()
    else if (user['auth-provider']) sent = await fromAuthProvider(user, user['auth-provider'], options)
    else if (user.token) sent = withoutCertificate(bearer(user.token.trim()))
    else if (user.tokenFile) sent = await fromTokenFile(resolve(user.folder, user.tokenFile), places)
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

/**
 * A kubeconfig can name a command, so it must belong to the current user or root, and must not be writable by others.
 *
 * @throws SetupError
 */
async function refuseForeign(user: KubeUser): Promise<void> {
  const { mode, uid } = await stat(user.file)
  const own = process.getuid?.()
  const isOwn = own === undefined || uid === own || uid === 0
  if (isOwn && (mode & 0o022) === 0) return
  throw new SetupError(
    `the kubeconfig "${oneLine(user.file)}" names a command, which is not run: ${isOwn ? 'others than its owner may write it, run "chmod go-w" on it and judge whether they have' : 'it belongs to another user'}`,
  )
}

const credentialSchema = z.object({
  status: z.object({
    token: z.string().nullish(),
    clientCertificateData: z.string().nullish(),
    clientKeyData: z.string().nullish(),
    expirationTimestamp: z.string().nullish(),
  }),
})

/**
 * A credential plugin (`aws eks get-token` and the like), whose answer is cached until it expires. It runs with the allowed environment and the kubeconfig's
 * additions only: ours names the log's key, among others.
 */
function pluginOf(
  { command, args, env, apiVersion }: ExecPlugin,
  user: KubeUser,
  { environment, closing }: CommandOptions,
): () => Promise<Credentials> {
  const name = `the credential plugin "${oneLine(command ?? '')}" of the kubeconfig`
  const information = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } }
  const given = Object.fromEntries((env ?? []).map(({ name: variable, value }) => [variable, value]))
  let kept: { readonly sent: Credentials; readonly until: number } | undefined
  return async () => {
    await refuseForeign(user)
    if (kept !== undefined && kept.until > Date.now()) return kept.sent
    if (!command) throw new SetupError(`${name} failed: it has no command`)
    const stdout = await answerOf(name, command, args ?? [], {
      environment: { ...environment, ...given, KUBERNETES_EXEC_INFO: JSON.stringify(information) },
      closing,
    })
    const { data } = credentialSchema.safeParse(parseJson(stdout))
    if (data === undefined) throw new SetupError(`${name} failed: it gave no ExecCredential`)
    const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = data.status
    const certificate = cert && key ? { cert, key } : undefined
    if (!token && certificate === undefined) throw new SetupError(`${name} gave no credentials`)
    const sent = { ...(token ? bearer(token) : { headers: {}, secrets: [] }), certificate }
    kept = { sent, until: expirationTimestamp ? Date.parse(expirationTimestamp) : Infinity }
    return sent
  }
}

/** The output of a kubeconfig command. Throws SetupError with the reason if it fails. */
async function answerOf(
  name: string,
  command: string,
  args: readonly string[],
  { environment, closing }: CommandOptions,
): Promise<string> {
  try {
    const options = { env: environment, timeout: COMMAND_TIMEOUT_MS, signal: closing }
    return (await promisify(execFile)(command, args, options)).stdout
  } catch (error) {
    const { code, stderr = '' } = error as { readonly code?: unknown; readonly stderr?: string }
    if (code === 'ENOENT') throw new SetupError(`${name} is not installed`)
    throw new SetupError(`${name} failed: ${withoutSecrets(firstLine(stderr), []) || `it ended with ${String(code)}`}`)
  }
}

const COMMAND_TIMEOUT_MS = 60_000

type AuthProvider = NonNullable<KubeUser['auth-provider']>

/** Legacy auth providers of OIDC and clouds. Rare, so their library, which takes longer to load than a command to run, is loaded only here. */
async function fromAuthProvider(user: KubeUser, provider: AuthProvider, options: CommandOptions): Promise<Credentials> {
  refuseMoreWays(user, provider)
  await runTokenCommand(user, provider, options)
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  // Only the server's name is needed.
  const server = { name: 'server', server: '', skipTLSVerify: false }
  config.loadFromClusterAndUser(server, { name: user.name, authProvider: provider })
  const request: RequestOptions & { headers: Record<string, string> } = { headers: {} }
  try {
    await config.applyToHTTPSOptions(request)
  } catch (error) {
    throw new SetupError(
      `the auth-provider of the user "${oneLine(user.name)}" failed: ${withoutSecrets(firstLine(error), [])}`,
    )
  }
  const authorization = request.headers['Authorization']
  if (authorization === undefined)
    throw new SetupError(`the auth-provider of the user "${oneLine(user.name)}" gave no credentials`)
  return { headers: { authorization }, certificate: undefined, secrets: [authorization.replace(/^Bearer /, '')] }
}

/** The library supports two more kinds, which Kubernetes never had: they would read any file, and run any command with our whole environment. */
function refuseMoreWays({ name }: KubeUser, { name: kind, config }: AuthProvider): void {
  const of = `the auth-provider of the user "${oneLine(name)}"`
  if (kind === 'tokenFile' || config?.['tokenFile'])
    throw new SetupError(`${of} names a file, which is not read: use tokenFile`)
  if (kind === 'exec' || config?.['exec']) throw new SetupError(`${of} names a plugin, which is not run: use exec`)
}

type TokenCommand = Readonly<Record<'cmd-path' | 'cmd-args' | 'token-key' | 'expiry-key' | 'expiry', unknown>> & {
  'access-token'?: unknown
  expiry?: unknown
}

/**
 * Runs the command (`cmd-path`) of a legacy auth provider after its last token expired. The library would give it our whole environment, and a shell; with a
 * token in place it runs none.
 */
async function runTokenCommand(user: KubeUser, provider: AuthProvider, options: CommandOptions): Promise<void> {
  const config = provider.config as TokenCommand | null | undefined
  const command = config?.['cmd-path']
  if (!config || typeof command !== 'string') return
  await refuseForeign(user)
  const expiry = Date.parse(String(config.expiry))
  if (config['access-token'] !== undefined && (Number.isNaN(expiry) || expiry > Date.now())) return
  const args = typeof config['cmd-args'] === 'string' ? config['cmd-args'].split(/\s+/).filter((arg) => arg !== '') : []
  const name = `the command "${oneLine(command)}" of the user "${oneLine(user.name)}"`
  const answer = parseJson(await answerOf(name, command, args, options))
  const token = memberOf(answer, config['token-key'] ?? '{.access_token}')
  if (typeof token !== 'string' || token === '') throw new SetupError(`${name} gave no token`)
  const until = memberOf(answer, config['expiry-key'] ?? '{.token_expiry}')
  config['access-token'] = token
  config.expiry = typeof until === 'string' ? until : new Date(Date.now() + 60_000).toISOString()
}

/** The value at a path such as `{.credential.access_token}`. */
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
  // Like kubectl: data is used if both are given.
  if (data) return Buffer.from(data, 'base64').toString('utf8')
  return file ? readText(resolve(folder, file), `the ${name}`, places) : undefined
}

import { X509Certificate } from 'node:crypto'
import * as z from 'zod'
import { mayCarryCredentials } from '../../net/may-carry-credentials.ts'
import { isManagedSecret } from '../../net/secret-name.ts'
import { timeOf, toTime } from '../../time/windows.ts'
import { WINDOW_MINUTES } from '../../model/time.ts'
import type { ApiServerAddress, Cluster, EksCluster, PrometheusAuth, ProxiesSetting } from '../../model/registry.ts'
import type { WindowMinutes, WindowSetting } from '../../model/time.ts'
import { isClusterId } from '../keys.ts'

/** An operator's settings of a cluster. An absent one keeps its value, or takes its default for a new cluster. */
export type ClusterOptions = {
  readonly id: string
  readonly kubeconfig?: string
  readonly context?: string
  /** Replaces a kubeconfig and a context, and they replace it. */
  readonly eks?: EksCluster
  /** Replaces both, and they replace it. */
  readonly apiServer?: ApiServerAddress
  /** True: only its agent reaches it. Replaces all other connections, and they replace it. */
  readonly agent?: boolean
  /** Null: none, Prometheus is reached by port-forward. */
  readonly prometheusUrl?: string | null
  /** True: there is no Prometheus; false: there is one again. Naming one has the same effect. */
  readonly noPrometheus?: boolean
  /** Null: no proxy is read by its pod's name. */
  readonly proxies?: ProxiesSetting | null
  /** Replaces all earlier credentials. */
  readonly prometheusAuth?: PrometheusAuth
  /** Seconds, 1 to {@link MAX_TAP_SECONDS}; null: nothing is tapped, as by default. */
  readonly tapSeconds?: number | null
  /** The cluster is a replay, which this sentence describes. */
  readonly replay?: string
  /** Default `linkerd`. */
  readonly linkerdNamespace?: string
  /** Default `linkerd-viz`. */
  readonly vizNamespace?: string
  /** Default 60. */
  readonly windowMinutes?: number
}

/** Invalid settings of a cluster: one line that never holds a credential. */
export class ClusterOptionError extends Error {
  override readonly name = 'ClusterOptionError'
}

const DEFAULTS = { linkerdNamespace: 'linkerd', vizNamespace: 'linkerd-viz', windowMinutes: 60 } as const

/** The first setting applies from the beginning of time, so windows before the registration can be collected, too. */
const BEGINNING = '1970-01-01T00:00:00Z'

const DAY_SECONDS = 24 * 60 * 60

/** Longest tap of workloads in a collection: a sample, not a recording. */
export const MAX_TAP_SECONDS = 60

const namespace = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)

/** A registered cluster as stored. Unknown members are kept. */
export const clusterSchema: z.ZodType<Cluster> = z.looseObject({
  id: z.string().refine(isClusterId),
  registeredAt: z.iso.datetime(),
  kubeconfig: z.string().exactOptional(),
  context: z.string().exactOptional(),
  eks: z.looseObject({ name: z.string(), region: z.string(), roleArn: z.string().exactOptional() }).exactOptional(),
  apiServer: z
    .looseObject({
      url: z.string(),
      ca: z.string(),
      tokenFile: z.string().exactOptional(),
      tokenSecret: z.string().exactOptional(),
    })
    .exactOptional(),
  prometheusUrl: z.string().exactOptional(),
  prometheusAuth: z
    .looseObject({
      tokenFile: z.string().exactOptional(),
      user: z.string().exactOptional(),
      passwordFile: z.string().exactOptional(),
      certFile: z.string().exactOptional(),
      keyFile: z.string().exactOptional(),
      caFile: z.string().exactOptional(),
      sigv4Region: z.string().exactOptional(),
      sigv4RoleArn: z.string().exactOptional(),
    })
    .exactOptional(),
  tapSeconds: z.int().min(1).max(MAX_TAP_SECONDS).exactOptional(),
  agent: z.literal(true).exactOptional(),
  noPrometheus: z.literal(true).exactOptional(),
  replay: z.string().exactOptional(),
  proxies: z.enum(['auto', 'all']).exactOptional(),
  linkerdNamespace: namespace,
  vizNamespace: namespace,
  windows: z.array(z.looseObject({ since: z.iso.datetime(), minutes: z.literal(WINDOW_MINUTES) })).min(1),
})

/** A cluster as {@link addCluster} would register it as new, without a store. Throws {@link ClusterOptionError} for invalid settings. */
export function newRegistration(options: ClusterOptions, now: Date): Cluster {
  checkOptions(options)
  return changeRegistration(newCluster(options, now), options, now)
}

function newCluster({ id, windowMinutes = DEFAULTS.windowMinutes }: ClusterOptions, now: Date): Cluster {
  const minutes = toWindowMinutes(id, windowMinutes)
  const { linkerdNamespace, vizNamespace } = DEFAULTS
  const windows = [{ since: BEGINNING, minutes }]
  return { id, registeredAt: timeOf(now), linkerdNamespace, vizNamespace, windows }
}

/** A cluster with the given settings changed. Throws {@link ClusterOptionError}. */
export function changeRegistration(
  cluster: Cluster,
  { windowMinutes, ...options }: ClusterOptions,
  now: Date,
): Cluster {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const windows =
    windowMinutes === undefined
      ? cluster.windows
      : withWindow(cluster.windows, toWindowMinutes(cluster.id, windowMinutes), now)
  const {
    prometheusUrl: url,
    prometheusAuth,
    noPrometheus,
    proxies,
    tapSeconds,
    agent,
    ...rest
  } = { ...withWay(cluster, options), ...given, windows }
  const isNamed = options.prometheusUrl !== undefined && options.noPrometheus !== true
  const isWithout = noPrometheus === true && !isNamed
  const changed = {
    ...rest,
    ...(agent === true ? { agent } : {}),
    ...(isWithout ? { noPrometheus } : {}),
    ...(typeof tapSeconds === 'number' ? { tapSeconds } : {}),
    ...(proxies === undefined || proxies === null ? {} : { proxies }),
  }
  const prometheusUrl = isWithout ? null : url
  if (typeof prometheusUrl !== 'string') return changed
  // Never send one server's credentials to another.
  const isKept = options.prometheusAuth !== undefined || originOf(cluster.prometheusUrl) === originOf(prometheusUrl)
  const auth = isKept && prometheusAuth !== undefined ? { prometheusAuth } : {}
  return { ...changed, prometheusUrl, ...auth }
}

/** The cluster without the connection that the given options replace. */
function withWay(cluster: Cluster, options: Omit<ClusterOptions, 'windowMinutes'>): Cluster {
  const [given] = waysIn(options)
  const dropped: readonly string[] = WAYS.filter((names) => given !== undefined && names !== given).flat()
  return Object.fromEntries(Object.entries(cluster).filter(([name]) => !dropped.includes(name))) as Cluster
}

/** The kinds of connections to an API server, by their options. */
const WAYS = [['kubeconfig', 'context'], ['eks'], ['apiServer'], ['agent']] as const

function waysIn(options: Omit<ClusterOptions, 'windowMinutes'>): readonly (typeof WAYS)[number][] {
  return WAYS.filter((names) => names.some((name) => options[name] !== undefined))
}

function originOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : URL.parse(url)?.origin
}

/** A future window size is replaced; one that was in force for any time stays in the list. */
function withWindow(windows: readonly WindowSetting[], minutes: WindowMinutes, now: Date): readonly WindowSetting[] {
  if (windows.at(-1)?.minutes === minutes) return windows
  const inForce = windows.filter(({ since }, index) => index === 0 || Date.parse(since) <= now.getTime())
  if (inForce.at(-1)?.minutes === minutes) return inForce
  const midnight = (Math.floor(now.getTime() / 1000 / DAY_SECONDS) + 1) * DAY_SECONDS
  return [...inForce, { since: toTime(midnight), minutes }]
}

function toWindowMinutes(id: string, minutes: number): WindowMinutes {
  const known = WINDOW_MINUTES.find((one) => one === minutes)
  if (known !== undefined) return known
  throw optionError(id, `a window has ${WINDOW_MINUTES.join(', ')} minutes, not ${minutes}`)
}

/** Throws {@link ClusterOptionError} for settings that are invalid for any cluster. */
export function checkOptions(options: ClusterOptions): void {
  const { id } = options
  if (!isClusterId(id)) {
    throw optionError(id, 'an id has 1 to 63 of "a-z", "0-9" and "-", and neither begins nor ends with "-"')
  }
  if (options.windowMinutes !== undefined) toWindowMinutes(id, options.windowMinutes)
  for (const name of [options.linkerdNamespace, options.vizNamespace]) {
    if (name !== undefined && !namespace.safeParse(name).success) {
      throw optionError(id, `${JSON.stringify(name)} is not the name of a namespace`)
    }
  }
  for (const [what, text] of [
    ['kubeconfig', options.kubeconfig],
    ['context', options.context],
  ] as const) {
    // No control characters: lists print this text.
    if (text !== undefined && (text === '' || /\p{C}/u.test(text))) {
      throw optionError(id, `${JSON.stringify(text)} is not the name of a ${what}`)
    }
  }
  if (waysIn(options).length > 1)
    throw optionError(
      id,
      'its API server is reached by a kubeconfig, by EKS, by its address or by an agent, and more than one is given',
    )
  const { tapSeconds = null } = options
  if (tapSeconds !== null && !(Number.isInteger(tapSeconds) && tapSeconds >= 1 && tapSeconds <= MAX_TAP_SECONDS))
    throw optionError(id, `workloads are tapped for 1 to ${MAX_TAP_SECONDS} seconds, not ${tapSeconds}`)
  if (options.eks !== undefined) checkEks(id, options.eks)
  if (options.apiServer !== undefined) checkApiServer(id, options.apiServer)
  if (
    options.noPrometheus === true &&
    (typeof options.prometheusUrl === 'string' || options.prometheusAuth !== undefined)
  )
    throw optionError(id, 'it has either no Prometheus or the one that is given')
  if (typeof options.prometheusUrl === 'string') checkPrometheusUrl(id, options.prometheusUrl)
}

/** Never quotes the URL: its problem may be the credential inside. */
function checkPrometheusUrl(id: string, text: string): void {
  const url = URL.parse(text)
  if (url === null || !/^https?:\/\/[^\s\p{C}]+$/iu.test(text)) {
    throw optionError(
      id,
      'its Prometheus URL must be one such as http://127.0.0.1:9090 or https://prometheus.example/path',
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw optionError(
      id,
      'its Prometheus URL holds a credential, which would be stored; name the file that holds it, with --prometheus-token-file or --prometheus-password-file',
    )
  }
  if (/[?#]/.test(text)) throw optionError(id, 'its Prometheus URL must have neither a query nor a fragment')
}

/** Never quotes possible credentials. */
function checkApiServer(id: string, { url: text, ca, tokenFile, tokenSecret }: ApiServerAddress): void {
  const url = URL.parse(text)
  if (url === null || !/^https:\/\/[^\s\p{C}]+$/iu.test(text) || /[?#]/.test(text) || text.endsWith('/'))
    throw optionError(id, 'the address of its API server must be one such as https://api.prod.example:6443')
  if (url.username !== '' || url.password !== '')
    throw optionError(
      id,
      'the address of its API server holds a credential, which would be stored; name the file or the secret that holds the token',
    )
  if (!isCertificates(ca))
    throw optionError(id, 'the authority of its API server must be certificates in PEM, and nothing else')
  if ((tokenFile === undefined) === (tokenSecret === undefined))
    throw optionError(id, 'the token for its API server lies either in a file or in a secret of AWS')
  if (tokenFile !== undefined && (tokenFile === '' || /\p{C}/u.test(tokenFile)))
    throw optionError(id, `${JSON.stringify(tokenFile)} is not the name of a file`)
  if (tokenSecret !== undefined && !isManagedSecret(tokenSecret))
    throw optionError(id, 'the secret that holds its token is named by a name or an ARN of AWS Secrets Manager')
}

/** Whether a text is one or more certificates in PEM, all of them readable, and nothing else. */
function isCertificates(text: string): boolean {
  const certificate = /-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----\s*/g
  const blocks = text.match(certificate) ?? []
  if (blocks.length === 0 || text.replaceAll(certificate, '').trim() !== '') return false
  try {
    return blocks.every((block) => new X509Certificate(block).fingerprint256 !== '')
  } catch {
    return false
  }
}

function checkEks(id: string, { name, region, roleArn }: EksCluster): void {
  if (!/^[0-9A-Za-z][-_0-9A-Za-z]{0,99}$/.test(name))
    throw optionError(id, `${JSON.stringify(name)} is not the name of a cluster in EKS`)
  checkAws(id, region, roleArn)
}

function checkAws(id: string, region: string, roleArn: string | undefined): void {
  if (!/^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/.test(region))
    throw optionError(id, `${JSON.stringify(region)} is not a region of AWS, such as eu-central-1`)
  if (roleArn !== undefined && !/^arn:aws[-a-z]*:iam::\d{12}:role\/[-\w+=,.@/]{1,512}$/.test(roleArn))
    throw optionError(
      id,
      `${JSON.stringify(roleArn)} is not the ARN of a role, such as arn:aws:iam::123456789012:role/auditor`,
    )
}

/** Throws {@link ClusterOptionError} for credentials that exclude each other, or do not fit the URL of Prometheus. */
export function checkAuth(id: string, auth: PrometheusAuth, url: string | undefined): void {
  const { tokenFile, user, passwordFile, certFile, keyFile, sigv4Region, sigv4RoleArn } = auth
  if (url === undefined)
    throw optionError(id, 'credentials for Prometheus go with its URL, and none is given or registered')
  if (tokenFile !== undefined && (user !== undefined || passwordFile !== undefined))
    throw optionError(id, 'Prometheus takes either a token or a user with a password')
  if (sigv4Region === undefined && sigv4RoleArn !== undefined)
    throw optionError(id, 'a role for Prometheus goes with the region that requests to it are signed for')
  if (sigv4Region !== undefined && (tokenFile ?? user ?? passwordFile) !== undefined)
    throw optionError(id, 'Prometheus takes either a signature of AWS, or a token or a user with a password')
  if (sigv4Region !== undefined) checkAws(id, sigv4Region, sigv4RoleArn)
  if ((user === undefined) !== (passwordFile === undefined))
    throw optionError(id, 'a user of Prometheus and the file of its password go together')
  if ((certFile === undefined) !== (keyFile === undefined))
    throw optionError(id, 'a client certificate for Prometheus and its key go together')
  for (const text of Object.values(auth))
    if (text === '' || /\p{C}/u.test(text))
      throw optionError(id, `${JSON.stringify(text)} is not the name of a file or user`)
  const parsed = new URL(url)
  if ((tokenFile ?? user ?? sigv4Region) !== undefined && !mayCarryCredentials(parsed))
    throw optionError(
      id,
      'its Prometheus URL begins with http, so credentials would be sent in the clear; wanted https',
    )
  if (certFile !== undefined && parsed.protocol !== 'https:')
    throw optionError(id, 'its Prometheus URL begins with http, where no client certificate is asked for; wanted https')
}

function optionError(id: string, state: string): ClusterOptionError {
  return new ClusterOptionError(`Cannot add cluster ${JSON.stringify(id)}: ${state}`)
}

import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { generate } from 'selfsigned'
import { listenOnLoopback } from './loopback.ts'
import { servePortForward } from './replay-port-forward.ts'
import type { ForwardDecision, WantedPort } from './replay-port-forward.ts'
import type { ReplayAnswer } from './replay-answer.ts'

/** Answers a GET of a path with its query, as the API server did at a time. */
export type KubernetesReplay = (url: string, time: Date) => ReplayAnswer

type List = {
  readonly kind: string
  readonly apiVersion: string
  readonly metadata: { readonly resourceVersion?: string }
  readonly items: readonly Item[]
}
type Item = {
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly reason?: string
}

/**
 * Answers from recorded lists, `<folder>/<stamp>/<resource>.json` or `.json.gz`, with the newest stamp that is not after the
 * time. Knows both ways of naming the files (`servers.v1beta3.policy.linkerd.io`, `servers.policy.linkerd.io`), pages
 * (`limit`, `continue`), labels that are wanted (`a=b,c=d`) and the field selectors that the collector uses. What was not recorded is
 * 404.
 */
export function kubernetesReplay(folder: string): KubernetesReplay {
  const stamps = readdirSync(folder)
    .filter((name) => /^\d{8}T\d{6}Z$/.test(name))
    .toSorted()
  const lists = new Map<string, List | undefined>()

  const read = (stamp: string, name: string): List | undefined => {
    const key = `${stamp}/${name}`
    if (!lists.has(key)) lists.set(key, readList(join(folder, stamp), name))
    return lists.get(key)
  }

  return (url, time) => {
    const { pathname, searchParams } = new URL(url, 'https://replay.invalid')
    const route = /^\/(?:api|apis\/([^/]+))\/(v[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?$/.exec(
      pathname,
    )
    if (route === null) return status(404, 'NotFound', 'the server could not find the requested resource')
    const [, group = '', version = '', namespace, plural = '', name] = route
    // A list that is read in pages is the list of its first page, whatever the time is by then.
    const token = searchParams.get('continue')
    const from = token === null ? undefined : readToken(token)
    if (token !== null && from === undefined) return status(400, 'BadRequest', 'continue key is not valid')
    const stamp = from?.stamp ?? stamps.findLast((candidate) => candidate <= stampOf(time))
    const list =
      stamp === undefined
        ? undefined
        : fileNames(plural, version, group, namespace)
            .map((file) => read(stamp, file))
            .find((found) => found?.apiVersion === (group === '' ? version : `${group}/${version}`))
    if (list === undefined || stamp === undefined)
      return status(404, 'NotFound', 'the server could not find the requested resource')

    const items = list.items.filter((item) => namespace === undefined || item.metadata.namespace === namespace)
    if (name !== undefined) {
      const found = items.find((item) => item.metadata.name === name)
      return found === undefined
        ? status(404, 'NotFound', `${plural} "${name}" not found`)
        : ok({ kind: list.kind.replace(/List$/, ''), apiVersion: list.apiVersion, ...found })
    }
    const selected = select(withLabels(items, searchParams.get('labelSelector')), searchParams.get('fieldSelector'))
    if (selected === undefined) return status(400, 'BadRequest', 'field label not supported')
    const limit = Number(searchParams.get('limit') ?? 0) || selected.length
    const offset = from?.offset ?? 0
    const end = offset + limit
    return ok({
      kind: list.kind,
      apiVersion: list.apiVersion,
      metadata: {
        ...list.metadata,
        ...(end < selected.length ? { continue: writeToken({ stamp, offset: end }) } : {}),
      },
      items: selected.slice(offset, end),
    })
  }
}

/** `20261124T130123Z`, so that text order is time order. */
function stampOf(time: Date): string {
  return time
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '')
}

function fileNames(plural: string, version: string, group: string, namespace: string | undefined): string[] {
  return [
    `${plural}.${version}.${group}`,
    `${plural}.${group}`,
    plural,
    ...(namespace === undefined ? [] : [`${plural}-${namespace}`]),
  ]
}

function readList(folder: string, name: string): List | undefined {
  for (const [suffix, unpack] of [
    ['.json', (bytes: Buffer) => bytes],
    ['.json.gz', gunzipSync],
  ] as const) {
    try {
      return JSON.parse(unpack(readFileSync(join(folder, `${name}${suffix}`))).toString('utf8')) as List
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  return undefined
}

function withLabels(items: readonly Item[], selector: string | null): readonly Item[] {
  if (selector === null || selector === '') return items
  const wanted = selector.split(',').map((part) => part.split('='))
  return items.filter(({ metadata }) => wanted.every(([label = '', value]) => metadata.labels?.[label] === value))
}

function select(items: readonly Item[], selector: string | null): readonly Item[] | undefined {
  if (selector === null || selector === '') return items
  const [field, value] = selector.split('=')
  if (field === 'metadata.name') return items.filter((item) => item.metadata.name === value)
  if (field === 'reason') return items.filter((item) => item.reason === value)
  return undefined
}

type Token = { readonly stamp: string; readonly offset: number }

function writeToken(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

/** Undefined where the text is none of {@link writeToken}. */
function readToken(text: string): Token | undefined {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Token
  } catch {
    return undefined
  }
}

function ok(body: unknown): ReplayAnswer {
  return { status: 200, body: JSON.stringify(body) }
}

/** An error as the API server words it. */
export function status(code: number, reason: string, message: string): ReplayAnswer {
  const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
  return { status: code, body: JSON.stringify(body) }
}

/** For how long a certificate of a test or of the demo is valid: whoever checks it may go by another clock than who made it. */
export const ANY_DAY = { notBeforeDate: new Date('2000-01-01'), notAfterDate: new Date('2199-01-01') } as const

/** A throw-away authority, and a certificate for loopback that it signed. PEM. */
export type Authority = {
  readonly ca: string
  readonly issue: (names?: readonly string[]) => Promise<{ readonly cert: string; readonly key: string }>
}

export async function makeAuthority(): Promise<Authority> {
  const settings = { keyType: 'ec', algorithm: 'sha256', ...ANY_DAY } as const
  const root = await generate([{ name: 'commonName', value: 'replay authority' }], {
    ...settings,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  })
  return {
    ca: root.cert,
    issue: async (names = ['localhost', '127.0.0.1']) => {
      const leaf = await generate([{ name: 'commonName', value: names[0] ?? '' }], {
        ...settings,
        ca: { cert: root.cert, key: root.private },
        extensions: [
          { name: 'basicConstraints', cA: false },
          { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
          {
            name: 'subjectAltName',
            altNames: names.map((name) => (/^[\d.]+$/.test(name) ? { type: 7, ip: name } : { type: 2, value: name })),
          },
        ],
      })
      return { cert: leaf.cert, key: leaf.private }
    },
  }
}

/** A kubeconfig with one context, as text. JSON is YAML. */
export function kubeconfigText(server: string, ca: string, user: Readonly<Record<string, unknown>>): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'replay', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'replay', user }],
    contexts: [{ name: 'replay', context: { cluster: 'replay', user: 'replay' } }],
    'current-context': 'replay',
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

export type ReplayServer = {
  readonly url: string
  /** Moves the simulated time: answers then come from the newest lists not after it. RFC 3339. */
  readonly setTime: (time: string) => void
  readonly close: () => Promise<void>
}

/** Where port-forwards to viz's pods lead: ports on loopback. Absent: nothing listens there. */
export type VizPorts = { readonly prometheus: number; readonly web?: number }

/** Whether a pod of that name runs Prometheus or the dashboard in the recorded lists at a time, and where a port-forward to it leads. */
export function vizForward(
  replay: KubernetesReplay,
  time: Date,
  { namespace, pod, port }: WantedPort,
  { prometheus, web }: VizPorts,
): ForwardDecision {
  const { status: code, body } = replay(`/api/v1/namespaces/${namespace}/pods/${pod}`, time)
  if (code !== 200) return { status: code, body }
  const { metadata } = JSON.parse(body) as Item
  const component = metadata.labels?.['component']
  if (component === 'prometheus' && port === 9090) return { loopbackPort: prometheus }
  if (component === 'web' && port === 8084 && web !== undefined) return { loopbackPort: web }
  return status(500, 'InternalError', `error dialing backend: nothing listens on port ${port} of pod "${pod}"`)
}

/**
 * Starts a TLS server on loopback that answers from recorded lists, and writes a kubeconfig that leads to it. It forwards the ports
 * of viz's recorded pods as told; without any it forwards nothing.
 */
export async function startKubernetesReplay(
  folder: string,
  start: string,
  kubeconfigFile: string,
  ports?: VizPorts,
): Promise<ReplayServer> {
  const replay = kubernetesReplay(folder)
  const authority = await makeAuthority()
  const token = randomBytes(24).toString('base64url')
  let time = new Date(start)
  const server = createServer({ ...(await authority.issue()) }, (request, response) => {
    const { status: code, body } =
      request.headers.authorization === `Bearer ${token}`
        ? replay(request.url ?? '/', time)
        : status(401, 'Unauthorized', 'Unauthorized')
    response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
  if (ports !== undefined)
    servePortForward(server, (wanted, { headers }) =>
      headers.authorization === `Bearer ${token}`
        ? vizForward(replay, time, wanted, ports)
        : status(401, 'Unauthorized', 'Unauthorized'),
    )
  const { port, close } = await listenOnLoopback(server)
  const url = `https://127.0.0.1:${port}`
  await writeFile(kubeconfigFile, kubeconfigText(url, authority.ca, { token }), { mode: 0o600 })
  return {
    url,
    setTime: (next) => {
      time = new Date(next)
    },
    close,
  }
}

import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAll } from 'js-yaml'
import { z } from 'zod'
import type { Answered } from './ask.ts'
import type { Image } from './image.ts'
import { startNode } from './node.ts'
import type { Node } from './node.ts'
import { buildPrograms } from './programs.ts'

/** What the collector of a cluster is, in that cluster. */
const ACCOUNT = { namespace: 'ciphertrail', name: 'ciphertrail' } as const

const RBAC = join(import.meta.dirname, '../../../infra/rbac')

/** A rule of RBAC, with the role that it stands in. */
export type Rule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}
export type Role = {
  readonly kind: 'ClusterRole' | 'Role'
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly rules: readonly Rule[]
}

/**
 * A real cluster with linkerd-viz's namespace and the published rights: in it are a real Prometheus on recorded data, and `web-NUMBER`, which plays the
 * dashboard and has a debug container with a real tshark.
 */
export type World = Node & {
  /** The roles that were applied. */
  readonly roles: readonly Role[]
  /** A token as `kubectl create token` gives it, for an hour. */
  readonly token: () => Promise<string>
  /** A token of the collector that lives for some seconds. */
  readonly shortToken: (seconds: number) => Promise<string>
  /** Starts a pod of Prometheus and waits until it is ready. */
  readonly startPrometheus: (namespace: string, name: string) => Promise<void>
  /** Removes a pod at once, and waits until it is gone. */
  readonly removePod: (namespace: string, name: string) => Promise<void>
  /** Replaces the rules of a role. */
  readonly setRules: (role: Role, rules: readonly Rule[]) => Promise<void>
  readonly apply: (manifest: unknown) => Promise<void>
  /** Waits until a pod is ready. */
  readonly untilReady: (namespace: string, name: string) => Promise<void>
}

export type WorldOptions = {
  readonly number: number
  /** A packed data directory of Prometheus. */
  readonly tsdb: string
  /** Further images for pods. */
  readonly images?: readonly Image[]
}

/** Starts a node and furnishes it. */
export async function startWorld({ number, tsdb, images = [] }: WorldOptions): Promise<World> {
  const programs = buildPrograms()
  const node = await startNode({
    programs,
    number,
    images: [
      { name: 'docker.io/library/pause:test', files: { '/pause': programs.pause }, entrypoint: ['/pause'] },
      {
        name: 'docker.io/library/prometheus:test',
        files: { '/prometheus': '/usr/bin/prometheus', '/prometheus.yml': '/dev/null' },
        entrypoint: ['/prometheus'],
      },
      ...images,
      {
        name: 'docker.io/library/web:test',
        files: { '/node': process.execPath },
        entrypoint: ['/node', '/data/web.mjs'],
      },
      {
        // What of Linkerd's debug image is asked for.
        name: 'docker.io/library/debug:test',
        files: Object.fromEntries(
          ['/bin/sh', '/usr/bin/cut', '/usr/bin/sleep', '/usr/bin/tshark', '/usr/bin/dumpcap'].map((file) => [
            file,
            file,
          ]),
        ),
        entrypoint: ['/usr/bin/sleep', '1000000'],
      },
    ],
  })
  const expect = async (method: string, path: string, body?: unknown): Promise<Answered> => {
    const answered = await node.ask(method, path, body)
    if (answered.status >= 300)
      throw new Error(`Cannot ${method} ${path}: ${answered.status} ${JSON.stringify(answered.body)}\n${node.logs()}`)
    return answered
  }
  const apply = async (manifest: unknown): Promise<void> => {
    const { status, body } = await node.ask('POST', collectionOf(manifest), manifest)
    // Made before, as by another file of rights: then it is the same.
    if (status >= 300 && status !== 409)
      throw new Error(`Cannot apply ${JSON.stringify(manifest)}: ${JSON.stringify(body)}`)
  }
  const accountOf = async () => {
    const { body } = await expect('GET', `/api/v1/namespaces/${ACCOUNT.namespace}/serviceaccounts/${ACCOUNT.name}`)
    return z.object({ metadata: z.object({ uid: z.string() }) }).parse(body).metadata
  }
  const startPrometheus = async (namespace: string, name: string): Promise<void> => {
    const data = mkdtempSync(join(node.folder, `${name}-`))
    execFileSync('tar', ['--zstd', '-xf', tsdb, '-C', data])
    await apply(prometheusPod(namespace, name, join(data, 'tsdb')))
    await untilReady(namespace, name)
  }
  const untilReady = (namespace: string, name: string): Promise<void> =>
    waitFor(`pod ${name}`, node, async () => {
      const { body } = await node.ask('GET', `/api/v1/namespaces/${namespace}/pods/${name}`)
      const ready = z.object({ status: z.object({ containerStatuses: z.array(z.object({ ready: z.literal(true) })) }) })
      return ready.safeParse(body).success
    })
  const startWeb = async (namespace: string, name: string): Promise<void> => {
    const data = mkdtempSync(join(node.folder, `${name}-`))
    cpSync(join(import.meta.dirname, 'web.mjs'), join(data, 'web.mjs'))
    cpSync(join(import.meta.dirname, '../../fixtures/viz'), data, { recursive: true })
    await apply(webPod(namespace, name, data))
    await untilReady(namespace, name)
  }

  try {
    for (const name of ['linkerd', 'linkerd-viz', 'shop']) {
      await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
      await apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'prometheus', namespace: name } })
    }
    for (const name of ['linkerd-config', 'linkerd-identity-trust-roots'])
      await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'linkerd' }, data: {} })
    await apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'linkerd-identity-issuer', namespace: 'linkerd' },
      stringData: { key: 'nobody may read this' },
    })
    const published = ['lists.yaml', 'port-forward.yaml'].flatMap(
      (file) => loadAll(readFileSync(join(RBAC, file), 'utf8')) as Record<string, unknown>[],
    )
    for (const manifest of published) await apply(manifest)
    await startPrometheus('linkerd-viz', `prometheus-${number}`)
    await startWeb('linkerd-viz', `web-${number}`)
    return {
      ...node,
      roles: published.filter((manifest): manifest is Role & Record<string, unknown> => 'rules' in manifest),
      token: async () => {
        const path = `/api/v1/namespaces/${ACCOUNT.namespace}/serviceaccounts/${ACCOUNT.name}/token`
        const { body } = await expect('POST', path, {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { expirationSeconds: 3600 },
        })
        return z.object({ status: z.object({ token: z.string() }) }).parse(body).status.token
      },
      shortToken: async (seconds) => node.tokenOf({ ...ACCOUNT, uid: (await accountOf()).uid }, seconds),
      startPrometheus,
      removePod: async (namespace, name) => {
        await expect('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`)
        await waitFor(`the end of pod ${name}`, node, async () => {
          return (await node.ask('GET', `/api/v1/namespaces/${namespace}/pods/${name}`)).status === 404
        })
      },
      setRules: async (role, rules) => {
        await expect('PATCH', `${collectionOf(role)}/${role.metadata.name}`, { rules })
      },
      apply,
      untilReady,
    }
  } catch (error) {
    await node.stop()
    throw error
  }
}

/** Where things of a kind are made. */
function collectionOf(manifest: unknown): string {
  const { apiVersion, kind, metadata } = z
    .object({
      apiVersion: z.string(),
      kind: z.string(),
      metadata: z.object({ namespace: z.string().optional() }),
    })
    .parse(manifest)
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  return `${base}${place}/${kind.toLowerCase()}s`
}

function prometheusPod(namespace: string, name: string, data: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { component: 'prometheus', 'linkerd.io/extension': 'viz' } },
    spec: {
      nodeName: 'node', // there is no scheduler
      serviceAccountName: 'prometheus',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'prometheus',
          image: 'docker.io/library/prometheus:test',
          imagePullPolicy: 'Never',
          args: [
            '--config.file=/prometheus.yml',
            '--storage.tsdb.path=/data',
            '--storage.tsdb.retention.time=100y', // or Prometheus deletes what is older than 15 days
            '--log.level=warn',
          ],
          ports: [{ name: 'admin', containerPort: 9090 }],
          readinessProbe: { httpGet: { path: '/-/ready', port: 9090 }, periodSeconds: 1 },
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'data', hostPath: { path: data, type: 'Directory' } }],
    },
  }
}

/** The dashboard, with Linkerd's debug container. The kubelet asks it each second. */
function webPod(namespace: string, name: string, data: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { component: 'web', 'linkerd.io/extension': 'viz' } },
    spec: {
      nodeName: 'node',
      serviceAccountName: 'prometheus',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'web',
          image: 'docker.io/library/web:test',
          imagePullPolicy: 'Never',
          readinessProbe: { httpGet: { path: '/ping', port: 8084 }, periodSeconds: 1 },
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
        { name: 'linkerd-debug', image: 'docker.io/library/debug:test', imagePullPolicy: 'Never' },
      ],
      volumes: [{ name: 'data', hostPath: { path: data, type: 'Directory' } }],
    },
  }
}

async function waitFor(what: string, node: Node, happened: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 180_000
  while (!(await happened())) {
    if (Date.now() > deadline) throw new Error(`Cannot go on: ${what} did not come in time\n${node.logs()}`)
    await sleep(100)
  }
}

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { loadAll } from 'js-yaml'
import { checkCluster } from '../../../lib/collect/cluster/check-cluster.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { reducePage } from '../../../lib/observed/metrics-page.ts'
import { PROXY_RIGHTS, grantText } from '../../../lib/collect/cluster/rights.ts'
import { SETTLE_SECONDS, toSeconds, toTime, windowOf } from '../../../lib/time/windows.ts'
import type { Window } from '../../../lib/model/time.ts'
import { parseNdjson, run } from '../../support/process/command-line.ts'
import { freshFolder } from '../../support/recorder.ts'
import { NOTHING, TSDB, registered, untilAllowed } from './collector.ts'
import { buildTool } from './programs.ts'
import { startWorld } from './world.ts'
import type { Role, World } from './world.ts'

const INFRA = join(import.meta.dirname, '../../../infra')
const RECORDED = join(import.meta.dirname, '../../recordings/demo/metrics')

let world: World

/** Pods that serve recorded pages, each with two of them, ten minutes apart. */
const PODS = [
  {
    namespace: 'emojivoto',
    name: 'web-0',
    pages: ['20261124T131422Z', '20261124T132422Z'],
    of: 'emojivoto.web-f9c88bd6f-mw7pd',
  },
  {
    namespace: 'warehouse',
    name: 'orders-0',
    pages: ['20261124T132422Z', '20261124T133422Z'],
    of: 'warehouse.orders-84545486bb-bfx8q',
  },
] as const

const pageOf = (at: string, of: string): string =>
  gunzipSync(readFileSync(join(RECORDED, at, `${of}.txt.gz`))).toString()

const manifestsOf = (file: string): (Record<string, unknown> & { kind: string })[] =>
  loadAll(readFileSync(join(INFRA, file), 'utf8')) as (Record<string, unknown> & { kind: string })[]

function pagePod(namespace: string, name: string, folder: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { 'linkerd.io/control-plane-ns': 'linkerd' } },
    spec: {
      nodeName: 'node', // there is no scheduler
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'linkerd-proxy',
          image: 'docker.io/library/page:test',
          imagePullPolicy: 'Never',
          ports: [{ name: 'linkerd-admin', containerPort: 4191 }],
          readinessProbe: { httpGet: { path: '/metrics', port: 4191 }, periodSeconds: 1 },
          volumeMounts: [{ name: 'page', mountPath: '/page' }],
        },
      ],
      volumes: [{ name: 'page', hostPath: { path: folder, type: 'Directory' } }],
    },
  }
}

before(async () => {
  world = await startWorld({
    number: 7,
    tsdb: TSDB,
    images: [{ name: 'docker.io/library/page:test', files: { '/serve': buildTool('page') }, entrypoint: ['/serve'] }],
  })
  for (const { namespace, name, pages, of } of PODS) {
    const folder = join(world.folder, name)
    mkdirSync(folder)
    writeFileSync(join(folder, 'metrics'), pageOf(pages[0], of))
    await world.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    await world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } })
    await world.apply(pagePod(namespace, name, folder))
  }
  for (const manifest of manifestsOf('rbac/proxies.yaml')) await world.apply(manifest)
  for (const { namespace, name } of PODS) await world.untilReady(namespace, name)
})
after(() => world?.stop())

const whenSettled = ({ end }: Window): string => toTime(toSeconds(end) + SETTLE_SECONDS)

/** Two windows that join and are yet to come: every pod lives in all of them. */
function windowsToCome(): [Window, Window] {
  const settings = [{ since: '1970-01-01T00:00:00Z', minutes: 5 as const }]
  const first = windowOf(settings, Date.now() / 1000 + 600)
  return [first, windowOf(settings, toSeconds(first.end) + 1)]
}

describe('Proxies of a real cluster, read by port-forward', () => {
  test('a cluster without a Prometheus is collected, and its pages are kept as they were served', async (context) => {
    const folder = freshFolder(context)
    writeFileSync(join(folder, 'config'), world.kubeconfigOf(await world.token()))
    const command = (...args: string[]) => run(args, { folder })
    const added = await command('cluster', 'add', 'real', '--kubeconfig', 'config', '--window', '5m', '--no-prometheus')
    assert.equal(added.code, 0, added.stderr)
    const checked = await command('cluster', 'check', 'real')
    assert.equal(checked.code, 0, checked.stdout)
    assert.match(checked.stdout, /√ a proxy can be read by the name of its pod \(emojivoto\/web-0\)\n$/)

    const windows = windowsToCome()
    for (const [index, window] of windows.entries()) {
      for (const { name, pages, of } of PODS)
        writeFileSync(join(world.folder, name, 'metrics'), pageOf(pages[index] ?? pages[0], of))
      const { code, stderr } = await command('collect', '--at', window.end, '--now', whenSettled(window))
      assert.deepEqual([code, stderr], [0, ''])
    }
    const [, second] = windows
    const rows = parseNdjson((await command('paths', '--json', '--from', second.start, '--to', second.end)).stdout) as {
      source: { name: string }
      destination: { name: string }
      state: string
    }[]
    const lines = rows.map(({ source, destination, state }) => `${source.name} ${destination.name} ${state}`)
    context.diagnostic(lines.join('\n'))
    // Two pages of one process, five minutes apart: all that it sent is told, and to whom, by its own word.
    assert.ok(
      lines.some((line) => /^web-0 (emoji|voting) /.test(line)),
      lines.join('\n'),
    )
    assert.ok(rows.every(({ state }) => state !== 'not-collected'))
  })

  test('each page is the one of its pod, and the rights to it, taken away, are named exactly', async (context) => {
    const kubeconfig = join(freshFolder(context), 'config')
    writeFileSync(kubeconfig, world.kubeconfigOf(await world.token()))
    const cluster = { ...registered(kubeconfig), noPrometheus: true as const }
    const access = openCluster(cluster, { environment: NOTHING, retryDelayMs: 50 })
    context.after(() => access.close())
    const [window] = windowsToCome()
    const collect = () =>
      collectWindow(
        cluster,
        window,
        { collector: { name: 'ciphertrail', version: 'test' }, isReplay: true },
        { access, now: () => new Date(whenSettled(window)) },
      )
    const { proxies, complete } = await collect()
    assert.deepEqual([complete, proxies?.status], [true, 'complete'])
    for (const { namespace, name } of PODS) {
      const page = proxies?.pages.find((one) => one.pod === name && one.namespace === namespace)
      assert.equal(page?.body, reducePage(readFileSync(join(world.folder, name, 'metrics'), 'utf8')))
      assert.match(page?.address ?? '', /^\d+\.\d+\.\d+\.\d+$/)
    }

    const role = manifestsOf('rbac/proxies.yaml').find(({ kind }) => kind === 'ClusterRole') as unknown as Role
    const [right] = PROXY_RIGHTS
    assert.ok(right)
    context.after(() => world.setRules(role, role.rules))
    await world.setRules(role, [])
    await untilAllowed(context, world, right, false)
    const checks = await checkCluster(cluster, { access, now: () => new Date() })
    const said = checks.flatMap(({ problem }) => problem ?? [])
    assert.ok(said.length > 0)
    for (const line of said) assert.ok(line.includes(`grant "get" on "pods/portforward"`), line)
    assert.ok(said.some((line) => line.endsWith(grantText(right))))
    const without = await collect()
    assert.deepEqual(
      [without.complete, without.proxies?.status, without.kubernetes.status],
      [false, 'failed', 'complete'],
    )
    assert.ok(
      without.proxies?.errors.every((line) => /: 403 Forbidden from the API server, .*; grant "get"/.test(line)),
    )
  })

  test('an API server is reached by its address, its authority and a token that is renewed in its file', async (context) => {
    const folder = freshFolder(context)
    const kubeconfig = JSON.parse(world.kubeconfigOf('x')) as {
      clusters: [{ cluster: { 'certificate-authority-data': string } }]
    }
    const ca = Buffer.from(kubeconfig.clusters[0].cluster['certificate-authority-data'], 'base64')
    writeFileSync(join(folder, 'ca.pem'), ca)
    writeFileSync(join(folder, 'token'), await world.shortToken(-600))
    const command = (...args: string[]) => run(args, { folder })
    const way = ['--api-server', world.url, '--ca', 'ca.pem', '--token-file', 'token']
    assert.equal((await command('cluster', 'add', 'real', ...way, '--proxies', 'auto')).code, 0)
    const expired = await command('cluster', 'check', 'real')
    assert.match(
      expired.stdout,
      /401 Unauthorized .*; the token is wrong or expired, renew the one in the file ".*token"\n/,
    )
    writeFileSync(join(folder, 'token'), await world.token())
    const { stdout } = await command('cluster', 'check', 'real')
    assert.match(stdout, /^√ the API server answers \(v1\.34\.4\)$/m)
    assert.match(stdout, /^√ Prometheus answers, by port-forward to pod "linkerd-viz\/prometheus-7"$/m)
    assert.match(stdout, /√ a proxy can be read by the name of its pod /)
  })
})

test('a real API server takes the manifests of the agent and of all rights as they are, with every field known', async (context) => {
  // Linkerd's own definition is not at hand: only that such a kind is there, and where its things are made.
  const group = 'policy.linkerd.io'
  await world.apply({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `authorizationpolicies.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind: 'AuthorizationPolicy', plural: 'authorizationpolicies', singular: 'authorizationpolicy' },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  })
  const dryRun = async (manifest: Record<string, unknown>): Promise<{ status: number; said: string }> => {
    const { apiVersion, kind, metadata } = manifest as {
      apiVersion: string
      kind: string
      metadata: { namespace?: string; name: string }
    }
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
    const plural = kind === 'AuthorizationPolicy' ? 'authorizationpolicies' : `${kind.toLowerCase()}s`
    const { status, body } = await world.ask(
      'POST',
      `${base}${place}/${plural}?dryRun=All&fieldValidation=Strict`,
      manifest,
    )
    return { status, said: `${kind} ${metadata.name}: ${JSON.stringify(body)}` }
  }
  await world.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'monitoring' } })
  let taken = 0
  for (const file of [
    'agent/cronjob.yaml',
    'rbac/lists.yaml',
    'rbac/port-forward.yaml',
    'rbac/port-forward-service.yaml',
    'rbac/proxies.yaml',
  ])
    for (const manifest of manifestsOf(file)) {
      // The kind above is served a moment after it was made.
      let answered = await dryRun(manifest)
      for (let tries = 0; answered.status === 404 && tries < 100; tries++) answered = await dryRun(manifest)
      // 409: it is there already.
      assert.ok(answered.status === 201 || answered.status === 409, `${answered.status} ${answered.said}`)
      taken++
    }
  const [cronJob] = manifestsOf('agent/cronjob.yaml')
  const wrong = structuredClone(cronJob) as unknown as { spec: Record<string, unknown> }
  wrong.spec['concurencyPolicy'] = 'Forbid'
  assert.equal((await dryRun(wrong as unknown as Record<string, unknown>)).status, 400)
  context.diagnostic(`${taken} manifests`)
})

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { status } from '../../../demo/replay-kubernetes.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { LISTINGS, splitResource } from '../../../lib/collect/kubernetes/listings.ts'
import { reducePage } from '../../../lib/observed/metrics-page.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { run } from '../../support/process/command-line.ts'
import { startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { startPrometheusServer } from '../../support/servers/prometheus-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import { pageAt } from '../../support/mesh/synthetic-pages.ts'
import { type Pod, WINDOW, ownersOf, pod, podObject, timeAt } from '../../support/mesh/synthetic-pods.ts'
import { type Counter, clearHttp, mutual } from '../../support/mesh/synthetic-prometheus.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const web = pod('deployment/web', { from: -7200 })
const api = pod('deployment/api', { from: -7200 })
const COUNTERS: readonly Counter[] = [
  ...mutual(web, api, 8080, { at: [-400, 120, 200] }),
  ...clearHttp(api, 9000, [150]),
]

/** What a proxy's admin port answers. */
type Served = { readonly status: number; readonly type: string; readonly body: string }

type Mesh = {
  readonly pods: readonly Pod[]
  readonly counters?: readonly Counter[]
  /** Instead of a pod's page. */
  readonly served?: (pod: Pod) => Served | undefined
  /** Instead of a port-forward to a pod. */
  readonly refused?: (pod: Pod) => ReplayAnswer | undefined
}

/** A cluster whose proxies can be read by port-forward; its clock is in seconds after the start of the window. */
async function startMesh(context: TestContext, { pods, counters = COUNTERS, served, refused }: Mesh) {
  let now = 360
  const kubernetes = await startKubernetesServer((url) => {
    const [path = ''] = url.split('?')
    if (path === '/version') return { status: 200, body: '{"gitVersion":"v1.34.4"}' }
    const plural = path.split('/').at(-1) ?? ''
    const listing = LISTINGS.find(({ resource }) => splitResource(resource)[0] === plural)
    if (listing === undefined) return status(404, 'NotFound', 'not found')
    const owners = ownersOf(pods)
    const items = plural === 'pods' ? pods.map((one) => podObject(one, now)) : (owners[listing.resource] ?? [])
    return { status: 200, body: JSON.stringify({ kind: `${listing.kind}List`, apiVersion: 'v1', metadata: {}, items }) }
  }, timeAt(0))
  context.after(() => kubernetes.close())
  const asked: string[] = []
  const ports = new Map<string, number>()
  for (const one of pods) {
    const admin = createServer((request, response) => {
      asked.push(`${one.name} ${request.url} ${request.headers.host}`)
      const answer = served?.(one) ?? { status: 200, type: 'text/plain', body: pageAt(one, counters, now) }
      response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body)
    })
    const { port, close } = await listenOnLoopback(admin)
    context.after(close)
    ports.set(one.name, port)
  }
  kubernetes.forward((wanted) => {
    const one = pods.find(({ name, namespace }) => name === wanted.pod && namespace === wanted.namespace)
    if (one === undefined || wanted.port !== one.adminPort) return status(404, 'NotFound', 'no such pod')
    return refused?.(one) ?? { loopbackPort: ports.get(one.name) ?? 0 }
  })
  const folder = freshFolder(context)
  const kubeconfig = join(folder, 'config')
  kubernetes.writeKubeconfig(kubeconfig)
  return {
    kubeconfig,
    folder,
    asked,
    kubernetes,
    setTime: (seconds: number) => {
      now = seconds
    },
    /** Collects the window at a time, as the registration says. */
    collect: async (changes: Partial<Cluster>, at = 360) => {
      now = at
      const cluster: Cluster = {
        id: 'prod',
        registeredAt: timeAt(0),
        kubeconfig,
        linkerdNamespace: 'linkerd',
        vizNamespace: 'linkerd-viz',
        windows: [{ since: timeAt(0), minutes: 5 }],
        ...changes,
      }
      const environment = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
      const access = openCluster(cluster, { environment, retryDelayMs: 1 })
      try {
        const options = { collector: { name: 'ciphertrail', version: 'test' }, isReplay: true }
        return await collectWindow(cluster, WINDOW, options, { access, now: () => new Date(timeAt(at)) })
      } finally {
        await access.close()
      }
    },
  }
}

describe('Proxies read by port-forward', () => {
  test('each running pod of the mesh is read once, on its admin port, and its page kept as received but for what decides nothing', async (context) => {
    const others = [
      pod('deployment/bare', { meshed: false }),
      pod('daemonset/host', { hostNetwork: true }),
      pod('deployment/other', { controlPlane: 'linkerd-two' }),
      pod('job/over', { status: { phase: 'Succeeded' } }),
    ]
    const moved = pod('deployment/moved', { adminPort: 14191, ports: [] })
    const { collect, asked } = await startMesh(context, { pods: [web, api, ...others] })
    const snapshot = await collect({ noPrometheus: true })
    assert.deepEqual(asked.toSorted(), [web, api].map(({ name }) => `${name} /metrics localhost:4191`).toSorted())
    const { proxies, metrics, complete } = snapshot
    assert.deepEqual([complete, proxies?.status, proxies?.errors, metrics.answers], [true, 'complete', [], []])
    assert.deepEqual(
      proxies?.pages.map(({ pod: name, uid, address, readAt, body }) => [name, uid, address, readAt, body]),
      [web, api]
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map((one) => [
          one.name,
          one.uid,
          one.ip,
          new Date(timeAt(360)).toISOString(),
          reducePage(pageAt(one, COUNTERS, 360)),
        ]),
    )
    assert.equal(moved.adminPort, 14191)
  })

  test('one that cannot be read is a line, and keeps no other from being read', async (context) => {
    const odd = ['gone', 'html', 'cut', 'large', 'shut', 'slow'].map((name) => pod(`deployment/${name}`))
    const is = (one: Pod, name: string) => one.owner === `deployment/${name}`
    const { collect } = await startMesh(context, {
      pods: [web, ...odd],
      served: (one) =>
        is(one, 'gone')
          ? { status: 404, type: 'text/plain', body: 'secret' }
          : is(one, 'html')
            ? { status: 200, type: 'text/html', body: '<html>' }
            : is(one, 'cut')
              ? { status: 200, type: 'text/plain', body: 'process_start_time_seconds 1\ntcp_open_total{tls="tr' }
              : is(one, 'large')
                ? {
                    status: 200,
                    type: 'text/plain',
                    body: `process_start_time_seconds 1\n# ${'x'.repeat(9_000_000)}\n`,
                  }
                : undefined,
      refused: (one) =>
        is(one, 'shut')
          ? status(403, 'Forbidden', 'pods "x" is forbidden: cannot get resource "pods/portforward"')
          : undefined,
    })
    const { proxies, complete } = await collect({ proxies: 'all', noPrometheus: true })
    assert.deepEqual([proxies?.status, proxies?.pages.length, complete], ['partial', 2, true])
    const lines = proxies?.errors ?? []
    assert.equal(lines.length, 5)
    const expected = [
      /^Cannot read the proxy of pod "shop\/cut-.*" of cluster "prod": its page has a line that cannot be read: tcp_open_total\{tls="tr$/,
      /^Cannot read the proxy of pod "shop\/gone-.*": 404 Not Found from the proxy of pod ".*"; is it a Linkerd proxy that listens there\?$/,
      /^Cannot read the proxy of pod "shop\/html-.*" sent "text\/html" instead of a metrics page; is it a Linkerd proxy that listens there\?$/,
      /^Cannot read the proxy of pod "shop\/large-.*" is larger than 8 MB$/,
      /^Cannot read the proxy of pod "shop\/shut-.*: 403 Forbidden .*; grant "get" on "pods\/portforward" in the namespace "shop"$/,
    ]
    for (const [index, line] of expected.entries()) assert.match(lines[index] ?? '', line)
  })

  test('none is read once it can no longer tell of the window, which is then not collected', async (context) => {
    const { collect, asked } = await startMesh(context, { pods: [web] })
    const late = await collect({ noPrometheus: true }, 300 + 121)
    assert.deepEqual([late.complete, late.proxies?.status, asked], [false, 'failed', []])
    const line =
      /^Cannot read the proxies of cluster "prod" for a window that ended more than 120 s ago: .* within 120 s /
    assert.match(late.proxies?.errors[0] ?? '', line)
    assert.equal((await collect({ noPrometheus: true }, 300 + 120)).complete, true)
    const url = 'http://127.0.0.1:1'
    // Where a Prometheus has the window, too: whoever asked for proxies is told that none was read.
    for (const proxies of ['auto', 'all'] as const) {
      const beside = await collect({ proxies, prometheusUrl: url }, 300 + 121)
      assert.deepEqual([beside.proxies?.status, beside.proxies?.pages], ['failed', []])
      assert.match(beside.proxies?.errors.join('\n') ?? '', line)
    }
    assert.equal((await collect({ prometheusUrl: url }, 300 + 121)).proxies, undefined)
  })

  test('with auto, only those are read that Prometheus does not read, or whose labels could lie', async (context) => {
    const [down, absent, liar] = ['down', 'absent', 'liar'].map((name) =>
      pod(`deployment/${name}`, name === 'liar' ? { labels: { direction: 'x' } } : {}),
    )
    assert.ok(down && absent && liar)
    const up = (one: Pod, value: number) => ({
      metric: { __name__: 'up', instance: `${one.ip}:4191`, job: 'linkerd-proxy' },
      values: [
        [Date.parse(timeAt(200)) / 1000, '1'],
        [Date.parse(timeAt(290)) / 1000, String(value)],
      ],
    })
    const prometheus = await startPrometheusServer((_, parameters) => {
      const query = parameters.get('query') ?? ''
      const isScrapes = query.startsWith('up{job="linkerd-proxy"}')
      const data =
        query === 'time()'
          ? { resultType: 'scalar', result: [Date.parse(timeAt(360)) / 1000, String(Date.parse(timeAt(360)) / 1000)] }
          : { resultType: 'matrix', result: isScrapes ? [up(web, 1), up(liar, 1), up(down, 0)] : [] }
      return { status: 200, body: JSON.stringify({ status: 'success', data }) }
    })
    context.after(() => prometheus.close())
    const { collect } = await startMesh(context, { pods: [web, down, absent, liar] })
    const names = async (proxies: 'auto' | 'all') =>
      ((await collect({ proxies, prometheusUrl: prometheus.url })).proxies?.pages ?? []).map(({ pod: name }) => name)
    assert.deepEqual(await names('auto'), [absent, down, liar].map(({ name }) => name).toSorted())
    assert.equal((await names('all')).length, 4)
  })

  test('a cluster without a Prometheus is registered, checked, collected and told', async (context) => {
    const mesh = await startMesh(context, { pods: [web, api] })
    const { folder, kubeconfig } = mesh
    const command = (...args: string[]) => run(args, { folder })
    const added = await command(
      'cluster',
      'add',
      'prod',
      '--kubeconfig',
      kubeconfig,
      '--window',
      '5m',
      '--no-prometheus',
    )
    assert.equal(added.code, 0, added.stderr)
    assert.match(
      (await command('cluster', 'list')).stdout,
      /^ID +REGISTERED \(UTC\) .*\nprod +[A-Z][a-z]{2} \d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d.* none +all\n$/,
    )
    const checked = await command('cluster', 'check', 'prod')
    assert.equal(checked.code, 0, checked.stdout)
    matchesText(checked.stdout)
    matchesText(checked.stdout)

    for (const time of [60, 360]) {
      mesh.setTime(time)
      const end = time === 60 ? WINDOW.start : WINDOW.end
      const { code, stdout, stderr } = await command('collect', '--at', end, '--now', timeAt(time))
      assert.deepEqual([code, stderr], [0, ''], stderr)
      assert.match(stdout, /^prod .*: complete, /)
    }
    const { stdout } = await command('paths', '--json', '--from', WINDOW.start, '--to', WINDOW.end, '--now', WINDOW.end)
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { source: { kind: string }; port: number; state: string })
    assert.deepEqual(rows.map(({ source, port, state }) => `${source.kind} ${port} ${state}`).toSorted(), [
      'deployment 8080 mtls',
      'unmeshed 9000 plaintext',
    ])
    // Another attempt is not the one that stands, and says all the same what it lacks.
    mesh.setTime(900)
    const again = await command('collect', '--at', WINDOW.end, '--now', timeAt(900))
    assert.match(again.stdout, /: incomplete, /)
    matchesText(again.stderr)

    // Hours later nothing of the past can be asked for.
    mesh.setTime(4000)
    const later = await command('collect', '--now', timeAt(3960))
    matchesText(later.stderr)
    matchesText(later.stdout)

    const without = await startMesh(context, { pods: [pod('deployment/bare', { meshed: false })] })
    const bare = ['cluster', 'add', 'bare', '--kubeconfig', without.kubeconfig, '--no-prometheus']
    assert.equal((await command(...bare)).code, 0)
    const unmeshed = await command('cluster', 'check', 'bare')
    assert.equal(unmeshed.code, 1)
    matchesText(unmeshed.stdout)
    const refused = await command('cluster', 'add', 'prod', '--no-prometheus', '--proxies', 'off')
    assert.equal(refused.code, 2)
    const back = await command('cluster', 'add', 'prod', '--port-forward', '--proxies', 'auto')
    assert.equal(back.code, 0)
    assert.match((await command('cluster', 'list')).stdout, / port-forward +auto\n$/)
  })
})

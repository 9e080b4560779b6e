import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { kubernetesReplay, status } from '../../../demo/replay-kubernetes.ts'
import { checkCluster } from '../../../lib/collect/cluster/check-cluster.ts'
import type { ClusterCheck } from '../../../lib/collect/cluster/check-cluster.ts'
import { forwardRights, grantText, kubernetesRights, tapRights } from '../../../lib/collect/cluster/rights.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { startForwardedPrometheus, vizPod } from '../../support/servers/forwarded-prometheus.ts'
import type { ForwardedPrometheus } from '../../support/servers/forwarded-prometheus.ts'
import { freshFolder, recordedCluster, writeRecording } from '../../support/recorder.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const NOW = new Date('2026-11-24T12:00:00Z')

const cluster: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
}

/** A cluster that is in order, whose Prometheus is reached by port-forward, and a check of it. */
async function startChecked(
  context: TestContext,
  version: object = { gitVersion: 'v1.35.1' },
): Promise<ForwardedPrometheus & { readonly check: (changes?: Partial<Cluster>) => Promise<readonly ClusterCheck[]> }> {
  const folder = freshFolder(context)
  writeRecording(folder, '20261124T000000Z', recordedCluster())
  const lists = kubernetesReplay(folder)
  const world = await startForwardedPrometheus(context, (path, asked) => {
    if (path === '/api/edges') return { status: 200, body: '{"ok":{"edges":[]}}' }
    const value = asked.get('query') === 'time()' ? NOW.getTime() / 1000 : 7
    const data = { resultType: 'vector', result: [{ metric: {}, value: [value, String(value)] }] }
    return { status: 200, body: JSON.stringify({ status: 'success', data }) }
  })
  world.serve({
    pods: [vizPod(), vizPod('web-0', { component: 'web' })],
    answers: { '/version': { status: 200, body: JSON.stringify(version) } },
    others: (url) => lists(url, NOW),
  })
  return {
    ...world,
    check: (changes = {}) =>
      checkCluster({ ...cluster, ...changes }, { access: world.open({}, changes), now: () => NOW }),
  }
}

const failed = (checks: readonly ClusterCheck[]): string[] => checks.flatMap(({ problem }) => problem ?? [])
const warned = (checks: readonly ClusterCheck[]): string[] => checks.flatMap(({ warning }) => warning ?? [])

describe('checkCluster()', () => {
  test('says what works, section by section', async (context) => {
    const { check, kubernetes } = await startChecked(context)
    kubernetes.allow(
      ({ verb, resource, subresource }) => resource !== 'secrets' && subresource !== 'exec' && verb !== 'delete',
    )
    const checks = await check()
    assert.deepEqual([failed(checks), warned(checks)], [[], []])
    assert.deepEqual(
      [...new Set(checks.map(({ section }) => section))],
      ['Kubernetes API', 'Rights', 'Kubernetes lists', 'Prometheus', 'linkerd viz edges'],
    )
    const titles = checks.map(({ title }) => title)
    for (const title of [
      'the API server answers (v1.35.1)',
      'may list pods in all namespaces',
      'may list cronjobs.batch in all namespaces',
      'may get configmaps "linkerd-config" in the namespace "linkerd"',
      'may get namespaces "linkerd-viz"',
      'may create pods/portforward in the namespace "linkerd-viz"',
      'pods can be read (3)',
      'externalworkloads.workload.linkerd.io: not served by this cluster',
      'Prometheus answers, by port-forward to pod "linkerd-viz/prometheus-0"',
      'it scrapes Linkerd proxies (7)',
    ])
      assert.ok(titles.includes(title), `${title}\n${titles.join('\n')}`)
  })

  test('names exactly the right that lacks, whichever it is', async (context) => {
    const { check, kubernetes } = await startChecked(context)
    const rights = [
      ...kubernetesRights(cluster),
      ...forwardRights(cluster, { namespace: 'linkerd-viz' }),
      ...tapRights({ tapSeconds: 10 }),
    ]
    assert.equal(rights.length, 30)
    for (const right of rights) {
      kubernetes.allow(({ verb, group, resource, subresource, namespace, name }) => {
        const asked = { verb, group, resource: [resource, subresource].filter(Boolean).join('/'), namespace, name }
        const { why: _, since: __, ...lacking } = { namespace: undefined, name: undefined, ...right }
        try {
          assert.deepEqual(asked, lacking)
          return false
        } catch {
          return true
        }
      })
      const [line = '', ...more] = failed(await check({ tapSeconds: 10 }))
      assert.deepEqual(more, [])
      assert.ok(line.endsWith(`; ${grantText(right)}`), line)
      assert.ok(line.includes(`the credentials may not, and ${right.why}; `), line)
    }
  })

  test('warns of a right that only a later Kubernetes asks for', async (context) => {
    for (const [version, isFailed] of [
      [{ gitVersion: 'v1.34.4+k3s1' }, false],
      [{ gitVersion: 'v1.35.0' }, true],
      [{ gitVersion: 'v1.40.0' }, true],
      [{ gitVersion: 'nonsense' }, true],
      [{}, true],
    ] as const) {
      const { check, kubernetes } = await startChecked(context, version)
      kubernetes.allow(
        ({ verb, resource }) => !['secrets'].includes(resource) && verb !== 'create' && verb !== 'delete',
      )
      const checks = await check()
      const line = 'grant "create" on "pods/portforward" in the namespace "linkerd-viz"'
      assert.deepEqual(
        (isFailed ? failed(checks) : warned(checks)).map((text) => text.split('; ')[1]),
        [line],
      )
      assert.deepEqual(isFailed ? warned(checks) : failed(checks), [])
    }
  })

  test('warns of credentials that may do more than is needed', async (context) => {
    const { check } = await startChecked(context)
    const checks = await check()
    assert.deepEqual(failed(checks), [])
    matchesText(warned(checks))
  })

  test('asks for the rights of the Service that the annotation of viz names, and for none of a port-forward where there is a URL', async (context) => {
    const { check, serve, prometheus } = await startChecked(context)
    const annotations = { 'viz.linkerd.io/external-prometheus': 'http://prom.monitoring:9090' }
    serve({
      answers: {
        '/api/v1/namespaces/linkerd-viz': { status: 200, body: JSON.stringify({ metadata: { annotations } }) },
        '/api/v1/namespaces/monitoring/services/prom': {
          status: 200,
          body: JSON.stringify({ spec: { selector: { a: 'b' }, ports: [{ port: 9090 }] } }),
        },
      },
    })
    const titles = (await check()).map(({ title }) => title)
    for (const title of [
      'may get services "prom" in the namespace "monitoring"',
      'may list pods in the namespace "monitoring"',
      'may get pods/portforward in the namespace "monitoring"',
    ])
      assert.ok(titles.includes(title), titles.join('\n'))
    const byUrl = (await check({ prometheusUrl: prometheus.url })).map(({ title }) => title)
    assert.ok(byUrl.includes('Prometheus answers'), byUrl.join('\n'))
    assert.ok(!byUrl.some((title) => title.includes('portforward')), byUrl.join('\n'))
  })

  test('tries each source where the rights cannot be asked for', async (context) => {
    const { check, kubernetes } = await startChecked(context)
    kubernetes.misbehave((url) => (url.includes('reviews') ? { answer: status(403, 'Forbidden', 'no') } : undefined))
    const checks = await check()
    assert.deepEqual(failed(checks), [])
    assert.equal(warned(checks).length, 1)
    matchesText(warned(checks)[0])
  })

  test('says once what lacks, and tells other failures of lists beside', async (context) => {
    const { check, kubernetes } = await startChecked(context)
    kubernetes.allow(({ resource, name }) => resource !== 'jobs' && name !== 'linkerd-config')
    kubernetes.misbehave((url) => {
      if (url.includes('/jobs') || url.includes('/linkerd-config')) return { answer: status(403, 'Forbidden', 'no') }
      return url.includes('/cronjobs') ? { answer: status(500, 'InternalError', 'etcd is away') } : undefined
    })
    const lines = failed(await check())
    assert.equal(lines.length, 3, lines.join('\n'))
    matchesText(lines[0])
    matchesText(lines[1])
    matchesText(lines[2])
  })

  test('is short where the API server does not answer', async (context) => {
    const { check, kubernetes } = await startChecked(context)
    kubernetes.misbehave(() => ({ answer: status(401, 'Unauthorized', 'Unauthorized') }))
    const lines = failed(await check())
    assert.equal(lines.length, 2)
    matchesText(lines[0])
    matchesText(lines[1])
  })
})

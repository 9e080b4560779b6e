import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { status } from '../../../demo/replay-kubernetes.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { collectViz, isJustOver } from '../../../lib/collect/viz/ask-viz.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { startForwardedPrometheus, vizPod } from '../../support/servers/forwarded-prometheus.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** What viz's dashboard of a real mesh answered, byte for byte. */
const RECORDED = readFileSync(join(import.meta.dirname, '../../fixtures/viz/edges-deployment.json'), 'utf8')
const NONE = '{"ok":{"edges":[]}}'
const NOW = new Date('2026-11-24T12:01:00.400Z')

const cluster: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
}
const window = { start: '2026-11-24T11:00:00Z', end: '2026-11-24T12:00:00Z' }

type Answer = { readonly code: number; readonly body: string }

const recorded = ({ url = '' }: IncomingMessage): Answer => ({
  code: 200,
  body: url.includes('resource_type=deployment') ? RECORDED : NONE,
})

/** A cluster with viz's Prometheus and its dashboard, which answers as told, each behind a port-forward. */
async function startViz(context: TestContext, answer: (request: IncomingMessage) => Answer | 'hang' = recorded) {
  const asked: string[] = []
  const web = createServer((request, response) => {
    asked.push(`${request.headers.host} ${request.url}`)
    const answered = answer(request)
    if (answered === 'hang') return
    response.writeHead(answered.code, { 'content-type': 'application/json' }).end(answered.body)
  })
  const { port, close } = await listenOnLoopback(web)
  context.after(close)
  const world = await startForwardedPrometheus(context, (_, parameters) => {
    const vector = [{ metric: {}, value: [0, String(NOW.getTime() / 1000)] }]
    const query = parameters.get('query') ?? ''
    const clear = [{ metric: { namespace: 'shop', deployment: 'web' }, values: [[NOW.getTime() / 1000, '1']] }]
    const isClear = query.includes('direction="inbound",peer="src",tls!="true",target_port!~')
    const result = query === 'time()' ? vector : isClear ? clear : []
    const resultType = isClear ? 'matrix' : 'vector'
    return { status: 200, body: JSON.stringify({ status: 'success', data: { resultType, result } }) }
  })
  world.serve({ pods: [vizPod(), vizPod('web-0', { component: 'web' })] })
  const prometheusPort = Number(new URL(world.prometheus.url).port)
  world.kubernetes.forward((wanted) => ({ loopbackPort: wanted.port === 8084 ? port : prometheusPort }))
  const collect = (now = NOW, changes: Partial<Cluster> = {}, deadlineMs = 20_000): Promise<Snapshot> =>
    collectWindow(
      { ...cluster, ...changes },
      window,
      { collector: { name: 'ciphertrail', version: '0.0.0' }, isReplay: true },
      { access: world.open({ prometheusDeadlineMs: deadlineMs }, changes), now: () => now },
    )
  return { ...world, asked, collect }
}

describe('What linkerd viz edges shows', () => {
  test('is kept as received, by port-forward to the dashboard, with the moment and the pod', async (context) => {
    const { collect, asked } = await startViz(context)
    const snapshot = await collect()
    assert.deepEqual(snapshot.viz, {
      status: 'complete',
      errors: [],
      takenAt: '2026-11-24T12:01:00Z',
      server: 'pod "linkerd-viz/web-0" (uid-web-0)',
      answers: [
        { kind: 'deployment', body: RECORDED },
        { kind: 'statefulset', body: NONE },
        { kind: 'daemonset', body: NONE },
      ],
    })
    assert.deepEqual(
      asked,
      ['deployment', 'statefulset', 'daemonset'].map(
        (kind) => `localhost:8084 /api/edges?resource_type=${kind}&all_namespaces=true`,
      ),
    )
    // Stored and read back it is the same.
    const key = evidenceKey({ window, cluster: 'prod', attempt: 1 })
    assert.deepEqual(await decodeSnapshot(key, await encodeSnapshot(snapshot)), snapshot)
  })

  test('never makes an attempt incomplete: that it failed is said in one line', async (context) => {
    const what = 'Cannot read what linkerd viz edges shows of cluster "prod": '
    const hang = () => 'hang' as const
    const cases: [answer: NonNullable<Parameters<typeof startViz>[1]>, line: RegExp][] = [
      [() => ({ code: 200, body: '{"error":"rpc error: code = Unavailable"}' }), /^viz says "rpc error: code = Unav/],
      [() => ({ code: 200, body: '{"ok":{}}' }), /^it holds no edges/],
      [() => ({ code: 400, body: '"trying to reach this service with a host of"' }), /enforcedHostRegexp/],
      [() => ({ code: 200, body: '{"ok":{"edges":[{"src":{' }), /^it is no JSON$/],
      [hang, /^no answer from the dashboard of linkerd-viz at web-0\.linkerd-viz:8084 within 3 s; /],
    ]
    const failures: unknown[] = []
    for (const [answer, line] of cases) {
      const { collect, serve } = await startViz(context, answer)
      serve({ others: (url) => status(404, 'NotFound', url) })
      const { viz, complete, metrics, kubernetes } = await collect(NOW, {}, answer === hang ? 3_000 : 20_000)
      assert.deepEqual([viz?.status, viz?.answers, viz?.errors.length], ['failed', [], 1], String(line))
      const [said = ''] = viz?.errors ?? []
      assert.ok(said.startsWith(what), said)
      assert.match(said.slice(what.length), line)
      failures.push(complete === (metrics.status === 'complete' && kubernetes.status === 'complete'))
    }
    assert.deepEqual(failures, [true, true, true, true, true])
  })

  test('is kept in part where one kind alone was answered', async (context) => {
    const { collect } = await startViz(context, (request) =>
      request.url?.includes('deployment') === true ? recorded(request) : { code: 500, body: '{"error":"gone"}' },
    )
    const { viz } = await collect()
    assert.deepEqual(
      [viz?.status, viz?.answers.map(({ kind }) => kind), viz?.errors.length],
      ['partial', ['deployment'], 1],
    )
  })

  test('says where there is no dashboard, and which right lacks', async (context) => {
    const { open, serve } = await startViz(context)
    serve({ pods: [vizPod()] })
    const ask = async () => {
      const { viz } = open()
      assert.ok(viz !== null)
      return (await collectViz(viz, cluster, NOW))?.errors
    }
    matchesText(await ask())
    serve({ answers: { '/api/v1/namespaces/linkerd-viz/pods': status(403, 'Forbidden', 'pods is forbidden') } })
    const [line = ''] = (await ask()) ?? []
    assert.ok(line.endsWith('; grant "list" on "pods" in the namespace "linkerd-viz"'), line)
  })

  test('stands beside a tap that failed without making the attempt incomplete, which is said', async (context) => {
    const { collect } = await startViz(context)
    const { tap: without } = await collect()
    assert.equal(without, undefined)
    const { tap, complete, metrics, kubernetes } = await collect(NOW, { tapSeconds: 1 })
    assert.deepEqual([tap?.status, tap?.tapped, tap?.sightings, tap?.errors.length], ['failed', [], [], 1])
    matchesText(tap?.errors[0])
    assert.equal(complete, metrics.status === 'complete' && kubernetes.status === 'complete')
    const { tap: late } = await collect(new Date('2026-11-24T13:00:01Z'), { tapSeconds: 1 })
    assert.deepEqual([late?.status, late?.tapped, late?.left, late?.sightings], ['failed', [], 1, []])
    matchesText(late?.errors)
  })

  test('is not asked for where that would need a right of its own, or long after the window', async (context) => {
    const { collect, asked, serve, prometheus } = await startViz(context)
    const { viz: late } = await collect(new Date('2026-11-24T13:00:01Z'))
    const { viz: byUrl } = await collect(NOW, { prometheusUrl: prometheus.url })
    const annotations = { 'viz.linkerd.io/external-prometheus': 'http://prom.monitoring:9090' }
    const spec = { selector: { component: 'prometheus' }, ports: [{ port: 9090 }] }
    const inMonitoring = JSON.stringify({ items: [vizPod()] }).replaceAll('"linkerd-viz"', '"monitoring"')
    serve({
      answers: {
        '/api/v1/namespaces/linkerd-viz': { status: 200, body: JSON.stringify({ metadata: { annotations } }) },
        '/api/v1/namespaces/monitoring/services/prom': { status: 200, body: JSON.stringify({ spec }) },
        '/api/v1/namespaces/monitoring/pods': { status: 200, body: inMonitoring },
      },
    })
    const { viz: elsewhere, metrics } = await collect()
    assert.deepEqual([late, byUrl, elsewhere, asked], [undefined, undefined, undefined, []])
    assert.ok(metrics.answers.length > 0)
  })

  test('isJustOver() tells the window that was collected last from all others', () => {
    for (const [time, isIt] of [
      ['2026-11-24T12:00:00Z', false],
      ['2026-11-24T12:00:01Z', true],
      ['2026-11-24T13:00:00Z', true],
      ['2026-11-24T13:00:01Z', false],
    ] as const)
      assert.equal(isJustOver(window, new Date(time)), isIt, time)
  })
})

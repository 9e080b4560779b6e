import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { type KubernetesReplay, kubernetesReplay } from '../../demo/replay-kubernetes.ts'
import type { PrometheusReplay } from '../../demo/replay-prometheus.ts'
import { freshFolder, recordedCluster, writeRecording } from '../support/recorder.ts'
import { startKubernetesServer } from '../support/servers/kubernetes-server.ts'
import { startPrometheusServer } from '../support/servers/prometheus-server.ts'
import { matchesText } from '../support/texts/matches-text.ts'

/**
 * A tenth of the budget by default, so that attacks on it are a tenth as large: what they cost is in proportion. One of them, the most expensive, is told in full.
 */
const TENTH =
  'answer=3200000 source=19200000 values=400000 window-values=2000000 series=4000 samples=100000 objects=10000 pages=40'

/** Of the whole budget: what a whole service with two honest clusters beside it may have is 1.5 GB; one that collects nothing large has 0.1. */
const MEGABYTES = { whole: 1_000, tenth: 320 }

type Collected = {
  readonly complete: boolean
  readonly metrics: { readonly status: string; readonly errors: string[]; readonly answers: number }
  readonly kubernetes: {
    readonly status: string
    readonly errors: string[]
    readonly lists: Readonly<Record<string, number>>
  }
  readonly megabytes: number
}

const vector = (result: unknown): string =>
  JSON.stringify({ status: 'success', data: { resultType: 'vector', result } })
const TIME = '{"status":"success","data":{"resultType":"scalar","result":[1795523460,"1795523460"]}}'

const honest: PrometheusReplay = (_, parameters) => ({
  status: 200,
  body: parameters.get('query') === 'time()' ? TIME : vector([]),
})

/** What a process of its own collects of servers that answer so, each well where nothing is said. */
async function collected(
  context: TestContext,
  {
    kubernetes,
    prometheus = honest,
    budget = 'tenth',
  }: { kubernetes?: KubernetesReplay; prometheus?: PrometheusReplay; budget?: keyof typeof MEGABYTES },
): Promise<Collected> {
  const folder = freshFolder(context)
  writeRecording(folder, '20261124T120000Z', recordedCluster())
  const well = kubernetesReplay(folder)
  const api = await startKubernetesServer(
    (url, now) => (url.startsWith('/api/v1/pods') ? (kubernetes ?? well)(url, now) : well(url, now)),
    '2026-11-24T12:31:00Z',
  )
  context.after(() => api.close())
  const asked = await startPrometheusServer(prometheus)
  context.after(() => asked.close())
  const kubeconfig = join(freshFolder(context), 'config')
  api.writeKubeconfig(kubeconfig)
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--max-old-space-size=1200', join(import.meta.dirname, 'budget-child.ts'), kubeconfig, asked.url],
    { env: { ...process.env, CIPHERTRAIL_BUDGET: budget === 'tenth' ? TENTH : '' } },
  )
  const read = JSON.parse(stdout) as Collected
  context.diagnostic(`${read.megabytes} MB`)
  assert.ok(read.megabytes < MEGABYTES[budget], `it took ${read.megabytes} MB`)
  return read
}

const tinyPods = (page: number): unknown[] =>
  Array.from({ length: 500 }, (_, index) => ({
    metadata: { name: `p${page}-${index}`, namespace: 'x' },
    spec: { containers: [] },
    status: {},
  }))

test('pods without end cost their own list, in one line, and what Prometheus says is kept', async (context) => {
  let page = 0
  const read = await collected(context, {
    kubernetes: () => ({
      status: 200,
      body: JSON.stringify({
        kind: 'PodList',
        metadata: { continue: `page-${++page}` },
        items: tinyPods(page),
      }),
    }),
  })
  assert.deepEqual([read.complete, read.metrics.status, read.kubernetes.status], [false, 'complete', 'failed'])
  matchesText(read.kubernetes.errors)
  assert.deepEqual([read.kubernetes.lists['pods'], read.kubernetes.lists['deployments.apps']], [undefined, 1])
})

test('pages without end that hold nothing end, too', async (context) => {
  let page = 0
  const read = await collected(context, {
    kubernetes: () => ({
      status: 200,
      body: JSON.stringify({ kind: 'PodList', metadata: { continue: `page-${++page}` }, items: [] }),
    }),
  })
  matchesText(read.kubernetes.errors)
  assert.equal(page, 40)
})

test('a list of 1 MB of brackets is told by its depth', async (context) => {
  const read = await collected(context, { kubernetes: () => ({ status: 200, body: '['.repeat(1_000_000) }) })
  matchesText(read.kubernetes.errors)
})

test('a page of 3 MB of empty lists is told by how many there are', async (context) => {
  const body = `{"kind":"PodList","items":[${'[],'.repeat(1_000_000)}[]]}`
  const read = await collected(context, { kubernetes: () => ({ status: 200, body }) })
  matchesText(read.kubernetes.errors[0])
})

test('a Policy that nests, closed well, is told and not stored', async (context) => {
  const deep = `{"kind":"PodList","items":[{"metadata":{"name":"a"},"spec":${'{"a":'.repeat(200)}1${'}'.repeat(200)}}]}`
  const read = await collected(context, { kubernetes: () => ({ status: 200, body: deep }) })
  assert.match(read.kubernetes.errors[0] ?? '', /has 101 levels of JSON or more/)
})

test('answers of 1 MB of brackets are told by their depth, and the lists are kept', async (context) => {
  const body = '['.repeat(1_000_000)
  const prometheus: PrometheusReplay = (_, parameters) => ({
    status: 200,
    body: parameters.get('query') === 'time()' ? TIME : body,
  })
  const read = await collected(context, { prometheus })
  assert.deepEqual([read.metrics.status, read.kubernetes.status, read.metrics.errors.length], ['failed', 'complete', 1])
  matchesText(read.metrics.errors[0])
})

test('a hundred thousand series are told by their bytes or their number, and the lists are kept', async (context) => {
  for (const [count, metric] of [
    [100_000, { pod: 'web' }],
    [50_000, {}],
    [5_000, { pod: 'web' }],
  ] as const) {
    const body = vector(Array.from({ length: count }, () => ({ metric, value: [1, '1'] })))
    const prometheus: PrometheusReplay = (_, parameters) => ({
      status: 200,
      body: parameters.get('query') === 'time()' ? TIME : body,
    })
    const read = await collected(context, { prometheus })
    assert.deepEqual([read.metrics.status, read.kubernetes.status], ['failed', 'complete'])
    matchesText(read.metrics.errors[0])
  }
})

test('answers that are each in order and too much together are told, and nothing more is asked', async (context) => {
  const labels = { pod: 'x'.repeat(600) }
  const body = vector(Array.from({ length: 39_000 }, () => ({ metric: labels, value: [1, '1'] })))
  let asked = 0
  const prometheus: PrometheusReplay = (_, parameters) => {
    if (parameters.get('query') === 'time()') return { status: 200, body: TIME }
    asked += 1
    return { status: 200, body }
  }
  const read = await collected(context, { prometheus, budget: 'whole' })
  assert.deepEqual([read.complete, read.kubernetes.status], [false, 'complete'])
  matchesText(read.metrics.errors.join('\n'))
  // Those that were under way, four at once, are the last.
  assert.ok(asked <= 192_000_000 / body.length + 4, String(asked))
})

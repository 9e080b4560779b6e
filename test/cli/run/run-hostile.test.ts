import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import type { KubernetesReplay } from '../../../demo/replay-kubernetes.ts'
import type { Window } from '../../../lib/model/time.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { encodeSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { type DemoMesh, startDemoMesh } from '../../support/mesh/demo-mesh.ts'
import { startService } from '../../support/process/running-service.ts'
import { startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { startPrometheusServer } from '../../support/servers/prometheus-server.ts'
import { largeSnapshot } from '../../support/stored/large-snapshot.ts'
import { snapshotOf } from '../../support/stored/sealed-store.ts'
import { vouchFor } from '../../support/stored/trusted-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** What the service and all its workers may have together. */
const MAX_BYTES = 1.5e9

/** How long it may take to say that it is there, and to end. */
const HEALTH_MS = 1_000
const END_MS = 10_000

let mesh: DemoMesh
const closing: (() => Promise<void>)[] = []

before(async () => {
  mesh = await startDemoMesh({ isLive: true })
  assert.equal((await mesh.run('key', 'new', 'example.com/log', '--key', 'log.key')).code, 0)
})
after(async () => {
  for (const close of closing) await close()
  await mesh.close()
})

const TINY_PODS = Array.from({ length: 500 }, (_, index) => ({
  metadata: { name: `p${index}`, namespace: 'x' },
  spec: { containers: [] },
  status: {},
}))

const SERIES = `{"status":"success","data":{"resultType":"vector","result":[${'{"metric":{},"value":[1,"1"]},'.repeat(199_999)}{"metric":{},"value":[1,"1"]}]}}`

/** An API server that answers so when it is asked for pods, and a Prometheus that answers so. */
async function hostile(
  name: string,
  { pods, answer }: { readonly pods?: KubernetesReplay; readonly answer?: string },
): Promise<{ readonly id: string; readonly kubeconfig: string; readonly prometheusUrl: string }> {
  const well: KubernetesReplay = () => ({ status: 200, body: '{"kind":"List","items":[]}' })
  const api = await startKubernetesServer(
    (url, now) => (url.startsWith('/api/v1/pods') ? (pods ?? well) : well)(url, now),
    new Date().toISOString().replace(/\.\d+/, ''),
  )
  const time = () =>
    JSON.stringify({ status: 'success', data: { resultType: 'scalar', result: [0, String(Date.now() / 1000)] } })
  const prometheus = await startPrometheusServer((_, parameters) => ({
    status: 200,
    body: parameters.get('query') === 'time()' ? time() : (answer ?? '['.repeat(1_900_000)),
  }))
  closing.push(
    () => api.close(),
    () => prometheus.close(),
  )
  const kubeconfig = join(mesh.folder, `${name}.kubeconfig`)
  api.writeKubeconfig(kubeconfig)
  return { id: name, kubeconfig, prometheusUrl: prometheus.url }
}

/** The memory of a process and of all that it started, in bytes. Pages that they share count for each. */
function memoryOf(pid: number): number {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const parent = /^PPid:\s+(\d+)$/m.exec(readOr(`/proc/${entry}/status`))?.[1]
    if (parent !== undefined) parents.set(Number(entry), Number(parent))
  }
  const isOurs = (one: number): boolean => one === pid || (parents.has(one) && isOurs(parents.get(one) ?? 0))
  let bytes = 0
  for (const one of parents.keys())
    if (isOurs(one)) bytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readOr(`/proc/${one}/status`))?.[1] ?? 0) * 1024
  return bytes
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

test('beside clusters that send whatever they like, honest ones miss no window, and the service answers, stays small and ends', async (context) => {
  const store = join(mesh.folder, 'hostile')
  const objects = directoryObjects(store)
  const now = new Date(toSeconds(mesh.windows.at(-2)?.start ?? '') * 1000)
  const author = { now, by: 'tester' }
  const { kubeconfig, prometheus } = mesh
  const settings = { windowMinutes: 5 as const }
  let page = 0
  const clusters = [
    await hostile('a-pages', {
      pods: () => ({
        status: 200,
        body: JSON.stringify({ kind: 'PodList', metadata: { continue: `${++page}` }, items: TINY_PODS }),
      }),
    }),
    await hostile('b-series', { answer: SERIES }),
    await hostile('c-brackets', { pods: () => ({ status: 200, body: '['.repeat(1_900_000) }) }),
    { id: 'honest', kubeconfig, prometheusUrl: prometheus.url },
    { id: 'upright', kubeconfig, prometheusUrl: prometheus.url },
  ]
  for (const cluster of clusters) await addCluster({ ...cluster, ...settings }, author, { objects })
  await addCluster({ id: 'd-agent', agent: true, ...settings }, author, { objects })
  // Keeps to the budget, and is more than a worker can hold.
  const window = mesh.windows.at(-1) ?? assert.fail()
  await objects.putOnce(
    evidenceKey({ cluster: 'd-agent', window, attempt: 1 }),
    await encodeSnapshot(largeSnapshot(snapshotOf('d-agent', 0, { window }), 120_000_000)),
  )
  await vouchFor(store, objects)

  const service = await startService(['--store', store, '--key', 'log.key', '--worker-memory', '120'], mesh.folder, {
    CIPHERTRAIL_BUDGET: 'answer=2000000 objects=5000',
  })
  const health = spawn(process.execPath, [join(import.meta.dirname, 'health-child.ts'), `${service.url}/health`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const answers = text(health.stdout)
  let most = 0
  const looking = setInterval(() => {
    most = Math.max(most, memoryOf(service.pid))
  }, 100)
  context.after(() => clearInterval(looking))
  const collected = (cluster: string) =>
    service.lines.filter((line) => line.event === 'collected' && line['cluster'] === cluster)
  const linesOf = (cluster: string) => collected(cluster).flatMap((line) => line['errors'] as string[])
  await service.until(() => collected('honest').length >= 3 && collected('upright').length >= 3)
  await service.until(() => ['a-pages', 'b-series', 'c-brackets'].every((id) => collected(id).length > 0))
  // By whoever derives first: the collector, or the compaction of the first day.
  const ended = await service.until((line) => JSON.stringify(line).includes('needed more than 120 MB'))
  health.stdin.end()
  const slowest = Number(await answers)
  const told = performance.now()
  service.kill('SIGTERM')
  const { code, stderr } = await service.ended
  const endedAfter = performance.now() - told
  context.diagnostic(
    `${Math.round(slowest)} ms, ${Math.round(most / 1e6)} MB, ended after ${Math.round(endedAfter)} ms`,
  )
  assert.deepEqual([code, stderr], [0, ''])
  // What ended since the recording was made has no answers; on a busy machine Prometheus' clock seems to be late.
  const recorded = new Set(mesh.windows.map(({ start }) => start))
  for (const id of ['honest', 'upright'])
    for (const line of collected(id)) {
      const errors = (line['errors'] as string[]).filter((error) => !error.startsWith('Cannot trust the times'))
      if (recorded.has((line['window'] as Window).start)) assert.deepEqual(errors, [], JSON.stringify(line))
    }
  matchesText(linesOf('a-pages').join('\n'))
  matchesText(linesOf('b-series').join('\n'))
  matchesText(linesOf('c-brackets').join('\n'))
  assert.match(JSON.stringify(ended), /d-agent\/0001.json.gz/)
  assert.ok(slowest < HEALTH_MS, `/health took ${slowest} ms`)
  assert.ok(most < MAX_BYTES, `it had ${most} bytes`)
  assert.ok(endedAfter < END_MS, `it ended after ${endedAfter} ms`)
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { status } from '../../../demo/replay-kubernetes.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { OpenOptions } from '../../../lib/collect/cluster/open-cluster.ts'
import { MAX_TAPPED, sampleTap, tapTargets } from '../../../lib/collect/tap/tap-sample.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { Endpoint } from '../../../lib/model/path.ts'
import type { MetricsAnswer, Snapshot } from '../../../lib/model/snapshot.ts'
import { encodeSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { freshFolder } from '../../support/recorder.ts'
import { evidenceOf } from '../../support/mesh/synthetic-cluster.ts'
import { tapRecordings } from '../../support/truth/tap-recordings.ts'
import { type TapAnswer, type TapServer, refuse, replay, startTapServer } from '../../support/servers/tap-server.ts'

const recordings = tapRecordings()
const web = recordings.find(({ workload }) => workload === 'web') ?? assert.fail('no recording of web')
const NOW = new Date('2026-11-24T13:12:22Z')

const cluster: Cluster = {
  id: 'shop',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 5 }],
}
const window = { start: '2026-11-24T13:05:00Z', end: '2026-11-24T13:10:00Z' }

let server: TapServer
before(async () => {
  server = await startTapServer()
})
after(() => server.close())

const workload = (name: string): Endpoint => ({ kind: 'deployment', namespace: 'emojivoto', name })

/** Samples workloads, each answered as told. */
async function sample(
  context: TestContext,
  answerOf: (name: string) => TapAnswer,
  { names = ['web'], seconds = 5, open = {} }: { names?: string[]; seconds?: number; open?: Partial<OpenOptions> } = {},
): Promise<NonNullable<Snapshot['tap']>> {
  const kubeconfig = join(freshFolder(context), 'kubeconfig')
  server.writeKubeconfig(kubeconfig)
  server.answer((response, request) =>
    answerOf(/deployments\/([^/]+)\/tap/.exec(request.url ?? '')?.[1] ?? '')(response, request),
  )
  const environment = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
  const access = openCluster({ ...cluster, kubeconfig }, { environment, retryDelayMs: 1, ...open })
  context.after(() => access.close())
  return sampleTap(
    cluster,
    seconds,
    { targets: names.map(workload), left: 3 },
    { api: access.kubernetes, now: () => NOW },
  )
}

const ipText = (ip: number): string => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join('.')

describe('sampleTap()', () => {
  test('keeps who sent what arrived without mesh TLS, as Linkerd’s own decoder reads it, and nothing else of a request', async (context) => {
    const tap = await sample(context, () => replay(web.bytes))
    const arrived = web.decoded.filter(
      ({ http, proxyDirection, sourceMeta }) =>
        http.requestInit !== undefined && proxyDirection === 'INBOUND' && sourceMeta.labels?.['tls'] !== 'true',
    )
    const pairs = arrived.map(
      ({ source, destination }) => `${ipText(source.ip.ipv4)} ${ipText(destination.ip.ipv4)}:${destination.port}`,
    )
    assert.ok(new Set(pairs).size >= 2)
    assert.deepEqual(
      [...new Set(tap.sightings.map((one) => `${one.source} ${one.destination}:${one.port}`))].toSorted(),
      [...new Set(pairs)].toSorted(),
    )
    assert.equal(tap.requests, arrived.length)
    assert.equal(
      tap.sightings.reduce((sum, { requests }) => sum + requests, 0),
      arrived.length,
    )
    const { sightings: _, ...rest } = tap
    assert.deepEqual(rest, {
      status: 'complete',
      errors: [],
      takenAt: '2026-11-24T13:12:22Z',
      seconds: 5,
      tapped: [workload('web')],
      left: 3,
      requests: arrived.length,
    })
    // What people asked for is in the recording, and not in what is kept.
    const { snapshot } = evidenceOf({ pods: [] })
    await encodeSnapshot({ ...snapshot, tap })
    const kept = JSON.stringify(tap)
    const said = web.decoded.flatMap(({ http: { requestInit } }) =>
      requestInit === undefined ? [] : [requestInit.path, requestInit.authority, requestInit.method.registered],
    )
    assert.ok(said.length > 10)
    for (const word of new Set(said)) if (word.length > 1) assert.ok(!kept.includes(word), word)
  })

  test('says which workload could not be tapped and which right lacks, and keeps what the others told', async (context) => {
    const tap = await sample(
      context,
      (name) => (name === 'web' ? replay(web.bytes) : refuse(status(403, 'Forbidden', 'deployments.tap.linkerd.io'))),
      { names: ['voting', 'web'] },
    )
    assert.deepEqual([tap.status, tap.tapped], ['partial', [workload('web')]])
    assert.ok(tap.sightings.length > 0)
    const [line = '', ...more] = tap.errors
    assert.deepEqual(more, [])
    assert.ok(line.startsWith('Cannot tap deployment "voting" in namespace "emojivoto" of cluster "shop": '), line)
    assert.ok(line.includes('grant "watch" on "deployments/tap" in the API group "tap.linkerd.io"'), line)
    const refused = await sample(context, () => refuse(status(403, 'Forbidden', 'no')))
    assert.deepEqual([refused.status, refused.sightings], ['failed', []])
  })

  test('ends in time where the server never does, and keeps what was seen before it broke', async (context) => {
    const began = performance.now()
    const endless = await sample(context, () => replay(web.bytes, { after: 'silence' }), { seconds: 1 })
    assert.ok(performance.now() - began < 60_000)
    assert.deepEqual([endless.status, endless.sightings.length > 0], ['complete', true])
    const cut = await sample(context, () => replay(web.bytes, { after: 'cut' }))
    assert.deepEqual([cut.status, cut.sightings.length > 0], ['failed', true])
  })

  test('reads no more events and bytes than it wants, however many come', async (context) => {
    const many = await sample(
      context,
      () => (response) => {
        response.writeHead(200, { 'content-type': 'application/octet-stream' })
        const more = (): void => {
          while (!response.destroyed && response.write(web.bytes));
          if (!response.destroyed) response.once('drain', more)
        }
        more()
      },
      { seconds: 60 },
    )
    assert.ok(many.requests < 20_000 && many.requests > 1_000, String(many.requests))
    assert.deepEqual([many.status, many.sightings.length < 1_000], ['complete', true])
  })
})

describe('tapTargets()', () => {
  const answer = (name: string, series: readonly Readonly<Record<string, string>>[]): MetricsAnswer => ({
    name,
    query: '',
    time: '0',
    body: JSON.stringify({
      status: 'success',
      data: { resultType: 'matrix', result: series.map((metric) => ({ metric, values: [[1, '1']] })) },
    }),
  })
  const named = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      namespace: 'shop',
      deployment: `d${String(index).padStart(3, '0')}`,
    }))

  test('are workloads at which something arrived without mesh TLS, each once, without those of Linkerd', () => {
    const series = [
      { namespace: 'shop', deployment: 'web', pod: 'a' },
      { namespace: 'shop', deployment: 'web', pod: 'b' },
      { namespace: 'shop', statefulset: 'db' },
      { namespace: 'linkerd', deployment: 'linkerd-identity' },
      { namespace: 'linkerd-viz', deployment: 'web' },
      { namespace: '../shop', deployment: 'web' },
      { namespace: 'shop', k8s_job: 'once' },
    ]
    const { targets, left } = tapTargets(
      [
        answer('clear-inbound', series),
        answer('clear-outbound', named(1)),
        { ...answer('clear-inbound', []), body: 'x' },
      ],
      cluster,
      window,
    )
    assert.deepEqual(targets, [
      { kind: 'deployment', namespace: 'shop', name: 'web' },
      { kind: 'statefulset', namespace: 'shop', name: 'db' },
    ])
    assert.equal(left, 0)
  })

  test('are each workload once in as many windows as it takes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), (count) => {
        const seen = new Set<string>()
        const windows = Math.ceil(count / MAX_TAPPED) * 12
        for (let index = 0; index < windows; index++) {
          const at = (minutes: number) => new Date(Date.UTC(2026, 10, 24, 0, minutes)).toISOString()
          const next = { start: at(index * 5), end: at(index * 5 + 5) }
          const { targets, left } = tapTargets([answer('clear-inbound', named(count))], cluster, next)
          assert.equal(targets.length + left, count)
          assert.ok(targets.length <= MAX_TAPPED)
          assert.equal(new Set(targets.map(({ name }) => name)).size, targets.length)
          for (const { name } of targets) seen.add(name)
        }
        assert.equal(seen.size, count)
      }),
      { numRuns: 30 },
    )
  })
})

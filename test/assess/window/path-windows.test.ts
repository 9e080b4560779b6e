import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PathWindow } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed, linesOf, pathLines } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, identityOf, pod, timeAt } from '../../support/mesh/synthetic-pods.ts'
import {
  type Counter,
  NO_DISCOVERY,
  NO_TLS,
  PROBE,
  authorized,
  clearHttp,
  every,
  inbound,
  mutual,
  outbound,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'

const web = pod('deployment/web')
const bare = pod('deployment/web', { meshed: false })
const api = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 10 }] })
const PATH = 'deployment/web -> deployment/api:8080'

/** What web -> api:8080 is said to be. */
function said(cluster: SyntheticCluster): string {
  const line = pathLines(cluster).find((one) => one.startsWith(PATH))
  return line?.slice(PATH.length + 1) ?? 'absent'
}

const DOWN = (from: number, to: number) => (time: number) => (time > from && time < to ? 'none' : 'success')

describe('A source of which a pod has no proxy', () => {
  const cluster = (more: readonly Counter[], server: Pod = api): SyntheticCluster => ({
    pods: [web, bare, server],
    counters: [...mutual(web, server, 8080), ...more],
  })

  test('is unknown where its destination got unnamed clear traffic on that port', () => {
    const unknown = 'unknown (source-partly-unmeshed (1 of 2))'
    assert.equal(said(cluster(clearHttp(api, 8080))), unknown)
    assert.equal(
      said(cluster([...tcp(api, inbound(api, 8080, NO_TLS)), authorized(api, 8080, 'tcp_authz_allow')])),
      unknown,
    )
    // What is not known may have been it.
    assert.equal(said(cluster(tcp(api, inbound(api, 8080, { tls: 'maybe' })))), unknown)
  })

  test('is unknown where a request of it may hide among probes that only their rate makes such', () => {
    const rpc = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 10, kind: 'grpc' }] })
    const counters = [
      ...mutual(web, rpc, 8080),
      ...tcp(rpc, inbound(rpc, 8080, NO_TLS), { at: every(10) }),
      authorized(rpc, 8080, 'http_authz_allow', every(10)),
    ]
    assert.equal(said({ pods: [web, bare, rpc], counters }), 'unknown (source-partly-unmeshed (1 of 2))')
    const skipper = pod('deployment/web', { skipOutbound: '8080' })
    assert.equal(said({ pods: [web, skipper, rpc], counters }), 'unknown (source-partly-unmeshed (1 of 2))')
    assert.equal(said({ pods: [web, rpc], counters }), 'mtls')
  })

  test('is mtls where its destination was fully covered and got none', () => {
    assert.equal(said(cluster([])), 'mtls')
    assert.equal(said(cluster(clearHttp(api, 9090))), 'mtls')
    assert.equal(said(cluster(clearHttp(pod('deployment/api', { namespace: 'other' }), 8080))), 'mtls')
  })

  test('is not in doubt for probes, refused, exempt or encrypted traffic', () => {
    const quiet: Readonly<Record<string, Counter[]>> = {
      probes: [
        ...tcp(api, inbound(api, 8080, NO_TLS), { at: every(10) }),
        authorized(api, 8080, 'http_authz_allow', every(10), PROBE),
      ],
      refused: [...tcp(api, inbound(api, 8080, NO_TLS)), authorized(api, 8080, 'http_authz_deny')],
      'without payload': tcp(api, inbound(api, 8080, NO_TLS), { bytes: 0 }),
      anonymous: tcp(api, inbound(api, 8080, { tls: 'true' })),
      'of the application': tcp(api, inbound(api, 8080, { tls: 'opaque', sni: 'x' })),
    }
    for (const [name, counters] of Object.entries(quiet)) assert.equal(said(cluster(counters)), 'mtls', name)
  })

  test('is in doubt for who calls the probe path too often', () => {
    const probes = authorized(api, 8080, 'http_authz_allow', every(5), PROBE)
    assert.match(said(cluster([...tcp(api, inbound(api, 8080, NO_TLS)), probes])), /^unknown/)
  })

  test('is unknown where its destination was not seen whole', () => {
    const notSeen = 'unknown (destination-not-seen)'
    assert.equal(said(cluster([], { ...api, scrape: DOWN(100, 141) })), notSeen)
    assert.equal(said(cluster([], { ...api, scrape: DOWN(100, 121) })), 'mtls', 'three intervals are no gap')
    const others: Readonly<Record<string, Pod>> = {
      'another pod of it was never scraped': pod('deployment/api', { policy: 'deny', scrape: () => 'failure' }),
      'another pod of it has no proxy': pod('deployment/api', { meshed: false }),
    }
    for (const [name, other] of Object.entries(others)) {
      const { pods, counters = [] } = cluster([])
      assert.equal(said({ pods: [...pods, other], counters }), notSeen, name)
    }
  })

  test('counts with pods that were there for a part of the window only, and with restarts that the kubelet forgot', () => {
    const state = { running: { startedAt: timeAt(320) } }
    const lastState = { terminated: { startedAt: timeAt(310), finishedAt: timeAt(315) } }
    const crashing = { containerStatuses: [{ name: 'app', ready: true, restartCount: 7, state, lastState }] }
    const lives: Readonly<Record<string, Partial<Pod>>> = {
      'left before the end': { to: 90 },
      'was evicted at a time that nobody knows': { status: { phase: 'Failed', containerStatuses: [] } },
      'came before the end': { from: 290 },
      'restarts all the time': { status: crashing },
      'belongs to another control plane': { meshed: true, controlPlane: 'linkerd-two', scrape: () => 'none' },
    }
    for (const [name, life] of Object.entries(lives)) {
      const other = pod('deployment/web', { meshed: false, ...life })
      const cluster = { pods: [web, other, api], counters: [...mutual(web, api, 8080), ...clearHttp(api, 8080)] }
      assert.equal(said(cluster), 'unknown (source-partly-unmeshed (1 of 2))', name)
    }
  })

  test('may be one that no list holds, and its destination one that nobody here can see', () => {
    const known = tcp(api, inbound(api, 8080, { tls: 'true', client_id: 'x.y.serviceaccount.identity.z' }))
    assert.deepEqual(pathLines({ pods: [api], counters: [...known, ...clearHttp(api, 8080)] }), [
      'serviceaccount/x -> deployment/api:8080 unknown (source-partly-unmeshed (pod-not-listed))',
      'unmeshed -> deployment/api:8080 plaintext (no_tls_from_remote)',
    ])
    const far = { dst_target_cluster: 'west', dst_target_service: 'ledger', dst_target_service_namespace: 'bank' }
    const labels = { ...outbound(api, 4143, { tls: 'true', server_id: 'gateway' }), ...far }
    const to = (pods: readonly Pod[]) => pathLines({ pods, counters: tcp(web, labels) })
    assert.deepEqual(to([web]), ['deployment/web -> west:service/ledger:4143 mtls'])
    assert.deepEqual(to([web, bare]), ['deployment/web -> west:service/ledger:4143 unknown (destination-not-seen)'])
  })

  test('may be a pod of a CronJob that came and went between the lists, unless cAdvisor saw everybody', () => {
    const tick = pod('cronjob/tick')
    const counters = [...mutual(tick, api, 8080), ...clearHttp(api, 8080)]
    const of = (more: Partial<SyntheticCluster>) =>
      pathLines({ pods: [tick, api], counters, ...more }).find((line) => line.startsWith('cronjob/tick'))
    const path = 'cronjob/tick -> deployment/api:8080'
    assert.equal(of({}), `${path} unknown (source-partly-unmeshed (pod-not-listed))`)
    assert.equal(of({ kubelet: {} }), `${path} mtls`)
    assert.equal(of({ counters: mutual(tick, api, 8080) }), `${path} mtls`)
  })

  test('counts with pods whose proxy is not in the way of the port that is dialled', () => {
    const service = () => ({
      services: [
        {
          metadata: { name: 'api', namespace: 'shop' },
          spec: { selector: { app: 'api' }, ports: [{ port: 80, targetPort: 8080 }] },
        },
      ],
    })
    const unknown = 'unknown (source-partly-unmeshed (1 of 2))'
    for (const [skipOutbound, wanted] of [
      ['80', unknown],
      ['8000-9000', unknown],
      ['9090', 'mtls'],
    ] as const) {
      const skipper = pod('deployment/web', { skipOutbound })
      const counters = [...mutual(web, api, 8080), ...clearHttp(api, 8080)]
      assert.equal(said({ pods: [web, skipper, api], counters, objects: service }), wanted, skipOutbound)
    }
  })

  test('counts with pods that keep a subnet out of their proxy: the destination may lie in it', () => {
    const skipper = pod('deployment/web', { skipSubnets: '10.0.0.0/8' })
    const counters = [...mutual(web, api, 8080), ...clearHttp(api, 8080)]
    assert.equal(said({ pods: [web, skipper, api], counters }), 'unknown (source-partly-unmeshed (1 of 2))')
    assert.equal(said({ pods: [web, skipper, api], counters: mutual(web, api, 8080) }), 'mtls')
  })

  test('does not count with pods of another time or that never ran', () => {
    const ended = { terminated: { startedAt: timeAt(-5000), finishedAt: timeAt(-4000) } }
    const failed = { phase: 'Failed', reason: 'Evicted', containerStatuses: [{ name: 'app', state: ended }] }
    const lives: Readonly<Record<string, Partial<Pod>>> = {
      'came after': { from: 310 },
      'left before': { to: -10 },
      'was evicted before': { from: -5000, status: failed },
      'never began': { status: { phase: 'Pending', containerStatuses: [{ name: 'app', state: {} }] } },
    }
    for (const [name, life] of Object.entries(lives)) {
      const other = pod('deployment/web', { meshed: false, ...life })
      const cluster = { pods: [web, other, api], counters: [...mutual(web, api, 8080), ...clearHttp(api, 8080)] }
      assert.equal(said(cluster), 'mtls', name)
    }
  })

  test('may be any source without lists, or of a proxy that was not read to its end', () => {
    const one = (changes: Partial<Pod>, more: Partial<SyntheticCluster> = {}) => {
      const client = { ...web, ...changes }
      return said({
        pods: [client, api],
        counters: [...mutual(client, api, 8080, { lasts: Infinity }), ...clearHttp(api, 8080)],
        ...more,
      })
    }
    assert.equal(one({}), 'mtls')
    assert.equal(one({}, { before: null }), 'unknown (source-partly-unmeshed (no list))')
    assert.equal(one({}, { after: null }), 'unknown (source-partly-unmeshed (no list))')
    assert.equal(one({ scrape: DOWN(150, 400) }), 'unknown (source-partly-unmeshed (1 of 1))')
    const proxy = { terminated: { startedAt: timeAt(-3600), finishedAt: timeAt(10) } }
    const ended = { initContainerStatuses: [{ name: 'linkerd-proxy', state: proxy }] }
    const short = pod('deployment/web', { scrape: DOWN(0, 400), status: ended })
    const unread = { pods: [web, short, api], counters: [...mutual(web, api, 8080), ...clearHttp(api, 8080)] }
    assert.equal(said(unread), 'unknown (source-partly-unmeshed (1 of 2))', 'not scraped in the window')
    // Counters keep what happened in a short time without scrapes.
    assert.equal(one({ scrape: DOWN(100, 200) }), 'mtls')
  })
})

describe('Both sides of a path', () => {
  const first = (cluster: SyntheticCluster): Partial<PathWindow> => {
    const path = assessed(cluster).paths.find(({ source }) => source.kind !== 'unmeshed')
    return {
      corroborated: path?.corroborated ?? 'no',
      clientId: path?.clientId ?? null,
      serverId: path?.serverId ?? null,
    }
  }

  test('are one row, corroborated where the other side saw the identity of one workload', () => {
    const seen = { corroborated: 'yes', clientId: 'web.shop', serverId: 'api.shop' }
    assert.deepEqual(first({ pods: [web, api], counters: mutual(web, api, 8080) }), seen)
    const alone = mutual(web, api, 8080).slice(0, 4)
    assert.deepEqual(first({ pods: [web, api], counters: alone }), { ...seen, corroborated: 'no', clientId: null })
    const other = tcp(api, inbound(api, 8081, { tls: 'true', client_id: identityOf(web) }))
    assert.equal(first({ pods: [web, api], counters: [...alone, ...other] }).corroborated, 'no', 'another port')
  })

  test('are ambiguous where a workload shares the ServiceAccount', () => {
    const twin = pod('deployment/twin', { serviceAccount: 'web' })
    assert.equal(first({ pods: [web, twin, api], counters: mutual(web, api, 8080) }).corroborated, 'ambiguous')
    const gone = pod('deployment/twin', { serviceAccount: 'web', to: -10 })
    assert.equal(first({ pods: [web, gone, api], counters: mutual(web, api, 8080) }).corroborated, 'yes')
  })

  test('do not corroborate by a server whose labels are overridden', () => {
    const liar = pod('deployment/api', { labels: { client_id: 'x' } })
    assert.equal(first({ pods: [web, liar], counters: mutual(web, liar, 8080) }).corroborated, 'no')
  })

  test('do not corroborate by a server that no list holds', () => {
    const path = first({ pods: [web], unlisted: [api], counters: mutual(web, api, 8080) })
    assert.equal(path.corroborated, 'no')
  })

  test('give one row to each source of a shared identity', () => {
    const twin = pod('deployment/twin', { serviceAccount: 'web' })
    const both = [...mutual(web, api, 8080), ...mutual(twin, api, 8080).slice(0, 4)]
    assert.deepEqual(pathLines({ pods: [web, twin, api], counters: both }), [
      'deployment/twin -> deployment/api:8080 mtls',
      `${PATH} mtls`,
    ])
  })

  test('of which only the server was seen are a row of the ServiceAccount', () => {
    const { paths } = assessed({ pods: [web, api], counters: mutual(web, api, 8080).slice(4) })
    assert.deepEqual(linesOf(paths), ['serviceaccount/web -> deployment/api:8080 mtls'])
    assert.deepEqual(
      paths.map(({ source, corroborated, candidates }) => [source.namespace, corroborated, candidates]),
      [['shop', 'no', []]],
    )
  })

  test('count connections and bytes once, from the client', () => {
    const counters = [
      ...tcp(web, outbound(api, 8080, { tls: 'true', server_id: identityOf(api) }), { at: [60, 70], bytes: 7 }),
      ...tcp(api, inbound(api, 8080, { tls: 'true', client_id: identityOf(web) }), { at: [60, 70, 80], bytes: 9 }),
    ]
    const [path] = assessed({ pods: [web, api], counters }).paths
    assert.deepEqual([path?.opens, path?.bytes, path?.clearBytes], [2, 28, 0])
  })
})

describe('A path', () => {
  test('takes the worst of its edges', () => {
    const tls = { tls: 'true', server_id: identityOf(api) }
    const old = pod('deployment/api')
    const clear = tcp(web, outbound(old, 8080, NO_DISCOVERY), { at: [60], bytes: 5 })
    const counters = [...tcp(web, outbound(api, 8080, tls), { at: [60], bytes: 10 }), ...clear]
    const [path] = assessed({ pods: [web, api, old], counters }).paths
    assert.deepEqual([path?.state, path?.opens, path?.bytes, path?.clearBytes], ['no-mesh-tls', 2, 30, 10])
    const maybe = tcp(web, outbound(old, 8080, { tls: 'maybe' }))
    assert.equal(
      said({ pods: [web, api, old], counters: [...mutual(web, api, 8080), ...maybe] }),
      'unknown (tls=maybe)',
    )
    assert.match(said({ pods: [web, api, old], counters: [...counters, ...maybe] }), /^no-mesh-tls/)
  })

  test('leaves refused edges out of its worst', () => {
    const denied = [...tcp(api, inbound(api, 80, NO_TLS)), authorized(api, 80, 'http_authz_deny')]
    const anonymous = tcp(api, inbound(api, 80, { tls: 'true' }))
    assert.deepEqual(pathLines({ pods: [api], counters: [...denied, ...anonymous] }), [
      'unmeshed -> deployment/api:80 tls-anonymous',
    ])
  })

  test('that is unknown says why', () => {
    const { paths } = assessed({
      pods: [web, bare, api],
      counters: [...mutual(web, api, 8080), ...clearHttp(api, 8080)],
    })
    const causes = Object.fromEntries(paths.map(({ source, cause }) => [source.kind, cause]))
    assert.deepEqual(causes, { deployment: 'source-partly-meshed', unmeshed: 'source-not-meshed' })
  })

  test('in a rollout from one ServiceAccount to another is one path that names an identity', () => {
    const [before, after] = [
      pod('deployment/web', { serviceAccount: 'old', to: 150 }),
      pod('deployment/web', { from: 150 }),
    ]
    const counters = [...mutual(before, api, 8080, { at: [60] }), ...mutual(after, api, 8080, { at: [200] })]
    const { paths } = assessed({ pods: [before, after, api], counters })
    assert.deepEqual(linesOf(paths), [`${PATH} mtls`])
    assert.equal(paths[0]?.opens, 2)
  })
})

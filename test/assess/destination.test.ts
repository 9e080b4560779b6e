import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pathId } from '../../lib/assess/edges.ts'
import { assessed, pathLines } from '../support/synthetic-cluster.ts'
import { type Pod, pod } from '../support/synthetic-pods.ts'
import { NO_DISCOVERY, NO_TLS, inbound, outbound, outboundTo, tcp } from '../support/synthetic-prometheus.ts'

const web = pod('deployment/web')
const db = pod('statefulset/db', { ip: '10.7.0.1' })

/** Where a series with these labels went, as `kind/name`, or `cluster:kind/name`. */
function wentTo(labels: Readonly<Record<string, string>>, pods: readonly Pod[] = [web, db]): string {
  const { paths } = assessed({ pods, counters: tcp(web, outboundTo('203.0.113.7', 80, labels)) })
  const [path] = paths
  assert.ok(path !== undefined && paths.length === 1)
  const { cluster, kind, namespace, name } = path.destination
  return `${cluster === null ? '' : `${cluster}:`}${[kind, namespace, name].filter(Boolean).join('/')}`
}

describe('The destination of an outbound connection', () => {
  test('is the first that its labels name', () => {
    // Each line takes one more name away, worst first: contracts, section 4.
    const names = [
      [{ dst_external_workload: 'vm' }, 'externalworkload/shop/vm'],
      [
        { dst_target_cluster: 'west', dst_target_service: 'ledger', dst_target_service_namespace: 'bank' },
        'west:service/bank/ledger',
      ],
      [{ dst_statefulset: 'cache' }, 'statefulset/shop/cache'],
      [{ dst_pod: 'stray' }, 'pod/shop/stray'],
      [{ target_ip: '10.7.0.1' }, 'statefulset/shop/db'],
      [{ dst_service: 'front' }, 'service/shop/front'],
      [{ authority: 'api.example.com:443' }, 'external/api.example.com'],
      [{}, 'external/203.0.113.7'],
    ] as const
    for (const [index, [, wanted]] of names.entries()) {
      const rest = names.slice(index).map(([labels]) => labels)
      assert.equal(wentTo(Object.assign({ dst_namespace: 'shop' }, ...rest.toReversed())), wanted)
    }
  })

  test('is an owner of any kind', () => {
    const kinds = { deployment: 'deployment', statefulset: 'statefulset', daemonset: 'daemonset', k8s_job: 'job' }
    for (const [label, kind] of Object.entries({ ...kinds, replicationcontroller: 'replicationcontroller' }))
      assert.equal(wentTo({ dst_namespace: 'shop', [`dst_${label}`]: 'x' }), `${kind}/shop/x`)
  })

  test('rolls up: a ReplicaSet to its Deployment, a Job to its CronJob, a pod to what owns it', () => {
    const [api, tick] = [pod('deployment/api'), pod('cronjob/tick')]
    const pods = [web, api, tick]
    assert.equal(wentTo({ dst_namespace: 'shop', dst_replicaset: 'api-6f5d8c7b9' }, pods), 'deployment/shop/api')
    assert.equal(wentTo({ dst_namespace: 'shop', dst_k8s_job: 'tick-29925432' }, pods), 'cronjob/shop/tick')
    // The Job may be gone already; its CronJob names its Jobs by their minute.
    assert.equal(wentTo({ dst_namespace: 'shop', dst_k8s_job: 'tick-29925499' }, pods), 'cronjob/shop/tick')
    assert.equal(wentTo({ dst_namespace: 'shop', dst_pod: tick.name }, pods), 'cronjob/shop/tick')
    assert.equal(wentTo({ dst_namespace: 'shop', dst_pod: 'api-6f5d8c7b9-zzzzz' }, pods), 'deployment/shop/api')
    assert.equal(
      wentTo({ dst_namespace: 'bank', dst_replicaset: 'api-6f5d8c7b9' }, pods),
      'replicaset/bank/api-6f5d8c7b9',
    )
  })

  test('of a proxy before 2.12 is found by its address', () => {
    const old = { target_ip: '', target_port: '', target_addr: '10.7.0.1:5432' }
    const lines = pathLines({ pods: [web, db], counters: tcp(web, outboundTo('0.0.0.0', 1, old)) })
    assert.deepEqual(lines, ['deployment/web -> statefulset/db:5432 no-mesh-tls (not_provided_by_service_discovery)'])
  })

  test('carries the ServiceAccount that was dialled, else that of its pods', () => {
    const told = assessed({
      pods: [web, db],
      counters: tcp(web, outbound({ ...db, serviceAccount: 'old' }, 80, NO_DISCOVERY)),
    })
    assert.equal(told.paths[0]?.destination.serviceAccount, 'old')
    const read = assessed({ pods: [web, db], counters: tcp(web, outboundTo('10.7.0.1', 80)) })
    assert.equal(read.paths[0]?.destination.serviceAccount, 'db')
  })
})

describe('pathId()', () => {
  const ends = (kind: string, namespace: string, name: string) => ({ kind, namespace, name })
  test('is the begin of the hash of the canonical JSON, with null for what is absent', () => {
    const source = ends('deployment', 'shop', 'web')
    const here = { cluster: null }
    // By sha256sum of ["prod","deployment","shop","web","statefulset","shop","db",null,5432] and so on.
    const vectors = [
      [source, { ...ends('statefulset', 'shop', 'db'), ...here }, 5432, '5a83b3758a0cda5d'],
      [ends('unmeshed', '', ''), { ...ends('deployment', 'shop', 'api'), ...here }, 8080, 'd096700a7cc841ac'],
      [source, { ...ends('external', '', 'api.example.com'), ...here }, 443, '0e1314ae1b0595d3'],
      [source, { ...ends('service', 'bank', 'ledger'), cluster: 'west' }, 443, '98dabab218457514'],
      [ends('deployment', 'shop', 'wäb"'), { ...ends('pod', 'shop', 'db'), ...here }, 1, '24cdc629c6ed4306'],
    ] as const
    for (const [from, to, port, id] of vectors) assert.equal(pathId('prod', from, to, port), id)
  })

  test('does not change with a ServiceAccount or a pod, and does with anything else', () => {
    const id = (server: Pod, port = 80, client = web) =>
      assessed({ pods: [client, server], counters: tcp(client, outbound(server, port, NO_DISCOVERY)) }).paths[0]?.pathId
    const api = pod('deployment/api')
    assert.equal(id(pod('deployment/api', { serviceAccount: 'other' })), id(api))
    const others = [
      id(api, 81),
      id(pod('statefulset/api')),
      id(pod('deployment/api', { namespace: 'bank' })),
      id(api, 80, db),
    ]
    assert.equal(new Set([id(api), ...others]).size, 5)
  })
})

describe('The source of an inbound connection', () => {
  const lines = (tls: Readonly<Record<string, string>>) =>
    pathLines({ pods: [web], counters: tcp(web, inbound(web, 80, tls)) })

  test('without an identity is nobody that the mesh knows', () => {
    assert.deepEqual(lines({ tls: 'true' }), ['unmeshed -> deployment/web:80 tls-anonymous'])
    assert.deepEqual(lines({ tls: 'opaque', sni: 'x' }), ['unmeshed -> deployment/web:80 app-tls (application-tls)'])
    assert.deepEqual(lines(NO_TLS), ['unmeshed -> deployment/web:80 unknown (no authorization counter moved)'])
  })

  test('with an identity of another kind is that identity', () => {
    const vm = lines({ tls: 'true', client_id: 'spiffe://root/vm' })
    assert.deepEqual(vm, ['serviceaccount/spiffe://root/vm -> deployment/web:80 mtls'])
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fixOf } from '../../../lib/assess/fixes/fix-text.ts'
import { pathId } from '../../../lib/assess/ends/path-id.ts'
import type { PathWindow } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed, pathLines } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod } from '../../support/mesh/synthetic-pods.ts'
import { NO_DISCOVERY, NO_TLS, inbound, outbound, outboundTo, tcp } from '../../support/mesh/synthetic-prometheus.ts'

const web = pod('deployment/web', { ip: '10.7.0.9' })
const db = pod('statefulset/db', { ip: '10.7.0.1' })
/** Of the pod network, and of no listed pod. */
const GONE = '10.7.0.77'

/** Where a series with these labels went, as `kind/name`, or `cluster:kind/name`. */
function wentTo(
  labels: Readonly<Record<string, string>>,
  pods: readonly Pod[] = [web, db],
  more: Partial<SyntheticCluster> = {},
): string {
  const [path] = wentBy(labels, pods, more)
  assert.ok(path !== undefined)
  const { cluster, kind, namespace, name } = path.destination
  return `${cluster === null ? '' : `${cluster}:`}${[kind, namespace, name].filter(Boolean).join('/')}`
}

function wentBy(
  labels: Readonly<Record<string, string>>,
  pods: readonly Pod[] = [web, db],
  more: Partial<SyntheticCluster> = {},
): PathWindow[] {
  const { paths } = assessed({ pods, counters: tcp(web, outboundTo('203.0.113.7', 80, labels)), ...more })
  assert.equal(paths.length, 1)
  return [...paths]
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
      [{ dst_statefulset: 'cache', target_ip: GONE }, 'statefulset/shop/cache'],
      [{ dst_pod: 'stray', target_ip: GONE }, 'pod/shop/stray'],
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
      assert.equal(wentTo({ dst_namespace: 'shop', [`dst_${label}`]: 'x', target_ip: GONE }), `${kind}/shop/x`)
  })

  test('rolls up: a ReplicaSet to its Deployment, a Job to its CronJob, a pod to what owns it', () => {
    const [api, tick] = [pod('deployment/api'), pod('cronjob/tick')]
    const pods = [web, api, tick]
    assert.equal(
      wentTo({ dst_namespace: 'shop', target_ip: GONE, dst_replicaset: 'api-6f5d8c7b9' }, pods),
      'deployment/shop/api',
    )
    assert.equal(
      wentTo({ dst_namespace: 'shop', target_ip: GONE, dst_k8s_job: 'tick-29925432' }, pods),
      'cronjob/shop/tick',
    )
    // The Job may be gone already; its CronJob names its Jobs by their minute.
    assert.equal(
      wentTo({ dst_namespace: 'shop', target_ip: GONE, dst_k8s_job: 'tick-29925499' }, pods),
      'cronjob/shop/tick',
    )
    assert.equal(wentTo({ dst_namespace: 'shop', target_ip: GONE, dst_pod: tick.name }, pods), 'cronjob/shop/tick')
    assert.equal(
      wentTo({ dst_namespace: 'shop', target_ip: GONE, dst_pod: 'api-6f5d8c7b9-zzzzz' }, pods),
      'deployment/shop/api',
    )
    assert.equal(
      wentTo({ dst_namespace: 'bank', target_ip: GONE, dst_replicaset: 'api-6f5d8c7b9' }, pods),
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

describe('A destination on a flat network of clusters', () => {
  const api = pod('deployment/api', { ip: '10.7.0.2' })
  const pods = [web, api, db]
  const remote = { dst_namespace: 'shop', dst_deployment: 'api', dst_pod: 'api-5d4c-xyz12', dst_service: 'api-east' }
  const mirror = (labels: Readonly<Record<string, string>>) => () => ({
    services: [{ metadata: { name: 'api-east', namespace: 'shop', labels }, spec: {} }],
  })
  const link = {
    'multicluster.linkerd.io/remote-discovery': 'east',
    'multicluster.linkerd.io/remote-service': 'api',
  }

  test('is never the workload of its name in this cluster', () => {
    // The labels of discovery say what the pod is there; its address is not of this cluster's pod network.
    assert.equal(wentTo({ ...remote, target_ip: '10.8.0.7' }, pods), 'service/shop/api-east')
    const named = { dst_namespace: 'shop', dst_statefulset: 'db', dst_pod: 'db-0', target_ip: '10.8.0.8' }
    assert.equal(wentTo(named, pods), 'external/10.8.0.8')
    assert.equal(wentBy({ ...remote, target_ip: '10.8.0.7' }, pods)[0]?.cause, 'outside-cluster')
  })

  test('names the cluster where its Service says it', () => {
    for (const target_ip of ['10.8.0.7', '10.7.44.7', GONE])
      assert.equal(wentTo({ ...remote, target_ip }, pods, { objects: mirror(link) }), 'east:service/shop/api')
    // A pod of this cluster stays one, whatever the Service.
    assert.equal(
      wentTo({ ...remote, dst_pod: api.name, target_ip: api.ip }, pods, { objects: mirror(link) }),
      'deployment/shop/api',
    )
  })

  test('is told from a pod here that no list holds by its address, else by its ReplicaSet', () => {
    assert.equal(wentTo({ ...remote, target_ip: GONE }, pods), 'deployment/shop/api')
    // Of the larger range, as on a node of which no pod is listed.
    assert.equal(wentTo({ ...remote, target_ip: '10.7.44.7' }, pods), 'service/shop/api-east')
    const own = { ...remote, dst_pod: 'api-6f5d8c7b9-zzzzz', target_ip: '10.7.44.7' }
    assert.equal(wentTo(own, pods), 'deployment/shop/api')
    assert.equal(
      wentTo({ ...remote, target_ip: '10.8.0.7' }, pods, { before: null, after: null }),
      'deployment/shop/api',
    )
  })

  test('gives nothing to the path of the local workload', () => {
    const tls = { tls: 'true', no_tls_reason: '', server_id: 'api.shop.serviceaccount.identity.linkerd.cluster.local' }
    const counters = [
      ...tcp(web, outbound(api, 8080, NO_DISCOVERY)),
      ...tcp(web, outboundTo('10.8.0.7', 8080, { ...remote, ...tls })),
    ]
    assert.deepEqual(pathLines({ pods, counters }), [
      'deployment/web -> deployment/api:8080 no-mesh-tls (not_provided_by_service_discovery)',
      'deployment/web -> service/api-east:8080 mtls',
    ])
  })
})

describe('A destination by a node’s address', () => {
  const ports = [{ containerPort: 9100 }]
  const agent = pod('daemonset/agent', { ip: '192.0.2.1', hostNetwork: true, meshed: false, ports })
  const other = pod('daemonset/other', { ip: '192.0.2.1', hostNetwork: true, meshed: false })
  const to = (port: number, pods: readonly Pod[], address = '192.0.2.1') =>
    assessed({ pods: [web, ...pods], counters: tcp(web, outboundTo(address, port)) }).paths[0]

  test('is the workload on its network that declares the port, and cannot be meshed', () => {
    const path = to(9100, [agent, other])
    assert.equal(path?.destination.name, 'agent')
    assert.equal(path.cause, 'destination-on-host-network')
    assert.doesNotMatch(fixOf(path) ?? '', /inject=enabled|Add /)
  })

  test('is the only workload on its network, but where the port is the node’s own', () => {
    assert.equal(to(9200, [agent])?.destination.name, 'agent')
    assert.equal(to(10_250, [agent])?.destination.name, '192.0.2.1')
  })

  test('is the node where nothing tells the workload', () => {
    const path = to(9200, [agent, other])
    assert.deepEqual([path?.destination.kind, path?.destination.name], ['external', '192.0.2.1'])
    assert.equal(path?.cause, 'destination-on-host-network')
    const twice = pod('daemonset/twice', { ip: '192.0.2.1', hostNetwork: true, meshed: false, ports })
    assert.equal(to(9100, [agent, twice])?.destination.kind, 'external')
  })

  test('is not outside the cluster where a workload is known by its labels', () => {
    const counters = tcp(
      web,
      outbound(pod('daemonset/agent', { ip: '198.51.100.9', hostNetwork: true }), 9100, NO_DISCOVERY),
    )
    const [path] = assessed({ pods: [web, agent], counters }).paths
    assert.deepEqual([path?.destination.name, path?.cause], ['agent', 'destination-on-host-network'])
  })
})

describe('An address of the pod network that no listed pod has', () => {
  test('is a pod, and not outside the cluster', () => {
    const [path] = wentBy({ target_ip: GONE, authority: `${GONE}:80` })
    assert.deepEqual(
      [path?.destination.kind, path?.destination.name, path?.cause],
      ['pod', GONE, 'destination-not-listed'],
    )
  })

  test('is what an EndpointSlice says of it', () => {
    const targetRef = { kind: 'Pod', namespace: 'shop', name: 'db-3' }
    const objects = () => ({
      'endpointslices.discovery.k8s.io': [
        {
          metadata: { name: 'db-x', namespace: 'shop' },
          addressType: 'IPv4',
          endpoints: [{ addresses: [GONE], targetRef }],
        },
      ],
    })
    assert.equal(wentTo({ target_ip: GONE }, [web, db], { objects }), 'statefulset/shop/db')
  })

  test('says less where nodes have addresses of the same range', () => {
    const cloud = pod('deployment/web', { ip: '10.7.0.9', hostIP: '10.7.0.200' })
    const counters = tcp(cloud, outboundTo(GONE, 80))
    assert.equal(assessed({ pods: [cloud, db], counters }).paths[0]?.cause, 'outside-cluster')
  })
})

describe('The proxy’s own port of a pod that is in no list', () => {
  const viz = pod('deployment/prometheus', { namespace: 'linkerd-viz', ip: '10.7.0.5' })
  const line = (from: Pod, address = GONE) =>
    pathLines({ pods: [web, viz], counters: tcp(from, outboundTo(address, 4191)) }).map((one) => one.split(':4191 ')[1])

  test('is no accusation of viz, which scrapes a pod for a moment after its end', () => {
    assert.deepEqual(line(viz), ['exempt (admin-port (no-mesh-tls))'])
    assert.deepEqual(line(viz, '10.99.0.1'), ['exempt (admin-port (no-mesh-tls))'])
  })

  test('is an application’s for all that is known where anybody else dials it', () => {
    assert.deepEqual(line(web), ['no-mesh-tls (not_provided_by_service_discovery)'])
    const liar = pod('deployment/prometheus', { namespace: 'linkerd-viz', ip: '10.7.0.6', labels: { tls: 'x' } })
    const counters = tcp(liar, outboundTo(GONE, 4191))
    assert.match(pathLines({ pods: [web, liar], counters }).join(), /no-mesh-tls/)
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

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fixOf } from '../../../lib/assess/fixes/fix-text.ts'
import type { PathWindow } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed } from '../../support/mesh/synthetic-cluster.ts'
import { pod } from '../../support/mesh/synthetic-pods.ts'
import { NO_DISCOVERY, counts, outbound, outboundTo, tcp } from '../../support/mesh/synthetic-prometheus.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const web = pod('deployment/web')
const SERVER = '198.51.100.10'

type Slice = {
  readonly namespace?: string
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly endpoints?: readonly object[]
}

/** The lists of a cluster whose API server is at {@link SERVER}, or what somebody would have it be. */
function listed({ namespace = 'default', name = 'kubernetes', labels, endpoints }: Slice = {}) {
  return () => ({
    services: [
      {
        metadata: { name: 'kubernetes', namespace: 'default' },
        spec: { clusterIP: '10.96.0.1', ports: [{ port: 443, targetPort: 6443 }] },
      },
    ],
    'endpointslices.discovery.k8s.io': [
      {
        metadata: { name, namespace, labels: labels ?? { 'kubernetes.io/service-name': 'kubernetes' } },
        addressType: 'IPv4',
        endpoints: endpoints ?? [{ addresses: [SERVER] }],
        ports: [{ name: 'https', port: 6443 }],
      },
    ],
  })
}

function pathTo(address: string, port: number, more: Partial<SyntheticCluster> = {}): PathWindow {
  const counters = tcp(web, outboundTo(address, port))
  const { paths } = assessed({ pods: [web], counters, objects: listed(), ...more })
  const [path] = paths
  assert.ok(path !== undefined && paths.length === 1)
  return path
}

describe('TLS to the Kubernetes API server', () => {
  test('is a class of its own, by its endpoints and by its Service', () => {
    for (const [address, port] of [
      [SERVER, 6443],
      ['10.96.0.1', 443],
    ] as const) {
      const { destination, state, reason, cause } = pathTo(address, port)
      assert.deepEqual(
        [destination.kind, destination.namespace, destination.name, state, reason, cause],
        ['service', 'default', 'kubernetes', 'exempt', 'kubernetes-api (no-mesh-tls)', 'kubernetes-api'],
      )
      assert.equal(fixOf(pathTo(address, port)), null)
    }
  })

  test('is one destination, whatever discovery says of it', () => {
    const labels = { dst_service: 'kubernetes', dst_namespace: 'default', authority: 'kubernetes.default.svc:443' }
    const [path] = assessed({
      pods: [web],
      counters: tcp(web, outboundTo(SERVER, 6443, labels)),
      objects: listed(),
    }).paths
    assert.equal(path?.pathId, pathTo(SERVER, 6443).pathId)
  })

  test('is not what was parsed as HTTP', () => {
    const to = outboundTo(SERVER, 6443)
    const counters = [...tcp(web, to), counts(web, 'request_total', to, [60])]
    const path = pathTo(SERVER, 6443, { counters })
    assert.deepEqual([path.state, path.cause], ['plaintext', 'kubernetes-api'])
    matchesText(fixOf(path))
  })

  test('is not another port of the same machine', () => {
    const { state, destination } = pathTo(SERVER, 10_250)
    assert.deepEqual([state, destination.name], ['no-mesh-tls', SERVER])
  })

  test('is known by lists of the window alone', () => {
    assert.equal(pathTo(SERVER, 6443, { before: null }).state, 'exempt')
    assert.equal(pathTo(SERVER, 6443, { before: null, after: null }).state, 'no-mesh-tls')
  })

  test('is nothing that somebody can make of his own', () => {
    const lies: readonly Slice[] = [
      { namespace: 'evil' },
      { namespace: 'evil', name: 'kubernetes', labels: {} },
      { name: 'other', labels: { 'kubernetes.io/service-name': 'other' } },
      { endpoints: [{ addresses: [SERVER], targetRef: { kind: 'Pod', namespace: 'default', name: 'x' } }] },
    ]
    for (const lie of lies) assert.equal(pathTo(SERVER, 6443, { objects: listed(lie) }).state, 'no-mesh-tls')
    // A listed pod's address is that pod.
    const api = pod('deployment/api', { ip: SERVER, meshed: false })
    const path = pathTo(SERVER, 6443, { pods: [web, api], counters: tcp(web, outbound(api, 6443, NO_DISCOVERY)) })
    assert.deepEqual([path.state, path.destination.name], ['no-mesh-tls', 'api'])
    // Its own endpoints may be pods on the host's network.
    const host = pod('', { ip: SERVER, hostNetwork: true, meshed: false, namespace: 'kube-system' })
    assert.equal(pathTo(SERVER, 6443, { pods: [web, host] }).state, 'exempt')
    // Labels of the client's pod name no address.
    const liar = pod('deployment/liar', { labels: { target_ip: SERVER } })
    const told = assessed({
      pods: [liar],
      counters: tcp(liar, outboundTo('203.0.113.7', 6443)),
      objects: listed(),
    }).paths
    assert.deepEqual([told[0]?.state, told[0]?.destination.name], ['no-mesh-tls', '203.0.113.7'])
  })
})

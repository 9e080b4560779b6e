import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Resource } from '../../../lib/observed/kubernetes-fields.ts'
import type { Workload } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod } from '../../support/mesh/synthetic-pods.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

function rowsOf(cluster: SyntheticCluster): readonly Workload[] {
  return assessed(cluster).workloads
}

function rowOf(
  pods: readonly Pod[],
  objects: SyntheticCluster['objects'] = () => ({}),
  more: Partial<SyntheticCluster> = {},
): Workload {
  const row = rowsOf({ pods: [...pods, pod('deployment/other')], objects, ...more }).find(({ name }) => name === 'web')
  assert.ok(row !== undefined)
  return row
}

const web = (changes: Partial<Pod> = {}) => pod('deployment/web', changes)
const bare = (changes: Partial<Pod> = {}) => web({ meshed: false, ...changes })
const namespace =
  (annotations: object, labels: object = {}) =>
  () => ({
    namespaces: [{ metadata: { name: 'shop', annotations, labels } }],
  })
const spots = (row: Workload) => row.blindSpots.map(({ kind, port }) => (port === null ? kind : `${kind} ${port}`))

describe('A workload', () => {
  test('is meshed, not, partly, or it is not known', () => {
    assert.equal(rowOf([web()]).meshed, 'yes')
    assert.equal(rowOf([bare()]).meshed, 'no')
    assert.equal(rowOf([web(), bare()]).meshed, 'partly')
    assert.equal(rowOf([bare({ to: 100 }), web({ from: 100 })]).meshed, 'unknown')
    for (const missing of [{ before: null }, { after: null }])
      assert.equal(rowOf([web()], () => ({}), missing).meshed, 'unknown')
  })

  test('is listed once whatever owns its pods, and with 0 pods while it can run again', () => {
    const [tick, old] = [pod('cronjob/tick'), pod('deployment/old', { from: -999, to: -900 })]
    const rows = rowsOf({
      pods: [tick, pod('statefulset/db'), pod('daemonset/agent'), pod('job/once'), pod('', { name: 'bare' }), old],
    })
    assert.deepEqual(
      rows.map(({ kind, namespace: inside, name, pods }) => [`${kind}/${inside}/${name}`, pods]),
      [
        ['cronjob/shop/tick', 1],
        ['daemonset/shop/agent', 1],
        ['deployment/shop/old', 0],
        ['job/shop/once', 1],
        ['pod/shop/bare', 1],
        ['statefulset/shop/db', 1],
      ],
    )
  })

  test('says what its pods agree on, and nothing where they do not', () => {
    const one = rowOf([web({ policy: 'deny', serviceAccount: 'sa' })])
    assert.deepEqual([one.defaultPolicy, one.serviceAccount], ['deny', 'sa'])
    const two = rowOf([web({ policy: 'deny' }), web({ serviceAccount: 'sa' })])
    assert.deepEqual([two.defaultPolicy, two.serviceAccount], [null, null])
  })

  test('has the labels that all of its pods share, without those that a controller counts by', () => {
    const counted = { 'pod-template-hash': 'a1', 'controller-revision-hash': 'b2', 'job-name': 'c3' }
    const one = web({ labels: { app: 'web', tier: 'front', ...counted } })
    const other = web({ labels: { app: 'web', tier: 'back', extra: 'x' } })
    const shared = { app: 'web', 'linkerd.io/control-plane-ns': 'linkerd', 'linkerd.io/workload-ns': 'shop' }
    const injected = { ...shared, 'linkerd.io/proxy-deployment': 'web' }
    assert.deepEqual(rowOf([one]).labels, { ...injected, tier: 'front' })
    assert.deepEqual(rowOf([one, other]).labels, injected)
    assert.deepEqual(rowOf([bare({ labels: { constructor: 'x' } }), bare()]).labels, { app: 'web' })
    const idle = rowsOf({ pods: [pod('deployment/old', { from: -999, to: -900 })] })[0]
    assert.deepEqual([idle?.name, idle?.pods, idle?.labels], ['old', 0, undefined])
  })

  test('names the labels of any pod that take a name by which its proxy is read', () => {
    assert.equal(rowOf([web()]).overriding, undefined)
    const spoofed = web({ labels: { tls: 'true', 'linkerd.io/proxy-peer': 'src', harmless: 'x' } })
    assert.deepEqual(rowOf([web(), spoofed]).overriding, ['peer', 'tls'])
    assert.equal(rowOf([web({ labels: { namespace: 'shop' } })]).overriding, undefined, 'it says what is true')
    assert.deepEqual(rowOf([web({ labels: { namespace: 'bank' } })]).overriding, ['namespace'])
  })

  test('lists ports that go around the proxy or are opaque, apart from those that always are', () => {
    const row = rowOf([
      web({ skipInbound: '4190,4191,4567,4568,9000-9001', skipOutbound: '4567,4568,3306', opaque: '25,6379,7000' }),
    ])
    assert.deepEqual([row.skipInbound, row.skipOutbound, row.opaque], [['9000-9001'], ['3306'], ['7000']])
    assert.deepEqual(rowOf([web({ ports: [{ containerPort: 6379 }] })]).opaque, ['6379'])
    assert.deepEqual(rowOf([web()]).skipInbound, [])
  })
})

describe('Why a workload is not meshed', () => {
  const events = (reason: string, name: string) => () => ({
    events: [
      {
        metadata: { name: 'e', namespace: 'shop' },
        reason,
        involvedObject: { namespace: 'shop', name, kind: 'Deployment' },
      },
    ],
  })
  const projection = (value: boolean) => (): Partial<Record<Resource, unknown[]>> => ({
    configmaps: [
      {
        metadata: { name: 'linkerd-config', namespace: 'linkerd' },
        values: { identity: { serviceAccountTokenProjection: value } },
      },
    ],
  })
  const cases: Readonly<
    Record<string, readonly [changes: Partial<Pod>, objects: SyntheticCluster['objects'], Workload['reason']]>
  > = {
    'the namespace says nothing': [{}, namespace({}), 'not-annotated'],
    'the annotation is none that the injector knows': [{}, namespace({ 'linkerd.io/inject': 'true' }), 'not-annotated'],
    'the namespace says no': [{}, namespace({ 'linkerd.io/inject': 'disabled' }), 'disabled'],
    'the pod says no': [{ annotations: { 'linkerd.io/inject': 'disabled' } }, undefined, 'disabled'],
    'the pod says yes, the namespace no': [
      { annotations: { 'linkerd.io/inject': 'enabled' } },
      namespace({ 'linkerd.io/inject': 'disabled' }),
      'created-before-injection',
    ],
    'it is older than the annotation': [{}, undefined, 'created-before-injection'],
    'it is on the network of the host': [{ hostNetwork: true }, undefined, 'host-network'],
    'it mounts no token, where the injector wants one': [{ automount: false }, projection(false), 'automount-disabled'],
    'it mounts no token, where the injector brings its own': [
      { automount: false },
      projection(true),
      'created-before-injection',
    ],
    'the injector said that it skipped it': [{}, events('InjectionSkipped', 'web'), 'injection-skipped'],
    'the injector skipped another': [{}, events('InjectionSkipped', 'api'), 'created-before-injection'],
    'the namespace keeps the webhook out': [
      {},
      namespace({ 'linkerd.io/inject': 'enabled' }, { 'config.linkerd.io/admission-webhooks': 'disabled' }),
      'injection-skipped',
    ],
    'another control plane meshed it': [
      { meshed: true, controlPlane: 'linkerd-two', scrape: () => 'none' },
      undefined,
      'other-control-plane',
    ],
  }
  for (const [name, [changes, objects, reason]] of Object.entries(cases))
    test(name, () => assert.equal(rowOf([bare(changes)], objects).reason, reason))

  test('is not said of one that is', () => assert.equal(rowOf([web()]).reason, null))
})

describe('The blind spots of a workload', () => {
  test('are each named', () => {
    const cases: readonly [Pod, string[]][] = [
      [web(), []],
      [bare(), ['unmeshed']],
      [bare({ hostNetwork: true }), ['host-network', 'unmeshed']],
      [web({ skipInbound: '4190,4191,9000' }), ['skip-inbound 9000']],
      [web({ skipOutbound: '3306' }), ['skip-outbound 3306']],
      [web({ skipSubnets: '10.0.0.0/8,192.168.0.0/16' }), ['skip-subnet', 'skip-subnet']],
      [web({ opaque: '7000' }), ['opaque-port 7000']],
      [web({ ports: [{ containerPort: 53, protocol: 'UDP' }, { containerPort: 80 }] }), ['udp 53']],
      [web({ scrape: () => 'failure' }), ['not-scraped']],
    ]
    for (const [one, wanted] of cases) assert.deepEqual(spots(rowOf([one])), wanted)
  })

  test('of a half are told, with how many', () => {
    const [spot] = rowOf([web(), web(), bare()]).blindSpots
    matchesText(spot?.detail)
  })

  test('are all where nobody was scraped and no pod is listed: it may have run and ended unseen', () => {
    const gone = pod('cronjob/tick', { from: -500, to: -400 })
    const [row] = rowsOf({ pods: [gone, pod('deployment/api', { scrape: () => 'none' })] })
    assert.deepEqual([row?.name, row?.pods, row === undefined ? [] : spots(row)], ['tick', 0, ['not-scraped']])
  })
})

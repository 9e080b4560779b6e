import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { kubernetesReplay, status } from '../../../demo/replay-kubernetes.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { listAll } from '../../../lib/collect/kubernetes/list-objects.ts'
import { itemsOf } from '../../../lib/observed/reduce-objects.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import { startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import type { KubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { freshFolder, recordedCluster, recordedPod, writeRecording } from '../../support/recorder.ts'
import type { Recorded } from '../../support/recorder.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const nothing = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
const early = '20261124T120000Z'
const now = (): Date => new Date('2026-11-24T12:30:00.700Z')

type World = {
  readonly server: KubernetesServer
  readonly list: () => Promise<Snapshot['kubernetes']>
  readonly folder: string
}

/** A cluster that holds some lists, and what the collector reads from it. */
async function world(context: TestContext, lists: Recorded): Promise<World> {
  const folder = freshFolder(context)
  writeRecording(folder, early, lists)
  const server = await startKubernetesServer(folder, '2026-11-24T12:30:00Z')
  context.after(() => server.close())
  const kubeconfig = join(freshFolder(context), 'config')
  server.writeKubeconfig(kubeconfig)
  const cluster: Cluster = {
    id: 'prod',
    registeredAt: '2026-11-24T00:00:00Z',
    kubeconfig,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
  }
  const access = openCluster(cluster, { environment: nothing, retryDelayMs: 1 })
  context.after(() => access.close())
  return { server, folder, list: () => listAll(access.kubernetes, cluster, { now }) }
}

const resourcesOf = ({ lists }: Snapshot['kubernetes']): Record<string, number> =>
  Object.fromEntries(lists.map(({ resource, items }) => [resource, items.length]))

const versionOf = ({ lists }: Snapshot['kubernetes'], resource: string): string | undefined =>
  lists.find((list) => list.resource === resource)?.version

test('listAll() reads every list, and a resource that the cluster does not serve is no error', async (context) => {
  const { list, server } = await world(context, recordedCluster())
  const read = await list()
  assert.deepEqual([read.status, read.errors, read.takenAt], ['complete', [], '2026-11-24T12:30:00Z'])
  assert.deepEqual(resourcesOf(read), {
    pods: 3,
    namespaces: 1,
    services: 1,
    serviceaccounts: 1,
    'replicasets.apps': 1,
    'deployments.apps': 1,
    'statefulsets.apps': 0,
    'daemonsets.apps': 0,
    'jobs.batch': 0,
    'cronjobs.batch': 0,
    'endpointslices.discovery.k8s.io': 0,
    'servers.policy.linkerd.io': 0,
    'authorizationpolicies.policy.linkerd.io': 0,
    'meshtlsauthentications.policy.linkerd.io': 0,
    'networkauthentications.policy.linkerd.io': 0,
    'egressnetworks.policy.linkerd.io': 0,
    'httplocalratelimitpolicies.policy.linkerd.io': 0,
    'serverauthorizations.policy.linkerd.io': 0,
    'httproutes.policy.linkerd.io': 0,
    'externalworkloads.workload.linkerd.io': 0,
    events: 0,
    configmaps: 0,
  })
  assert.equal(versionOf(read, 'pods'), 'v1')
  assert.equal(versionOf(read, 'servers.policy.linkerd.io'), undefined)
  assert.match(server.asked[0] ?? '', /^\/api\/v1\/pods\?/, 'pods are listed first')
  assert.ok(server.asked.every((url) => !url.includes('secrets') && !url.includes('watch')))
  assert.ok(!JSON.stringify(read).includes('SECRET'), 'something is stored that is not named')
})

test('listAll() joins pages of any list, in order', async (context) => {
  for (const pods of [0, 1, 499, 500, 501, 1203]) {
    const { list, server } = await world(context, recordedCluster(pods))
    const read = await list()
    const names = itemsOf(read.lists, 'pods')?.map(({ metadata }) => metadata.name)
    assert.deepEqual(
      names,
      Array.from({ length: pods }, (_, i) => `web-${i}`),
    )
    const pages = server.asked.filter((url) => url.startsWith('/api/v1/pods'))
    assert.equal(pages.length, Math.max(1, Math.ceil(pods / 500)))
  }
})

test('listAll() begins a list again, once, when a page has expired', async (context) => {
  const { list, server } = await world(context, recordedCluster(600))
  const expired = { answer: status(410, 'Expired', 'The provided continue parameter is too old') }
  let left = 1
  server.misbehave((url) => (url.includes('continue=') && left-- > 0 ? expired : undefined))
  const read = await list()
  assert.deepEqual([read.status, resourcesOf(read)['pods']], ['complete', 600])

  server.misbehave((url) => (url.includes('continue=') ? expired : undefined))
  const failed = await list()
  matchesText([failed.status, failed.errors], ['failed', TEXT])
})

test('listAll() does not follow pages that never end', async (context) => {
  const { list, server } = await world(context, recordedCluster())
  const page = JSON.stringify({ kind: 'PodList', metadata: { continue: 'again' }, items: [recordedPod('web')] })
  server.misbehave((url) => (url.startsWith('/api/v1/pods') ? { answer: { status: 200, body: page } } : undefined))
  const { status: state, errors } = await list()
  assert.equal(state, 'failed')
  matchesText(errors.join('\n'))
})

test('listAll() keeps what it could read and says what it could not', async (context) => {
  const { list, server } = await world(context, {
    ...recordedCluster(),
    'servers.policy.linkerd.io': { kind: 'ServerList', apiVersion: 'policy.linkerd.io/v1beta3', items: [] },
  })
  const forbidden = { answer: status(403, 'Forbidden', 'jobs.batch is forbidden: User "auditor" cannot list it') }
  server.misbehave((url) => (url.includes('/jobs') ? forbidden : url.includes('/servers') ? 'cut-json' : undefined))
  const read = await list()
  assert.equal(read.status, 'partial')
  matchesText(read.errors.map((line) => line.replace(/; is there.*$/, '')))
  assert.equal(resourcesOf(read)['pods'], 3)
  assert.ok(!('jobs.batch' in resourcesOf(read)), 'a list that was not read is not an empty one')
  assert.ok(!('servers.policy.linkerd.io' in resourcesOf(read)))
})

test('listAll() fails where pods cannot be listed, and keeps the other lists', async (context) => {
  const { list, server } = await world(context, recordedCluster())
  server.misbehave((url) => (url.startsWith('/api/v1/pods') ? { answer: status(403, 'Forbidden', '') } : undefined))
  const read = await list()
  matchesText([read.status, read.errors, read.lists.length], ['failed', TEXT, 21])
})

test('listAll() says a failure once that every list would repeat', async (context) => {
  const { list, server } = await world(context, recordedCluster())
  server.misbehave(() => ({ answer: status(401, 'Unauthorized', 'Unauthorized') }))
  const read = await list()
  assert.deepEqual([read.status, read.takenAt, read.lists, read.errors.length], ['failed', null, [], 1])
  assert.equal(server.asked.length, 1)
})

test('listAll() takes a required list that is not there, or is another list, for an error', async (context) => {
  const { namespaces: _, ...others } = recordedCluster()
  const { list } = await world(context, {
    ...others,
    services: { kind: 'PodList', apiVersion: 'v1', items: [] },
    jobs: { kind: 'JobList', apiVersion: 'batch/v1', items: [{ metadata: { name: 'a', namespace: 'shop' } }] },
  })
  const read = await list()
  assert.equal(read.status, 'partial')
  matchesText(read.errors.map((line) => line.replace(/;.*$/, '')))
})

test('listAll() reads the newest version of a Linkerd resource that the cluster serves', async (context) => {
  const server = (version: string): Recorded[string] => ({
    kind: 'ServerList',
    apiVersion: `policy.linkerd.io/${version}`,
    items: [{ metadata: { name: version, namespace: 'shop' }, spec: { port: 80, accessPolicy: 'deny' } }],
  })
  const { list } = await world(context, {
    ...recordedCluster(),
    'servers.v1alpha1.policy.linkerd.io': server('v1alpha1'),
    'servers.v1beta1.policy.linkerd.io': server('v1beta1'),
    'authorizationpolicies.policy.linkerd.io': {
      kind: 'AuthorizationPolicyList',
      apiVersion: 'policy.linkerd.io/v1alpha1',
      items: [{ metadata: { name: 'a', namespace: 'shop' }, spec: { targetRef: { kind: 'Server', name: 'v1beta1' } } }],
    },
  })
  const read = await list()
  assert.deepEqual(read.errors, [])
  assert.equal(versionOf(read, 'servers.policy.linkerd.io'), 'v1beta1')
  assert.deepEqual(itemsOf(read.lists, 'servers.policy.linkerd.io')?.[0]?.spec, { port: 80, accessPolicy: 'deny' })
  assert.deepEqual(itemsOf(read.lists, 'authorizationpolicies.policy.linkerd.io')?.[0]?.spec, {
    targetRef: { kind: 'Server', name: 'v1beta1' },
  })
})

const configMaps = {
  kind: 'ConfigMapList',
  apiVersion: 'v1',
  items: ['linkerd', 'elsewhere'].flatMap((namespace) => [
    { metadata: { name: 'linkerd-config', namespace }, data: { values: `clusterDomain: ${namespace}.local\n` } },
    { metadata: { name: 'another', namespace }, data: { password: 'SECRET' } },
  ]),
}

test('listAll() reads ConfigMaps by name, and from a list where an API has only lists', async (context) => {
  for (const fileName of ['configmaps', 'configmaps-linkerd']) {
    const { list, server } = await world(context, { ...recordedCluster(), [fileName]: configMaps })
    for (const how of [undefined, status(404, 'NotFound', 'no')]) {
      server.misbehave((url) => (how !== undefined && url.includes('/configmaps/') ? { answer: how } : undefined))
      const read = await list()
      assert.deepEqual(read.errors, [])
      const [found, ...more] = itemsOf(read.lists, 'configmaps') ?? []
      assert.deepEqual(
        [found?.metadata.namespace, found?.values, more],
        ['linkerd', { clusterDomain: 'linkerd.local' }, []],
      )
    }
  }
})

test('listAll() takes ConfigMaps that do not exist for absent, even where it may not list them', async (context) => {
  const { list, server } = await world(context, recordedCluster())
  const listing = /\/configmaps\?/
  server.misbehave((url) => (listing.test(url) ? { answer: status(403, 'Forbidden', 'no') } : undefined))
  assert.deepEqual((await list()).errors, [])
  server.misbehave((url) => (url.includes('/configmaps/') ? { answer: status(403, 'Forbidden', 'no') } : undefined))
  matchesText((await list()).errors)
})

test('listAll() keeps only the events of skipped injections, whatever the server selects', async (context) => {
  const event = (reason: string): unknown => ({
    metadata: { name: reason, namespace: 'shop' },
    reason,
    involvedObject: { kind: 'Deployment', namespace: 'shop', name: 'web' },
    message: `why\n${'x'.repeat(300)}`,
    lastTimestamp: null,
  })
  const items = ['Pulled', 'InjectionSkipped', 'Created'].map(event)
  const { list, server } = await world(context, {
    ...recordedCluster(),
    events: { kind: 'EventList', apiVersion: 'v1', items },
  })
  const all = { answer: { status: 200, body: JSON.stringify({ kind: 'EventList', metadata: {}, items }) } }
  for (const how of [undefined, all]) {
    server.misbehave((url) => (url.includes('/events') ? how : undefined))
    const read = await list()
    assert.deepEqual(
      itemsOf(read.lists, 'events')?.map(({ reason, message }) => [reason, message?.length]),
      [['InjectionSkipped', 201]],
    )
  }
})

test('the replay answers from the newest lists that are not after its time', async (context) => {
  const { list, server, folder } = await world(context, recordedCluster(1))
  writeRecording(folder, '20261124T130000Z', recordedCluster(2))
  const replay = kubernetesReplay(folder)
  const podsAt = (time: string): number =>
    (JSON.parse(replay('/api/v1/pods', new Date(time)).body) as { items: unknown[] }).items.length
  assert.equal(podsAt('2026-11-24T12:59:59.999Z'), 1)
  assert.equal(podsAt('2026-11-24T13:00:00Z'), 2)
  server.setTime('2026-11-24T11:59:59Z')
  assert.match((await list()).errors[0] ?? '', /404 Not Found/)
})

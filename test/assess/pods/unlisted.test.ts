import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { WindowResult } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed, linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod, timeAt } from '../../support/mesh/synthetic-pods.ts'
import { clearHttp, every, mutual } from '../../support/mesh/synthetic-prometheus.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** A pod that came and went between the lists, which are taken at 60 and 360. */
const between = { from: 100, to: 220 } as const

const web = pod('deployment/web', { to: 100 })
const webAgain = pod('deployment/web', { from: 220 })
const api = pod('deployment/api', { to: 100 })
const apiAgain = pod('deployment/api', { from: 220 })
const bareWeb = pod('deployment/web', { ...between, meshed: false })
const bareApi = pod('deployment/api', { ...between, meshed: false })

/** Both ends leave the mesh and come back between two lists; what they say meanwhile no proxy sees. */
const OUT_AND_IN: SyntheticCluster = {
  pods: [web, webAgain, api, apiAgain],
  unlisted: [bareWeb, bareApi],
  counters: [...mutual(web, api, 8080, { at: [50] }), ...mutual(webAgain, apiAgain, 8080, { at: [250] })],
}

const workload = ({ workloads }: WindowResult, name: string) => workloads.find((one) => one.name === name)
const spots = (result: WindowResult, name: string) =>
  workload(result, name)?.blindSpots.map(({ kind, detail }) => `${kind}: ${detail}`)
const gaps = ({ coverage }: WindowResult, name: string) =>
  coverage.find((one) => one.workload.name === name)?.gaps.filter(({ isBrief }) => isBrief !== true)

describe('Pods that lived between two lists', () => {
  test('are known by cAdvisor, and what no proxy saw of them is not encrypted traffic', () => {
    const result = assessed({ ...OUT_AND_IN, kubelet: {} })
    assert.deepEqual(linesOf(result.paths), ['deployment/web -> deployment/api:8080 unknown (destination-not-seen)'])
    assert.deepEqual([workload(result, 'web')?.meshed, workload(result, 'web')?.pods], ['partly', 3])
    assert.equal(workload(result, 'web')?.reason, 'created-before-injection')
    assert.match(
      spots(result, 'web')?.join() ?? '',
      /1 of 3 pods have no proxy: .*; in no Kubernetes list, seen by cAdvisor about 2026-11-24T12:01:40Z to 2026-11-24T12:0[34]:\d\dZ/,
    )
    assert.deepEqual(
      gaps(result, 'web')?.map(({ reason, from }) => [reason, from]),
      [['no-proxy', timeAt(100)]],
    )
    assert.ok((result.coverage.find((one) => one.workload.name === 'web')?.ratio ?? 1) < 0.7)
  })

  test('say nothing against a path where they had proxies', () => {
    const more = pod('deployment/web', between)
    const result = assessed({
      pods: [web, webAgain, apiAgain],
      unlisted: [more],
      counters: mutual(webAgain, apiAgain, 8080, { at: [250] }),
      kubelet: {},
    })
    assert.deepEqual(linesOf(result.paths), ['deployment/web -> deployment/api:8080 mtls'])
    assert.deepEqual([workload(result, 'web')?.meshed, workload(result, 'web')?.pods], ['yes', 3])
    assert.deepEqual(gaps(result, 'web'), [])
  })

  test('are blind spots where no list tells what their proxies leave alone', () => {
    const bare = pod('deployment/web', { from: 220, meshed: false })
    const result = assessed({ pods: [bare], unlisted: [pod('deployment/web', between)], kubelet: {} })
    assert.match(
      spots(result, 'web')?.join() ?? '',
      /pod-unknown: a pod with a proxy that no list holds, .* from 2026-11-24T12:01:40Z to 2026-11-24T12:0[34]:\d\dZ/,
    )
    const known = assessed({ pods: [webAgain], unlisted: [pod('deployment/web', between)], kubelet: {} })
    assert.deepEqual(spots(known, 'web'), [])
  })

  test('make clear traffic without a name possibly theirs', () => {
    const server = pod('deployment/api')
    const result = assessed({
      pods: [web, webAgain, server],
      unlisted: [bareWeb],
      counters: [...mutual(webAgain, server, 8080, { at: [250] }), ...clearHttp(server, 8080, [150])],
      kubelet: {},
    })
    assert.deepEqual(linesOf(result.paths), [
      'deployment/web -> deployment/api:8080 unknown (source-partly-unmeshed (1 of 3))',
      'unmeshed -> deployment/api:8080 plaintext (no_tls_from_remote)',
    ])
  })

  test('are doubt where only their sandbox was sampled', () => {
    const short = pod('deployment/web', { from: 100, to: 106 })
    const result = assessed({ ...OUT_AND_IN, unlisted: [short], kubelet: { sandboxOnly: [short] } })
    assert.equal(workload(result, 'web')?.meshed, 'unknown')
    matchesText(spots(result, 'web')?.join())
    assert.deepEqual(
      gaps(result, 'web')?.map(({ reason }) => reason),
      ['pod-unknown'],
    )
    // What the gap says is said already.
    assert.deepEqual(
      workload(result, 'web')?.blindSpots.map(({ kind }) => kind),
      ['pod-unknown'],
    )
  })

  test('are covered by the scrapes of an address that named itself as one of them, not of one that named itself as two', () => {
    const webBetween = pod('deployment/web', between)
    const reasons = (later: Pod) => {
      const result = assessed({ pods: [web, webAgain, api, apiAgain], unlisted: [webBetween, later], kubelet: {} })
      return ['web', 'api'].map((name) => gaps(result, name)?.map(({ reason }) => reason))
    }
    const apiBetween = pod('deployment/api', { from: 225, to: 290 })
    assert.deepEqual(reasons(apiBetween), [[], []])
    assert.deepEqual(reasons({ ...apiBetween, ip: webBetween.ip }), [['ended-unscraped'], ['ended-unscraped']])
  })

  test('are lives of their own under the name of a pod that moved', () => {
    const shard = (changes: Partial<Pod>) => pod('statefulset/db', changes)
    const [first, last, moved] = [shard({ to: 100 }), shard({ from: 220 }), shard({ ...between, meshed: false })]
    const result = assessed({ pods: [first, last], unlisted: [moved], kubelet: {} })
    assert.deepEqual([workload(result, 'db')?.meshed, workload(result, 'db')?.pods], ['partly', 3])
  })
})

test('A pod with a proxy may have skipped ports, where the listed ones of its name before and after it differ', () => {
  const shard = (changes: Partial<Pod>) => pod('statefulset/db', changes)
  const server = pod('deployment/api')
  const told = (skipOutbound: string) => {
    const [first, last] = [shard({ to: 100 }), shard({ from: 220, skipOutbound })]
    return linesOf(
      assessed({
        pods: [first, last, server],
        unlisted: [shard(between)],
        counters: [...mutual(first, server, 8080, { at: [50] }), ...clearHttp(server, 8080, [150])],
        kubelet: {},
      }).paths,
    )
  }
  const doubt = 'statefulset/db -> deployment/api:8080 unknown (source-partly-unmeshed (1 of 3))'
  assert.deepEqual([told('4567,4568').includes(doubt), told('9000').includes(doubt)], [false, true])
})

describe('Without cAdvisor', () => {
  const replicas = (name: string) => ({
    'deployments.apps': [{ metadata: { name, namespace: 'shop' }, spec: { replicas: 1 } }],
  })

  test('an event that a pod was created is doubt about it', () => {
    const created = {
      events: [
        {
          metadata: { name: 'e', namespace: 'shop', creationTimestamp: timeAt(100) },
          reason: 'SuccessfulCreate',
          involvedObject: { kind: 'ReplicaSet', namespace: 'shop', name: 'web-6f5d8c7b9' },
          message: `Created pod: ${bareWeb.name}`,
        },
      ],
    }
    const result = assessed({ ...OUT_AND_IN, objects: () => created })
    matchesText(spots(result, 'web')?.join())
    assert.equal(workload(result, 'web')?.meshed, 'unknown')
  })

  test('fewer pods than a workload was to have is doubt about the time between', () => {
    const result = assessed({ ...OUT_AND_IN, objects: () => replicas('web') })
    assert.deepEqual(
      gaps(result, 'web')?.map(({ reason, from, to }) => [reason, from, to]),
      [['pod-unknown', timeAt(105), timeAt(220)]],
    )
    assert.equal(workload(result, 'web')?.meshed, 'unknown')
  })

  test('fewer pods than a DaemonSet has in both lists is doubt, too', () => {
    const pods = [pod('daemonset/agent', { to: 100 }), pod('daemonset/agent', { from: 220 })]
    const result = assessed({ pods })
    assert.deepEqual(
      gaps(result, 'agent')?.map(({ reason, from, to }) => [reason, from, to]),
      [['pod-unknown', timeAt(105), timeAt(220)]],
    )
    const rolled = [pod('daemonset/agent', { to: 100 }), pod('daemonset/agent', { from: 102 })]
    assert.deepEqual(gaps(assessed({ pods: rolled }), 'agent'), [])
  })

  test('a ReplicaSet that came in the window, and of which no pod is known, is doubt from then on', () => {
    const replicaSet = (time: number) => ({
      'replicasets.apps': ['web-6f5d8c7b9', 'api-6f5d8c7b9', ...(time < 100 ? [] : ['web-newer'])].map((name) => ({
        metadata: {
          name,
          namespace: 'shop',
          creationTimestamp: timeAt(name === 'web-newer' ? 100 : -3600),
          ownerReferences: [
            { apiVersion: 'apps/v1', kind: 'Deployment', name: name.slice(0, 3), uid: 'u', controller: true },
          ],
        },
        spec: {},
      })),
    })
    const result = assessed({ ...OUT_AND_IN, objects: replicaSet })
    matchesText(spots(result, 'web')?.join())
  })

  test('none of these is said of a mesh in which nothing happened', () => {
    const steady = pod('deployment/web')
    const server = pod('deployment/api')
    const result = assessed({
      pods: [steady, server],
      counters: mutual(steady, server, 8080, { at: every(20) }),
      objects: () => replicas('web'),
    })
    assert.deepEqual(linesOf(result.paths), ['deployment/web -> deployment/api:8080 mtls'])
    assert.deepEqual([spots(result, 'web'), gaps(result, 'web')], [[], []])
  })
})

describe('The first window of a cluster', () => {
  const client = pod('deployment/web')
  const server = pod('deployment/api')
  const cluster: SyntheticCluster = {
    pods: [client, server],
    before: null,
    counters: [...mutual(client, server, 8080, { at: every(20) }), ...clearHttp(server, 8080, [150])],
  }

  test('is settled by one list after it, where cAdvisor saw who else there was', () => {
    const result = assessed({ ...cluster, kubelet: {} })
    assert.deepEqual(linesOf(result.paths), [
      'deployment/web -> deployment/api:8080 mtls',
      'unmeshed -> deployment/api:8080 plaintext (no_tls_from_remote)',
    ])
    assert.deepEqual(
      result.workloads.map(({ name, meshed }) => [name, meshed]),
      [
        ['api', 'yes'],
        ['web', 'yes'],
      ],
    )
  })

  test('stays in doubt without it, where it was away, and where it does not show a pod that is listed', () => {
    for (const doubt of [
      {},
      { kubelet: { away: [{ from: 100, to: 200 }] } },
      {
        kubelet: {},
        pods: [...cluster.pods, pod('deployment/web', { from: 200 })],
        counters: cluster.counters ?? [],
        isHidden: true,
      },
    ]) {
      const { isHidden, ...more } = { isHidden: false, ...doubt }
      const result = isHidden
        ? assessed({ ...cluster, ...more, kubelet: { away: [{ from: 190, to: 400 }] } })
        : assessed({ ...cluster, ...more })
      assert.ok(
        linesOf(result.paths).some((line) => /web -> deployment\/api:8080 unknown/.test(line)),
        JSON.stringify(doubt),
      )
    }
  })

  test('is not settled by a list in which somebody is missing whom cAdvisor saw without a proxy', () => {
    const result = assessed({ ...cluster, unlisted: [bareWeb], kubelet: {} })
    assert.ok(
      linesOf(result.paths).includes('deployment/web -> deployment/api:8080 unknown (source-partly-unmeshed (1 of 2))'),
    )
  })
})

describe('What no proxy saw, in bytes', () => {
  const traffic = (own: Pod) => ({ sent: own.meshed ? 400_000 : 4_200_000, received: 100_000, packets: 1000 })

  test('is what a pod without a proxy sent and received', () => {
    const result = assessed({ pods: [pod('deployment/old', { meshed: false })], kubelet: { traffic } })
    assert.deepEqual(workload(result, 'old')?.withoutProxy, { sentBytes: 4_200_000, receivedBytes: 100_000 })
  })

  test('is, where ports are skipped, at most what its interface carried beyond headers and what its proxy counted', () => {
    const client = pod('deployment/web', { skipOutbound: '7000' })
    const server = pod('deployment/api')
    const counters = mutual(client, server, 8080, { at: [100], bytes: 50_000 })
    const result = assessed({ pods: [client, server], counters, kubelet: { traffic } })
    assert.deepEqual(workload(result, 'web')?.aroundProxy, { maxBytes: 500_000 - 66 * 1000 - 100_000 })
    assert.equal(workload(result, 'api')?.aroundProxy, undefined)
  })

  test('is not told where nothing tells it', () => {
    const onHost = pod('daemonset/agent', { meshed: false, hostNetwork: true })
    for (const cluster of [{ pods: [onHost], kubelet: {} }, { pods: [pod('deployment/old', { meshed: false })] }])
      assert.equal(assessed(cluster).workloads[0]?.withoutProxy, undefined)
  })
})

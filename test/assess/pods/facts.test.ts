import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Facts, factsOf } from '../../../lib/assess/pods/facts.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { type SyntheticCluster, evidenceOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, WINDOW, pod, podObject, timeAt } from '../../support/mesh/synthetic-pods.ts'

const START = toSeconds(WINDOW.start)

/** What the lists around the window come to. */
function facts(cluster: SyntheticCluster): Facts {
  const { before, after } = evidenceOf(cluster)
  const listed = (lists: typeof before) => (lists === null ? null : listedOf(lists.lists, toSeconds(lists.takenAt)))
  return factsOf(listed(before), listed(after), { start: START, end: START + 300 }, 'linkerd')
}

const WEB = 'deployment/shop/web'

/** When the only pod of a cluster was there, in seconds after the window's start. */
function life(...pods: Pod[]): [from: number, to: number | null] | null {
  const [one] = facts({ pods }).pods
  return one === undefined ? null : [one.life.from - START, one.life.to === null ? null : one.life.to - START]
}

describe('The owner of a pod by its name', () => {
  test('is the controller with the longest name that begins it, up to a dash', () => {
    const { ownerByName } = facts({ pods: [pod('deployment/web'), pod('deployment/web-api')] })
    const nameOf = (name: string, namespace = 'shop') => ownerByName(namespace, name)?.name ?? null
    assert.equal(nameOf('web-7d9f-abcde'), 'web')
    assert.equal(nameOf('web-api-7d9f-abcde'), 'web-api')
    for (const stranger of ['website-7d9f', 'webby', 'w-1', 'web', '-web'])
      assert.equal(nameOf(stranger), null, stranger)
    assert.equal(nameOf('web-7d9f-abcde', 'bank'), null)
  })
})

describe('Facts of a workload', () => {
  test('hold where the lists before and after the window agree on them', () => {
    const { fact } = facts({ pods: [pod('deployment/web'), pod('deployment/web')] })
    assert.deepEqual(
      fact(WEB, ({ meshed }) => meshed),
      { known: true, value: [true] },
    )
    assert.deepEqual(fact(WEB, ({ name }) => name).known, true)
  })

  test('hold per workload, not per pod: a pod that was replaced by its like changes nothing', () => {
    const { fact } = facts({ pods: [pod('deployment/web', { to: 100 }), pod('deployment/web', { from: 101 })] })
    assert.deepEqual(
      fact(WEB, ({ meshed }) => meshed),
      { known: true, value: [true] },
    )
    assert.deepEqual(
      fact(WEB, ({ name }) => name),
      { known: false, why: 'changed' },
    )
  })

  test('do not hold where the lists disagree', () => {
    const changes: Partial<Pod>[] = [
      { meshed: false },
      { policy: 'deny' },
      { skipInbound: '4190,4191,9000' },
      { skipOutbound: '3306' },
      { opaque: '9000' },
      { serviceAccount: 'other' },
    ]
    for (const change of changes) {
      const { fact } = facts({
        pods: [pod('deployment/web', { to: 100, ...change }), pod('deployment/web', { from: 101 })],
      })
      const read = ({
        meshed,
        defaultPolicy,
        skipInbound,
        skipOutbound,
        opaque,
        serviceAccount,
      }: Facts['pods'][number]) => [meshed, defaultPolicy, skipInbound, skipOutbound, opaque, serviceAccount]
      assert.deepEqual(fact(WEB, read), { known: false, why: 'changed' }, JSON.stringify(change))
    }
  })

  test('are not known without a list on either side', () => {
    const pods = [pod('deployment/web')]
    for (const missing of [{ before: null }, { after: null }])
      assert.deepEqual(
        facts({ pods, ...missing }).fact(WEB, ({ meshed }) => meshed),
        { known: false, why: 'no list' },
      )
  })

  test('tell pods of one workload apart', () => {
    const { fact } = facts({ pods: [pod('deployment/web'), pod('deployment/web', { meshed: false })] })
    assert.deepEqual(
      fact(WEB, ({ meshed }) => meshed),
      { known: true, value: [false, true] },
    )
  })
})

describe('The life of a pod', () => {
  const terminated = (from: number, to: number) => ({ startedAt: timeAt(from), finishedAt: timeAt(to) })
  const status = (name: string, state: object, more: object = {}) => ({
    name,
    ready: true,
    restartCount: 0,
    state,
    ...more,
  })

  test('is that of its proxy, also as a native sidecar', () => {
    const proxy = status('linkerd-proxy', { running: { startedAt: timeAt(20) } })
    const app = status('app', { running: { startedAt: timeAt(25) } })
    const native = { containerStatuses: [app], initContainerStatuses: [proxy] }
    assert.deepEqual(life(pod('deployment/web', { from: 10, status: native })), [20, null])
    const beside = { containerStatuses: [app, proxy], initContainerStatuses: [] }
    assert.deepEqual(life(pod('deployment/web', { from: 10, nativeSidecar: false, status: beside })), [20, null])
  })

  test('begins with the first start that is known, or the pod where more were forgotten', () => {
    const running = { running: { startedAt: timeAt(100) } }
    const once = { lastState: { terminated: terminated(50, 90) }, restartCount: 1 }
    const restarted = (more: object) =>
      pod('deployment/web', { from: 10, meshed: false, status: { containerStatuses: [status('app', running, more)] } })
    assert.deepEqual(life(restarted(once)), [50, null])
    assert.deepEqual(life(restarted({ ...once, restartCount: 2 })), [10, null])
  })

  test('ends when all containers ended, as that of a Job', () => {
    const done = { phase: 'Succeeded', containerStatuses: [status('app', { terminated: terminated(10, 200) })] }
    assert.deepEqual(life(pod('job/once', { meshed: false, from: 5, status: done })), [10, 200])
  })

  test('begins as early as either list knows, also if the later one shows a restart only', () => {
    const one = pod('deployment/web', { meshed: false, from: -500 })
    const state = { running: { startedAt: timeAt(340) } }
    const lastState = { terminated: terminated(320, 330) }
    const restarted = { containerStatuses: [{ name: 'app', ready: true, restartCount: 1, state, lastState }] }
    const objects = (time: number) => ({ pods: [podObject(time < 300 ? one : { ...one, status: restarted }, time)] })
    const [only] = facts({ pods: [], objects }).pods
    assert.deepEqual([(only?.life.from ?? 0) - START, only?.life.to], [-500, null])
  })

  test('was over when a list says so, if nothing says when', () => {
    const over = (phase: string) => ({ status: { phase, containerStatuses: [], initContainerStatuses: [] } })
    for (const phase of ['Failed', 'Succeeded']) {
      assert.deepEqual(life(pod('deployment/web', { from: 10, ...over(phase) })), [10, 60])
      assert.deepEqual(life(pod('deployment/web', { from: 100, ...over(phase) })), [100, 360])
    }
    assert.deepEqual(life(pod('deployment/web', { from: 10, ...over('Running') })), [10, null])
  })

  test('ends with the grace period of its deletion, unless it is still there after it', () => {
    const one = pod('deployment/web')
    const deleted = (at: number) => (time: number) => {
      const object = podObject(one, time)
      return { pods: [{ ...object, metadata: { ...object.metadata, deletionTimestamp: timeAt(at) } }] }
    }
    const to = (at: number, after: number | null = 360) => {
      const [only] = facts({ pods: [], objects: deleted(at), after }).pods
      return (only?.life.to ?? 0) - START
    }
    assert.equal(to(500), 500)
    assert.equal(to(200, null), 200)
    assert.equal(to(200), 360)
    assert.equal(to(-500), 360)
  })

  test('of what never ran is none, and one without statuses began with the pod', () => {
    const pending = { phase: 'Pending', containerStatuses: [], initContainerStatuses: [] }
    assert.equal(life(pod('deployment/web', { status: pending })), null)
    const untold = { containerStatuses: [], initContainerStatuses: [] }
    assert.deepEqual(life(pod('deployment/web', { from: 10, status: untold })), [10, null])
  })

  test('puts a pod into the window only if it reaches into it', () => {
    const here = (changes: Partial<Pod>) => facts({ pods: [pod('deployment/web', changes)] }).pods.length
    assert.deepEqual(
      [here({}), here({ from: 299 }), here({ from: 301 }), here({ to: 61 }), here({ to: 60 })],
      [1, 1, 0, 1, 0],
    )
  })

  test('is not over for a pod that the later list lacks: nobody saw its end', () => {
    const [gone] = facts({ pods: [pod('deployment/web', { to: 200 })] }).pods
    assert.deepEqual([gone?.isGone, gone?.life.to], [true, null])
  })
})

test('factsOf() reads what the injector gave a pod, not what was asked for', () => {
  const annotations = { 'config.linkerd.io/skip-inbound-ports': '1', 'config.linkerd.io/skip-outbound-ports': '2' }
  const [one] = facts({
    pods: [pod('deployment/web', { annotations, skipInbound: '4190,9000-9001', skipSubnets: '10.0.0.0/8' })],
  }).pods
  assert.deepEqual(one?.skipInbound, [
    { from: 4190, to: 4190 },
    { from: 9000, to: 9001 },
  ])
  assert.deepEqual(one.skipOutbound, [
    { from: 4567, to: 4567 },
    { from: 4568, to: 4568 },
  ])
  assert.deepEqual(one.skipSubnets, ['10.0.0.0/8'])
  assert.equal(one.identity, 'web.shop.serviceaccount.identity.linkerd.cluster.local')
  // Without linkerd-init (CNI) only the annotations say it.
  const [bare] = facts({ pods: [pod('deployment/web', { annotations, meshed: false })] }).pods
  assert.deepEqual([bare?.skipInbound, bare?.identity, bare?.meshed], [[{ from: 1, to: 1 }], null, false])
})

test('factsOf() does not take the proxy of another control plane for one of ours', () => {
  const [one] = facts({ pods: [pod('deployment/web', { controlPlane: 'linkerd-two' })] }).pods
  assert.deepEqual([one?.meshed, one?.otherControlPlane], [false, true])
})

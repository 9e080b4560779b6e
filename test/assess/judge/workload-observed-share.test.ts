import assert from 'node:assert/strict'
import { test } from 'node:test'
import { observedPeriod } from '../../../lib/assess/judge/workload-observed-share.ts'
import { type Shown, resultsOf, scraped } from '../../support/stored/watched-period.ts'

/** What was kept of `web` in each window. */
function web(...shown: readonly Shown[]) {
  const { workloads } = observedPeriod(resultsOf(shown))
  const { hadPods, told, shares, around } = workloads.get('deployment/shop/web') ?? assert.fail()
  return { hadPods: [...hadPods], told: [...told], shares: [...shares], around: [...around.keys()] }
}

test('observedPeriod() keeps the share of pod time that was read, window by window', () => {
  assert.deepEqual(web({}, { web: scraped(900) }, { web: null }, { web: scraped(4000) }), {
    hadPods: [1, 1, 0, 1],
    told: [1, 1, 0, 1],
    shares: [1, 0.25, 0, 1],
    around: [],
  })
})

test('observedPeriod() keeps no share where a pod had no proxy, may have had none, or may say anything', () => {
  const none = (workload: object) => web({ web: { workload } })
  assert.deepEqual(none({ meshed: 'partly' }), { hadPods: [1], told: [1], shares: [0], around: [] })
  assert.deepEqual(none({ meshed: 'no' }), { hadPods: [1], told: [1], shares: [0], around: [] })
  assert.deepEqual(none({ meshed: 'unknown' }), { hadPods: [1], told: [0], shares: [0], around: [] })
  assert.deepEqual(none({ overriding: ['tls'] }), { hadPods: [1], told: [1], shares: [0], around: [] })
  assert.deepEqual(web({ changes: { overridden: ['deployment/shop/web'] } }).shares, [0])
  assert.deepEqual(web({ changes: { overridden: ['deployment/shop/db'] } }).shares, [1])
  assert.deepEqual(web({ changes: { collected: false } }), { hadPods: [1], told: [1], shares: [0], around: [] })
  const pods = { total: 2, meshed: 1, scraped: 1 }
  assert.deepEqual(web({ web: { coverage: { pods } } }).shares, [0])
})

test('observedPeriod() knows of pods that no list counts, and counts no workload without pods', () => {
  const spots = [{ kind: 'pod-unknown', port: null, detail: '' }] as const
  const idle = { expectedSeconds: 0, observedSeconds: 0 }
  assert.deepEqual(web({ web: { workload: { pods: 0, blindSpots: spots }, coverage: idle } }), {
    hadPods: [1],
    told: [1],
    shares: [0],
    around: [],
  })
  assert.deepEqual(web({ web: { workload: { pods: 0 } } }).hadPods, [1], 'its proxies were scraped')
  assert.deepEqual(web({ changes: { workloads: [] } }), { hadPods: [1], told: [0], shares: [0], around: [] })
  const { workloads } = observedPeriod(resultsOf([{ web: { workload: { pods: 0 }, coverage: idle } }]))
  assert.equal(workloads.has('deployment/shop/web'), false)
})

test('observedPeriod() keeps what goes around proxies in the windows in which it does', () => {
  const spots = (kind: 'skip-inbound' | 'skip-outbound' | 'skip-subnet' | 'ipv6' | 'udp' | 'opaque-port') => ({
    web: { workload: { blindSpots: [{ kind, port: '80', detail: '' }] } },
  })
  const all = [
    spots('skip-inbound'),
    {},
    spots('skip-outbound'),
    spots('skip-subnet'),
    spots('ipv6'),
    spots('udp'),
    spots('opaque-port'),
  ]
  assert.deepEqual(web(...all).around, [0, 2, 3, 4])
})

test('observedPeriod() says of each window whether lists hold before and after it, and whether all metrics were read', () => {
  const { windows } = observedPeriod(
    resultsOf([{}, { isListed: false }, { isMissing: true }, { changes: { partial: true } }]),
  )
  assert.deepEqual(
    windows.map(({ start, collected, isPartial, isListed }) => [start.slice(11, 13), collected, isPartial, isListed]),
    [
      ['00', true, false, true],
      ['01', true, false, false],
      ['03', true, true, true],
    ],
  )
  const half = { inputs: { evidence: 'e', before: 'a', after: null } }
  assert.equal(observedPeriod(resultsOf([{ changes: half }])).windows[0]?.isListed, false)
})

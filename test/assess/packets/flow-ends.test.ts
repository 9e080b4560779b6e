import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endNamer } from '../../../lib/assess/packets/flow-ends.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { type SyntheticCluster, evidenceOf } from '../../support/mesh/synthetic-cluster.ts'
import { WINDOW, pod } from '../../support/mesh/synthetic-pods.ts'

const START = toSeconds(WINDOW.start)

/** Who has an address in a capture from second 100 to 200 of the window. */
function owner(cluster: SyntheticCluster, address: string): string | null {
  const { before, after } = evidenceOf(cluster)
  const listed = (lists: typeof before) => (lists === null ? null : listedOf(lists.lists, toSeconds(lists.takenAt)))
  const time = { start: START + 100, end: START + 200 }
  const end = endNamer({ before: listed(before), after: listed(after) }, time, 'linkerd')({ address, port: 8080 })
  return end === null ? null : `${end.kind}/${end.namespace}/${end.name}`
}

const web = pod('deployment/web', { ip: '10.0.0.7', moreIps: ['fd00::7'] })

test('endNamer() names the workload of the pod that had an address, and services', () => {
  const cluster = {
    pods: [web],
    objects: () => ({
      services: [
        { metadata: { name: 'web', namespace: 'shop' }, spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'] } },
        { metadata: { name: 'headless', namespace: 'shop' }, spec: { clusterIP: 'None' } },
      ],
    }),
  }
  assert.equal(owner(cluster, '10.0.0.7'), 'deployment/shop/web')
  assert.equal(owner(cluster, 'fd00::7'), 'deployment/shop/web')
  assert.equal(owner(cluster, '10.96.0.1'), 'service/shop/web')
  for (const unknown of ['None', '', '10.0.0.8', '__proto__', 'constructor'])
    assert.equal(owner(cluster, unknown), null)
})

test('endNamer() gives an address to whoever had it at the time of the capture', () => {
  const earlier = pod('deployment/old', { ip: '10.0.0.7', from: -600, to: 90 })
  const later = pod('deployment/new', { ip: '10.0.0.7', from: 210 })
  const ended = { ...earlier, name: 'other' }
  assert.equal(owner({ pods: [{ ...web, from: 95 }, later], before: null }, '10.0.0.7'), 'deployment/shop/web')
  assert.equal(owner({ pods: [later] }, '10.0.0.7'), null)
  // The list after the capture lacks it, and when it ended nobody knows.
  assert.equal(owner({ pods: [ended, web] }, '10.0.0.7'), null)
})

test('endNamer() names nobody where two workloads may have had an address, or pods share their node’s', () => {
  const pods = fc.array(
    fc.record({
      owner: fc.constantFrom('deployment/web', 'statefulset/db', 'deployment/api'),
      ip: fc.constantFrom('10.0.0.1', '10.0.0.2'),
      hostNetwork: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  )
  fc.assert(
    fc.property(pods, (all) => {
      const cluster = { pods: all.map(({ owner: workload, ...changes }) => pod(workload, changes)) }
      for (const address of ['10.0.0.1', '10.0.0.2']) {
        const owners = new Set(
          all
            .filter(({ ip, hostNetwork }) => ip === address && !hostNetwork)
            .map((one) => one.owner.replace('/', '/shop/')),
        )
        const expected = owners.size === 1 ? [...owners][0] : null
        assert.equal(owner(cluster, address), expected)
        assert.equal(owner({ pods: cluster.pods.toReversed() }, address), expected)
      }
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Facts } from '../../../lib/assess/pods/facts.ts'
import { placesOf } from '../../../lib/assess/pods/pod-network.ts'

type Listed = { readonly ips: readonly string[]; readonly node: string; readonly hostNetwork?: true }

/** Where addresses lie, beside these pods. */
function placesBeside(...listed: readonly Listed[]): (address: string) => string {
  const pods = listed.map(({ ips, node, hostNetwork = false }) => ({
    spec: { hostNetwork },
    status: { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })), hostIP: node },
  }))
  const addresses = listed.flatMap(({ ips, hostNetwork }) => (hostNetwork === true ? [] : [{ addresses: ips }]))
  return placesOf({ before: null, after: { pods }, pods: addresses } as unknown as Pick<
    Facts,
    'before' | 'after' | 'pods'
  >)
}

/** A pod on a node, and another node's pod on the network of its node. */
const PLACE_OF = placesBeside(
  { ips: ['10.1.2.3', 'fd00:1:23:4::3'], node: '192.168.7.1' },
  { ips: ['192.168.8.1'], node: '192.168.8.1', hostNetwork: true },
)

test('placesOf() tells pods, nodes and what lies beside them by their ranges', () => {
  const places: readonly [address: string, place: string][] = [
    ['10.1.2.3', 'pod'],
    ['10.1.2.99', 'near'],
    ['10.1.3.1', 'wide'],
    ['10.2.2.3', 'outside'],
    ['192.168.7.1', 'node'],
    ['192.168.8.1', 'node'],
    ['192.168.7.200', 'node'],
    ['192.168.9.1', 'outside'],
    ['fd00:1:23:4::3', 'pod'],
    ['fd00:1:23:4::99', 'near'],
    ['fd00:0001:23:4:ffff:0:0:1', 'near'],
    ['FD00:1:23:4::99', 'near'],
    ['fd00:1:23:5::1', 'wide'],
    ['fd00:1:24:4::1', 'outside'],
    ['fd00:12:3:4::1', 'outside'],
    ['fd00:1::23:4', 'outside'],
    ['not an address', 'unknown'],
    ['fd00:1:23:4:5', 'unknown'],
  ]
  for (const [address, place] of places) assert.equal(PLACE_OF(address), place, address)
})

test('placesOf() knows nothing of a kind of address that no listed pod has, and little of a range that nodes share', () => {
  assert.equal(placesBeside({ ips: ['10.1.2.3'], node: '10.1.9.1' })('fd00::1'), 'unknown')
  assert.equal(placesBeside({ ips: ['fd00::3'], node: 'fd00:9::1' })('10.1.2.4'), 'unknown')
  assert.equal(placesBeside({ ips: ['10.1.2.3'], node: '10.1.2.1' })('10.1.2.99'), 'wide')
})

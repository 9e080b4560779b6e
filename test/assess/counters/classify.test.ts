import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { lowered, stateOfLabels } from '../../../lib/assess/counters/classify.ts'
import { isEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import { STATES } from '../../../lib/model/path.ts'

const bare = { tls: '', reason: '', peerId: '', sni: '' }
type Row = readonly [side: 'outbound' | 'inbound', labels: Partial<typeof bare>, state: string, reason: string]

/** Design: section 2, and the values that Linkerd's proxies are known to write. */
const TABLE: readonly Row[] = [
  ['outbound', { tls: 'true', peerId: 'api.shop' }, 'mtls', ''],
  ['inbound', { tls: 'true', peerId: 'web.shop' }, 'mtls', ''],
  ['inbound', { tls: 'true' }, 'tls-anonymous', ''],
  ['outbound', { tls: 'true' }, 'unknown', 'no-server-identity'],
  ['inbound', { tls: 'opaque', sni: 'db.example' }, 'app-tls', 'application-tls'],
  ['inbound', { tls: 'opaque' }, 'unknown', 'tls=opaque'],
  ['outbound', { tls: 'opaque', sni: 'db.example' }, 'unknown', 'tls=opaque'],
  ['inbound', { tls: 'no_identity', reason: 'no_tls_from_remote' }, 'no-mesh-tls', 'no_tls_from_remote'],
  ['inbound', { tls: 'no_identity', reason: 'port_skipped' }, 'no-mesh-tls', 'port_skipped'],
  [
    'outbound',
    { tls: 'no_identity', reason: 'not_provided_by_service_discovery' },
    'no-mesh-tls',
    'not_provided_by_service_discovery',
  ],
  ['outbound', { tls: 'disabled' }, 'no-mesh-tls', 'disabled'],
  ['inbound', { tls: 'disabled' }, 'no-mesh-tls', 'disabled'],
  ['inbound', { tls: 'no_identity', reason: 'loopback' }, 'exempt', 'loopback'],
  // Anything else fails closed.
  ['outbound', { tls: 'no_identity', reason: 'ingress_without_override' }, 'unknown', 'ingress_without_override'],
  ['inbound', { tls: 'no_identity', reason: 'no_peer_id_from_remote' }, 'unknown', 'no_peer_id_from_remote'],
  ['inbound', { tls: 'no_identity' }, 'unknown', 'tls=no_identity'],
  ['inbound', {}, 'unknown', 'tls=absent'],
  ['outbound', { tls: 'True', peerId: 'api.shop' }, 'unknown', 'tls=True'],
  ['outbound', { tls: 'yes', peerId: 'api.shop' }, 'unknown', 'tls=yes'],
  // The proxy never gives a reason for what is encrypted (measured: a spoofed label did).
  ['outbound', { tls: 'true', reason: 'none', peerId: 'api.shop' }, 'unknown', 'labels-contradict'],
  ['inbound', { tls: 'true', reason: 'no_tls_from_remote' }, 'unknown', 'labels-contradict'],
  ['inbound', { tls: 'opaque', reason: 'port_skipped', sni: 'db.example' }, 'unknown', 'port_skipped'],
  ['inbound', { tls: 'true', reason: 'loopback' }, 'unknown', 'labels-contradict'],
]

test('stateOfLabels() says what the labels of either side allow, and no more', () => {
  for (const [side, labels, state, reason] of TABLE)
    assert.deepEqual(stateOfLabels(side, { ...bare, ...labels }), { state, reason }, JSON.stringify([side, labels]))
})

test('stateOfLabels() never calls anything encrypted that Linkerd does not write for what is', () => {
  const text = fc.oneof(
    fc.constantFrom('', 'true', 'opaque', 'no_identity', 'disabled', 'loopback', 'no_tls_from_remote', 'constructor'),
    fc.string(),
  )
  const labels = fc.record({ tls: text, reason: text, peerId: text, sni: text })
  fc.assert(
    fc.property(fc.constantFrom('inbound' as const, 'outbound' as const), labels, (side, said) => {
      const { state } = stateOfLabels(side, said)
      assert.ok(STATES.includes(state))
      if (isEncrypted(state)) assert.ok(said.reason === '' && (said.tls === 'true' || said.tls === 'opaque'))
    }),
  )
})

test('lowered() takes from a pod that may lie what is encrypted or exempt, and leaves what is not', () => {
  const honest = { overridden: false, impostor: false }
  for (const state of STATES) {
    assert.deepEqual(lowered(state, 'why', honest), { state, reason: 'why' })
    // A second instance never improves a real pod's reading, and never worsens it below unknown.
    assert.equal(lowered(state, 'why', { overridden: false, impostor: true }).state, 'unknown')
    const { state: said } = lowered(state, 'why', { overridden: true, impostor: false })
    assert.equal(said, isEncrypted(state) || state === 'exempt' ? 'unknown' : state)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isOnProbePath, readTap } from '../../../lib/assess/window/tap-reading.ts'
import { decodeTapEvent } from '../../../lib/observed/tap-events.ts'
import type { TapEvent } from '../../../lib/observed/tap-events.ts'
import { framesOf, tapRecordings } from '../../support/truth/tap-recordings.ts'

type Labels = Readonly<Record<string, string>>

function event(proxy: TapEvent['proxy'], source: Labels, destination: Labels = {}): TapEvent {
  const end = (labels: Labels) => ({ address: '10.0.0.1', port: 80, labels: new Map(Object.entries(labels)) })
  return { proxy, source: end(source), destination: end(destination), route: new Map(), http: null }
}

test('readTap() says what the side of the wire says, and never takes the other side’s word', () => {
  const cases: readonly (readonly [state: string, event: TapEvent])[] = [
    ['mtls', event('in', { tls: 'true', client_id: 'web.shop' }, { tls: 'loopback' })],
    ['mtls', event('out', { tls: 'loopback' }, { tls: 'true', server_id: 'web.shop' })],
    ['tls-anonymous', event('in', { tls: 'true' })],
    ['unknown', event('out', {}, { tls: 'true' })],
    ['plaintext', event('in', { tls: 'no_tls_from_remote' }, { tls: 'true', server_id: 'x' })],
    ['plaintext', event('out', { tls: 'true', client_id: 'x' }, { tls: 'not_provided_by_service_discovery' })],
    ['app-tls', event('in', { tls: 'passthru' })],
    ['exempt', event('out', {}, { tls: 'loopback' })],
    ['unknown', event('in', {})],
    ['unknown', event('in', { tls: '' })],
    ['unknown', event('in', { tls: 'port_skipped' })],
    ['unknown', event('in', { tls: 'True', client_id: 'web.shop' })],
    ['unknown', event('in', { tls: 'no_tls_from_remote', client_id: 'web.shop' })],
    ['unknown', event('unknown', { tls: 'true', client_id: 'x' }, { tls: 'true', server_id: 'x' })],
  ]
  for (const [state, one] of cases) assert.equal(readTap(one).state, state, JSON.stringify(one.proxy))
})

test('readTap() calls encrypted only what bears the proxy’s word for it', () => {
  const labels = fc.dictionary(
    fc.constantFrom('tls', 'client_id', 'server_id', 'no_tls_reason'),
    fc.oneof(fc.string(), fc.constantFrom('true', 'passthru', 'loopback', '')),
  )
  fc.assert(
    fc.property(
      fc.constantFrom('in' as const, 'out' as const, 'unknown' as const),
      labels,
      labels,
      (proxy, source, destination) => {
        const { state, tls } = readTap(event(proxy, source, destination))
        const own = proxy === 'in' ? source : destination
        if (state === 'mtls')
          assert.ok(own['tls'] === 'true' && (own[proxy === 'in' ? 'client_id' : 'server_id'] ?? '') !== '')
        if (state === 'tls-anonymous') assert.equal(own['tls'], 'true')
        if (state === 'app-tls') assert.equal(own['tls'], 'passthru')
        if (proxy !== 'unknown') assert.equal(tls, own['tls'] ?? '')
      },
    ),
  )
})

test('readTap() reads recorded traffic as the mesh was', () => {
  const counts = new Map<string, number>()
  for (const { bytes, name } of tapRecordings())
    for (const frame of framesOf(bytes)) {
      const one = decodeTapEvent(frame, { withPaths: true })
      if (one.http?.kind !== 'request') continue
      const words = [
        name.slice(9, 13),
        name.split('_')[1],
        readTap(one).state,
        ...(isOnProbePath(one) ? ['probe'] : []),
      ].join(' ')
      counts.set(words, (counts.get(words) ?? 0) + 1)
    }
  assert.deepEqual([...counts.keys()].toSorted(), [
    '1305 voting mtls',
    '1305 voting plaintext',
    '1305 voting plaintext probe',
    '1312 web mtls',
    '1312 web plaintext',
    '1312 web plaintext probe',
    '1323 voting mtls',
    '1323 voting plaintext',
    '1323 voting plaintext probe',
  ])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { comparePackets } from '../../../lib/assess/packets/packet-difference.ts'
import type { ComparedFlow } from '../../../lib/assess/packets/packet-difference.ts'
import { toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { Endpoint } from '../../../lib/model/path.ts'
import { halfDay, named80, pathWindow, unnamed80, windowResult } from '../../support/stored/window-results.ts'

const window = halfDay(1)
const { source: web, destination: ledger } = named80
const names: Readonly<Record<string, Endpoint>> = {
  '10.0.0.1': { kind: web.kind, namespace: web.namespace, name: web.name },
  '10.0.0.2': { kind: ledger.kind, namespace: ledger.namespace, name: ledger.name },
  '10.96.0.1': { kind: 'service', namespace: 'bank', name: 'ledger' },
}
const nameOf = ({ address }: { readonly address: string }): Endpoint | null => names[address] ?? null

const flow = (changes: Partial<ComparedFlow> = {}): ComparedFlow => ({
  protocol: 'tcp',
  client: { address: '10.0.0.1', port: 40_000 },
  server: { address: '10.0.0.2', port: 80 },
  isDirectionSeen: true,
  isLoopback: false,
  from: toTime(toSeconds(window.start) + 100),
  verdict: 'clear',
  reason: 'text',
  ...changes,
})

const differences = (
  flows: readonly ComparedFlow[],
  paths = [pathWindow(named80, 'mtls')],
  changes: Partial<ReturnType<typeof windowResult>> = {},
) => comparePackets(flows, windowResult(window, { paths, ...changes }), nameOf).differences

test('comparePackets() finds clear bytes where the proxies told of none from there', () => {
  const [one, ...more] = differences([flow()])
  assert.deepEqual(more, [])
  assert.deepEqual(one, {
    at: flow().from,
    client: names['10.0.0.1'],
    server: names['10.0.0.2'],
    port: 80,
    reason: 'text',
    pathId: named80.pathId,
  })
  // An address that nobody knows, and a port that no proxy told of.
  const [stranger] = differences([flow({ client: { address: '192.0.2.1', port: 1 } })])
  assert.deepEqual([stranger?.client.name, stranger?.pathId], ['192.0.2.1', null])
  const [other] = differences([flow({ server: { address: '10.0.0.2', port: 81 } })])
  assert.deepEqual([other?.port, other?.pathId], [81, null])
})

test('comparePackets() says nothing where a proxy told of what may be that, or could not be asked', () => {
  for (const state of ['plaintext', 'no-mesh-tls', 'unknown', 'exempt'] as const)
    for (const ends of [named80, unnamed80])
      assert.deepEqual(differences([flow()], [pathWindow(named80, 'mtls'), pathWindow(ends, state)]), [], state)
  assert.deepEqual(differences([flow()], [pathWindow(unnamed80, 'plaintext', { outcome: 'refused' })]), [])
  assert.deepEqual(differences([flow()], undefined, { collected: false }), [])
  assert.deepEqual(differences([flow()], undefined, { partial: true }), [])
})

test('comparePackets() compares what is clear between hosts alone, in the window of its first packet', () => {
  const end = toSeconds(window.end)
  for (const changes of [
    { verdict: 'tls' },
    { verdict: 'unknown' },
    { protocol: 'udp' },
    { isLoopback: true },
    { server: { address: '10.96.0.1', port: 80 } },
    { server: { address: '192.0.2.1', port: 80 } },
    { from: window.start },
    { from: toTime(end + 1) },
    // The scrape that would tell of it may lie in the next window.
    { from: toTime(end - 10) },
    { server: { address: '10.0.0.2', port: 81 }, isDirectionSeen: false },
  ] as const)
    assert.deepEqual(differences([flow(changes)]), [], JSON.stringify(changes))
  const { compared } = comparePackets(
    [flow(), flow({ verdict: 'tls' }), flow({ from: window.start })],
    windowResult(window),
    nameOf,
  )
  assert.equal(compared, 2)
})

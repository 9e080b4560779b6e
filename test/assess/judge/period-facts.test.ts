import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { periodFacts } from '../../../lib/assess/judge/period-facts.ts'
import type { Workload, WindowResult } from '../../../lib/model/window.ts'
import { halfDay, named80, pathWindow, windowResult, workloadOf } from '../../support/stored/window-results.ts'

function factsOf(...windows: readonly Partial<WindowResult>[]) {
  return periodFacts(windows.map((changes, index) => windowResult(halfDay(index), changes)))
}

const listing = (...workloads: Workload[]): Partial<WindowResult> => ({ workloads })

test('periodFacts() adds up what a workload was in each window in which it had pods', () => {
  const skip = { kind: 'skip-inbound', port: '80', detail: '' } as const
  const opaque = { kind: 'opaque-port', port: '5432', detail: '' } as const
  const { workloads, listedWindows } = factsOf(
    listing(workloadOf('web', { labels: { app: 'web' } })),
    listing(workloadOf('web', { meshed: 'no', reason: 'disabled', blindSpots: [skip, opaque], labels: { app: 'x' } })),
    {},
    listing(
      workloadOf('web', { meshed: 'unknown', serviceAccount: null, overriding: ['tls'], labels: { app: 'web' } }),
    ),
    listing(workloadOf('web', { pods: 0, meshed: 'unknown' })),
  )
  assert.equal(listedWindows, 4)
  assert.deepEqual(workloads, [
    {
      kind: 'deployment',
      namespace: 'shop',
      name: 'web',
      windows: 3,
      meshed: { yes: 1, no: 1, partly: 0, unknown: 1 },
      reasons: ['disabled'],
      serviceAccounts: ['web'],
      withoutServiceAccount: 1,
      sharedWith: null,
      bypasses: [skip],
      labels: [{ app: 'web' }, { app: 'x' }],
      overriding: ['tls'],
    },
  ])
})

test('periodFacts() keeps each set of labels that a workload had, also the only one', () => {
  const labelled = (...all: Record<string, string>[]) =>
    factsOf(...all.map((labels) => listing(workloadOf('web', { labels })))).workloads[0]?.labels
  assert.deepEqual(labelled({ app: 'web' }), [{ app: 'web' }])
  assert.deepEqual(labelled({ app: 'web' }, { app: 'web' }), [{ app: 'web' }])
  assert.deepEqual(labelled({ app: 'web' }, { app: 'web', a: 'b' }, { app: 'web' })?.length, 2)
  assert.deepEqual(labelled({}), [{}])
  assert.deepEqual(factsOf(listing(workloadOf('web'))).workloads[0]?.labels, [], 'not known')
})

test('periodFacts() knows a ServiceAccount as shared only by workloads with a proxy in the same window and namespace', () => {
  const other = (changes: Partial<Workload> = {}) => workloadOf('web', { name: 'api', ...changes })
  const sharedWith = (...windows: readonly Partial<WindowResult>[]) =>
    factsOf(...windows).workloads.find(({ name }) => name === 'web')?.sharedWith
  assert.equal(sharedWith(listing(workloadOf('web'), other())), 'deployment/shop/api')
  assert.equal(sharedWith(listing(workloadOf('web')), listing(other())), null, 'in another window')
  assert.equal(sharedWith(listing(workloadOf('web'), other({ meshed: 'no' }))), null)
  assert.equal(sharedWith(listing(workloadOf('web'), other({ pods: 0 }))), null)
  assert.equal(sharedWith(listing(workloadOf('web'), other({ namespace: 'bank' }))), null)
  assert.equal(sharedWith(listing(workloadOf('web'), other({ serviceAccount: null }))), null)
  assert.equal(sharedWith(listing(workloadOf('web', { meshed: 'no' }), other())), null, 'it has no identity itself')
})

test('periodFacts() counts the identities of mutual TLS by what was on the wire and what lists said', () => {
  const seen = (clientId: string | null, serverId: string | null) => ({
    paths: [pathWindow(named80, 'mtls', { clientId, serverId })],
  })
  const { identities } = factsOf(
    seen('web.shop', 'ledger.bank'),
    seen('web.shop', 'ledger.bank'),
    seen(null, 'ledger.bank'),
    { paths: [pathWindow(named80, 'tls-anonymous', { serverId: 'ledger.bank' })] },
    { collected: false, paths: [] },
  )
  const expected = {
    pathId: named80.pathId,
    serverId: 'ledger.bank',
    source: 'web',
    destination: 'ledger',
    corroborated: 'yes',
  }
  assert.deepEqual(
    identities.toSorted((a, b) => b.windows - a.windows),
    [
      { ...expected, clientId: 'web.shop', windows: 2 },
      { ...expected, clientId: null, windows: 1 },
    ],
  )
})

test('periodFacts() keeps the cryptography of collected windows, and nothing of others', () => {
  const { crypto } = factsOf({}, { collected: false }, {})
  assert.deepEqual(
    crypto.map(({ start, end }) => [start, end]),
    [0, 2].map((index) => [halfDay(index).start, halfDay(index).end]),
  )
  assert.deepEqual(factsOf().workloads, [])
})

test('periodFacts() says the same whatever the order of workloads in a window', () => {
  const any = fc.array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      serviceAccount: fc.constantFrom('x', 'x', 'x', 'y', null),
      meshed: fc.constantFrom('yes' as const, 'no' as const, 'unknown' as const),
    }),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(fc.array(any, { maxLength: 4 }), (windows) => {
      const rows = windows.map((all) => [...new Map(all.map((one) => [one.name, workloadOf('web', one)])).values()])
      const turned = rows.map((all) => all.toReversed())
      assert.deepEqual(factsOf(...turned.map((all) => listing(...all))), factsOf(...rows.map((all) => listing(...all))))
    }),
  )
})

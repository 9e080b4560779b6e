import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PathWindow } from '../../../lib/model/window.ts'
import type { State } from '../../../lib/model/path.ts'
import { edgesDifferences } from '../../../lib/report/terminal/edges-difference.ts'
import { type LinkerdEdge, edgeRows, linkerdPairs } from '../../../lib/report/terminal/edge-rows.ts'
import { halfDay, named80, pathWindow, windowResult } from '../../support/stored/window-results.ts'

const edge = (src: string, dst: string, reason = ''): LinkerdEdge => ({
  src,
  src_namespace: 'shop',
  dst,
  dst_namespace: 'bank',
  client_id: '',
  server_id: '',
  no_tls_reason: reason,
})

function path(dst: string, port: number, state: State, reason = ''): PathWindow {
  const { source, destination } = named80
  const ends = {
    ...named80,
    pathId: `${dst}${port}`,
    port,
    source,
    destination: { ...destination, kind: 'deployment', name: dst },
  }
  return pathWindow(ends, state, { reason })
}

const pairsOf = (...paths: PathWindow[]) =>
  linkerdPairs(edgeRows(windowResult(halfDay(0), { paths }), { kind: 'deployment', exempt: 'admin-ports' }))

test('edgesDifferences() tells ticks that are not shared, pairs that are not known, and nothing else', () => {
  const pairs = pairsOf(
    path('same', 80, 'mtls'),
    path('mixed', 80, 'mtls'),
    path('mixed', 81, 'plaintext', 'not_provided_by_service_discovery'),
    path('better', 80, 'mtls'),
    path('only-ours', 80, 'plaintext', 'x'),
    path('both-clear', 80, 'no-mesh-tls', 'port_skipped'),
  )
  const ends = { src: 'web', srcNamespace: 'shop', dstNamespace: 'bank' }
  assert.deepEqual(
    edgesDifferences(
      [
        edge('web', 'same'),
        edge('web', 'mixed'),
        edge('web', 'better', 'Loopback'),
        edge('web', 'invented'),
        edge('web', 'both-clear', 'Not Provided By Service Discovery'),
      ],
      pairs,
      'deployment',
    ),
    [
      { ...ends, dst: 'better', theirs: 'Loopback', ours: '√', port: 80 },
      { ...ends, dst: 'invented', theirs: '√', ours: null, port: null },
      { ...ends, dst: 'mixed', theirs: '√', ours: 'Not Provided By Service Discovery', port: 81 },
    ],
  )
})

test('edgesDifferences() does not take a workload of another kind for the one of that name', () => {
  const [pair] = linkerdPairs(
    edgeRows(windowResult(halfDay(0), { paths: [pathWindow(named80, 'mtls')] }), { exempt: 'none' }),
  )
  assert.ok(pair)
  assert.equal(edgesDifferences([edge('web', 'ledger')], [pair], 'deployment')[0]?.ours, null)
})

test('edgesDifferences() tells every tick that one of a pair’s ports does not bear, whatever the order', () => {
  const states = fc.array(
    fc.constantFrom<State>('mtls', 'tls-anonymous', 'app-tls', 'plaintext', 'no-mesh-tls', 'unknown'),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  fc.assert(
    fc.property(states, fc.boolean(), (all, isTicked) => {
      const paths = all.map((state, index) => path('api', 80 + index, state, 'why'))
      const theirs = [edge('web', 'api', isTicked ? '' : 'Not HTTP')]
      const found = edgesDifferences(theirs, pairsOf(...paths), 'deployment')
      assert.equal(found.length, isTicked === all.every((state) => state === 'mtls') ? 0 : 1)
      assert.deepEqual(
        edgesDifferences(theirs, pairsOf(...paths.toReversed()), 'deployment').map(({ ours }) => ours),
        found.map(({ ours }) => ours),
      )
    }),
  )
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Outcome, State } from '../../../lib/model/path.ts'
import type { PathWindow } from '../../../lib/model/window.ts'
import { type EdgeFilter, edgeRows, linkerdPairs } from '../../../lib/report/terminal/edge-rows.ts'
import { halfDay, named80, pathWindow, unnamed80, windowResult } from '../../support/stored/window-results.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** The MSG column of one path. */
function message(state: State, reason: string, outcome: Outcome = 'allowed'): string | undefined {
  const result = windowResult(halfDay(0), { paths: [pathWindow(named80, state, { reason, outcome })] })
  return edgeRows(result, { exempt: 'all' })[0]?.msg
}

function rows(paths: PathWindow[], query: Partial<EdgeFilter> = {}): string[] {
  return edgeRows(windowResult(halfDay(0), { paths }), { exempt: 'none', ...query }).map(
    ({ src, dst, srcNamespace, dstNamespace, client, server, msg }) =>
      [src, srcNamespace, dst, dstNamespace, client, server, msg].join(' '),
  )
}

describe('edgeRows()', () => {
  test('says each state in the words of the contract', () => {
    assert.equal(message('mtls', ''), '-')
    assert.equal(message('tls-anonymous', ''), 'No Client Identity')
    assert.equal(message('app-tls', 'application-tls'), 'Application TLS')
    assert.equal(message('plaintext', 'no_tls_from_remote'), 'No TLS From Remote')
    assert.equal(message('no-mesh-tls', 'not_provided_by_service_discovery'), 'Not Provided By Service Discovery')
    assert.equal(message('no-mesh-tls', 'port_skipped'), 'Port Skipped')
    assert.equal(message('unknown', 'labels-overridden'), 'Unknown: labels-overridden')
    assert.equal(message('plaintext', 'no_tls_from_remote', 'refused'), 'Refused: No TLS From Remote')
    assert.equal(message('exempt', 'admin-port (mtls)'), 'Exempt: admin-port (mtls)')
    for (const reason of ['constructor', '__proto__', 'toString'])
      assert.equal(message('unknown', reason), `Unknown: ${reason}`)
  })

  test('names both ends, and the identities that were on the wire', () => {
    const paths = [
      pathWindow(named80, 'mtls', { clientId: 'web.shop', serverId: 'ledger.bank' }),
      pathWindow(unnamed80, 'plaintext', { reason: 'no_tls_from_remote' }),
    ]
    matchesText(rows(paths))
  })

  test('leaves out what is exempt, unless it is asked for', () => {
    const paths = [pathWindow(named80, 'exempt', { reason: 'no payload' })]
    assert.deepEqual([rows(paths).length, rows(paths, { exempt: 'all' }).length], [0, 1])
  })

  test('selects by the kind or the namespace of either end', () => {
    const paths = [pathWindow(named80, 'mtls'), pathWindow(unnamed80, 'plaintext')]
    const count = (query: Partial<EdgeFilter>) => rows(paths, query).length
    assert.deepEqual(
      [count({}), count({ kind: 'statefulset' }), count({ kind: 'deployment' }), count({ kind: 'pod' })],
      [2, 2, 1, 0],
    )
    assert.deepEqual([count({ namespace: 'bank' }), count({ namespace: 'shop' }), count({ namespace: 'x' })], [2, 1, 0])
    assert.equal(count({ kind: 'deployment', namespace: 'bank' }), 1)
  })
})

describe('linkerdPairs()', () => {
  const pairs = (...paths: PathWindow[]) =>
    linkerdPairs(edgeRows(windowResult(halfDay(0), { paths }), { exempt: 'admin-ports' })).map(
      ({ edge }) => edge.no_tls_reason,
    )
  const on = (port: number) => ({ ...named80, pathId: String(port), port })

  test('prints the worst of the ports of a pair, so that no tick hides a clear one', () => {
    assert.deepEqual(pairs(pathWindow(on(80), 'mtls'), pathWindow(on(81), 'no-mesh-tls', { reason: 'port_skipped' })), [
      'Port Skipped',
    ])
    assert.deepEqual(pairs(pathWindow(on(80), 'unknown', { reason: 'x' }), pathWindow(on(81), 'mtls')), ['Unknown: x'])
    assert.deepEqual(
      pairs(pathWindow(on(80), 'plaintext', { outcome: 'refused', reason: 'x' }), pathWindow(on(81), 'mtls')),
      [''],
    )
    assert.deepEqual(pairs(pathWindow(on(80), 'tls-anonymous')), ['No Client Identity'])
  })

  test('shows the proxies’ own ports by their own state, as linkerd viz edges does, of named clients only', () => {
    const admin = (state: State) => pathWindow(on(4191), 'exempt', { reason: `admin-port (${state})` })
    assert.deepEqual(pairs(admin('mtls')), [''])
    assert.deepEqual(pairs(admin('plaintext')), ['Exempt: admin-port (plaintext)'])
    assert.deepEqual(pairs(admin('no-mesh-tls'), pathWindow(on(80), 'mtls')), ['Exempt: admin-port (no-mesh-tls)'])
    assert.deepEqual(pairs(admin('mtls'), pathWindow(on(80), 'plaintext', { reason: 'x' })), ['x'])
    assert.deepEqual(pairs(pathWindow(on(80), 'exempt', { reason: 'no payload' })), [])
    assert.deepEqual(pairs(pathWindow({ ...unnamed80, port: 4191 }, 'exempt', { reason: 'admin-port (mtls)' })), [])
    for (const reason of ['admin-port (nonsense)', 'admin-port ()', 'x admin-port (mtls)', 'admin-port (mtls) x'])
      assert.deepEqual(pairs(pathWindow(on(4191), 'exempt', { reason })), [])
  })

  test('has the columns of linkerd viz edges, with an empty text for what is secured', () => {
    const paths = [pathWindow(named80, 'mtls', { clientId: 'web.shop', serverId: 'ledger.bank' })]
    const pairs80 = linkerdPairs(edgeRows(windowResult(halfDay(0), { paths }), { exempt: 'none' }))
    assert.deepEqual(
      pairs80.map(({ edge }) => edge),
      [
        {
          src: 'web',
          src_namespace: 'shop',
          dst: 'ledger',
          dst_namespace: 'bank',
          client_id: 'web.shop',
          server_id: 'ledger.bank',
          no_tls_reason: '',
        },
      ],
    )
  })

  test('does not print as secured what has a port that is not mtls, whatever the order', () => {
    const states = fc.array(
      fc.constantFrom<State>('mtls', 'tls-anonymous', 'app-tls', 'plaintext', 'no-mesh-tls', 'unknown'),
      {
        minLength: 1,
        maxLength: 6,
      },
    )
    fc.assert(
      fc.property(states, (all) => {
        const paths = all.map((state, index) =>
          index % 3 === 2
            ? pathWindow(on(4191), 'exempt', { reason: `admin-port (${state})` })
            : pathWindow(on(80 + index), state, { reason: 'why' }),
        )
        const [reason] = pairs(...paths)
        assert.equal(
          reason === '',
          all.every((state) => state === 'mtls'),
        )
        assert.deepEqual(pairs(...paths.toReversed()), [reason])
      }),
    )
  })
})

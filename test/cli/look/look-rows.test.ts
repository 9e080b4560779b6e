import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { PathWindow, Workload } from '../../../lib/model/window.ts'
import {
  countLook,
  notSeenRows,
  notSeenText,
  unsettledNote,
  verdictLine,
  whyText,
  worstFirst,
} from '../../../cli/look-rows.ts'
import {
  anyHistory,
  coverageOf,
  named80,
  pathWindow,
  windowResult,
  workloadOf,
} from '../../support/stored/window-results.ts'

const WINDOW = { start: '2026-11-24T13:25:00Z', end: '2026-11-24T13:35:00Z' }

function verdict(
  paths: PathWindow[],
  observedSeconds: number | null = 575,
  workloads: Workload[] = [workloadOf('web'), workloadOf('ledger')],
): string {
  const coverage =
    observedSeconds === null ? [] : [coverageOf(WINDOW, { expectedSeconds: 600, observedSeconds, ratio: null })]
  return verdictLine({ window: WINDOW, paths, coverage, workloads })
}

const path = (state: PathWindow['state'], changes: Partial<PathWindow> = {}) => pathWindow(named80, state, changes)

describe('verdictLine()', () => {
  test('says how many paths are not encrypted, how many are unknown, and what share was seen', () => {
    const all = [path('plaintext'), path('mtls'), path('unknown'), path('mtls')]
    assert.equal(
      verdict(all),
      '1 of 4 judged paths is not encrypted, 1 unknown; 95.8 % of the proxies’ time in the last 10 minutes was seen.',
    )
    assert.equal(
      verdict([path('plaintext'), path('no-mesh-tls'), path('mtls')], 600),
      '2 of 3 judged paths are not encrypted; 100 % of the proxies’ time in the last 10 minutes was seen.',
    )
  })

  test('is no all-clear where a path is unknown, nothing was seen, or the share is not known', () => {
    assert.match(verdict([path('unknown'), path('mtls')]), /^1 of 2 judged paths is encrypted, 1 unknown; 95\.8 % /)
    assert.match(verdict([path('unknown')]), /^0 of 1 judged path is encrypted, 1 unknown; /)
    assert.match(verdict([path('mtls'), path('app-tls')]), /^All 2 judged paths seen are encrypted; 95\.8 % /)
    assert.equal(verdict([], 0), 'No path to judge was seen; 0 % of the proxies’ time in the last 10 minutes was seen.')
    assert.equal(
      verdict([path('mtls')], null),
      'The only judged path seen is encrypted; what share of the proxies’ time in the last 10 minutes was seen is not known.',
    )
  })

  test('says beside the share who has no proxy, since the share is of proxies', () => {
    const bare = { blindSpots: [{ kind: 'unmeshed', port: null, detail: '' } as const] }
    const workloads = [workloadOf('web', bare), workloadOf('ledger'), workloadOf('web', { ...bare, pods: 0 })]
    assert.match(verdict([path('mtls')], 600, workloads), / was seen; 1 of 2 workloads is not fully meshed\.$/)
  })

  test('counts neither what was refused nor what is exempt as a path', () => {
    const beside = [path('plaintext', { outcome: 'refused' }), path('exempt')]
    assert.match(verdict([...beside, path('mtls')]), /^The only judged path seen is encrypted; /)
    assert.deepEqual(countLook(beside), { paths: 0, notEncrypted: 0, unknown: 0, encrypted: 0, refused: 1, exempt: 1 })
  })

  test('says that all are encrypted only if all are, whatever was seen', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        for (const { result } of history) {
          if (result === null) continue
          const counts = countLook(result.paths)
          assert.equal(counts.notEncrypted + counts.unknown + counts.encrypted, counts.paths)
          const isClear = /^(All|The only)/.test(verdictLine(result))
          assert.equal(isClear, counts.paths > 0 && counts.encrypted === counts.paths)
        }
      }),
    )
  })
})

test('worstFirst() begins with what is not encrypted, the most bytes in the clear first, and ends with what is exempt', () => {
  const sorted = worstFirst([
    path('exempt'),
    path('mtls'),
    path('plaintext', { outcome: 'refused' }),
    path('app-tls'),
    path('unknown'),
    path('no-mesh-tls'),
    path('plaintext', { clearBytes: 5 }),
    path('plaintext', { clearBytes: 500 }),
  ])
  assert.deepEqual(
    sorted.map(({ state, outcome, clearBytes }) => `${outcome} ${state} ${clearBytes}`),
    [
      'allowed plaintext 500',
      'allowed plaintext 5',
      'allowed no-mesh-tls 0',
      'allowed unknown 0',
      'allowed app-tls 0',
      'refused plaintext 0',
      'allowed mtls 0',
      'allowed exempt 0',
    ],
  )
})

test('whyText() names the likely cause, else the reason in words, and nothing where there is nothing to explain', () => {
  const reason = 'no_tls_from_remote'
  assert.equal(whyText(path('plaintext', { reason, cause: 'source-not-meshed' })), 'the source has no proxy')
  assert.equal(
    whyText(path('plaintext', { reason, cause: 'unknown' })),
    'the client sent no mesh TLS (no_tls_from_remote)',
  )
  assert.equal(
    whyText(path('unknown', { reason: 'pod-not-listed', cause: 'unknown' })).endsWith('(pod-not-listed)'),
    true,
  )
  assert.equal(
    whyText(path('plaintext', { reason, outcome: 'refused', cause: 'source-not-meshed' })),
    'refused by policy: the client sent no mesh TLS (no_tls_from_remote)',
  )
  assert.match(
    whyText(path('unknown', { reason: 'source-partly-unmeshed (no list)' })),
    /^the port saw unnamed plaintext/,
  )
  assert.equal(whyText(path('tls-anonymous')), 'the client showed no identity')
  assert.equal(whyText(path('mtls')), '-')
})

test('notSeenRows() begins with what should have been seen, tells the host’s network once, and no opaque port', () => {
  const spot = (kind: 'unmeshed' | 'host-network' | 'not-scraped' | 'skip-inbound' | 'opaque-port', port?: string) => ({
    kind,
    port: port ?? null,
    detail: kind,
  })
  const workloads = [
    workloadOf('web', { blindSpots: [spot('host-network'), spot('unmeshed')] }),
    workloadOf('ledger', {
      blindSpots: [
        spot('opaque-port', '5432'),
        spot('skip-inbound', '80'),
        spot('skip-inbound', '90-99'),
        spot('not-scraped'),
      ],
    }),
  ]
  const rows = notSeenRows({ workloads })
  assert.deepEqual(
    rows.map((row) => `${row.name}: ${notSeenText(row)}`),
    ['ledger: not-scraped', 'web: host-network', 'ledger: ports 80, 90-99: skip-inbound'],
  )
})

test('unsettledNote() says what one list of now cannot tell', () => {
  const inputs = { evidence: '', before: null, after: 'now' }
  const workloads = [workloadOf('web', { meshed: 'unknown' })]
  assert.match(unsettledNote({ inputs, workloads }) ?? '', /^Pods without a proxy that have ended since are not known/)
  assert.equal(unsettledNote({ inputs, workloads: [workloadOf('web')] }), null)
  assert.equal(unsettledNote({ inputs, workloads: [workloadOf('web', { meshed: 'unknown', pods: 0 })] }), null)
  assert.match(unsettledNote(windowResult(WINDOW)) ?? '', /could not be read$/)
})

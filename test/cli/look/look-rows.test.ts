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
} from '../../../cli/commands/look/look-words.ts'
import {
  anyHistory,
  coverageOf,
  named80,
  pathWindow,
  windowResult,
  workloadOf,
} from '../../support/stored/window-results.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

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
    matchesText(verdict(all))
    matchesText(verdict([path('plaintext'), path('no-mesh-tls'), path('mtls')], 600))
  })

  test('is no all-clear where a path is unknown, nothing was seen, or the share is not known', () => {
    matchesText(verdict([path('unknown'), path('mtls')]))
    matchesText(verdict([path('unknown')]))
    matchesText(verdict([path('mtls'), path('app-tls')]))
    matchesText(verdict([], 0))
    matchesText(verdict([path('mtls')], null))
  })

  test('says beside the share who has no proxy, since the share is of proxies', () => {
    const bare = { blindSpots: [{ kind: 'unmeshed', port: null, detail: '' } as const] }
    const workloads = [workloadOf('web', bare), workloadOf('ledger'), workloadOf('web', { ...bare, pods: 0 })]
    matchesText(verdict([path('mtls')], 600, workloads))
  })

  test('counts neither what was refused nor what is exempt as a path', () => {
    const beside = [path('plaintext', { outcome: 'refused' }), path('exempt')]
    matchesText(verdict([...beside, path('mtls')]))
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
  matchesText(whyText(path('plaintext', { reason, cause: 'source-not-meshed' })))
  matchesText(whyText(path('plaintext', { reason, cause: 'unknown' })))
  assert.equal(
    whyText(path('unknown', { reason: 'pod-not-listed', cause: 'unknown' })).endsWith('(pod-not-listed)'),
    true,
  )
  matchesText(whyText(path('plaintext', { reason, outcome: 'refused', cause: 'source-not-meshed' })))
  matchesText(whyText(path('unknown', { reason: 'source-partly-unmeshed (no list)' })))
  matchesText(whyText(path('tls-anonymous')))
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
  matchesText(unsettledNote({ inputs, workloads }))
  assert.equal(unsettledNote({ inputs, workloads: [workloadOf('web')] }), null)
  assert.equal(unsettledNote({ inputs, workloads: [workloadOf('web', { meshed: 'unknown', pods: 0 })] }), null)
  matchesText(unsettledNote(windowResult(WINDOW)))
})

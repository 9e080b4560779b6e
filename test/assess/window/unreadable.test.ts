import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unreadableWindow } from '../../../lib/assess/window/unreadable.ts'

test('unreadableWindow() was not collected, and states nothing of paths, workloads or cryptography', () => {
  const window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }
  const inputs = { evidence: 'evidence/1', before: null, after: 'evidence/2' }
  const { format, derivation: _, ...told } = unreadableWindow('shop', window, inputs, ['It is damaged'])
  assert.equal(format, 'ciphertrail/window/1')
  assert.deepEqual(told, {
    cluster: 'shop',
    window,
    inputs,
    collected: false,
    errors: ['It is damaged'],
    edges: [],
    paths: [],
    coverage: [],
    workloads: [],
    crypto: { proxyVersions: [], tls: [], certificates: null, trustAnchors: [] },
    existing: null,
    namespaces: null,
  })
})

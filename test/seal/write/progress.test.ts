import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSealBehind, readProgress, scopeFrom, writeProgress } from '../../../lib/seal/write/progress.ts'
import { sealingKey } from '../../../lib/store/log-keys.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const HOUR = 60 * 60
const NOW = Date.UTC(2026, 10, 24, 12) / 1000
const registered = (at: number) => [
  {
    id: 'shop',
    registeredAt: new Date(at * 1000).toISOString(),
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [],
  },
]

test('scopeFrom() looks back from the last run, and at everything where that would leave something out', () => {
  const input = { now: NOW, retentionSeconds: 6 * HOUR, clusters: registered(NOW - 48 * HOUR) }
  const from = (sealedAt: number, sweptAt: number, more = {}) =>
    scopeFrom({ progress: { sealedAt, sweptAt } }, { ...input, ...more })
  assert.equal(from(NOW - HOUR, NOW - HOUR), NOW - 9 * HOUR)
  // Runs that were far apart, and one whose clock was ahead.
  assert.equal(from(NOW - 20 * HOUR, NOW - 23 * HOUR), NOW - 28 * HOUR)
  assert.equal(from(NOW + 5 * HOUR, NOW - HOUR), NOW - 8 * HOUR)
  assert.equal(scopeFrom({ progress: undefined }, input), null)
  assert.equal(from(NOW - HOUR, NOW - 24 * HOUR), null)
  assert.equal(from(NOW - HOUR, NOW + HOUR), null)
  assert.equal(from(NOW - HOUR, NOW - HOUR, { clusters: registered(NOW - 2 * HOUR) }), null)
})

test('isSealBehind() lets two hourly runs fail', () => {
  assert.equal(isSealBehind(NOW, NOW - 3 * HOUR), false)
  assert.equal(isSealBehind(NOW, NOW - 3 * HOUR - 1), true)
})

test('readProgress() reads what writeProgress() wrote, and knows nothing of anything else', async () => {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const nothing = await readProgress(objects)
  assert.deepEqual(nothing, { progress: undefined, etag: null })
  await writeProgress(nothing, { now: NOW, isWhole: true }, objects)
  const first = await readProgress(objects)
  assert.deepEqual(first.progress, { sealedAt: NOW, sweptAt: NOW })
  await writeProgress(first, { now: NOW + HOUR, isWhole: false }, objects)
  assert.deepEqual((await readProgress(objects)).progress, { sealedAt: NOW + HOUR, sweptAt: NOW })
  // Another run was first: what it noted stands.
  await writeProgress(first, { now: NOW + 2 * HOUR, isWhole: true }, objects)
  assert.deepEqual((await readProgress(objects)).progress, { sealedAt: NOW + HOUR, sweptAt: NOW })
  for (const text of ['', '{}', '{"format":"ciphertrail/sealing/1","sealedAt":"x","sweptAt":"y"}']) {
    held.set(sealingKey, Buffer.from(text))
    assert.equal((await readProgress(objects)).progress, undefined)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasEvidence, rememberEvidence } from '../../../lib/store/evidence/find-evidence.ts'
import { evidenceKey, evidencePrefix, windowKey } from '../../../lib/store/keys.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { toSeconds, toTime } from '../../../lib/time/windows.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const NOW = '2026-11-24T12:21:00Z'

function windowBefore(hours: number) {
  const end = toSeconds('2026-11-24T12:20:00Z') - hours * 3600
  return { start: toTime(end - 300), end: toTime(end) }
}

const evidenceOf = (cluster: string, hours: number) => evidenceKey({ window: windowBefore(hours), cluster, attempt: 1 })

/** A store that remembers what was found, which lists of evidence it made, and a clock. */
function remembering() {
  const inner = memoryObjects()
  const held = { lists: [] as (string | undefined)[], now: new Date(NOW) }
  const counted: Objects = {
    ...inner,
    list(prefix, startAfter) {
      if (prefix === evidencePrefix) held.lists.push(startAfter)
      return inner.list(prefix, startAfter)
    },
  }
  const put = (key: string) => store(inner, key)
  return { held, put, objects: rememberEvidence(counted, () => held.now) }
}

async function store(objects: Objects, key: string): Promise<void> {
  if (key.startsWith(evidencePrefix)) await objects.putOnce(key, Buffer.from(key))
  else await objects.putIf(key, Buffer.from(key), null)
}

test('hasEvidence() looks at all evidence once for all clusters, then at that of the last hours alone', async () => {
  const { held, put, objects } = remembering()
  await put(evidenceOf('bank', 2000))
  await put('evidence/packets/shop/20261124T123210Z-0123456789abcdef.json')
  for (const cluster of ['shop', 'shop', 'new', 'shop']) assert.equal(await hasEvidence(cluster, objects), false)
  assert.equal(await hasEvidence('bank', objects), true)
  assert.equal(held.lists.filter((startAfter) => startAfter === undefined).length, 1)
  const recent = held.lists.filter((startAfter) => startAfter !== undefined)
  assert.deepEqual([recent.length, new Set(recent).size], [5, 1])
})

test('hasEvidence() finds at once what is stored of a recent window', async () => {
  const { put, objects } = remembering()
  assert.equal(await hasEvidence('shop', objects), false)
  await put(evidenceOf('shop', 6))
  assert.equal(await hasEvidence('shop', objects), true)
})

test('hasEvidence() finds what is stored of an earlier window once a quarter of an hour has passed', async () => {
  const { held, put, objects } = remembering()
  assert.equal(await hasEvidence('shop', objects), false)
  await put(evidenceOf('shop', 2000))
  held.now = new Date(held.now.getTime() + 15 * 60 * 1000)
  assert.equal(await hasEvidence('shop', objects), true)
})

test('hasEvidence() never takes "none" from memory for a cluster that was collected', async () => {
  const { put, objects } = remembering()
  assert.equal(await hasEvidence('shop', objects), false)
  await put(evidenceOf('shop', 2000))
  await put(windowKey('shop', windowBefore(2000)))
  assert.equal(await hasEvidence('shop', objects), true)
})

test('hasEvidence() looks again after a look that failed', async () => {
  let isDown = true
  const inner = memoryObjects()
  await store(inner, evidenceOf('shop', 2000))
  const failing: Objects = {
    ...inner,
    async *list(prefix, startAfter) {
      if (isDown && startAfter === undefined) throw new Error('down')
      yield* inner.list(prefix, startAfter)
    },
  }
  const objects = rememberEvidence(failing, () => new Date(NOW))
  await assert.rejects(hasEvidence('shop', objects), /down/)
  isDown = false
  assert.equal(await hasEvidence('shop', objects), true)
})

test('hasEvidence() of a store that remembers nothing lists each time', async () => {
  const objects = memoryObjects()
  assert.equal(await hasEvidence('shop', objects), false)
  await store(objects, evidenceOf('shop', 2000))
  assert.equal(await hasEvidence('shop', objects), true)
})

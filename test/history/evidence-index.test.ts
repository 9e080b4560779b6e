import assert from 'node:assert/strict'
import { test } from 'node:test'
import { snapshotReader } from '../../lib/history/evidence-index.ts'
import { encodeSnapshot } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../lib/store/keys.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { snapshotOf } from '../support/stored/sealed-store.ts'

test('snapshotReader() reads a snapshot that it was asked for just now once', async () => {
  const reads: string[] = []
  const objects = memoryObjects(new Map(), (request, effect) => {
    if (request.member === 'get') reads.push(request.key)
    return Promise.resolve().then(effect)
  })
  const keys = await Promise.all(
    [0, 1].map(async (hour) => {
      const snapshot = snapshotOf('prod', hour)
      const key = evidenceKey({ window: snapshot.window, cluster: 'prod', attempt: 1 })
      await objects.putOnce(key, await encodeSnapshot(snapshot))
      return key
    }),
  )
  const [first = '', second = ''] = keys
  const read = snapshotReader('prod', objects)
  const found = await read(first)
  assert.equal(await read(first), found)
  assert.notDeepEqual((await read(second)).window, found.window)
  assert.equal(await read(first), found)
  assert.deepEqual(
    reads.filter((key) => key === first || key === second),
    [first, second],
  )
})

/** How many objects a question reads: counted, since time depends on the machine. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { writeSyntheticStore } from '../../../bench/synthetic-store.ts'
import { createApi } from '../../../lib/query/api.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const stored = memoryObjects()
/** Just after the last window was collected; `compact` ran at the end of the day before. */
const NOW = new Date('2026-04-11T00:03:00Z')

before(async () => {
  await writeSyntheticStore({ clusters: 3, days: 100, paths: 6 }, stored)
})

/** Asks a new server, and gives what it read for the last question beside registrations and what was declared. */
async function readsOf(...paths: readonly string[]): Promise<readonly string[]> {
  let reads: string[] = []
  const objects: Objects = { ...stored, get: (key) => (reads.push(key), stored.get(key)) }
  const app = createApi('test', {
    objects,
    now: () => NOW,
    access: async () => ({ subject: 'test', clusters: 'all' }),
    isHealthy: async () => true,
    log: () => undefined,
  })
  for (const path of paths) {
    reads = []
    const response = await app.fetch(new Request(`http://127.0.0.1${path}`))
    assert.equal(response.status, 200)
    assert.ok(((await response.json()) as { items: unknown[] }).items.length > 0)
  }
  return reads.filter((key) => !key.startsWith('registry/') && !key.startsWith('changes/'))
}

test('a path over 90 days reads the state, what its recent windows come to, and an object for each month before', async () => {
  const reads = await readsOf('/v1/paths?cluster=cluster-0001&from=2026-01-11T00:03:00Z')
  assert.deepEqual(
    reads.map((key) => key.replace(/.*month=/, '')),
    [
      'state/cluster-0001.json',
      'state/_recent/cluster-0001.json.gz',
      ...['01', '02', '03'].map((month) => `2026-${month}/intervals.parquet`),
    ],
  )
})

test('the edges of a past time read the state, the day and the window', async () => {
  const reads = await readsOf('/v1/edges?cluster=cluster-0001&at=2026-03-01T00:30:00Z')
  assert.deepEqual(reads, [
    'state/cluster-0001.json',
    'state/_archive/cluster-0001/2026-03-01.json',
    'windows/cluster-0001/20260301T000000Z-20260301T010000Z.json',
  ])
})

test('what was not encrypted reads one object of each cluster once it was asked for, as long as nothing changed', async () => {
  const path = '/v1/paths?state=not-encrypted&from=2026-01-11T00:03:00Z'
  assert.ok((await readsOf(path)).length > 9)
  const states = [0, 1, 2].map((index) => `state/cluster-000${index}.json`)
  assert.deepEqual((await readsOf(path, `${path}&limit=7`)).toSorted(), states)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOf, writeSyntheticStore } from '../../bench/synthetic-store.ts'
import { readStatus } from '../../lib/jobs/read-status.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'

test('the status reads the months of eight weeks, each once, however long the history is', async () => {
  const stored = memoryObjects()
  const extent = { clusters: 2, days: 100, paths: 6, resultDays: 8 }
  await writeSyntheticStore(extent, stored)
  const reads: string[] = []
  const objects: Objects = { ...stored, get: (key) => (reads.push(key), stored.get(key)) }
  const clusters = await readClusters({ objects })
  const now = new Date(Date.parse(endOf(extent)) + 180_000)
  const { period } = await readStatus({ clusters, now, version: 'test', removed: [] }, { objects })
  assert.deepEqual([period.from, period.to], ['2026-04-04T00:00:00Z', '2026-04-11T00:00:00Z'])
  assert.deepEqual(
    reads.filter((key) => key.startsWith('timeline/')).sort(),
    // What April comes to so far is in the object with the recent windows.
    clusters.flatMap(({ id }) =>
      ['02', '03'].map((month) => `timeline/cluster=${id}/month=2026-${month}/intervals.parquet`),
    ),
  )
})

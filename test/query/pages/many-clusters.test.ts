import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { compactCluster } from '../../../lib/history/derive.ts'
import { readStatus } from '../../../lib/jobs/read-status.ts'
import { ManyClustersError, createHistoryReader } from '../../../lib/query/pages/read-history.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'
import { ASKED_AT, fillHistories } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const ALL = { grant: { subject: 'test', clusters: 'all' }, cluster: null, at: ASKED_AT } as const

test('a page is made of so many paths, and whoever asks for more chooses a cluster by what is open there', async () => {
  const stored = memoryObjects()
  await fillHistories(stored)
  for (const cluster of await readClusters({ objects: stored }))
    await compactCluster(cluster, { objects: stored, assess: assessWindow, unsettledSeconds: 0 })
  const reads: string[] = []
  const objects: Objects = { ...stored, get: (key) => (reads.push(key), stored.get(key)) }
  const deps = {
    objects,
    version: 'test',
    readStatus: (asked: Parameters<typeof readStatus>[0]) => readStatus(asked, { objects }),
  }
  const readWith = (limits: { paths: number; cells: number }) =>
    createHistoryReader({ ...deps, readStatus: (asked) => deps.readStatus({ ...asked, version: 'test' }), limits })
  const wide = { paths: 5000, cells: 1e9 }
  const { summary } = await readWith(wide).status(ALL)
  const known = summary.paths.length
  for (const limits of [
    { ...wide, paths: known - 1 },
    { ...wide, cells: known - 1 },
  ]) {
    reads.length = 0
    const asked = readWith(limits)
    for (const read of [() => asked.status(ALL), () => asked.overTime({ ...ALL, days: 91 })])
      await assert.rejects(read, (error) => {
        assert.ok(error instanceof ManyClustersError)
        assert.match(error.message, new RegExp(`^Cannot show ${known} paths of 2 clusters over \\d+ days on one page$`))
        assert.deepEqual(
          error.clusters.map(({ id, known: state }) => [id, (state?.paths ?? 0) > 0]),
          [
            ['east', true],
            ['west', true],
          ],
        )
        return true
      })
    assert.deepEqual(
      reads.filter((key) => /^(timeline|windows)\//.test(key)),
      [],
    )
    // One cluster is shown whatever its size.
    await asked.status({ ...ALL, cluster: 'east' })
  }
})

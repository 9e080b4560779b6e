import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClusterAnswer, notKnown, readCluster } from '../../../lib/query/routes/cluster-history.ts'
import { stateKey } from '../../../lib/store/keys.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'
import { ASKED_AT, fillHistories } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const period = { from: '2026-11-24T12:00:00Z', to: '2026-11-24T12:20:00Z' }

test('notKnown() says what of a period is not known, the worst first, and null only where all of it is', () => {
  const whole: ClusterAnswer = {
    id: 'east',
    collectedUntil: period.to,
    expectedFrom: period.from,
    windows: 4,
    notCollected: 0,
    uncoveredSeconds: 0,
    coverage: 1,
    replay: null,
    problem: null,
  }
  const cases: [changes: Partial<ClusterAnswer>, said: string | null][] = [
    [{}, null],
    [{ expectedFrom: '2026-11-24T11:58:00Z' }, null],
    [{ expectedFrom: '2026-11-24T12:05:00Z' }, 'no window before 2026-11-24T12:05:00Z was expected or collected'],
    [{ expectedFrom: '2026-11-24T12:05:00Z', notCollected: 1 }, '1 of 4 windows of the period were not collected'],
    [{ collectedUntil: '2026-11-24T12:15:00Z' }, null],
    [{ uncoveredSeconds: 7200 }, 'no window covers 2 h of the period'],
    [{ replay: 'A replay' }, null],
    [
      { replay: 'A replay', collectedUntil: '2026-11-24T12:15:00Z' },
      'it is a replay, of which nothing after 2026-11-24T12:15:00Z was recorded',
    ],
    [{ expectedFrom: null, windows: 0 }, 'no window of the period was expected'],
    [{ expectedFrom: null, windows: 0, problem: 'it is damaged' }, 'it is damaged'],
    [{ problem: 'it is damaged' }, 'it is damaged'],
  ]
  for (const [changes, said] of cases) assert.equal(notKnown({ ...whole, ...changes }, period), said)
})

test('readCluster() says of a period without windows that nothing is known, and of a damaged history why', async () => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  const read = (from: string, to: string, now = ASKED_AT) => readCluster(cluster, { from, to }, { objects, now })
  const within = await read(period.from, period.to)
  assert.equal(within.cluster.windows, 4)
  assert.ok((within.cluster.coverage ?? 0) > 0 && within.rows.length > 0)
  const before = await read('2026-11-20T00:00:00Z', '2026-11-20T01:00:00Z')
  assert.deepEqual(before, {
    cluster: {
      id: cluster.id,
      collectedUntil: null,
      expectedFrom: null,
      windows: 0,
      notCollected: 0,
      uncoveredSeconds: 0,
      coverage: null,
      replay: null,
      problem: null,
    },
    rows: [],
  })
  await objects.remove(stateKey(cluster.id))
  const lost = await read(period.from, period.to)
  assert.match(lost.cluster.problem ?? '', /missing although there is evidence/)
  assert.deepEqual([lost.rows, lost.cluster.coverage, lost.cluster.expectedFrom], [[], null, null])
})

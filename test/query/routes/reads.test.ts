/** How many objects a question reads: counted, since time depends on the machine. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { writeSyntheticStore } from '../../../bench/synthetic-store.ts'
import { createApi } from '../../../lib/query/api.ts'
import { encodeCursor } from '../../../lib/query/page.ts'
import { rememberEvidence } from '../../../lib/store/evidence/find-evidence.ts'
import { evidenceKey, evidencePrefix } from '../../../lib/store/keys.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const stored = memoryObjects()
/** Just after the last window was collected; `compact` ran at the end of the day before. */
const NOW = new Date('2026-04-11T00:03:00Z')

before(async () => {
  await writeSyntheticStore({ clusters: 3, days: 100, paths: 6 }, stored)
})

/** A server of a store. */
function serverOf(objects: Objects): ReturnType<typeof createApi> {
  return createApi('test', {
    objects,
    now: () => NOW,
    access: async () => ({ subject: 'test', clusters: 'all' }),
    isHealthy: async () => true,
    log: () => undefined,
  })
}

/** Asks a new server, and gives what it read for the last question beside registrations and what was declared. */
async function readsOf(...paths: readonly string[]): Promise<readonly string[]> {
  let reads: string[] = []
  const app = serverOf({ ...stored, get: (key) => (reads.push(key), stored.get(key)) })
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

test('a cursor of other parameters, or of a place that no cursor has, is refused before anything is read', async () => {
  const reads: string[] = []
  const app = serverOf({ ...stored, get: (key) => (reads.push(key), stored.get(key)) })
  const cursorAt = (n: number) =>
    encodeCursor({ v: 1, q: '0'.repeat(16), u: '2026-04-11T00:00:00Z', n, d: '0'.repeat(16) })
  const lists = ['paths', 'episodes', 'edges', 'clusters', 'clusters/cluster-0001/coverage', 'reports', 'waivers']
  const times = ['diff?from=2026-04-08&to=2026-04-09', 'flow?before=2026-04-08']
  for (const list of [...lists, ...times])
    for (const n of [1, 1e9]) {
      const address = `http://127.0.0.1/v1/${list}${list.includes('?') ? '&' : '?'}cursor=${cursorAt(n)}`
      const response = await app.fetch(new Request(address))
      const { parameter } = (await response.json()) as { parameter: unknown }
      assert.deepEqual([response.status, parameter, reads], [400, 'cursor', []], address)
    }
})

test('a cluster without a history costs one look at all evidence, and evidence of it shows with the next question', async () => {
  const own = memoryObjects()
  await addCluster({ id: 'new', windowMinutes: 60 }, { now: NOW, by: 'tester' }, { objects: own })
  let looks = 0
  const counted: Objects = {
    ...own,
    list: (prefix, startAfter) => (
      (looks += prefix === evidencePrefix && startAfter === undefined ? 1 : 0),
      own.list(prefix, startAfter)
    ),
  }
  const app = serverOf(rememberEvidence(counted, () => NOW))
  const ask = async (path: string) => (await app.fetch(new Request(`http://127.0.0.1/v1/${path}`))).status
  for (const path of ['paths', 'paths', 'paths?limit=7', 'episodes', 'edges', 'clusters/new/coverage'])
    assert.equal(await ask(path), 200, path)
  assert.equal(looks, 1)
  const window = { start: '2026-04-10T23:00:00Z', end: '2026-04-11T00:00:00Z' }
  await own.putOnce(evidenceKey({ window, cluster: 'new', attempt: 1 }), Buffer.from('x'))
  for (const path of ['paths', 'edges', 'clusters/new/coverage']) assert.equal(await ask(path), 503, path)
  assert.equal(looks, 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { MAX_CURSOR_LENGTH, encodeCursor } from '../../../lib/query/page.ts'
import { encodePins, pinnedStarts } from '../../../lib/query/routes/pinned-windows.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { addCluster, readClusters, removeCluster } from '../../../lib/store/registry/registry.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { fillHistories } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../../support/stored/sealed-store.ts'

const until = '2026-11-24T12:20:00Z'

test('the windows of a list survive a round trip, for the very clusters they were of', () => {
  const pins = [
    { id: 'east', start: '2026-11-24T12:15:00Z' },
    { id: 'new', start: null },
    { id: 'west', start: '2025-01-01T00:00:00Z' },
  ]
  const text = encodePins(pins, until)
  const starts = (...ids: readonly string[]) => pinnedStarts(text, ids, until)
  assert.deepEqual(
    starts('east', 'new', 'west'),
    pins.map(({ start }) => start),
  )
  assert.equal(starts('east', 'west'), undefined)
  assert.equal(starts('east', 'new', 'worst'), undefined)
})

test('pinnedStarts() makes no time of what nobody gave', () => {
  const [digest = ''] = encodePins([{ id: 'east', start: null }], until).split('.')
  for (const text of ['', digest, `${digest}.zzzzzzz`, `${digest}..`, '.', 'east'])
    assert.equal(pinnedStarts(text, ['east'], until), undefined, text)
})

test('the cursor of as many clusters as one answer is about is one that is taken', () => {
  const pins = Array.from({ length: 100 }, (_, index) => ({ id: `c${index}`, start: '2020-01-01T00:00:00Z' }))
  const [q, d] = ['0'.repeat(16), '0'.repeat(16)]
  assert.ok(encodeCursor({ v: 1, q, u: until, n: 1e6, d, w: encodePins(pins, until) }).length <= MAX_CURSOR_LENGTH)
})

type Page = { items: { cluster: string }[]; next: string; clusters: { window: unknown; problem: string | null }[] }

/** The histories of `asked-store.ts`, and a cluster of which nothing was collected; the first page of its edges; and how to ask for the next. */
async function firstPage(t: Parameters<typeof startApi>[0]) {
  const objects = memoryObjects()
  await fillHistories(objects)
  const author = { now: minutesIn(0), by: 'tester' }
  await addCluster({ id: 'young', windowMinutes: 5 }, author, { objects })
  const { ask } = await startApi(t, { objects, now: () => minutesIn(26) })
  const first = (await (await ask('/v1/edges?limit=1')).json()) as Page
  return { objects, author, first, askNext: () => ask(`/v1/edges?limit=1&cursor=${first.next}`) }
}

async function collect(cluster: string, objects: Objects): Promise<void> {
  await writeAttempt(snapshotOf(cluster, 4), { objects })
  for (const one of await readClusters({ objects })) await deriveCluster(one, { objects, assess: assessWindow })
}

test('the next page of edges is of the windows of the first page, and of no window where there was none', async (t) => {
  const { objects, first, askNext } = await firstPage(t)
  for (const id of ['east', 'young']) await collect(id, objects)
  const next = (await (await askNext()).json()) as Page
  assert.deepEqual(
    next.clusters.map(({ window }) => window),
    first.clusters.map(({ window }) => window),
  )
  assert.match(next.clusters[2]?.problem ?? '', /^Not collected: no window of cluster "young"/)
})

test('the next page of edges is refused once other clusters are registered', async (t) => {
  const { objects, author, askNext } = await firstPage(t)
  await removeCluster('young', author, { objects })
  assert.equal((await askNext()).status, 409)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import type { AssessInput } from '../../lib/assess/window/window.ts'
import type { Window } from '../../lib/model/time.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { compactHistory } from '../../lib/jobs/compact-history.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { compactCluster as compactStored } from '../../lib/history/derive.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { listEvidence } from '../../lib/history/listed-evidence.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters, removeCluster } from '../../lib/store/registry/registry.ts'
import { readHistory, readState } from '../../lib/history/cluster-state.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { type Gate, memoryObjects, type StoreRequest } from '../support/stored/memory-objects.ts'
import { toldCluster, toldTime, toldWindow } from '../support/stored/told-cluster.ts'
import { named80, pathWindow, unnamed80, watched, windowResult } from '../support/stored/window-results.ts'

const collector = { name: 'ciphertrail', version: '0.0.0' }
const HOUR = 3600
const WEEKS = 2

/** A store, and what was asked of it since the last time. A page of a list is one request. */
type Counted = { readonly objects: Objects; readonly held: Map<string, Uint8Array>; readonly taken: () => Requests }
type Requests = { readonly reads: readonly string[]; readonly writes: readonly string[] }

function counted(): Counted {
  const held = new Map<string, Uint8Array>()
  let requests: StoreRequest[] = []
  const gate: Gate = async (request, effect) => {
    requests.push(request)
    return effect()
  }
  const isRead = ({ member }: StoreRequest) => ['get', 'digest', 'list'].includes(member)
  const text = ({ member, key }: StoreRequest) => `${member} ${key}`
  return {
    objects: memoryObjects(held, gate),
    held,
    taken() {
      const taken = requests
      requests = []
      return { reads: taken.filter(isRead).map(text), writes: taken.filter((one) => !isRead(one)).map(text) }
    },
  }
}

/** Tells of each window as a cluster of two workloads would; the classifier itself is not what is counted. */
function told({ key, snapshot, before, after }: AssessInput): WindowResult {
  return windowResult(snapshot.window, {
    ...watched(snapshot.window),
    cluster: snapshot.cluster,
    inputs: { evidence: key, before: before?.key ?? null, after: after?.key ?? null },
    paths: [pathWindow(named80, 'mtls'), pathWindow(unnamed80, 'plaintext')],
  })
}

/** Weeks of hours of some clusters, up to the midnight before the told windows of five minutes begin; everything is derived, sealed and compacted. */
async function weeksOf(clusters: readonly string[], weeks = WEEKS): Promise<Counted> {
  const store = counted()
  const { objects } = store
  const midnight = Math.floor(toSeconds(toldWindow(0).start) / 86_400) * 86_400
  const first = midnight - weeks * 7 * 24 * HOUR
  const at = (seconds: number) => ({ now: new Date(seconds * 1000), by: 'tester' })
  for (const id of clusters) {
    await addCluster({ id, windowMinutes: 60 }, at(first), { objects })
    for (let start = first; start < midnight; start += HOUR) {
      const window = { start: toTime(start), end: toTime(start + HOUR) }
      await writeAttempt(
        {
          format: 'ciphertrail/snapshot/1',
          cluster: id,
          window,
          linkerdNamespace: 'linkerd',
          vizNamespace: 'linkerd-viz',
          collector,
          startedAt: toTime(start + HOUR + 60),
          endedAt: toTime(start + HOUR + 61),
          complete: true,
          metrics: { status: 'complete', errors: [], prometheusTime: null, answers: [] },
          kubernetes: { status: 'complete', errors: [], takenAt: toTime(start + HOUR + 60), lists: [] },
        },
        { objects },
        0,
      )
    }
    await addCluster({ id, windowMinutes: 5 }, at(midnight - HOUR), { objects })
  }
  for (const cluster of await readClusters({ objects })) await compactStored(cluster, { objects, assess: told })
  return store
}

const message = (index: number, attempt = 1) => ({ cluster: 'shop', window: toldWindow(index), attempt })

async function collect(
  index: number,
  { objects }: Counted,
  { attempt = 1, state = 'up' as 'up' | 'partial' } = {},
): ReturnType<typeof collectDue> {
  const now = () => toldTime(index)
  const open = () => toldCluster(now, () => state).access
  return collectDue(message(index, attempt), { collector, now }, { objects, open })
}

test('collecting a window of a store with weeks of history, and asking an earlier one again, takes 14 reads and 5 writes; what grows is only the state', async (context) => {
  const store = await weeksOf(['shop'])
  for (let index = 0; index < 6; index++) {
    store.taken()
    assert.equal((await collect(index, store)).outcome, 'collected')
    const { reads, writes } = store.taken()
    // Nothing is asked again before the second, and what the first two fold once more was not collected.
    const expected = index === 1 ? [10, 4] : [index < 3 ? 13 : 14, 5]
    if (index > 0) assert.deepEqual([reads.length, writes.length], expected, [...reads, ...writes].join('\n'))
    assert.deepEqual(
      [...reads, ...writes].filter((one) => one.includes('timeline/')),
      [],
    )
  }
  const size = store.held.get('state/shop.json')?.length ?? 0
  context.diagnostic(`state: ${size} bytes after ${WEEKS * 7 * 24} hours and 6 windows`)
  assert.ok(size < 50_000)
})

test('a message that comes again takes 5 reads and no write', async () => {
  const store = await weeksOf(['shop'])
  await collect(0, store)
  store.taken()
  assert.equal((await collect(0, store)).outcome, 'stored-before')
  const { reads, writes } = store.taken()
  assert.deepEqual([reads.length, writes], [5, []])
})

test('an attempt that makes a window good takes 13 reads and 5 writes, since it takes the place of a result', async () => {
  const store = await weeksOf(['shop'])
  await collect(0, store)
  await collect(1, store, { state: 'partial' })
  store.taken()
  assert.equal((await collect(1, store, { attempt: 2 })).outcome, 'collected')
  const { reads, writes } = store.taken()
  assert.deepEqual([reads.length, writes.length], [13, 5], [...reads, ...writes].join('\n'))
})

test('planning takes two reads, a page of a list, and one read for each cluster with evidence of those hours; it writes nothing', async () => {
  const store = await weeksOf(['shop', 'bank'])
  store.taken()
  assert.equal((await plan({ now: toldTime(0) }, store)).due.length, 2 * 72)
  // Nothing was tried in the last six hours, so no state is asked.
  const before = store.taken()
  assert.deepEqual([before.reads.length, before.writes.length], [3, 0])
  await collect(0, store)
  store.taken()
  await plan({ now: toldTime(0) }, store)
  const { reads, writes } = store.taken()
  assert.deepEqual([reads.length, writes.length], [4, 0])
  assert.deepEqual(
    reads.filter((one) => one.includes('state/')),
    ['get state/shop.json'],
  )
})

test('nothing runs where nothing is due: no message, no write', async () => {
  const store = await weeksOf(['shop', 'gone'])
  const { objects } = store
  await removeCluster('gone', { now: toldTime(-1), by: 'tester' }, { objects })
  await addCluster({ id: 'new', windowMinutes: 60 }, { now: toldTime(0), by: 'tester' }, { objects })
  const now = new Date(toldTime(0).getTime() - 1000)
  const retentionSeconds = 300
  store.taken()
  assert.deepEqual(await plan({ now, retentionSeconds }, { objects }), { due: [], errors: [] })
  for (const cluster of await readClusters({ objects }))
    assert.deepEqual(await compactHistory(cluster, now, { objects }), { windows: [], errors: [] })
  assert.deepEqual(store.taken().writes, [])
})

test('compacting a day reads each of its windows once and writes its month and the archive; readers see the same before and after', async (context) => {
  const store = await weeksOf(['shop'])
  const { objects } = store
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  // Twelve hours of five minutes: a third of them is settled by the end.
  for (let index = 0; index < 144; index++) await collect(index, store)
  const before = await readHistory('shop', objects)
  const folded = async () => (await readState('shop', objects)).state?.timeline.watermark
  const from = await folded()
  store.taken()
  assert.deepEqual(await compactHistory(cluster, toldTime(143), { objects }), { windows: [], errors: [] })
  const { reads, writes } = store.taken()
  assert.deepEqual(
    writes.map((one) => one.replace(/ .*\//, ' ')),
    [
      'putIf shop.json',
      'putIf windows.parquet',
      'putIf intervals.parquet',
      'putIf 2026-11-23.json',
      'putIf shop.json',
      'putIf shop.json.gz',
    ],
  )
  const to = await folded()
  assert.ok(to !== undefined && to !== null && from !== undefined && from !== null && to > from)
  const results = reads.filter((one) => one.includes('windows/'))
  assert.equal(new Set(results).size, results.length)
  context.diagnostic(`${reads.length} reads, of which ${results.length} results of windows`)
  assert.ok(reads.length - results.length <= 12, reads.filter((one) => !one.includes('windows/')).join('\n'))
  assert.deepEqual(await readHistory('shop', objects), before)
})

test('compacting many clusters lists the evidence once for all of them, and each that has nothing new reads its state and its recent windows alone', async (context) => {
  const ids = ['bank', 'mill', 'shop']
  const store = await weeksOf(ids)
  const { objects } = store
  const now = toldTime(0)
  const listsOf = (reads: readonly string[]) => reads.filter((one) => one.startsWith('list evidence/')).length
  store.taken()
  for (const cluster of await readClusters({ objects })) await compactHistory(cluster, now, { objects })
  const alone = store.taken()
  // One of them was collected since, by somebody who died before he derived.
  const held = new Map(store.held)
  await collect(0, store)
  for (const key of store.held.keys()) {
    const before = held.get(key)
    if (key.startsWith('evidence/')) continue
    if (before === undefined) store.held.delete(key)
    else store.held.set(key, before)
  }
  const clusters = await readClusters({ objects })
  store.taken()
  const listed = await listEvidence(now, objects)
  const made: Record<string, readonly Window[]> = {}
  for (const cluster of clusters) made[cluster.id] = (await compactHistory(cluster, now, { objects, listed })).windows
  const together = store.taken()
  context.diagnostic(`${listsOf(alone.reads)} pages of lists alone, ${listsOf(together.reads)} together`)
  assert.deepEqual([made['bank'], made['mill'], made['shop']?.at(-1)], [[], [], toldWindow(0)])
  assert.equal(listsOf(alone.reads), ids.length * listsOf(together.reads))
  for (const id of ids.slice(0, 2))
    assert.deepEqual(
      together.reads.filter((one) => one.includes(id) && !one.includes('timeline/')),
      [`get state/${id}.json`, `get state/_recent/${id}.json.gz`],
    )
})

test('a run of seal writes a batch, its entries, the checkpoint and its progress, a tile for each level and a number for each leaf', async (context) => {
  // So many that a tile of 256 leaves becomes full on the way.
  const store = await weeksOf(['shop'], 4)
  const { objects } = store
  const signer = newSigner()
  let [most, fullTiles] = [0, 0]
  await seal({ now: toldTime(-1), everything: true }, { objects, signer })
  for (let index = 0; index < 24; index++) {
    if (index % 3 < 2) await collect(index, store)
    store.taken()
    const { leaves, size } = await seal({ now: toldTime(index) }, { objects, signer })
    const { writes } = store.taken()
    const added = Object.values(leaves).reduce((sum, count) => sum + count, 0)
    const named = added - (leaves.heartbeat ?? 0)
    const numbers = writes.filter((one) => one.includes('log/index/')).length
    const tiles = writes.filter((one) => /log\/tile\/\d/.test(one)).length
    assert.equal(numbers, named)
    const levels = Math.ceil(Math.log2(size + 1) / 8)
    // Where a tile becomes full in a run, that one and the next are written; so are two bundles of entries.
    const crossed = Math.floor(size / 256) > Math.floor((size - added) / 256) ? 1 : 0
    assert.ok(tiles <= levels + crossed, writes.join('\n'))

    assert.ok(writes.length - numbers - tiles <= 4 + crossed, writes.join('\n'))
    most = Math.max(most, writes.length - numbers)
    if (crossed > 0) fullTiles++
  }
  assert.equal(fullTiles, 1)
  context.diagnostic(`at most ${most} writes and the numbers of leaves`)
})

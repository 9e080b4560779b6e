import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { collectWindows } from '../../lib/jobs/attempt-windows.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { compactHistory } from '../../lib/jobs/compact-history.ts'
import { dueWindowSchema, type DueWindow } from '../../lib/jobs/due-windows.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { readSnapshot } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey, evidencePrefix } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters, removeCluster } from '../../lib/store/registry/registry.ts'
import { readHistory, readWindow } from '../../lib/history/cluster-state.ts'
import { type Gate, memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'
import { toldCluster, toldTime, toldWindow } from '../support/stored/told-cluster.ts'

const author = { now: minutesIn(0), by: 'tester' }
const collector = { name: 'ciphertrail', version: '0.0.0' }

async function freshStore(held: Map<string, Uint8Array> = new Map(), gate?: Gate): Promise<Objects> {
  const objects = memoryObjects(held, gate)
  await addCluster({ id: 'shop', windowMinutes: 5 }, author, { objects })
  return objects
}

const dueOf = (index: number, attempt = 1): DueWindow => ({ cluster: 'shop', window: toldWindow(index), attempt })

/** Handles a message as a worker does when the window `at` is just over. */
async function handle(
  message: DueWindow,
  at: number,
  objects: Objects,
  told = toldCluster(() => toldTime(at)),
  version = '0.0.0',
): ReturnType<typeof collectDue> {
  return collectDue(
    message,
    { collector: { name: 'ciphertrail', version }, now: () => toldTime(at) },
    { objects, open: () => told.access },
  )
}

async function keysOf(prefix: string, objects: Objects): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

/** What is derived, as text by key. */
async function derivedIn(objects: Objects): Promise<Record<string, string>> {
  const derived: Record<string, string> = {}
  for (const prefix of ['coverage/', 'state/', 'timeline/', 'windows/'])
    for (const key of await keysOf(prefix, objects))
      derived[key] = Buffer.from((await objects.get(key))?.body ?? []).toString()
  return derived
}

test('a message is read as it was sent, and nothing else is one', () => {
  const message = dueOf(0, 3)
  assert.deepEqual(dueWindowSchema.parse(JSON.parse(JSON.stringify(message))), message)
  for (const changes of [
    { cluster: 1 },
    { attempt: 0 },
    { attempt: 1.5 },
    { attempt: 10_000 },
    { window: { start: 'yesterday', end: 'today' } },
    { window: { start: '2026-02-30T12:00:00Z', end: '2026-03-01T12:00:00Z' } },
  ])
    assert.equal(dueWindowSchema.safeParse({ ...message, ...changes }).success, false, JSON.stringify(changes))
})

test('collectDue() stores an attempt and derives, so that nothing of it is due any more', async () => {
  const objects = await freshStore()
  // The first is the window that was over when the cluster was registered.
  const message = (await plan({ now: toldTime(0) }, { objects })).due.at(-1)
  assert.ok(message)
  const key = evidenceKey({ cluster: 'shop', window: toldWindow(0), attempt: 1 })
  assert.deepEqual(await handle(message, 0, objects), { outcome: 'collected', key, complete: true, errors: [] })
  assert.equal((await readSnapshot(key, objects)).complete, true)
  assert.equal((await readWindow('shop', toldWindow(0).start, objects))?.inputs.evidence, key)
  assert.deepEqual(await plan({ now: toldTime(0) }, { objects }), { due: [], errors: [] })
})

test('collectDue() of a message that comes again stores nothing, and asks nobody', async () => {
  const objects = await freshStore()
  const told = toldCluster(
    () => toldTime(0),
    () => 'partial',
  )
  const first = await handle(dueOf(0), 0, objects, told)
  assert.ok(first.outcome === 'collected' && first.complete === false)
  const derived = await derivedIn(objects)
  const again = await handle(dueOf(0), 0, objects, told)
  assert.deepEqual(again, { outcome: 'stored-before', key: first.key, complete: null, errors: [] })
  assert.deepEqual([told.begun(), await derivedIn(objects)], [1, derived])
  assert.deepEqual((await keysOf(evidencePrefix, objects)).length, 1)
})

test('collectDue() derives what somebody stored who died then', async () => {
  const objects = await freshStore()
  await handle(dueOf(0), 0, objects)
  const derived = await derivedIn(objects)
  for (const key of Object.keys(derived)) await objects.remove(key)
  assert.equal((await handle(dueOf(0), 1, objects)).outcome, 'stored-before')
  assert.deepEqual(await derivedIn(objects), derived)
})

test('collectDue() keeps what a source that fails makes of a window, and the next attempt makes it whole', async () => {
  const objects = await freshStore()
  let state: 'up' | 'down' = 'down'
  const told = toldCluster(
    () => toldTime(0),
    () => state,
  )
  const failed = await handle(dueOf(0), 0, objects, told)
  assert.ok(failed.outcome === 'collected' && failed.complete === false)
  assert.match(failed.errors.join('\n'), /nobody answers/)
  state = 'up'
  assert.equal((await handle(dueOf(0, 2), 0, objects, told)).outcome, 'collected')
  assert.equal((await readWindow('shop', toldWindow(0).start, objects))?.collected, true)
})

test('collectDue() refuses what cannot be, however often it is asked, and stores nothing of it', async () => {
  const objects = await freshStore()
  const refused = async (message: DueWindow, says: RegExp) => {
    const told = toldCluster(() => toldTime(3))
    const outcome = await handle(message, 3, objects, told)
    assert.ok(outcome.outcome === 'refused')
    assert.match(outcome.error, says)
    assert.doesNotMatch(outcome.error, /\n/)
    assert.deepEqual([told.begun(), await keysOf(evidencePrefix, objects)], [0, []])
  }
  await refused({ ...dueOf(0), cluster: 'other' }, /cluster "other": it is not registered/)
  await refused({ ...dueOf(0), cluster: 'a\u001b[31m\nb' }, /cluster "a\\u001b\[31m\\nb"/)
  await refused(dueOf(4), /is not over/)
  await refused(dueOf(-2), /was over when the cluster was registered/)
  await refused({ ...dueOf(0), window: { start: toldWindow(0).start, end: toldWindow(1).end } }, /has none such/)
  await removeCluster('shop', author, { objects })
  await refused(dueOf(0), /is not registered any more/)
})

test('collectDue() fails where the store does, and closes what it opened', async () => {
  let isFull = false
  const objects = await freshStore(new Map(), async ({ member }, effect) => {
    if (isFull && member === 'putOnce') throw new Error('Cannot write: full')
    return effect()
  })
  isFull = true
  let open = 0
  const { access } = toldCluster(() => toldTime(0))
  const opening = () => {
    open++
    return Promise.resolve({ ...access, close: () => Promise.resolve(void open--) })
  }
  await assert.rejects(
    collectDue(dueOf(0), { collector, now: () => toldTime(0) }, { objects, open: opening }),
    /Cannot write: full/,
  )
  assert.equal(open, 0)
})

test('messages that come twice, in any order and at the same time end in the same history', async () => {
  const windows = [0, 1, 2, 3]
  const once = await freshStore()
  for (const index of windows) await handle(dueOf(index), 3, once)
  const expected = await derivedIn(once)
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([...windows, ...windows], { minLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      fc.scheduler(),
      async (messages, workers, scheduler) => {
        // Every request of a worker to the store waits for its turn.
        const held = new Map<string, Uint8Array>()
        await freshStore(held)
        const gate: Gate = (_, effect) => scheduler.schedule(Promise.resolve()).then(effect)
        const objects = memoryObjects(held, gate)
        const queue = messages.map((index) => dueOf(index))
        // Each of another version, so that no two of their attempts are the same bytes.
        const work = async (version: string) => {
          for (let next = queue.shift(); next !== undefined; next = queue.shift())
            await handle(next, 3, objects, undefined, version)
        }
        const working = Array.from({ length: workers }, (_, worker) => work(`0.0.${worker}`))
        await scheduler.waitFor(Promise.all(working))

        const quiet = memoryObjects(held)
        const [cluster] = await readClusters({ objects: quiet })
        assert.ok(cluster)
        assert.deepEqual((await compactHistory(cluster, toldTime(3), { objects: quiet })).errors, [])
        const attempts = await keysOf(evidencePrefix, quiet)
        // Two workers at one window may both collect it: then there are two attempts, and the first stands.
        assert.ok(attempts.length >= windows.length && attempts.length <= 2 * windows.length)
        assert.deepEqual(await rowsOf(quiet), await rowsOf(once))
        if (workers === 1) assert.deepEqual(await derivedIn(quiet), expected)
        for (const index of windows)
          assert.deepEqual(
            (await readWindow('shop', toldWindow(index).start, quiet))?.inputs.evidence,
            evidenceKey({ cluster: 'shop', window: toldWindow(index), attempt: 1 }),
          )
        assert.deepEqual(await plan({ now: toldTime(3) }, { objects: quiet }), { due: [], errors: [] })
      },
    ),
    { numRuns: 25 },
  )
})

/** What a reader sees: the months, without which attempts told of a window. */
async function rowsOf(objects: Objects): Promise<unknown> {
  const history = await readHistory('shop', objects)
  return history?.months.map(({ windows, intervals }) => ({
    windows: windows.map(({ also: _, ...window }) => window),
    intervals,
  }))
}

test('collectWindows() collects one after the other, derives once, and stops where nobody answers', async () => {
  const objects = await freshStore()
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  let asked = 0
  const told = toldCluster(
    () => toldTime(4),
    () => (told.begun() > 2 ? 'down' : 'up'),
  )
  const { attempted, unreachable, errors } = await collectWindows(
    cluster,
    [0, 1, 2, 3, 4].map(toldWindow),
    { collector, now: () => toldTime(4) },
    { objects, access: told.access, deriving: () => void asked++ },
  )
  assert.deepEqual(
    attempted.map(({ window, snapshot }) => [window, snapshot.complete]),
    [
      [toldWindow(0), true],
      [toldWindow(1), true],
      [toldWindow(2), false],
    ],
  )
  assert.deepEqual({ unreachable, errors, asked }, { unreachable: 2, errors: [], asked: 1 })
})

test('collectWindows() derives from windows weeks before the last one, too, where a Prometheus still has them', async () => {
  const objects = await freshStore()
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  const weeks = 3 * 7 * 24 * 12
  for (const index of [weeks, 0]) {
    const { access } = toldCluster(() => toldTime(weeks))
    const windows = [toldWindow(index)]
    await collectWindows(
      cluster,
      windows,
      { collector, now: () => toldTime(weeks), isReplay: true },
      { objects, access },
    )
  }
  assert.equal((await readWindow('shop', toldWindow(0).start, objects))?.collected, true)
})

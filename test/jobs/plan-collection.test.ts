import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { RETENTION_SECONDS, SETTLE_SECONDS, toSeconds, toTime } from '../../lib/time/windows.ts'
import type { Window } from '../../lib/model/time.ts'
import { type DueWindow, refusalOf } from '../../lib/jobs/due-windows.ts'
import { isWindowDue } from '../../lib/jobs/retry-windows.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { deriveCluster } from '../../lib/history/derive.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey, registryKey, stateKey } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters, removeCluster } from '../../lib/store/registry/registry.ts'
import { type Gate, memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import { toldWindow } from '../support/stored/told-cluster.ts'
import { matchesText, textWith } from '../support/texts/matches-text.ts'

const author = { now: minutesIn(0), by: 'tester' }

/** A store in which clusters with windows of five minutes were registered as the first window began. */
async function storeWith(clusters: readonly string[], gate?: Gate): Promise<Objects> {
  const objects = memoryObjects(new Map(), gate)
  for (const id of clusters) await addCluster({ id, windowMinutes: 5 }, author, { objects })
  return objects
}

/** An attempt at window `index`, begun so many minutes after the start of the first window, and derived from. */
async function store(
  objects: Objects,
  cluster: string,
  index: number,
  { complete = true, begun = 5 * index + 6 }: { complete?: boolean; begun?: number } = {},
): Promise<void> {
  await writeAttempt(snapshotOf(cluster, index, { complete, startedAt: minutesIn(begun).toISOString() }), { objects })
  await deriveAll(objects)
}

async function deriveAll(objects: Objects): Promise<void> {
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
}

/** What is due so many minutes after the start of the first window: `shop 0 1` is the first attempt at the first window of `shop`. */
async function dueAt(objects: Objects, minutes: number, retentionSeconds?: number): Promise<string[]> {
  const { due, errors } = await plan(
    { now: minutesIn(minutes), ...(retentionSeconds === undefined ? {} : { retentionSeconds }) },
    { objects },
  )
  assert.deepEqual(errors, [])
  return due.map(short)
}

function short({ cluster, window, attempt }: DueWindow): string {
  const index = (toSeconds(window.start) - toSeconds(toldWindow(0).start)) / 300
  assert.deepEqual(window, toldWindow(index))
  return `${cluster} ${index} ${attempt}`
}

test('plan() asks for nothing where no cluster is registered, and for no window before it is over', async () => {
  assert.deepEqual(await dueAt(memoryObjects(), 100), [])
  const objects = await storeWith(['shop'])
  await store(objects, 'shop', -1)
  assert.deepEqual(await dueAt(objects, 5), [])
  assert.deepEqual(await dueAt(objects, 6), ['shop 0 1'])
})

test('plan() asks at once for the window that was over when a cluster was registered, and again like any other where nobody answered', async () => {
  const objects = await storeWith(['shop'])
  assert.deepEqual(await dueAt(objects, 0.9), [])
  assert.deepEqual(await dueAt(objects, 1), ['shop -1 1'])
  assert.deepEqual(await dueAt(objects, 6), ['shop -1 1', 'shop 0 1'])
  await store(objects, 'shop', -1, { complete: false, begun: 1 })
  assert.deepEqual(await dueAt(objects, 6), ['shop 0 1'])
  await store(objects, 'shop', 0)
  assert.deepEqual(await dueAt(objects, 15.9), ['shop 1 1'])
  assert.deepEqual(await dueAt(objects, 16), ['shop -1 2', 'shop 1 1', 'shop 2 1'])
})

test('plan() does not ask for the window before a registration once there is an attempt at a later one', async () => {
  const objects = await storeWith(['shop'])
  await store(objects, 'shop', 0)
  assert.deepEqual(await dueAt(objects, 11), ['shop 1 1'])
})

test('plan() asks within a minute after a cluster with windows of an hour is registered in the middle of one', async () => {
  const objects = memoryObjects()
  const at = (time: string) => new Date(`2026-11-24T${time}Z`)
  await addCluster({ id: 'hourly', windowMinutes: 60 }, { now: at('12:27:30'), by: 'tester' }, { objects })
  const window = { start: '2026-11-24T11:00:00Z', end: '2026-11-24T12:00:00Z' }
  assert.deepEqual((await plan({ now: at('12:28:00') }, { objects })).due, [{ cluster: 'hourly', window, attempt: 1 }])
})

test('plan() asks for each window that was never tried, oldest first, also after hours in which nobody planned', async () => {
  const objects = await storeWith(['shop', 'bank'])
  await store(objects, 'shop', 1)
  assert.deepEqual(await dueAt(objects, 16), ['bank -1 1', 'bank 0 1', 'shop 0 1', 'bank 1 1', 'bank 2 1', 'shop 2 1'])
})

test('plan() asks for a window neither long before its cluster was registered nor once Prometheus has lost it', async () => {
  const objects = await storeWith(['shop'])
  await addCluster({ id: 'late', windowMinutes: 5 }, { ...author, now: minutesIn(7) }, { objects })
  assert.deepEqual(await dueAt(objects, 16, 600), ['late 1 1', 'shop 1 1', 'late 2 1', 'shop 2 1'])
  // A window that ended exactly so long ago is a gap of the log by then.
  assert.deepEqual(await dueAt(objects, 16, 660), ['late 1 1', 'shop 1 1', 'late 2 1', 'shop 2 1'])
  const all = ['late 0 1', 'shop 0 1', 'late 1 1', 'shop 1 1', 'late 2 1', 'shop 2 1']
  assert.deepEqual(await dueAt(objects, 16, 661), all)
})

test('plan() asks again for what has no complete attempt: after 15 minutes, after 45 more, then hourly', async () => {
  const objects = await storeWith(['shop'])
  const asked: number[] = []
  for (let minute = 0; minute < 7 * 60; minute++) {
    const due = (await plan({ now: minutesIn(minute) }, { objects })).due.filter(
      ({ window }) => window.end === toldWindow(0).end,
    )
    if (due.length === 0) continue
    assert.deepEqual(due.map(short), [`shop 0 ${asked.length + 1}`])
    asked.push(minute - 6)
    await store(objects, 'shop', 0, { complete: false, begun: minute })
  }
  assert.deepEqual(asked, [0, 15, 60, 120, 180, 240, 300])
})

test('plan() counts pauses from the last attempt, and from when it was to be made where that is not known', () => {
  const window = toldWindow(0)
  const settled = toSeconds(window.end) + SETTLE_SECONDS
  const tried = (...startedAt: (number | null)[]) =>
    startedAt.map((minutes, index) => ({
      number: index + 1,
      complete: false,
      startedAt: minutes === null ? null : toTime(settled + minutes * 60),
    }))
  const due = (minutes: number, ...startedAt: (number | null)[]) =>
    isWindowDue(window, tried(...startedAt), settled + minutes * 60)
  assert.deepEqual([due(254, 240), due(255, 240)], [false, true])
  assert.deepEqual([due(59, 0, 15), due(60, 0, 15)], [false, true])
  assert.deepEqual([due(14, null), due(15, null), due(59, 0, null), due(60, 0, null)], [false, true, false, true])
  // A clock that was ahead must not keep a window from being asked for.
  assert.deepEqual([due(14, 600), due(15, 600)], [false, true])
  assert.equal(isWindowDue(window, [{ number: 1, complete: true, startedAt: null }], settled + 1e6), false)
  assert.equal(isWindowDue(window, [{ number: 9999, complete: false, startedAt: null }], settled + 1e6), false)
})

test('plan() does not ask for clusters that were removed, nor for the time before they came back', async () => {
  const objects = await storeWith(['shop', 'old'])
  for (const id of ['shop', 'old']) await store(objects, id, -1)
  await removeCluster('old', { ...author, now: minutesIn(1) }, { objects })
  assert.deepEqual(await dueAt(objects, 11), ['shop 0 1', 'shop 1 1'])
  await addCluster({ id: 'old', windowMinutes: 5 }, { ...author, now: minutesIn(6) }, { objects })
  assert.deepEqual(await dueAt(objects, 11), ['shop 0 1', 'old 1 1', 'shop 1 1'])
})

test('plan() goes on where something of one cluster is damaged, and says so', async () => {
  const objects = await storeWith(['bank', 'shop'])
  for (const id of ['bank', 'shop']) await store(objects, id, 0)
  const state = await objects.get(stateKey('bank'))
  await objects.putIf(stateKey('bank'), Buffer.from('damaged'), state?.etag ?? null)
  const damaged = await plan({ now: minutesIn(11) }, { objects })
  // Whoever is asked for the attempt that is stored derives from it again.
  assert.deepEqual(damaged.due.map(short), ['bank 0 1', 'bank 1 1', 'shop 1 1'])
  matchesText(damaged.errors, textWith({ stateKey: stateKey('bank') }))
})

test('plan() reads no evidence: of a window with an attempt that nobody derived from, it asks for that one until somebody did', async () => {
  const reads: string[] = []
  const objects = await storeWith(['shop'], async ({ member, key }, effect) => {
    if (member === 'get' && key.startsWith('evidence/')) reads.push(key)
    return effect()
  })
  await store(objects, 'shop', 0)
  for (const [index, attempt] of [
    [1, 1],
    [1, 2],
    [2, 1],
  ] as const)
    await objects.putOnce(evidenceKey({ cluster: 'shop', window: toldWindow(index), attempt }), Buffer.from('not gzip'))
  reads.length = 0
  // One window at a time, the newest first.
  assert.deepEqual(await dueAt(objects, 16), ['shop 2 1'])
  assert.deepEqual(await dueAt(objects, 21), ['shop 2 1', 'shop 3 1'])
  assert.deepEqual(reads, [])
  await deriveAll(objects)
  // What cannot be read is an attempt that failed.
  assert.deepEqual(await dueAt(objects, 31), ['shop 2 2', 'shop 3 1', 'shop 4 1', 'shop 5 1'])
})

test('plan() goes on where the store gives nothing of one cluster, and fails where it gives no registry or no list', async () => {
  let broken = ''
  const objects = await storeWith(['bank', 'shop'], async ({ key }, effect) => {
    if (broken !== '' && key.includes(broken)) throw new Error(`Cannot read "${key}": the store is not there`)
    return effect()
  })
  for (const id of ['bank', 'shop']) await store(objects, id, 0)
  broken = 'bank'
  const { due, errors } = await plan({ now: minutesIn(11) }, { objects })
  assert.deepEqual(due.map(short), ['bank 0 1', 'bank 1 1', 'shop 1 1'])
  matchesText(errors.join('\n'))
  for (broken of [registryKey, 'evidence/'])
    await assert.rejects(plan({ now: minutesIn(11) }, { objects }), /the store is not there/)
})

test('plan() asks for every expected window that can be collected and has no attempt exactly once, and for nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(11), { maxLength: 8 }),
      fc.integer({ min: 0, max: 70 }),
      fc.constantFrom(RETENTION_SECONDS, 1200),
      async (done, minutes, retention) => {
        const objects = await storeWith(['shop'])
        for (const index of done) await store(objects, 'shop', index)
        // The window before the registration is the first, and asked for only then.
        const expected = Array.from({ length: 15 }, (_, index) => index - 1).filter(
          (index) =>
            (index >= 0 || done.length === 0) &&
            !done.includes(index) &&
            minutes >= 5 * index + 6 &&
            (minutes - 5 * (index + 1)) * 60 < retention,
        )
        assert.deepEqual(
          await dueAt(objects, minutes, retention),
          expected.map((index) => `shop ${index} 1`),
        )
      },
    ),
    { numRuns: 40 },
  )
})

test('refusalOf() refuses whatever window a cluster does not have', async () => {
  const [cluster] = await readClusters({ objects: await storeWith(['shop']) })
  assert.ok(cluster)
  const now = toSeconds(minutesIn(100).toISOString())
  const refusal = (window: Window, at = now) => refusalOf(cluster, window, at)
  assert.equal(refusal(toldWindow(-1)), undefined)
  assert.equal(refusal(toldWindow(0)), undefined)
  assert.equal(refusal(toldWindow(18)), undefined)
  assert.match(refusal(toldWindow(19)) ?? '', /is not over/)
  matchesText(refusal(toldWindow(-2)))
  matchesText(refusal({ start: toldWindow(0).start, end: toldWindow(1).end }))
  // The same time in other words is another key of evidence.
  assert.match(refusal({ ...toldWindow(0), end: '2026-11-24T12:05:00.000Z' }) ?? '', /has none such/)
})

test('plan() asks for windows of a cluster without a Prometheus only as long as its proxies can tell of them', async () => {
  const objects = memoryObjects(new Map())
  await addCluster({ id: 'shop', windowMinutes: 5, noPrometheus: true }, author, { objects })
  assert.deepEqual(await dueAt(objects, 5), [])
  assert.deepEqual(await dueAt(objects, 6), ['shop 0 1'])
  assert.deepEqual(await dueAt(objects, 7), ['shop 0 1'])
  assert.deepEqual(await dueAt(objects, 7.1), [])
  assert.deepEqual(await dueAt(objects, 31), ['shop 5 1'])
})

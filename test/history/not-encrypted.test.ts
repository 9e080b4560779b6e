import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import type { ClusterState } from '../../lib/history/cluster-state.ts'
import { encodeState } from '../../lib/history/cluster-state.ts'
import {
  type NotEncrypted,
  changedNotEncrypted,
  readNotEncrypted,
  updateNotEncrypted,
} from '../../lib/history/not-encrypted.ts'
import { encodeNotEncrypted, openNotEncrypted } from '../../lib/history/tables/not-encrypted-table.ts'
import { encodeMonth } from '../../lib/history/tables/timeline-table.ts'
import { emptyTimeline } from '../../lib/history/fold-state.ts'
import type { ExpectedWindow, Timeline } from '../../lib/history/fold-state.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import { DERIVATION } from '../../lib/model/window.ts'
import { notEncryptedKey, stateKey, timelineKey } from '../../lib/store/keys.ts'
import { sha256Of } from '../../lib/store/objects/derived-object.ts'
import { type Objects, StoreError } from '../../lib/store/objects/objects.ts'
import { compareText } from '../../lib/text/order.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import {
  anyHistory,
  expectedWindows,
  halfDay,
  named80,
  pathWindow,
  unnamed80,
} from '../support/stored/window-results.ts'

/** Stores what a cluster's windows come to, as the writer of months would. */
async function store(cluster: string, history: readonly ExpectedWindow[], objects: Objects): Promise<Timeline> {
  const timeline = foldWindows(emptyTimeline(cluster), history)
  const months: ClusterState['months'][number][] = []
  const put = async (key: string, body: Uint8Array) => objects.putIf(key, body, (await objects.get(key))?.etag ?? null)
  for (const month of timeline.months) {
    const body = encodeMonth(month)
    await put(timelineKey(cluster, month.month), body)
    months.push({ month: month.month, sha256: sha256Of(body) })
  }
  const { months: _, ...rest } = timeline
  const state = {
    derivation: DERIVATION,
    cluster,
    evidence: [],
    windows: [],
    replacing: [],
    unwritten: [],
    archive: null,
  }
  await put(stateKey(cluster), encodeState({ ...state, timeline: rest, months }))
  return timeline
}

const ALL = { from: halfDay(0).start, to: '2027-12-31T00:00:00Z' }

async function readAll(objects: Objects, period = ALL): Promise<NotEncrypted[]> {
  const found: NotEncrypted[] = []
  for (const { intervals } of await readNotEncrypted(period, objects))
    for await (const one of intervals()) found.push(one)
  return found
}

/** What the table should say, the plain way. */
function expectedOf(timelines: readonly Timeline[], { from, to } = ALL): readonly NotEncrypted['interval'][] {
  return timelines
    .flatMap(({ months, episodes }) =>
      months.flatMap(({ month, intervals }) =>
        intervals.filter(isNotEncrypted).map(({ activity: _, ...interval }) => ({
          month,
          interval: { ...interval, episode: episodes.find(({ id }) => id === interval.episode?.id) ?? null },
        })),
      ),
    )
    .filter(({ interval }) => interval.to > from && interval.from < to)
    .toSorted(
      (a, b) =>
        compareText(b.month, a.month) ||
        compareText(b.interval.to, a.interval.to) ||
        compareText(b.interval.from, a.interval.from) ||
        compareText(a.interval.cluster, b.interval.cluster) ||
        compareText(a.interval.pathId, b.interval.pathId),
    )
    .map(({ interval }) => interval)
}

const clear = { paths: [pathWindow(named80, 'plaintext', { bytes: 10, clearBytes: 10 })] }
const mtls = { paths: [pathWindow(named80, 'mtls')] }

test('updateNotEncrypted() keeps every interval in which a path was not encrypted, of all clusters, newest first, however histories grow', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), anyHistory, fc.boolean()), { minLength: 1, maxLength: 6 }),
      fc.nat(60),
      fc.nat(60),
      async (steps, first, length) => {
        const objects = memoryObjects()
        const timelines = new Map<string, Timeline>()
        for (const [id, history, isUpdated] of steps) {
          timelines.set(id, await store(id, history, objects))
          if (isUpdated) await updateNotEncrypted([...timelines.keys()], objects)
        }
        await updateNotEncrypted([...timelines.keys()], objects)
        const found = await readAll(objects)
        const expected = expectedOf([...timelines.values()])
        assert.deepEqual(
          found.map(({ interval }) => interval),
          expected,
        )
        const period = { from: halfDay(first).start, to: halfDay(first + length).end }
        assert.deepEqual(
          (await readAll(objects, period)).map(({ interval }) => interval),
          expectedOf([...timelines.values()], period),
        )
        assert.deepEqual(await updateNotEncrypted([...timelines.keys()], objects), [], 'nothing is left to do')

        const fresh = memoryObjects()
        for (const [id, history] of new Map(steps.map(([name, own]) => [name, own]))) await store(id, history, fresh)
        await updateNotEncrypted([...timelines.keys()].toReversed(), fresh)
        for await (const key of fresh.list('not-encrypted/'))
          assert.deepEqual(
            (await fresh.get(key))?.body,
            (await objects.get(key))?.body,
            'the same bytes, however it grew',
          )
      },
    ),
    { numRuns: 25 },
  )
})

test('updateNotEncrypted() tells how an episode ended, also in the month before', async () => {
  const objects = memoryObjects()
  const before = Array.from({ length: 24 }, () => clear)
  await store('shop', expectedWindows(before), objects)
  await updateNotEncrypted(['shop'], objects)
  assert.deepEqual(
    (await readAll(objects)).map(({ interval }) => [interval.from.slice(0, 7), interval.episode?.ending]),
    [
      ['2026-12', null],
      ['2026-11', null],
    ],
  )
  await store('shop', expectedWindows([...before, mtls]), objects)
  assert.deepEqual(await updateNotEncrypted(['shop'], objects), ['2026-11', '2026-12'])
  assert.deepEqual(
    (await readAll(objects)).map(({ interval }) => interval.episode?.ending),
    ['fixed', 'fixed'],
  )
})

test('updateNotEncrypted() reads of clusters only the months that changed, and removes what it is not told of', async () => {
  const objects = memoryObjects()
  const reads: string[] = []
  const counting: Objects = { ...objects, get: (key) => (reads.push(key), objects.get(key)) }
  await store('shop', expectedWindows([clear, clear]), objects)
  await store('bank', expectedWindows([clear, mtls]), objects)
  await updateNotEncrypted(['bank', 'shop'], objects)
  await store('shop', expectedWindows([clear, clear, clear]), objects)
  await updateNotEncrypted(['bank', 'shop'], counting)
  assert.deepEqual(
    reads.filter((key) => key.startsWith('timeline/')),
    [timelineKey('shop', '2026-11')],
  )
  await updateNotEncrypted(['shop'], objects)
  const [month] = await readNotEncrypted(ALL, objects)
  assert.deepEqual(Object.keys(month?.clusters ?? {}), ['shop'])
  assert.deepEqual(
    (await readAll(objects)).map(({ interval }) => interval.cluster),
    ['shop'],
  )
})

test('readNotEncrypted() of 90 days reads an object for each month, and says how far each cluster is known', async () => {
  const objects = memoryObjects()
  await store('shop', expectedWindows(Array.from({ length: 24 }, () => clear)), objects)
  await store('bank', expectedWindows([{ paths: [pathWindow(unnamed80, 'mtls')] }]), objects)
  await updateNotEncrypted(['bank', 'shop', 'nothing-collected-yet'], objects)
  const reads: string[] = []
  const counting: Objects = { ...objects, get: (key) => (reads.push(key), objects.get(key)) }
  const months = await readNotEncrypted({ from: '2026-09-20T00:00:00Z', to: '2026-12-19T00:00:00Z' }, counting)
  assert.deepEqual(reads, [notEncryptedKey('2026-11'), notEncryptedKey('2026-12')])
  assert.deepEqual(
    months.map(({ month, clusters }) => [
      month,
      Object.entries(clusters).map(([id, { watermark }]) => [id, watermark]),
    ]),
    [
      ['2026-12', [['shop', halfDay(23).end]]],
      [
        '2026-11',
        [
          ['bank', halfDay(0).end],
          ['shop', halfDay(21).end],
        ],
      ],
    ],
  )
})

test('changedNotEncrypted() names a table of which a byte is another, or that tells less than its months', async () => {
  const objects = memoryObjects()
  await store('shop', expectedWindows([clear, mtls, clear]), objects)
  await store('bank', expectedWindows([clear, mtls]), objects)
  await updateNotEncrypted(['bank', 'shop'], objects)
  const key = notEncryptedKey('2026-11')
  const right = await objects.get(key)
  assert.ok(right)
  assert.deepEqual(await changedNotEncrypted(['bank', 'shop'], objects), [])
  const put = async (body: Uint8Array) => objects.putIf(key, body, (await objects.get(key))?.etag ?? null)
  for (let place = 0; place < right.body.length; place += 7) {
    const body = Uint8Array.from(right.body)
    body[place] = (body[place] ?? 0) ^ 1
    await put(body)
    assert.deepEqual(await changedNotEncrypted(['bank', 'shop'], objects), [key], `byte ${place}`)
    assert.deepEqual(await readNotEncrypted(ALL, objects), [], 'what is damaged tells of no cluster')
  }
  assert.deepEqual(await updateNotEncrypted(['bank', 'shop'], objects), ['2026-11'], 'and is made again')
  assert.deepEqual((await objects.get(key))?.body, right.body)
  const rows = []
  const table = openNotEncrypted(right.body)
  assert.ok(table)
  for await (const group of table.rows()) rows.push(...group)
  await put(encodeNotEncrypted('2026-11', table.clusters, rows.slice(1)))
  assert.deepEqual(await changedNotEncrypted(['bank', 'shop'], objects), [key])

  // What is behind, or of a cluster that is registered no more, is no finding.
  await put(right.body)
  await store('shop', expectedWindows([clear, mtls, clear, clear]), objects)
  assert.deepEqual(await changedNotEncrypted(['shop'], objects), [])
})

test('a cluster whose state cannot be read keeps what is known of it, and no other from being told', async () => {
  const objects = memoryObjects()
  await store('shop', expectedWindows([clear]), objects)
  await store('bank', expectedWindows([clear]), objects)
  await updateNotEncrypted(['bank', 'shop'], objects)
  await store('shop', expectedWindows([clear, clear]), objects)
  const refusing: Objects = {
    ...objects,
    get: (key) => (key === stateKey('bank') ? Promise.reject(new StoreError('access is denied')) : objects.get(key)),
  }
  assert.deepEqual(await updateNotEncrypted(['bank', 'shop'], refusing), ['2026-11'])
  assert.deepEqual(
    (await readAll(objects)).map(({ interval }) => [interval.cluster, interval.to]),
    [
      ['shop', halfDay(1).end],
      ['bank', halfDay(0).end],
    ],
  )
})

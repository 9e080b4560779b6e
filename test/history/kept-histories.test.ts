import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ClusterState, encodeState } from '../../lib/history/cluster-state.ts'
import { type KeptHistories, keepHistories } from '../../lib/history/kept-histories.ts'
import { encodeMonth } from '../../lib/history/tables/timeline-table.ts'
import { type ExpectedWindow, emptyTimeline } from '../../lib/history/fold-state.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { DERIVATION } from '../../lib/model/window.ts'
import { readCluster } from '../../lib/query/routes/cluster-history.ts'
import { evidenceKey, stateKey, timelineKey, windowKey } from '../../lib/store/keys.ts'
import { encodeDerived, sha256Of } from '../../lib/store/objects/derived-object.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { anyHistory, expectedWindows, halfDay, named80, pathWindow } from '../support/stored/window-results.ts'

const cluster: Cluster = {
  id: 'demo',
  registeredAt: halfDay(0).start,
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: halfDay(0).start, minutes: 60 }],
  replay: 'a test',
}

/** Stores a history of which the first windows are in months, as a run of `compact` some windows ago left it. */
async function store(history: readonly ExpectedWindow[], folded: number, objects: Objects): Promise<void> {
  const put = async (key: string, body: Uint8Array) => objects.putIf(key, body, (await objects.get(key))?.etag ?? null)
  const { months: made, ...timeline } = foldWindows(emptyTimeline('demo'), history.slice(0, folded))
  const months: ClusterState['months'][number][] = []
  for (const month of made) {
    const body = encodeMonth(month)
    await put(timelineKey('demo', month.month), body)
    months.push({ month: month.month, sha256: sha256Of(body) })
  }
  const windows: ClusterState['windows'][number][] = []
  for (const { window, result } of history) {
    const body = result === null ? null : encodeDerived(result)
    if (body !== null) await put(windowKey('demo', window), body)
    windows.push({ ...window, sha256: body === null ? null : sha256Of(body) })
  }
  const none = { evidence: [], replacing: [], unwritten: [], archive: null }
  await put(
    stateKey('demo'),
    encodeState({ derivation: DERIVATION, cluster: 'demo', ...none, windows, timeline, months }),
  )
}

/** With keys as they are, and some as they should not be. */
const anyKeys = (history: readonly ExpectedWindow[]): readonly ExpectedWindow[] =>
  history.map(({ window, result }, index) => {
    if (result === null || index % 3 === 0) return { window, result }
    const key = (attempt: number) => evidenceKey({ window, cluster: 'demo', attempt })
    const also = index % 5 === 0 ? { also: [key(1)] } : {}
    return { window, result: { ...result, inputs: { ...result.inputs, evidence: key(1 + (index % 3)), ...also } } }
  })

const states = fc.constantFrom('not-encrypted' as const, 'plaintext' as const, 'no-mesh-tls' as const)
const now = new Date('2027-12-31T00:00:00Z')

test('readCluster() gives the same with and without kept histories, in any period, also while windows arrive and are folded', async () => {
  const ask = fc.record({ first: fc.nat(60), length: fc.nat(120), state: states, offset: fc.nat(50_000) })
  await fc.assert(
    fc.asyncProperty(
      anyHistory.filter((history) => history.length > 0),
      fc.array(fc.tuple(fc.nat(60), fc.nat(60)), { minLength: 1, maxLength: 3 }),
      fc.array(ask, { minLength: 1, maxLength: 3 }),
      async (whole, steps, asked) => {
        const objects = memoryObjects()
        const histories = keepHistories()
        const history = anyKeys(whole)
        const lengths = steps.map(([known]) => 1 + (known % history.length)).toSorted((a, b) => a - b)
        for (const [index, known] of lengths.entries()) {
          await store(history.slice(0, known), (steps[index]?.[1] ?? 0) % (known + 1), objects)
          for (const { first, length, state, offset } of [...asked, ...asked]) {
            const from = new Date(Date.parse(halfDay(first).start) + offset).toISOString()
            const query = { from, to: halfDay(first + length).end, state }
            assert.deepEqual(
              await readCluster(cluster, query, { objects, now, histories }),
              await readCluster(cluster, query, { objects, now }),
            )
          }
        }
      },
    ),
    { numRuns: 60 },
  )
})

/** Nobody collects such windows, but a store may have them: the last one of a month ends in the next. */
function toHalfHour({ window, result }: ExpectedWindow): ExpectedWindow {
  const later = (time: string) => toTime(toSeconds(time) + 1800)
  const moved = { start: later(window.start), end: later(window.end) }
  return { window: moved, result: result && { ...result, window: moved } }
}

test('readCluster() counts what a period has of a month with and without kept histories, wherever it begins and ends', async () => {
  const objects = memoryObjects()
  const shown = Array.from({ length: 150 }, (_, index) => ({
    paths: [pathWindow(named80, 'plaintext', { opens: index, bytes: 10 + index, clearBytes: 10 })],
  }))
  await store(expectedWindows(shown).map(toHalfHour), 140, objects)
  const histories = keepHistories()
  const border = fc.constantFrom(...['2026-12-01', '2027-01-01', '2027-02-01'].map((day) => Date.parse(day)))
  const seconds = fc.oneof(fc.integer({ min: -3600, max: 3600 }), fc.integer({ min: -100_000, max: 100_000 }))
  const near = fc.tuple(border, seconds).map(([at, offset]) => at + offset * 1000)
  const moment = fc.oneof(near, fc.integer({ min: Date.parse(halfDay(0).start), max: Date.parse(halfDay(150).end) }))
  let whole = 0
  await fc.assert(
    fc.asyncProperty(moment, moment, async (a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)].map((at) => new Date(at).toISOString())
      const asked = { from: from ?? '', to: to ?? '', state: 'not-encrypted' } as const
      const told = await readCluster(cluster, asked, { objects, now, histories })
      assert.deepEqual(told, await readCluster(cluster, asked, { objects, now }))
      if (told.rows.length > 2) whole++
    }),
    { numRuns: 300 },
  )
  assert.ok(whole > 50, `${whole} periods had a whole month`)
})

const clear = { paths: [pathWindow(named80, 'plaintext', { bytes: 10, clearBytes: 10 })] }
const query = { from: halfDay(0).start, to: halfDay(40).end, state: 'not-encrypted' } as const

/** What is read for the common question. */
async function readsOf(objects: Objects, histories: KeptHistories): Promise<readonly string[]> {
  const reads: string[] = []
  const counting: Objects = { ...objects, get: (key) => (reads.push(key), objects.get(key)) }
  const { rows } = await readCluster(cluster, query, { objects: counting, now, histories })
  assert.ok(rows.length > 0)
  return reads
}

test('a history that is kept costs the read of its state, and is read again once that changed', async () => {
  const objects = memoryObjects()
  const histories = keepHistories()
  await store(expectedWindows([clear, clear, clear]), 1, objects)
  assert.ok((await readsOf(objects, histories)).length > 3)
  assert.deepEqual(await readsOf(objects, histories), [stateKey('demo')])
  await store(expectedWindows([clear, clear, clear, clear]), 1, objects)
  assert.ok((await readsOf(objects, histories)).length > 3)
  assert.deepEqual(await readsOf(objects, histories), [stateKey('demo')])
})

test('periods that begin in different months are kept apart, although they read the same: of one of them the month is whole', async () => {
  const objects = memoryObjects()
  const histories = keepHistories()
  await store(expectedWindows(Array.from({ length: 40 }, () => clear)), 38, objects)
  const readsFrom = async (from: string): Promise<number> => {
    let reads = 0
    const counting: Objects = { ...objects, get: (key) => (reads++, objects.get(key)) }
    await readCluster(cluster, { ...query, from }, { objects: counting, now, histories })
    return reads
  }
  for (const time of ['2026-11-30T23:50:00Z', '2026-12-01T00:20:00Z']) {
    assert.ok((await readsFrom(time)) > 1)
    assert.equal(await readsFrom(time), 1)
  }
})

test('no more is kept than there is space for, and nothing while results are replaced', async () => {
  const objects = memoryObjects()
  const [none, some] = [keepHistories(1), keepHistories()]
  await store(expectedWindows([clear, clear, clear]), 1, objects)
  for (let run = 0; run < 2; run++) assert.ok((await readsOf(objects, none)).length > 3)
  const stored = await objects.get(stateKey('demo'))
  assert.ok(stored)
  const state = JSON.parse(Buffer.from(stored.body).toString()) as ClusterState
  const [window] = state.windows
  const replacing = [{ ...window, sha256: sha256Of(Buffer.from('another')) }]
  await objects.putIf(stateKey('demo'), encodeDerived({ ...state, replacing }), stored.etag)
  for (let run = 0; run < 2; run++) assert.ok((await readsOf(objects, some)).length > 3)
})

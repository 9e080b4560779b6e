import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { unreadIn } from '../../lib/assess/window/episode-lifecycle.ts'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import type { AssessInput } from '../../lib/assess/window/window.ts'
import { firstLookOf } from '../../lib/history/archive.ts'
import { compactCluster, deriveCluster, type DeriveDeps, rebuildCluster } from '../../lib/history/derive.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { useBudget } from '../../lib/observed/budget.ts'
import { encodeSnapshot } from '../../lib/store/evidence/evidence.ts'
import {
  archiveKey,
  coverageKey,
  evidenceKey,
  parseEvidenceKey,
  recentKey,
  stateKey,
  timelineKey,
  windowKey,
} from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { type NamespaceStatuses, nextStatuses, sightOf } from '../../lib/history/namespaces.ts'
import { type Memory, readLast, readRecent } from '../../lib/history/recent.ts'
import { DamagedError, encodeDerived, sha256Of } from '../../lib/store/objects/derived-object.ts'
import { readExpected, readHistory, readState, readWindow } from '../../lib/history/cluster-state.ts'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import type { State } from '../../lib/model/path.ts'
import type { Window } from '../../lib/model/time.ts'
import { uniteNamespaces } from '../../lib/assess/pods/labelled-namespaces.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import {
  demoCluster as cluster,
  demoHour as hour,
  shownBy,
  showingSnapshot,
} from '../support/stored/showing-snapshot.ts'
import {
  anyHistory,
  coverageOf,
  named80,
  pathWindow,
  unnamed80,
  watched,
  windowResult,
} from '../support/stored/window-results.ts'
import { emptyTimeline } from '../../lib/history/fold-state.ts'
import { errorText, matchesText, textWith } from '../support/texts/matches-text.ts'

const root = await mkdtemp(join(tmpdir(), 'derive-'))
after(() => rm(root, { recursive: true }))

/** Windows older than two hours go into months. */
const deps = (objects: Objects, read: DeriveDeps['assess'] = assess): DeriveDeps => ({
  objects,
  assess: read,
  unsettledSeconds: 2 * 3600,
})

/** An attempt as evidence: its key and its bytes. */
type Evidence = { readonly key: string; readonly body: () => Promise<Uint8Array> }

const damagedBody = (): Promise<Uint8Array> => Promise.resolve(Buffer.from('damaged'))

type Attempt = {
  readonly index: number
  readonly number: number
  readonly complete: boolean
  /** Seconds after the window's end; null: the lists could not be read. */
  readonly listsAfter: number | null
  readonly observed: number
  readonly states: readonly (State | null)[]
}

function evidenceOf({ index, number, complete, listsAfter, observed, states }: Attempt): Evidence {
  const window = hour(index)
  const snapshot = showingSnapshot(window, { observed, states }, { complete, listsAfter })
  return { key: evidenceKey({ cluster: cluster.id, window, attempt: number }), body: () => encodeSnapshot(snapshot) }
}

/** Stands in for the classifier: shows the states that the snapshot tells, and which lists it was given. */
function assess({ key, snapshot, before, after: next }: AssessInput): WindowResult {
  const { observed, states } = shownBy(snapshot) as {
    observed: number
    states: (State | null)[]
  }
  const reason = `${before?.takenAt ?? 'no list'}, ${next?.takenAt ?? 'no list'}`
  return windowResult(snapshot.window, {
    inputs: { evidence: key, before: before?.key ?? null, after: next?.key ?? null },
    paths: [named80, unnamed80].flatMap((ends, index) => {
      const state = states[index]
      return state === null || state === undefined
        ? []
        : [pathWindow(ends, state, { reason: state === 'unknown' ? reason : '' })]
    }),
    coverage: [coverageOf(snapshot.window, { observedSeconds: observed })],
    // A list after the window in which an end is missing, where the story says so.
    existing:
      next === null
        ? null
        : observed === 3
          ? ['deployment/shop/web']
          : ['deployment/shop/web', 'statefulset/bank/ledger'],
    namespaces:
      next === null
        ? null
        : observed === 3
          ? { mesh: ['linkerd'], others: ['bank', 'shop'] }
          : { mesh: ['bank', 'linkerd'], others: ['shop'] },
  })
}

async function put(objects: Objects, evidence: readonly Evidence[]): Promise<void> {
  for (const { key, body } of evidence) await objects.putOnce(key, await body())
}

/** All that is derived, as text by key. */
async function derivedIn(objects: Objects): Promise<Record<string, string>> {
  const derived: Record<string, string> = {}
  for (const prefix of ['coverage/', 'state/', 'timeline/', 'windows/']) {
    for await (const key of objects.list(prefix)) {
      derived[key] = Buffer.from((await objects.get(key))?.body ?? []).toString('latin1')
    }
  }
  return derived
}

/** What the evidence comes to, derived in one go in a store of its own. */
async function derivedFrom(evidence: readonly Evidence[]): Promise<Record<string, string>> {
  const objects = memoryObjects()
  await put(objects, evidence)
  await compactCluster(cluster, deps(objects))
  return derivedIn(objects)
}

const anyState = fc.constantFrom<State | null>('plaintext', 'unknown', 'mtls', 'mtls', null, 'exempt')

/** The evidence of some hours, of which some are missing, some were tried more than once, and some attempts are damaged. */
const anyEvidence: fc.Arbitrary<Evidence[]> = fc
  .uniqueArray(
    fc.record({
      index: fc.nat(7),
      number: fc.integer({ min: 1, max: 3 }),
      complete: fc.boolean(),
      listsAfter: fc.constantFrom(null, 60, 100, 4000),
      observed: fc.nat(3),
      states: fc.tuple(anyState, anyState),
      isDamaged: fc.constantFrom(false, false, false, false, true),
    }),
    { selector: ({ index, number }) => `${index} ${number}`, minLength: 2, maxLength: 10 },
  )
  .map((attempts) =>
    attempts.map(({ isDamaged, ...attempt }) => {
      const { key, body } = evidenceOf(attempt)
      return { key, body: isDamaged ? damagedBody : body }
    }),
  )

const simple = (index: number, state: State | null, changes: Partial<Attempt> = {}): Evidence =>
  evidenceOf({ index, number: 1, complete: true, listsAfter: 60, observed: 1, states: [state, null], ...changes })

test('compactCluster() keeps a result for each window, the months and the state, and does nothing more without new evidence', async () => {
  const objects = memoryObjects()
  await put(objects, [simple(3, 'plaintext'), simple(5, 'mtls'), simple(6, 'mtls')])
  assert.deepEqual(await compactCluster(cluster, deps(objects)), { windows: [hour(3), hour(5), hour(6)], errors: [] })
  const derived = await derivedIn(objects)
  assert.deepEqual(
    Object.keys(derived).toSorted(),
    [
      archiveKey('demo', '2026-11-30'),
      recentKey('demo'),
      stateKey('demo'),
      coverageKey('demo', '2026-11'),
      coverageKey('demo', '2026-12'),
      timelineKey('demo', '2026-11'),
      timelineKey('demo', '2026-12'),
      windowKey('demo', hour(3)),
      windowKey('demo', hour(5)),
      windowKey('demo', hour(6)),
    ].toSorted(),
  )

  const history = await readHistory('demo', objects)
  assert.deepEqual(
    history?.months.flatMap((month) => month.intervals.map(({ from, state }) => [from, state])),
    [
      [hour(3).start, 'plaintext'],
      [hour(4).start, 'not-collected'],
      [hour(5).start, 'mtls'],
    ],
  )
  assert.deepEqual(
    [history?.since, history?.watermark, history?.episodes[0]?.endedAt],
    [hour(3).start, hour(6).end, hour(5).start],
  )
  assert.equal((await readWindow('demo', hour(5).start, objects))?.paths[0]?.state, 'mtls')
  assert.equal(await readWindow('demo', hour(4).start, objects), undefined)

  const refusing = { ...objects, putIf: () => Promise.reject(new Error('written')) }
  for (const run of [deriveCluster, compactCluster])
    assert.deepEqual(await run(cluster, deps(refusing)), { windows: [], errors: [] })
  assert.deepEqual(await derivedIn(objects), derived)
})

test('deriveCluster() reads new evidence only, and makes a window again where a list around it changed', async () => {
  const objects = memoryObjects()
  const reads: string[] = []
  const counting: Objects = {
    ...objects,
    get(key) {
      reads.push(key)
      return objects.get(key)
    },
  }
  await put(objects, [
    simple(0, 'unknown'),
    simple(1, 'unknown', { listsAfter: null }),
    simple(2, 'unknown', { listsAfter: null }),
  ])
  await deriveCluster(cluster, deps(objects))
  assert.equal((await readWindow('demo', hour(2).start, objects))?.inputs.after, null)

  const late = simple(3, 'unknown')
  await put(objects, [late])
  assert.deepEqual((await deriveCluster(cluster, deps(counting))).windows, [hour(1), hour(2), hour(3)])
  assert.equal((await readWindow('demo', hour(2).start, objects))?.inputs.after, late.key)

  const next = simple(4, 'unknown')
  await put(objects, [next])
  await deriveCluster(cluster, deps(objects))
  reads.length = 0
  const last = simple(5, 'unknown')
  await put(objects, [last])
  assert.deepEqual((await deriveCluster(cluster, deps(counting))).windows, [hour(5)])
  assert.deepEqual([...new Set(reads.filter((key) => key.startsWith('evidence/')))].toSorted(), [next.key, last.key])
  assert.deepEqual(
    reads.filter((key) => key.startsWith('timeline/')),
    [],
    'months are left to compactCluster()',
  )
  await put(objects, [simple(7, 'unknown')])
  await compactCluster(cluster, deps(objects))
  await put(objects, [simple(8, 'unknown')])
  reads.length = 0
  await compactCluster(cluster, deps(counting))
  assert.ok(reads.includes(timelineKey('demo', '2026-12')))
  assert.ok(!reads.includes(timelineKey('demo', '2026-11')), 'a month that no window can change any more is not read')
})

test('deriveCluster() of one attempt looks at no other, but for those that others derived meanwhile', async () => {
  const objects = memoryObjects()
  const [first, again, second] = [
    simple(0, 'plaintext', { complete: false }),
    simple(0, 'mtls', { number: 2 }),
    simple(1, 'mtls'),
  ]
  const idOf = (index: number, attempt: number) => ({ cluster: cluster.id, window: hour(index), attempt })
  await put(objects, [first])
  await deriveCluster(cluster, deps(objects), [idOf(0, 1)])
  await put(objects, [again, second])
  const listing: Objects = { ...objects, list: () => assert.fail('it lists') }
  assert.deepEqual((await deriveCluster(cluster, deps(listing), [idOf(1, 1)])).windows, [hour(1)])
  assert.equal((await readWindow('demo', hour(0).start, objects))?.inputs.evidence, first.key)

  // Somebody who knows more died after the result: what is made from less must not replace it.
  const dead = dying(objects, 2, true)
  await assert.rejects(deriveCluster(cluster, deps(dead)), Killed)
  await put(objects, [simple(0, 'unknown', { number: 3, complete: false, observed: 2 })])
  await deriveCluster(cluster, deps(objects), [idOf(0, 3)])
  assert.equal((await readWindow('demo', hour(0).start, objects))?.inputs.evidence, again.key)
})

test('deriveCluster() ends in the same bytes in whatever order evidence came, and so does rebuildCluster()', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyEvidence.chain((evidence) =>
        fc.tuple(
          fc.constant(evidence),
          fc.shuffledSubarray(evidence, { minLength: evidence.length }),
          fc.infiniteStream(fc.boolean()),
        ),
      ),
      async ([evidence, shuffled, now]) => {
        const expected = await derivedFrom(evidence)
        const objects = memoryObjects()
        for (const one of shuffled) {
          await put(objects, [one])
          if (now.next().value) await deriveCluster(cluster, deps(objects))
          if (now.next().value) await compactCluster(cluster, deps(objects))
        }
        await compactCluster(cluster, deps(objects))
        assert.deepEqual(await derivedIn(objects), expected)
        await rebuildCluster(cluster, deps(objects))
        assert.deepEqual(await derivedIn(objects), expected)
      },
    ),
    { numRuns: 20 },
  )
})

/** A day, so that a week of silence is few windows. */
function day(index: number): Window {
  const start = Date.UTC(2026, 10, 27) / 1000 + index * 86_400
  return { start: toTime(start), end: toTime(start + 86_400) }
}

test('deriveCluster() comes to the same endings by silence in whatever order days came, and to none over a day that is missing', async () => {
  const shows = ({ key, snapshot, before, after: next }: AssessInput): WindowResult =>
    windowResult(snapshot.window, {
      ...watched(snapshot.window),
      inputs: { evidence: key, before: before?.key ?? null, after: next?.key ?? null },
      paths: snapshot.window.start === day(0).start ? [pathWindow(named80, 'plaintext')] : [],
    })
  const daily = async (index: number): Promise<Evidence> => {
    const { body } = simple(0, null)
    const text = gunzipSync(await body()).toString()
    const snapshot = { ...(JSON.parse(text) as Snapshot), window: day(index) }
    return {
      key: evidenceKey({ cluster: cluster.id, window: day(index), attempt: 1 }),
      body: () => encodeSnapshot(snapshot),
    }
  }
  const days = await Promise.all(Array.from({ length: 9 }, (_, index) => daily(index)))
  const endingOf = async (objects: Objects) =>
    (await readHistory('demo', objects))?.episodes.map(({ ending }) => ending)
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(days, { minLength: 9 }),
      fc.integer({ min: 2, max: 7 }),
      async (order, last) => {
        const objects = memoryObjects()
        const late = days[last]
        for (const one of order.filter((other) => other !== late)) {
          await put(objects, [one])
          await deriveCluster(cluster, deps(objects, shows))
        }
        assert.deepEqual(await endingOf(objects), [null], 'a gap ends nothing')
        await put(objects, late === undefined ? [] : [late])
        await deriveCluster(cluster, deps(objects, shows))
        assert.deepEqual(await endingOf(objects), ['quiet'])
        await compactCluster(cluster, deps(objects, shows))
        const derived = await derivedIn(objects)
        await rebuildCluster(cluster, deps(objects, shows))
        assert.deepEqual(await derivedIn(objects), derived)
      },
    ),
    { numRuns: 10 },
  )
})

test('deriveCluster() of several at once, while evidence comes, ends in the bytes of all evidence; readers never see a mixture', async () => {
  await fc.assert(
    fc.asyncProperty(anyEvidence, fc.scheduler(), fc.boolean(), async (evidence, scheduler, withRebuild) => {
      const expected = await derivedFrom(evidence)
      const objects = memoryObjects()
      const [early, late] = [evidence.slice(0, evidence.length / 2), evidence.slice(evidence.length / 2)]
      await put(objects, early)

      const slow = slowed(objects, scheduler)
      const run = async (): Promise<unknown> => deriveCluster(cluster, deps(slow))
      const runToo = async (): Promise<unknown> => compactCluster(cluster, deps(slow))
      const tasks = [
        run(),
        put(slow, late).then(run),
        runToo(),
        withRebuild ? rebuildCluster(cluster, deps(slow)) : run(),
        readHistory('demo', slow).then((history) => checkHistory(history)),
      ]
      await scheduler.waitFor(Promise.all(tasks))
      await compactCluster(cluster, deps(objects))
      assert.deepEqual(await derivedIn(objects), expected)
    }),
    { numRuns: 20 },
  )
})

/** The months of a history tile: none is older or newer than the rest. */
function checkHistory(history: Awaited<ReturnType<typeof readHistory>>): void {
  if (history === undefined) return
  const windows = history.months.flatMap((month) => month.windows)
  assert.equal(windows.at(-1)?.end, history.watermark)
  for (const [index, { start }] of windows.entries()) if (index > 0) assert.equal(start, windows[index - 1]?.end)
}

/** The same store, each of whose answers waits until the scheduler lets it happen. */
function slowed(objects: Objects, scheduler: fc.Scheduler): Objects {
  const step = async <T>(label: string, run: () => Promise<T>): Promise<T> => {
    await scheduler.schedule(Promise.resolve(), label)
    return run()
  }
  return {
    get: (key) => step(`get ${key}`, () => objects.get(key)),
    digest: (key) => step(`digest ${key}`, () => objects.digest(key)),
    putOnce: (key, body) => step(`putOnce ${key}`, () => objects.putOnce(key, body)),
    putIf: (key, body, etag) => step(`putIf ${key}`, () => objects.putIf(key, body, etag)),
    remove: (key) => step(`remove ${key}`, () => objects.remove(key)),
    async *list(prefix, startAfter) {
      for await (const key of objects.list(prefix, startAfter))
        yield await step(`list ${key}`, () => Promise.resolve(key))
    },
  }
}

class Killed extends Error {}

/** The same store, which dies at a write: before it or after it. */
function dying(objects: Objects, write: number, isBefore: boolean): Objects {
  let left = write
  const step = async <T>(run: () => Promise<T>): Promise<T> => {
    if (left < 0) throw new Killed()
    if (left-- > 0) return run()
    if (!isBefore) await run()
    throw new Killed()
  }
  return {
    ...objects,
    putIf: (key, body, etag) => step(() => objects.putIf(key, body, etag)),
    remove: (key) => step(() => objects.remove(key)),
  }
}

test('deriveCluster(), compactCluster() and rebuildCluster() killed at any write leave a history to read, and the next compactCluster() ends in the same bytes', async () => {
  const early = [simple(1, 'plaintext'), simple(2, 'mtls'), simple(5, 'unknown', { complete: false })]
  await killEverywhere(early, [simple(3, 'plaintext'), simple(5, 'mtls', { number: 2 }), simple(6, 'mtls')])
  // Only a month that no further window can change.
  await killEverywhere(early, [simple(3, 'mtls', { listsAfter: null })])
})

async function killEverywhere(early: readonly Evidence[], late: readonly Evidence[]): Promise<void> {
  const expected = await derivedFrom([...early, ...late])
  /** What a reader sees of each window: the evidence that it is told by. */
  const told = async (objects: Objects): Promise<string[]> => {
    const history = await readHistory('demo', objects)
    checkHistory(history)
    const windows = history?.months.flatMap((month) => month.windows) ?? []
    return windows.map(({ start, evidence }) => `${start} ${evidence}`)
  }
  const toldFrom = async (evidence: readonly Evidence[]): Promise<string[]> => {
    const objects = memoryObjects()
    await put(objects, evidence)
    await compactCluster(cluster, deps(objects))
    return told(objects)
  }
  const [before, afterwards] = [await toldFrom(early), await toldFrom([...early, ...late])]

  for (const run of [deriveCluster, compactCluster, rebuildCluster]) {
    for (const isBefore of [true, false]) {
      let kills = 0
      for (let isKilled = true; isKilled; kills++) {
        const objects = memoryObjects()
        await put(objects, early)
        await deriveCluster(cluster, deps(objects))
        await put(objects, late)
        isKilled = await run(cluster, deps(dying(objects, kills, isBefore))).then(
          () => false,
          (error: unknown) => {
            if (!(error instanceof Killed)) throw error
            return true
          },
        )
        // Each window as it was or as it comes to be, and none is missing.
        for (const window of await told(objects))
          assert.ok(before.includes(window) || afterwards.includes(window), `killed at write ${kills}: ${window}`)
        assert.ok((await told(objects)).length >= before.length)
        await compactCluster(cluster, deps(objects))
        assert.deepEqual(await derivedIn(objects), expected, `killed at write ${kills}`)
      }
      assert.ok(kills > 3)
    }
  }
}

/** The same store, in which others do something just before a step; it may die after the write that follows. */
function interrupted(objects: Objects, step: number, others: () => Promise<void>, dies: boolean): Objects {
  let left = step
  let isDead = false
  const pass = async (): Promise<void> => {
    if (isDead) throw new Killed()
    if (left-- === 0) await others()
  }
  return {
    ...objects,
    async get(key) {
      await pass()
      return objects.get(key)
    },
    async putIf(key, body, etag) {
      await pass()
      isDead = dies && left < 0
      return objects.putIf(key, body, etag)
    },
  }
}

test('deriveCluster() never leaves something older behind, wherever others with more evidence come between, even if it dies then', async () => {
  const early = [
    simple(1, 'plaintext'),
    simple(2, 'mtls', { complete: false }),
    simple(5, 'unknown'),
    simple(6, 'mtls'),
  ]
  const late = [simple(2, 'plaintext', { number: 2 }), simple(3, 'plaintext', { listsAfter: 100 })]
  const expected = await derivedFrom([...early, ...late])
  for (const run of [deriveCluster, compactCluster, rebuildCluster]) {
    for (const dies of [false, true]) {
      let steps = 0
      for (let cameBetween = true; cameBetween; steps++) {
        cameBetween = false
        const objects = memoryObjects()
        await put(objects, early.slice(0, 3))
        await deriveCluster(cluster, deps(objects))
        await put(objects, early.slice(3))
        const others = async (): Promise<void> => {
          cameBetween = true
          await put(objects, late)
          await deriveCluster(cluster, deps(objects))
        }
        const isDead = await run(cluster, deps(interrupted(objects, steps, others, dies))).then(
          () => false,
          (error: unknown) => {
            if (!(error instanceof Killed)) throw error
            return true
          },
        )
        if (isDead) await deriveCluster(cluster, deps(objects))
        await compactCluster(cluster, deps(objects))
        if (cameBetween) assert.deepEqual(await derivedIn(objects), expected, `others came before step ${steps}`)
      }
      assert.ok(steps > 5, `${steps} steps`)
    }
  }
})

test('deriveCluster() gives up a window whose evidence is damaged, with one line, and keeps all others', async () => {
  const objects = memoryObjects()
  const damaged = simple(2, 'plaintext')
  await put(objects, [simple(1, 'mtls'), { ...damaged, body: damagedBody }, simple(3, 'mtls')])
  const { errors } = await deriveCluster(cluster, deps(objects))
  assert.equal(errors.length, 1)
  assert.match(errors[0] ?? '', /^Cannot read [^\n]+$/)
  assert.ok(errors[0]?.includes(damaged.key))
  const result = await readWindow('demo', hour(2).start, objects)
  assert.deepEqual([result?.collected, result?.errors], [false, errors])
  const history = await readHistory('demo', objects)
  assert.deepEqual(
    history?.months.flatMap((month) => month.intervals.map(({ state, reason }) => `${state} ${reason}`)),
    ['mtls ', 'not-collected source-unreadable', 'mtls '],
  )
  await put(objects, [simple(2, 'plaintext', { number: 2 })])
  assert.deepEqual((await deriveCluster(cluster, deps(objects))).errors, [])
  assert.equal(
    (await readWindow('demo', hour(2).start, objects))?.paths[0]?.state,
    'plaintext',
    'another attempt stands',
  )
})

test('deriveCluster() takes an attempt for damaged once it cannot be read again, as rebuildCluster() does, whether it looks everywhere or at news alone', async () => {
  const news = simple(3, 'mtls')
  for (const attempts of [undefined, [parseEvidenceKey(news.key) ?? assert.fail()]]) {
    const directory = await mkdtemp(join(root, 'store-'))
    const objects = directoryObjects(directory)
    await put(objects, [simple(1, 'mtls'), simple(2, 'mtls', { listsAfter: null })])
    await deriveCluster(cluster, deps(objects))
    await rm(join(directory, simple(1, 'mtls').key))
    await put(objects, [{ key: simple(1, 'mtls').key, body: damagedBody }, news])
    const { errors } = await deriveCluster(cluster, deps(objects), attempts)
    assert.equal(errors.length, 1)
    await compactCluster(cluster, deps(objects))
    const derived = await derivedIn(objects)
    await rebuildCluster(cluster, deps(objects))
    assert.deepEqual(await derivedIn(objects), derived)
  }
})

test('derived objects that were damaged or removed are made again', async () => {
  const evidence = [simple(1, 'mtls'), simple(2, 'plaintext'), simple(5, 'mtls')]
  const expected = await derivedFrom(evidence)
  for (const key of Object.keys(expected)) {
    for (const harm of ['damaged', 'removed']) {
      const objects = memoryObjects()
      await put(objects, evidence)
      await deriveCluster(cluster, deps(objects))
      const { etag = null } = (await objects.get(key)) ?? {}
      if (harm === 'damaged') await objects.putIf(key, Buffer.from('{"inputs":'), etag)
      else await objects.remove(key)

      if (key.startsWith('windows/')) {
        const window = [hour(1), hour(2), hour(5)].find((one) => windowKey('demo', one) === key)
        await assert.rejects(readWindow('demo', window?.start ?? '', objects), {
          name: 'DamagedError',
          message: `Cannot use "${key}": it is not what was derived, run "ciphertrail rebuild" to make it again from evidence`,
        })
      } else if (key.startsWith('timeline/')) {
        const history = await readHistory('demo', objects)
        assert.equal(history?.months.length, 2, 'a month is folded again to be read')
      }
      const { errors } = await rebuildCluster(cluster, deps(objects))
      assert.deepEqual(errors, [])
      assert.deepEqual(await derivedIn(objects), expected, `${key} ${harm}`)
    }
  }
})

test('deriveCluster() starts from evidence where the state is damaged, and says so', async () => {
  const objects = memoryObjects()
  await put(objects, [simple(1, 'mtls')])
  await objects.putIf(stateKey('demo'), Buffer.from('no JSON'), null)
  matchesText((await deriveCluster(cluster, deps(objects))).errors, textWith({ stateKey: stateKey('demo') }))
  assert.deepEqual(await derivedIn(objects), await derivedFrom([simple(1, 'mtls')]))
})

test('deriveCluster() starts from evidence where an earlier version derived the state, whatever its shape, and says nothing of it', async () => {
  const objects = memoryObjects()
  const evidence = [simple(1, 'plaintext'), simple(2, 'mtls')]
  await put(objects, evidence)
  await objects.putIf(stateKey('demo'), Buffer.from('{"derivation":1,"timeline":{"paths":[{}]}}'), null)
  assert.deepEqual((await deriveCluster(cluster, deps(objects))).errors, [])
  assert.deepEqual(await derivedIn(objects), await derivedFrom(evidence))
})

test('a window of more paths than its budget allows is one that cannot be read, and a stored result of more is not used', async (t) => {
  t.after(() => useBudget(undefined))
  const two = (index: number): Evidence =>
    evidenceOf({ index, number: 1, complete: true, listsAfter: 60, observed: 1, states: ['mtls', 'mtls'] })
  const objects = memoryObjects()
  await put(objects, [simple(0, 'mtls'), two(1), simple(2, 'mtls')])
  useBudget('edges=2')
  await deriveCluster(cluster, deps(objects))
  const state = (await readState('demo', objects)).state ?? assert.fail()
  const resultsOf = async () => (await readExpected(state, state.windows, objects)).map(({ result }) => result)
  assert.deepEqual(
    (await resultsOf()).map((result) => result?.paths.length),
    [1, 2, 1],
  )
  // Who writes a result writes the hash that names it, too.
  useBudget('edges=1')
  await assert.rejects(
    resultsOf(),
    (error) => error instanceof DamagedError && error.key === windowKey('demo', hour(1)),
  )
  await rebuildCluster(cluster, deps(objects))
  const again = (await readState('demo', objects)).state ?? assert.fail()
  const results = (await readExpected(again, again.windows, objects)).map(({ result }) => result)
  assert.deepEqual(
    results.map((result) => [result?.collected, result?.paths.length]),
    [
      [true, 1],
      [false, 0],
      [true, 1],
    ],
  )
  matchesText(results[1]?.errors.join('\n'))
})

test('deriveCluster() leaves alone what a later version derived', async () => {
  const objects = memoryObjects()
  await put(objects, [simple(1, 'mtls')])
  await deriveCluster(cluster, deps(objects))
  const stored = await objects.get(stateKey('demo'))
  assert.ok(stored)
  const later: unknown = { ...JSON.parse(Buffer.from(stored.body).toString()), derivation: 99 }
  await objects.putIf(stateKey('demo'), encodeDerived(later), stored.etag)
  await assert.rejects(deriveCluster(cluster, deps(objects)), errorText({ name: 'Error' }))
})

test('rebuildCluster() removes what no evidence is behind, and leaves other clusters alone', async () => {
  const objects = memoryObjects()
  await put(objects, [simple(1, 'mtls')])
  await deriveCluster(cluster, deps(objects))
  const expected = await derivedIn(objects)
  const other = windowKey('demo2', hour(0))
  for (const key of [
    windowKey('demo', hour(0)),
    timelineKey('demo', '2026-10'),
    timelineKey('demo', '2027-01'),
    coverageKey('demo', '2027-01'),
    'timeline/cluster=demo/month=2026-11.json',
    other,
  ]) {
    await objects.putIf(key, Buffer.from('{}'), null)
  }
  await rebuildCluster(cluster, deps(objects))
  assert.deepEqual(await derivedIn(objects), { ...expected, [other]: '{}' })
})

test('deriveCluster() does not fill centuries up to a window that nobody can have collected, and goes on past one that is ahead', async () => {
  const objects = memoryObjects()
  const now = new Date(toSeconds(hour(6).end) * 1000)
  const attempt = (index: number): Evidence =>
    evidenceOf({ index, number: 1, complete: true, listsAfter: 60, observed: 1, states: ['mtls', null] })
  await put(objects, [attempt(0), attempt(1)])
  for (const year of ['0001', '9999'])
    await objects.putOnce(
      evidenceKey({
        cluster: cluster.id,
        window: { start: `${year}-01-01T00:00:00Z`, end: `${year}-01-01T01:00:00Z` },
        attempt: 1,
      }),
      await damagedBody(),
    )
  const refused =
    'Cannot use "evidence/00010101T000000Z-00010101T010000Z/demo/0001.json.gz" and 1 more: nobody can have collected such a window by now, find out who stored it'
  assert.deepEqual(await compactCluster(cluster, { ...deps(objects), now }), {
    windows: [hour(0), hour(1)],
    errors: [refused],
  })
  const ahead = 24 * 30
  await put(objects, [attempt(ahead)])
  await compactCluster(cluster, { ...deps(objects), now })
  await put(objects, [attempt(2)])
  assert.ok(
    (await compactCluster(cluster, { ...deps(objects), now })).windows.some(({ start }) => start === hour(2).start),
  )
})

test('deriveCluster() and readHistory() of a cluster without evidence are empty', async () => {
  const objects = memoryObjects()
  assert.deepEqual(await deriveCluster(cluster, deps(objects)), { windows: [], errors: [] })
  assert.equal(await readHistory('demo', objects), undefined)
  assert.deepEqual(await derivedIn(objects), {})
})

test('encodeDerived() writes canonical JSON, and makes text that is not Unicode so', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const timeline = foldWindows(emptyTimeline('demo'), history)
      assert.equal(encodeDerived(timeline).toString(), canonicalize(timeline))
    }),
    { numRuns: 20 },
  )
  assert.equal(encodeDerived({ b: 'a\ud800', a: ['\ude00'] }).toString(), '{"a":["\ufffd"],"b":"a\ufffd"}')
  const hostile: unknown = JSON.parse('{"b":{"__proto__":{"z":1,"a":"\\ud800"}},"a":1}')
  assert.equal(encodeDerived(hostile).toString(), '{"a":1,"b":{"__proto__":{"a":"\ufffd","z":1}}}')
})

test('deriveCluster() folds a long history in steps to what folding it at once gives', async () => {
  const objects = memoryObjects()
  const indexes = Array.from({ length: 130 }, (_, index) => index)
  await put(
    objects,
    indexes.map((index) => simple(index, index % 7 === 0 ? 'plaintext' : 'mtls')),
  )
  await deriveCluster(cluster, deps(objects))
  const expected = []
  for (const index of indexes)
    expected.push({ window: hour(index), result: (await readWindow('demo', hour(index).start, objects)) ?? null })
  assert.deepEqual((await readHistory('demo', objects))?.months, foldWindows(emptyTimeline('demo'), expected).months)
})

test('readHistory() of some months reads no other but the latest, which comes with the windows after it, and gives them as the whole history has them', async () => {
  const objects = memoryObjects()
  const indexes = Array.from({ length: 800 }, (_, index) => index)
  await put(
    objects,
    indexes.map((index) => simple(index, index % 50 === 0 ? 'plaintext' : 'mtls')),
  )
  await compactCluster(cluster, deps(objects))
  const whole = await readHistory('demo', objects)
  assert.deepEqual(
    whole?.months.map(({ month }) => month),
    ['2026-11', '2026-12', '2027-01'],
  )
  const reads: string[] = []
  const counting: Objects = {
    ...objects,
    get(key) {
      if (key.startsWith('timeline/')) reads.push(key)
      return objects.get(key)
    },
  }
  const some = await readHistory('demo', counting, (month) => month === '2026-11')
  assert.deepEqual(reads, [timelineKey('demo', '2026-11')])
  reads.length = 0
  await objects.remove(recentKey('demo'))
  assert.deepEqual(await readHistory('demo', counting, (month) => month === '2026-11'), some)
  assert.deepEqual(reads, [timelineKey('demo', '2026-11'), timelineKey('demo', '2027-01')])
  assert.deepEqual(some, { ...whole, months: whole?.months.filter(({ month }) => month !== '2026-12') })
})

test('a month that somebody could not write before he died is written by the next compactCluster(), also where windows came between', async () => {
  // The late attempt changes the first month alone.
  const early = Array.from({ length: 10 }, (_, index) =>
    simple(index, index === 1 ? 'unknown' : 'mtls', { complete: index !== 1 }),
  )
  const [late, next] = [simple(1, 'mtls', { number: 2 }), simple(10, 'mtls')]
  const expected = await derivedFrom([...early, late, next])
  let kills = 0
  for (let isKilled = true; isKilled; kills++) {
    const objects = memoryObjects()
    await put(objects, early)
    await compactCluster(cluster, deps(objects))
    await put(objects, [late])
    isKilled = await deriveCluster(cluster, deps(dying(objects, kills, true))).then(
      () => false,
      () => true,
    )
    await put(objects, [next])
    await deriveCluster(cluster, deps(objects), [{ cluster: cluster.id, window: hour(10), attempt: 1 }])
    await compactCluster(cluster, deps(objects))
    assert.deepEqual(await derivedIn(objects), expected, `killed at write ${kills}`)
  }
  assert.equal(kills, 8)
})

test('months that an earlier version kept as JSON are not read: they are folded again, and rebuildCluster() removes them', async () => {
  const objects = memoryObjects()
  await put(objects, [simple(3, 'plaintext'), simple(5, 'mtls'), simple(6, 'mtls')])
  await compactCluster(cluster, deps(objects))
  const expected = await derivedIn(objects)
  const history = await readHistory('demo', objects)

  const old = Buffer.from('{"format":"ciphertrail/timeline/1"}')
  const stored = await objects.get(stateKey('demo'))
  assert.ok(stored)
  const state = JSON.parse(Buffer.from(stored.body).toString())
  for (const named of state.months) {
    named.sha256 = sha256Of(old)
    await objects.putIf(`timeline/cluster=demo/month=${named.month}.json`, old, null)
    await objects.remove(timelineKey('demo', named.month))
    await objects.remove(coverageKey('demo', named.month))
  }
  await objects.putIf(stateKey('demo'), encodeDerived(state), stored.etag)

  assert.deepEqual(await readHistory('demo', objects), history)
  assert.deepEqual(await compactCluster(cluster, deps(objects)), { windows: [], errors: [] })
  const { 'timeline/cluster=demo/month=2026-11.json': left, ...others } = await derivedIn(objects)
  assert.equal(left, old.toString())
  delete others['timeline/cluster=demo/month=2026-12.json']
  assert.deepEqual(others, expected)
  await rebuildCluster(cluster, deps(objects))
  assert.deepEqual(await derivedIn(objects), expected)
})

/** What a reader of the whole history would say of what {@link readRecent} says without months. */
async function recentByHistory(objects: Objects, from: string) {
  const history = await readHistory('demo', objects)
  const intervals = (history?.months ?? []).flatMap((month) => month.intervals)
  const seen = new Map(
    intervals
      .filter((interval) => interval.episode !== null && isNotEncrypted(interval) && interval.from >= from)
      .map(({ episode, state, outcome, reason, cause }) => [episode?.id ?? '', { state, outcome, reason, cause }]),
  )
  return {
    cluster: 'demo',
    since: history?.since ?? null,
    watermark: history?.watermark ?? null,
    episodes: history?.episodes,
    windows: history?.months.flatMap((month) => month.windows).filter(({ start }) => start >= from),
    paths: new Set(intervals.map(({ pathId }) => pathId)),
    seen,
  }
}

test('readRecent() says without a month what the whole history says, whatever it remembers and however evidence came', async () => {
  let remembered = 0
  await fc.assert(
    fc.asyncProperty(
      anyEvidence.chain((evidence) =>
        fc.tuple(
          fc.shuffledSubarray(evidence, { minLength: evidence.length }),
          fc.infiniteStream(fc.constantFrom('look', 'compact', 'nothing')),
        ),
      ),
      async ([shuffled, steps]) => {
        const objects = memoryObjects()
        const memory: Memory = new Map()
        for (const one of shuffled) {
          await put(objects, [one])
          const step = steps.next().value
          await (step === 'compact' ? compactCluster : deriveCluster)(cluster, deps(objects))
          if (step === 'nothing') continue
          const before = memory.get('demo')?.folded.length ?? 0
          const recent = await readRecent('demo', objects, memory)
          assert.deepEqual(recent, await readRecent('demo', objects, new Map()), 'as who remembers nothing reads it')
          if (recent === undefined) continue
          if ((memory.get('demo')?.folded.length ?? 0) > before && before > 0) remembered++
          const { paths, ends: _, unread, last, seen, unlisted, labelled, namespaces, firstLookAt, ...rest } = recent
          const whole = await recentByHistory(objects, recent.windows[0]?.start ?? '9')
          const { paths: wholePaths, seen: wholeSeen, ...wholeRest } = whole
          assert.deepEqual(rest, wholeRest)
          const { state } = await readState('demo', objects)
          assert.equal(firstLookAt, state === undefined ? null : firstLookOf(state))
          assert.deepEqual(new Set(paths.map(({ pathId }) => pathId)), wholePaths)
          for (const [id, reading] of wholeSeen) assert.deepEqual(seen.get(id), reading)
          const result = await readWindow('demo', last?.window.start ?? '', objects)
          assert.deepEqual(last?.window, result?.window)
          assert.deepEqual(await readLast('demo', objects), last, 'the last result alone says the same')
          for (const { start } of recent.windows) {
            const own = await readWindow('demo', start, objects)
            assert.equal(unlisted.has(start), own?.collected === true && own.existing === null)
          }
          const results = await Promise.all(recent.windows.map(({ start }) => readWindow('demo', start, objects)))
          if (results.length > 0) assert.deepEqual(unread, unreadIn(results.at(-1) ?? null))
          assert.deepEqual(labelled, uniteNamespaces(results.map((own) => own?.namespaces ?? null)))
          let standings: NamespaceStatuses = new Map()
          for (const window of recent.windows)
            standings = nextStatuses(
              standings,
              sightOf({ window, result: (await readWindow('demo', window.start, objects)) ?? null }),
            )
          assert.deepEqual(namespaces.last.reduce(nextStatuses, namespaces.before), standings)
        }
      },
    ),
    { numRuns: 60 },
  )
  assert.ok(remembered > 10, `${remembered} looks went on from what was remembered`)
})

test('readRecent() reads the state, what the windows after the months come to, and each result of a later one once', async () => {
  const objects = memoryObjects()
  const reads: string[] = []
  const counting: Objects = {
    ...objects,
    get(key) {
      reads.push(key)
      return objects.get(key)
    },
  }
  const memory: Memory = new Map()
  const look = async (): Promise<readonly string[]> => {
    reads.length = 0
    await readRecent('demo', counting, memory)
    return reads.map((key) => key.replace(/^(state\/_recent|[^/]+)\/.*$/, '$1'))
  }
  await put(
    objects,
    Array.from({ length: 50 }, (_, index) => simple(index, 'plaintext')),
  )
  await compactCluster(cluster, deps(objects))
  const stored = (await objects.get(recentKey('demo'))) ?? assert.fail()
  await objects.remove(recentKey('demo'))
  const none = ['state', 'state/_recent', 'windows', 'windows']
  assert.deepEqual(await look(), none, 'the others are in months')
  assert.deepEqual(await look(), ['state'])
  await objects.putIf(recentKey('demo'), stored.body, null)
  memory.clear()
  assert.deepEqual(await look(), ['state', 'state/_recent'])
  assert.deepEqual(await look(), ['state'])
  await put(objects, [simple(50, 'mtls')])
  await deriveCluster(cluster, deps(objects))
  assert.deepEqual(await look(), ['state', 'windows'])
  const recent = await readRecent('demo', objects, memory)
  assert.equal(recent?.episodes[0]?.endedAt, hour(50).start)
  assert.equal(recent?.paths[0]?.pathId, named80.pathId)
})

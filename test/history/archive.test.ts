import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AssessInput } from '../../lib/assess/window/window.ts'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import type { State as PathState } from '../../lib/model/path.ts'
import type { Window } from '../../lib/model/time.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { checkDerivedObjects } from '../../lib/seal/verify/check-derived.ts'
import {
  archiveBefore,
  dayOf,
  firstLookOf,
  type FoldedWindow,
  readEvidenceSince,
  readListsAround,
  readUnarchived,
  readWindowFrom,
  readWindowsOf,
} from '../../lib/history/archive.ts'
import { compactCluster, deriveCluster, type DeriveDeps, rebuildCluster } from '../../lib/history/derive.ts'
import { encodeSnapshot } from '../../lib/store/evidence/evidence.ts'
import {
  archiveKey,
  archiveOf,
  archivePrefix,
  evidenceKey,
  type EvidenceId,
  windowKey,
  stateKey,
} from '../../lib/store/keys.ts'
import { listEvidence } from '../../lib/history/listed-evidence.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { type AttemptedWindow, windowId } from '../../lib/store/evidence/selected-attempt.ts'
import {
  encodeState,
  readExpected,
  readHistory,
  readLatest,
  readState,
  readWindow,
  type ClusterState,
} from '../../lib/history/cluster-state.ts'
import { busyStore } from '../support/stored/busy-store.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { demoCluster, shownBy, showingSnapshot } from '../support/stored/showing-snapshot.ts'
import { coverageOf, named80, pathWindow, unnamed80, windowResult } from '../support/stored/window-results.ts'
import { emptyTimeline } from '../../lib/history/fold-state.ts'

const HOUR = 3600
const LOOKED_AT = new Date('2026-12-02T00:00:00Z')
const FIRST = toSeconds('2026-11-27T00:00:00Z')

const cluster: Cluster = { ...demoCluster, windows: [sized('2026-11-01T00:00:00Z', 360)] }

/** Windows larger than any that can be registered, so that a day is few of them. */
function sized(since: string, minutes: number): Cluster['windows'][number] {
  return { since, minutes } as Cluster['windows'][number]
}

const deps = (objects: Objects): DeriveDeps => ({ objects, assess, unsettledSeconds: 12 * HOUR })

type Attempt = {
  readonly window: Window
  readonly number: number
  readonly complete: boolean
  /** Seconds after the window's end; null: the lists could not be read. */
  readonly listsAfter: number | null
  readonly state: PathState | null
}

function hours(from: number, to: number): Window {
  return { start: toTime(FIRST + from * HOUR), end: toTime(FIRST + to * HOUR) }
}

/** Number `index` of the quarters of days from 27 November on. */
const quarter = (index: number): Window => hours(index * 6, index * 6 + 6)

const simple = (index: number, changes: Partial<Attempt> = {}): Attempt => ({
  window: quarter(index),
  number: 1,
  complete: true,
  listsAfter: 60,
  state: index % 5 === 0 ? 'plaintext' : 'mtls',
  ...changes,
})

const idOf = ({ window, number }: Attempt): EvidenceId => ({ cluster: cluster.id, window, attempt: number })

async function put(objects: Objects, ...attempts: readonly Attempt[]): Promise<void> {
  for (const attempt of attempts) {
    const { window, complete, listsAfter, state } = attempt
    const snapshot = showingSnapshot(window, state, { complete, listsAfter })
    await objects.putOnce(evidenceKey(idOf(attempt)), await encodeSnapshot(snapshot))
  }
}

/** Stands in for the classifier: a result tells what it was made from, so that one made from anything else has other bytes. */
function assess({ key, snapshot, before, after }: AssessInput): WindowResult {
  const state = shownBy(snapshot) as PathState | null
  const ends = state === 'unknown' ? unnamed80 : named80
  return windowResult(snapshot.window, {
    inputs: { evidence: key, before: before?.key ?? null, after: after?.key ?? null },
    paths: state === null ? [] : [pathWindow(ends, state)],
    coverage: [coverageOf(snapshot.window, { observedSeconds: state === null ? 0 : 1 })],
    existing: after === null ? null : ['deployment/shop/web', 'statefulset/bank/ledger'],
  })
}

/** All that is derived, as text by key, but for windows and days that the state does not name: others took their place. */
async function derivedIn(objects: Objects): Promise<Record<string, string>> {
  const derived: Record<string, string> = {}
  const state = await stateOf(objects)
  const { windows } = await readUnarchived(state, objects)
  const named = new Set([
    stateKey(cluster.id),
    ...windows.map((window) => windowKey(cluster.id, window)),
    ...(state.archive?.days ?? []).map(({ day }) => archiveKey(cluster.id, day)),
  ])
  for (const prefix of ['coverage/', 'state/', 'timeline/', 'windows/'])
    for await (const key of objects.list(prefix))
      if (prefix === 'timeline/' || prefix === 'coverage/' || named.has(key))
        derived[key] = Buffer.from((await objects.get(key))?.body ?? []).toString('latin1')
  return derived
}

async function keysIn(prefix: string, objects: Objects): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

async function stateOf(objects: Objects): Promise<ClusterState> {
  return (await readState(cluster.id, objects)).state ?? assert.fail('no state')
}

const anyAttempt: fc.Arbitrary<Attempt> = fc.record({
  // What tiles the day mostly; what begins and ends anywhere, also over midnight, now and then.
  window: fc.oneof(
    { weight: 12, arbitrary: fc.nat(19).map(quarter) },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.nat(110), fc.integer({ min: 1, max: 30 })).map(([from, long]) => hours(from, from + long)),
    },
  ),
  number: fc.integer({ min: 1, max: 2 }),
  complete: fc.boolean(),
  // Mostly right after the window; days later where it was made good; at another time than it was where a clock is wrong.
  listsAfter: fc.oneof(
    { weight: 4, arbitrary: fc.constant(null) },
    { weight: 4, arbitrary: fc.constant(60) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 16 }).map((quarters) => quarters * 6 * HOUR) },
    { weight: 1, arbitrary: fc.integer({ min: -30, max: -1 }).map((some) => some * HOUR) },
  ),
  state: fc.constantFrom<PathState | null>('plaintext', 'unknown', 'mtls', 'mtls', null),
})

type Step = 'derive' | 'derive this one' | 'compact' | 'compact by a list' | 'nothing'

/** Attempts in the order in which they are stored, mostly that of time, and what is done after each. */
const anyStory = fc
  .uniqueArray(anyAttempt, {
    selector: ({ window, number }) => `${windowId(window)} ${number}`,
    minLength: 6,
    maxLength: 16,
  })
  .chain((attempts) => {
    const ordered = attempts.toSorted((a, b) => (windowId(a.window) < windowId(b.window) ? -1 : 1))
    return fc.record({
      late: fc.subarray(ordered, { maxLength: 4 }),
      ordered: fc.constant(ordered),
      steps: fc.infiniteStream(
        fc.constantFrom<Step>(
          'derive',
          'derive this one',
          'derive this one',
          'compact',
          'compact by a list',
          'compact by a list',
          'nothing',
        ),
      ),
      // From some moment on windows are of another size, from a day on that may be over by then.
      resizedAt: fc.option(fc.nat(12), { freq: 3 }),
      resizedFrom: fc.nat(4),
    })
  })

test('the archive is what the state would say if nothing ever left it, however evidence came, and readers say the same', async () => {
  let [archived, lateOnes] = [0, 0]
  await fc.assert(
    fc.asyncProperty(anyStory, async ({ ordered, late, steps, resizedAt, resizedFrom }) => {
      const objects = memoryObjects()
      const resized: Cluster = {
        ...cluster,
        windows: [...cluster.windows, sized(toTime(FIRST + resizedFrom * 24 * HOUR), 720)],
      }
      let registered = cluster
      const attempts = [...ordered.filter((one) => !late.includes(one)), ...late]
      for (const [index, attempt] of attempts.entries()) {
        if (index === resizedAt) registered = resized
        await put(objects, attempt)
        const step = steps.next().value
        if (step === 'nothing') continue
        if (step === 'compact') await compactCluster(registered, deps(objects))
        else if (step === 'compact by a list')
          await compactCluster(registered, deps(objects), [], await listEvidence(LOOKED_AT, objects))
        else await deriveCluster(registered, deps(objects), step === 'derive' ? undefined : [idOf(attempt)])
        const state = await stateOf(objects)
        await compareReaders(state, objects)
        if (step !== 'derive this one') {
          const { evidence } = await readUnarchived(state, objects)
          const known = evidence.flatMap((window) => window.attempts.map(({ key }) => key))
          assert.deepEqual(known.toSorted(), await keysIn('evidence/', objects), `${step} knows all that is stored`)
        }
        if (state.archive !== null) archived++
        if (late.includes(attempt) && attempt.window.start < (state.archive?.until ?? '')) lateOnes++
      }
      await compactCluster(registered, deps(objects))
      const derived = await derivedIn(objects)
      const fresh = memoryObjects()
      await put(fresh, ...attempts)
      await compactCluster(registered, deps(fresh))
      assert.deepEqual(derived, await derivedIn(fresh), 'all evidence at once comes to the same')
      await rebuildCluster(registered, deps(objects))
      assert.deepEqual(await derivedIn(objects), derived)
      const days = (await stateOf(objects)).archive?.days ?? []
      assert.deepEqual(
        await keysIn(archivePrefix, objects),
        days.map(({ day }) => archiveKey(cluster.id, day)),
        'it removes days that are not named any more',
      )
      const findings = await checkDerivedObjects(registered, deps(objects))
      assert.deepEqual(
        findings.filter(({ key }) => key !== null && derived[key] !== undefined),
        [],
      )
    }),
    { numRuns: 60 },
  )
  assert.ok(archived > 150, `${archived} looks at an archive`)
  assert.ok(lateOnes > 20, `${lateOnes} attempts of an archived time`)
})

/** Fails where a reader of a store says something else than one of the same store whose archive was taken back into the state. */
async function compareReaders(state: ClusterState, objects: Objects): Promise<void> {
  const whole = await readUnarchived(state, objects)
  const unarchived: Objects = {
    ...objects,
    get: async (key) =>
      key === stateKey(cluster.id)
        ? { body: encodeState(whole), etag: 'whole', version: null }
        : key.startsWith(archiveOf(cluster.id))
          ? assert.fail(`it reads ${key}`)
          : objects.get(key),
  }
  assert.deepEqual(await readHistory('demo', objects), await readHistory('demo', unarchived))
  const none = { ...objects, get: async (key: string) => (key.startsWith('timeline/') ? undefined : objects.get(key)) }
  assert.deepEqual(await readHistory('demo', none), await readHistory('demo', unarchived), 'without a month')
  for (const { start } of [...whole.windows, { start: toTime(FIRST - HOUR) }]) {
    assert.deepEqual(
      await readWindowFrom(state, start, objects),
      whole.windows.find((window) => window.start === start),
    )
    assert.deepEqual(await readWindow('demo', start, objects), await readWindow('demo', start, unarchived))
    const since = (window: Window): boolean => window.start >= start
    assert.deepEqual(
      (await readEvidenceSince(state, start, objects)).filter(since).toSorted(byTime),
      whole.evidence.filter(since),
    )
  }
  const isWanted = ({ paths }: WindowResult): boolean => paths[0]?.state === 'plaintext'
  assert.deepEqual(await readLatest('demo', isWanted, objects), await readLatest('demo', isWanted, unarchived))
  for (let hour = -7; hour < 150; hour += 5) {
    const [from, to] = [FIRST + hour * HOUR, FIRST + (hour + (hour % 40)) * HOUR]
    assert.deepEqual(
      await readWindowsOf(state, { from: toTime(from), to: toTime(to) }, objects),
      windowsOf(whole.windows, from, to),
    )
    assert.deepEqual(await readListsAround(state, from, objects), listsAround(whole.evidence, from))
  }
}

const byTime = (a: Window, b: Window): number => (windowId(a) < windowId(b) ? -1 : 1)

/** The windows of a period and the one before, as they are found in all windows. */
function windowsOf(windows: readonly FoldedWindow[], from: number, to: number): FoldedWindow[] {
  const before = windows.findLast(({ end }) => toSeconds(end) <= Math.min(from, to))
  const own = windows.filter(({ end }) => toSeconds(end) > from && toSeconds(end) <= to)
  return before === undefined ? own : [before, ...own]
}

function listsAround(evidence: readonly AttemptedWindow[], time: number): unknown {
  const lists = evidence
    .flatMap(({ attempts }) => attempts)
    .flatMap(({ key, listsAt }) => (listsAt === null ? [] : [{ key, takenAt: listsAt }]))
    .toSorted((a, b) => toSeconds(a.takenAt) - toSeconds(b.takenAt) || (a.key < b.key ? -1 : 1))
    .filter(({ takenAt }, index, all) => takenAt !== all[index - 1]?.takenAt)
  return {
    before: lists.findLast(({ takenAt }) => toSeconds(takenAt) <= time),
    after: lists.find(({ takenAt }) => toSeconds(takenAt) > time),
  }
}

/** Three weeks of quarters of days, of which all but the end is in the archive. */
async function weeks(): Promise<Objects> {
  const objects = memoryObjects()
  await put(objects, ...Array.from({ length: 84 }, (_, index) => simple(index)))
  await compactCluster(cluster, deps(objects))
  return objects
}

const next = simple(84)

/** The store as it was before there was an archive: all is in the state. */
async function inOldForm(objects: Objects): Promise<void> {
  const stored = await objects.get(stateKey(cluster.id))
  const whole = await readUnarchived(await stateOf(objects), objects)
  await objects.putIf(stateKey(cluster.id), encodeState(whole), stored?.etag ?? null)
  for (const key of await keysIn(archivePrefix, objects)) await objects.remove(key)
}

test('firstLookOf() knows when a cluster was looked at first, by whatever is left in the state and by the lists of the archive', async () => {
  const firstLook = async (listsAfter: number | null): Promise<readonly [isArchived: boolean, at: string | null]> => {
    const objects = memoryObjects()
    const collect = async (...indices: readonly number[]) => {
      await put(objects, ...indices.map((index) => simple(index, { listsAfter })))
      await compactCluster(cluster, deps(objects))
    }
    await collect(2, 3)
    const { state: young } = await readState(cluster.id, objects)
    assert.ok(young)
    assert.equal(firstLookOf(young), quarter(2).end)
    await collect(4, 5, 6, 7, 8, 9, 10, 11, 12)
    const { state } = await readState(cluster.id, objects)
    assert.ok(state)
    return [state.archive !== null, firstLookOf(state)]
  }
  assert.deepEqual(await firstLook(60), [true, toTime(toSeconds(quarter(2).end) + 60)])
  assert.deepEqual(await firstLook(null), [true, null], 'what is left says nothing of what was before')
  assert.equal(firstLookOf({ archive: null, evidence: [] }), null)
})

test('a state of which nothing ever left is read as it is, is no fault, and shrinks with the next window', async () => {
  const objects = await weeks()
  const before = await derivedIn(objects)
  assert.equal((await stateOf(objects)).archive?.days.length, 20)
  await inOldForm(objects)
  assert.equal((await stateOf(objects)).archive, null)
  assert.match(
    Buffer.from((await objects.get(stateKey('demo')))?.body ?? []).toString(),
    /"format":"ciphertrail\/state\/1"/,
  )
  await compareReaders(await stateOf(objects), objects)
  assert.deepEqual(await checkDerivedObjects(cluster, deps(objects)), [])
  // Without anything new, too.
  await deriveCluster(cluster, deps(objects), [idOf(simple(83))])
  assert.deepEqual(await derivedIn(objects), before)

  await inOldForm(objects)
  await put(objects, next)
  assert.deepEqual((await deriveCluster(cluster, deps(objects), [idOf(next)])).windows, [next.window])
  const fresh = await weeks()
  await put(fresh, next)
  await deriveCluster(cluster, deps(fresh), [idOf(next)])
  assert.deepEqual(await derivedIn(objects), await derivedIn(fresh))
})

test('who brings an old state into the new form may die at any write', async () => {
  const expected = await weeks()
  for (let kills = 0, isKilled = true; isKilled; kills++) {
    const objects = await weeks()
    await inOldForm(objects)
    const [before, history] = [await stateOf(objects), await readHistory('demo', objects)]
    let left = kills
    const dying: Objects = {
      ...objects,
      putIf: async (key, body, etag) =>
        left-- > 0 ? objects.putIf(key, body, etag) : Promise.reject(new Error('killed')),
    }
    isKilled = await deriveCluster(cluster, deps(dying)).then(
      () => false,
      () => true,
    )
    assert.deepEqual(await readUnarchived(await stateOf(objects), objects), before, `killed at write ${kills}`)
    assert.deepEqual(await readHistory('demo', objects), history)
    assert.deepEqual(
      (await checkDerivedObjects(cluster, deps(objects))).filter(
        ({ problem }) => !problem.startsWith('no evidence comes to it'),
      ),
      [],
    )
    await deriveCluster(cluster, deps(objects))
    assert.deepEqual(await derivedIn(objects), await derivedIn(expected), `killed at write ${kills}`)
  }
})

test('collecting goes on without the archive, and reads all of it where something in it may change', async () => {
  const objects = await weeks()
  const reads: string[] = []
  const counting: Objects = {
    ...objects,
    get(key) {
      reads.push(key)
      return objects.get(key)
    },
  }
  const daysRead = () => reads.splice(0).filter((key) => key.startsWith(archivePrefix)).length
  await put(objects, next)
  await deriveCluster(cluster, deps(counting), [idOf(next)])
  assert.equal(daysRead(), 0)
  await put(objects, simple(85), simple(86))
  await compactCluster(cluster, deps(counting))
  assert.equal(daysRead(), 1, 'what is to be written is looked at')
  const old = simple(30, { number: 2, complete: false })
  await put(objects, old)
  await compactCluster(cluster, deps(counting))
  assert.ok(daysRead() >= 20)
  await put(objects, simple(20, { number: 2 }))
  await deriveCluster(cluster, deps(counting), [idOf(simple(20, { number: 2 }))])
  assert.ok(daysRead() >= 20)
  const wrongClock = simple(87, { listsAfter: -240 * HOUR })
  await put(objects, wrongClock)
  const { windows } = await deriveCluster(cluster, deps(counting), [idOf(wrongClock)])
  assert.ok(windows.length > 1, 'its lists are those before and after a window in the archive')
  assert.ok(daysRead() >= 20)
})

test('sizes of windows that are changed for a time that is archived change the windows that were missing then', async () => {
  const attempts = Array.from({ length: 84 }, (_, index) => index).filter((index) => index !== 5 && index !== 6)
  const objects = memoryObjects()
  await put(objects, ...attempts.map((index) => simple(index)))
  await compactCluster(cluster, deps(objects))
  const missing = async () =>
    (await readHistory('demo', objects))?.months.flatMap(({ windows }) => windows.filter(({ collected }) => !collected))
  assert.deepEqual(
    (await missing())?.map(({ end }) => end),
    [quarter(5).end, quarter(6).end],
  )
  const resized: Cluster = { ...cluster, windows: [sized('2026-11-01T00:00:00Z', 180)] }
  await compactCluster(resized, deps(objects))
  assert.equal((await missing())?.length, 4)
  const fresh = memoryObjects()
  await put(fresh, ...attempts.map((index) => simple(index)))
  await compactCluster(resized, deps(fresh))
  assert.deepEqual(await derivedIn(objects), await derivedIn(fresh))
})

test('a day of the archive that is damaged or missing is said by who needs it, and is derived again', async () => {
  for (const harm of ['damaged', 'removed']) {
    const objects = await weeks()
    const expected = await derivedIn(objects)
    const key = archiveKey('demo', dayOf(quarter(20).start))
    const { etag = null } = (await objects.get(key)) ?? {}
    if (harm === 'damaged') await objects.putIf(key, Buffer.from('{"windows":[]}'), etag)
    else await objects.remove(key)
    await assert.rejects(readWindow('demo', quarter(20).start, objects), {
      name: 'DamagedError',
      message: `Cannot use "${key}": it is not what was derived, run "ciphertrail rebuild" to make it again from evidence`,
    })
    assert.equal((await readWindow('demo', quarter(40).start, objects))?.collected, true, 'other days can be read')
    assert.deepEqual(
      (await checkDerivedObjects(cluster, deps(objects))).map((finding) => finding.key),
      [key],
    )
    const late = simple(21, { number: 2, complete: false })
    const mended = memoryObjects(new Map())
    for (const prefix of ['coverage/', 'evidence/', 'state/', 'timeline/', 'windows/'])
      for await (const each of objects.list(prefix)) {
        const body = (await objects.get(each))?.body ?? Buffer.of()
        await (prefix === 'evidence/' ? mended.putOnce(each, body) : mended.putIf(each, body, null))
      }
    await put(mended, late)
    assert.deepEqual((await deriveCluster(cluster, deps(mended), [idOf(late)])).errors, [
      `Cannot read "${key}": damaged, so everything is derived again from evidence`,
    ])
    assert.deepEqual(await checkDerivedObjects(cluster, deps(mended)), [])
    assert.deepEqual((await rebuildCluster(cluster, deps(objects))).errors, [])
    assert.deepEqual(await derivedIn(objects), expected)
  }
})

test('sixteen days and results at once are read, and days written, however many there are', async () => {
  const held = new Map<string, Uint8Array>()
  const { objects, mostAtOnce: mostWhileWriting } = busyStore(held)
  await put(memoryObjects(held), ...Array.from({ length: 100 }, (_, index) => simple(index)))
  await compactCluster(cluster, deps(objects))
  const state = await stateOf(objects)
  assert.ok((state.archive?.days.length ?? 0) > 16)
  assert.equal(mostWhileWriting(), 16)
  for (const read of [
    (store: Objects) => readUnarchived(state, store),
    async (store: Objects) => {
      const { windows } = await readUnarchived(state, memoryObjects(held))
      return readExpected(state, windows, store)
    },
  ]) {
    const busy = busyStore(held)
    await read(busy.objects)
    assert.equal(busy.mostAtOnce(), 16)
  }
})

test('a year of five-minute windows leaves less than half a megabyte in the state', (context) => {
  const [minutes, sha256] = [5, 'ab'.repeat(32)]
  const windows = Array.from({ length: (365 * 24 * 60) / minutes }, (_, index) => ({
    start: toTime(FIRST + index * minutes * 60),
    end: toTime(FIRST + (index + 1) * minutes * 60),
  }))
  const evidence = windows.map((window): AttemptedWindow => {
    const takenAt = toTime(toSeconds(window.end) + 65)
    const key = evidenceKey({ cluster: 'demo', window, attempt: 1 })
    const attempt = {
      key,
      number: 1,
      complete: true,
      startedAt: takenAt,
      listsAt: takenAt,
      observedSeconds: null,
      error: null,
    }
    return { ...window, attempts: [attempt] }
  })
  const { months: _, ...timeline } = emptyTimeline('demo')
  const whole: ClusterState = {
    derivation: 1,
    cluster: 'demo',
    evidence,
    windows: windows.map((window) => ({ ...window, sha256 })),
    replacing: [],
    timeline,
    months: [],
    unwritten: [],
    archive: null,
  }
  const settings = [sized('2026-11-01T00:00:00Z', minutes)]
  // As late as it gets: two days and a half stay.
  const { state } = archiveBefore(whole, dayOf(toTime(FIRST + 363 * 24 * HOUR)), settings)
  const [before, after] = [encodeState(whole).length, encodeState(state).length]
  context.diagnostic(`${before} bytes, ${after} with an archive`)
  assert.ok(after < 500_000)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { AssessInput } from '../../../lib/assess/window/window.ts'
import { type DeriveDeps, compactCluster, deriveCluster, rebuildCluster } from '../../../lib/history/derive.ts'
import { UNENCRYPTED_STATES } from '../../../lib/model/path.ts'
import { readHistory, readState, readTaggedHistory } from '../../../lib/history/cluster-state.ts'
import { readRecent } from '../../../lib/history/recent.ts'
import { REPLACEABLE, isRecentOf, openRecent } from '../../../lib/history/recent/recent-object.ts'
import { recentProblem, writeRecent } from '../../../lib/history/recent/write-recent.ts'
import type { WindowResult } from '../../../lib/model/window.ts'
import { checkDerivedObjects } from '../../../lib/seal/verify/check-derived.ts'
import { encodeSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidenceKey, parseEvidenceKey, recentKey, windowKey } from '../../../lib/store/keys.ts'
import { sha256Of } from '../../../lib/store/objects/derived-object.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import {
  demoCluster as cluster,
  demoHour as hour,
  shownBy,
  showingSnapshot,
} from '../../support/stored/showing-snapshot.ts'
import {
  anyHistory,
  named80,
  pathWindow,
  unnamed80,
  watched,
  windowResult,
} from '../../support/stored/window-results.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

/** Windows that ended eight hours before the last one go into months. */
const deps = (objects: Objects): DeriveDeps => ({ objects, assess })

type Evidence = { readonly key: string; readonly body: Uint8Array }

/** An attempt that says what a window shows. */
async function showing(index: number, shown: Partial<WindowResult>, attempt = 1): Promise<Evidence> {
  const window = hour(index)
  const key = evidenceKey({ cluster: cluster.id, window, attempt })
  const body = await encodeSnapshot(showingSnapshot(window, shown))
  return { key, body }
}

function assess({ key, snapshot, before, after }: AssessInput): WindowResult {
  const shown = shownBy(snapshot) as Partial<WindowResult>
  const { window } = snapshot
  return windowResult(window, {
    ...shown,
    coverage: (shown.coverage ?? []).map((row) => ({ ...row, window })),
    inputs: { evidence: key, before: before?.key ?? null, after: after?.key ?? null },
  })
}

const plain = (index: number, attempt = 1): Promise<Evidence> =>
  showing(
    index,
    { ...watched(hour(index)), paths: [pathWindow(named80, index % 5 === 0 ? 'plaintext' : 'mtls')] },
    attempt,
  )

async function put(objects: Objects, ...evidence: readonly Evidence[]): Promise<void> {
  for (const { key, body } of evidence) await objects.putOnce(key, body)
}

async function replace(objects: Objects, key: string, body: Uint8Array | undefined): Promise<void> {
  const stored = await objects.get(key)
  if (body !== undefined) await objects.putIf(key, body, stored?.etag ?? null)
  else if (stored !== undefined) await objects.remove(key)
}

/** The same store, in which nothing but the results says what the windows after the months come to. */
function withoutObject(objects: Objects): Objects {
  return { ...objects, get: async (key) => (key === recentKey('demo') ? undefined : objects.get(key)) }
}

async function told(objects: Objects): Promise<unknown> {
  return {
    history: await readHistory('demo', objects),
    someMonths: await readHistory('demo', objects, (month) => month === '2026-11'),
    recent: await readRecent('demo', objects, new Map()),
    unencrypted: await unencrypted(objects),
  }
}

/** What a question for the unencrypted reads: other intervals may be left out, and keys of evidence be made when they are asked for. */
async function unencrypted(objects: Objects): Promise<unknown> {
  const read = await readTaggedHistory('demo', objects, undefined, {
    states: UNENCRYPTED_STATES,
    isWhole: () => false,
  })
  return {
    ...read?.history,
    months: read?.history.months.map(({ windows, intervals, ...month }) => ({
      ...month,
      windows: windows.map((window) => ({ ...window, evidence: window.evidence })),
      intervals: intervals.filter(({ state }) => UNENCRYPTED_STATES.has(state)),
    })),
  }
}

class Killed extends Error {}

/** The same store, which dies at a write, before or after it. */
function dying(objects: Objects, write: number, isAfter: boolean): Objects {
  let left = write
  const step = async <T>(run: () => Promise<T>): Promise<T> => {
    if (left < 0) throw new Killed()
    if (left-- > 0) return run()
    if (isAfter) await run()
    throw new Killed()
  }
  return {
    ...objects,
    putIf: (key, body, etag) => step(() => objects.putIf(key, body, etag)),
    remove: (key) => step(() => objects.remove(key)),
  }
}

type Step =
  | { readonly kind: 'derive' | 'derive it alone' | 'compact' | 'rebuild' | 'two at once' | 'put back an old one' }
  | { readonly kind: 'die' | 'damage'; readonly at: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ kind: 'derive it alone' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'derive' as const,
        'compact' as const,
        'rebuild' as const,
        'two at once' as const,
        'put back an old one' as const,
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('die' as const, 'damage' as const), at: fc.nat(8) }),
  },
)

/** The same bytes but for one bit, somewhere in the middle. */
function damaged(stored: Uint8Array | undefined, at: number): Uint8Array {
  const body = Buffer.from(stored ?? Buffer.of(1, 2, 3))
  const index = Math.floor((at / 9) * body.length)
  body.writeUInt8(body.readUInt8(index) ^ (1 << (at % 8)), index)
  return body
}

test('the object says what the results say, in whatever order windows and attempts come, whoever dies, and whatever became of it', async () => {
  let used = 0
  await fc.assert(
    fc.asyncProperty(
      anyHistory
        .map((history) =>
          history.slice(0, 24).flatMap(({ result }, index) => (result === null ? [] : [{ result, index }])),
        )
        .chain((shown) =>
          fc.tuple(
            fc.shuffledSubarray(shown, { minLength: shown.length }),
            fc.shuffledSubarray(shown, { maxLength: Math.min(3, shown.length) }),
            fc.array(step, { minLength: 1, maxLength: 40 }),
            fc.boolean(),
          ),
        ),
      async ([shuffled, again, steps, isInOrder]) => {
        const held = new Map<string, Uint8Array>()
        const objects = memoryObjects(held)
        const old: (Uint8Array | undefined)[] = [undefined]
        const order = isInOrder ? shuffled.toSorted((a, b) => a.index - b.index) : shuffled
        const evidence = [
          ...order.map(({ result, index }) => ({ result, index, attempt: 1 })),
          ...again.map(({ result, index }) => ({
            result: { ...result, paths: [pathWindow(unnamed80, 'plaintext')] },
            index,
            attempt: 2,
          })),
        ]
        for (const [number, { result, index, attempt }] of evidence.entries()) {
          const one = await showing(index, result, attempt)
          await put(objects, one)
          const next = steps[number % steps.length] ?? assert.fail()
          if (next.kind === 'derive it alone')
            await deriveCluster(cluster, deps(objects), [parseEvidenceKey(one.key) ?? assert.fail()])
          else if (next.kind === 'derive') await deriveCluster(cluster, deps(objects))
          else if (next.kind === 'compact') await compactCluster(cluster, deps(objects))
          else if (next.kind === 'rebuild') await rebuildCluster(cluster, deps(objects))
          else if (next.kind === 'two at once')
            await Promise.all([deriveCluster(cluster, deps(objects)), compactCluster(cluster, deps(objects))])
          else if (next.kind === 'die')
            await deriveCluster(cluster, deps(dying(objects, next.at, next.at % 2 === 0))).catch((error: unknown) => {
              if (!(error instanceof Killed)) throw error
            })
          else if (next.kind === 'put back an old one')
            await replace(objects, recentKey('demo'), old[number % old.length])
          else if (next.kind === 'damage')
            await replace(objects, recentKey('demo'), damaged(held.get(recentKey('demo')), next.at))
          old.push(held.get(recentKey('demo')))
          assert.deepEqual(await told(objects), await told(withoutObject(objects)), next.kind)
          const { state } = await readState('demo', objects)
          const body = held.get(recentKey('demo'))
          if (state !== undefined && body !== undefined && openRecent(body, state).folds.length > 0) used++
          const isWhole = body !== undefined && isRecentOf('demo', body)
          if (isWhole) assert.equal(await recentProblem('demo', objects), undefined, next.kind)
        }
        await compactCluster(cluster, deps(objects))
        const last = held.get(recentKey('demo'))
        await rebuildCluster(cluster, deps(objects))
        assert.deepEqual(held.get(recentKey('demo')), last)
        assert.deepEqual(await checkDerivedObjects(cluster, deps(objects)), [])
      },
    ),
    { numRuns: 25 },
  )
  assert.ok(used > 100, `${used} objects were of use`)
})

/** A store whose reads since the last look are told, each by the first part of its key. */
function watchedStore() {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  let reads: string[] = []
  const watching: Objects = {
    ...objects,
    async get(key) {
      reads.push(key.replace(/^(state\/_recent|[^/]+)\/.*$/, '$1'))
      return objects.get(key)
    },
  }
  const readsOf = async (run: (objects: Objects) => Promise<unknown>): Promise<readonly string[]> => {
    reads = []
    await run(watching)
    return reads
  }
  return { held, objects, readsOf }
}

async function deriveAlone(index: number, objects: Objects, attempt = 1): Promise<void> {
  const one = await plain(index, attempt)
  await put(objects, one)
  await deriveCluster(cluster, deps(objects), [parseEvidenceKey(one.key) ?? assert.fail()])
}

const look = (objects: Objects) => readHistory('demo', objects)

test('a history is read from the state, the object and the months that cannot change any more, and no result, however many windows came since', async () => {
  const { objects, readsOf } = watchedStore()
  for (let index = 0; index < 40; index++) {
    await deriveAlone(index, objects)
    if (index === 20) await compactCluster(cluster, deps(objects))
    assert.deepEqual(await readsOf(look), ['state', 'state/_recent', ...(index < 20 ? [] : ['timeline'])])
  }
  const [newest] = (await readsOf((counting) => deriveAlone(40, counting))).filter((one) => one === 'windows')
  assert.ok(newest === 'windows')
})

test('the object and the months are asked for at once: in a bucket each takes as long to arrive', async () => {
  const { objects } = watchedStore()
  for (let index = 0; index < 24; index++) await deriveAlone(index, objects)
  await compactCluster(cluster, deps(objects))
  let rounds = 0
  let arrival: Promise<void> | undefined
  const slow: Objects = {
    ...objects,
    async get(key) {
      arrival ??= new Promise((arrive) => setImmediate(arrive)).then(() => {
        arrival = undefined
        rounds++
      })
      await arrival
      return objects.get(key)
    },
  }
  await look(slow)
  assert.equal(rounds, 2)
})

test('where the object is missing, as in the store of an earlier version, results are read, until the next derivation, also one without news', async () => {
  for (const run of [deriveCluster, compactCluster, rebuildCluster]) {
    const { held, objects, readsOf } = watchedStore()
    for (let index = 0; index < 12; index++) await deriveAlone(index, objects)
    if (run === compactCluster) await compactCluster(cluster, deps(objects))
    const stored = held.get(recentKey('demo'))
    const expected = await look(objects)
    held.delete(recentKey('demo'))
    assert.deepEqual(await look(objects), expected)
    assert.ok((await readsOf(look)).includes('windows'))
    await run(cluster, deps(objects))
    assert.ok(!(await readsOf(look)).includes('windows'))
    assert.deepEqual(await look(objects), expected)
    if (run !== rebuildCluster) assert.deepEqual(held.get(recentKey('demo')), stored)
  }
})

test('who dies before the object leaves one of the windows before, to which readers add what came since', async () => {
  const { held, objects, readsOf } = watchedStore()
  for (let index = 0; index < 12; index++) await deriveAlone(index, objects)
  const before = held.get(recentKey('demo'))
  await deriveAlone(12, objects)
  await replace(objects, recentKey('demo'), before)
  assert.deepEqual(await readsOf(look), ['state', 'state/_recent', 'windows'])
  assert.deepEqual(await told(objects), await told(withoutObject(objects)))
})

test('a window that is replaced two windows later costs a few results more, and one long before all of them', async () => {
  const { objects, readsOf } = watchedStore()
  for (let index = 0; index < 30; index++) await deriveAlone(index, objects)
  const resultsFor = async (index: number) =>
    (await readsOf((counting) => deriveAlone(index, counting, 2))).filter((one) => one === 'windows').length
  const again = 1
  assert.equal(await resultsFor(29 - REPLACEABLE + 1), REPLACEABLE + again)
  assert.equal(await resultsFor(15), 30 + again)
  assert.deepEqual(await readsOf(look), ['state', 'state/_recent'])
})

test('the object of a later state is never replaced by that of an earlier one', async () => {
  const { held, objects } = watchedStore()
  for (let index = 0; index < 8; index++) await deriveAlone(index, objects)
  const { state } = await readState('demo', objects)
  assert.ok(state)
  for (const change of [() => deriveAlone(8, objects), () => compactCluster(cluster, deps(objects))]) {
    await change()
    const later = held.get(recentKey('demo'))
    await writeRecent(state, false, { objects, bodies: new Map() })
    assert.deepEqual(held.get(recentKey('demo')), later)
  }
})

test('nothing is written while a result is being replaced, and only what the state names is folded', async () => {
  const { held, objects } = watchedStore()
  for (let index = 0; index < 8; index++) await deriveAlone(index, objects)
  const before = held.get(recentKey('demo'))
  const again = await showing(7, { paths: [pathWindow(unnamed80, 'plaintext')] }, 2)
  await put(objects, again)
  // The second write is that of the result, which the state names only with the third.
  await assert.rejects(deriveCluster(cluster, deps(dying(objects, 1, true))), Killed)
  const { state } = await readState('demo', objects)
  assert.equal(state?.replacing.length, 1)
  assert.notEqual(sha256Of(held.get(windowKey('demo', hour(7))) ?? Buffer.of()), state.windows.at(-1)?.sha256)
  await deriveAlone(8, objects)
  const left = (await readState('demo', objects)).state
  if ((left?.replacing.length ?? 0) > 0) assert.deepEqual(held.get(recentKey('demo')), before)
  await compactCluster(cluster, deps(objects))
  assert.deepEqual(await told(objects), await told(withoutObject(objects)))
})

test('log check names an object that is damaged or says something else than the results, and no outdated one', async () => {
  const { held, objects } = watchedStore()
  for (let index = 0; index < 12; index++) await deriveAlone(index, objects)
  await compactCluster(cluster, deps(objects))
  const key = recentKey('demo')
  const stored = held.get(key) ?? assert.fail()
  const problem = 'it is not what the evidence comes to, run "ciphertrail rebuild"'
  const findings = () => checkDerivedObjects(cluster, deps(objects))
  assert.deepEqual(await findings(), [])

  const [, text = ''] = gunzipSync(stored).toString().split('\n')
  const asItIs = (own: string): string => own
  const forge = (change: (text: string) => string): Buffer => {
    const forged = change(text)
    assert.ok(change === asItIs || forged !== text)
    return gzipSync(`${sha256Of(Buffer.from(forged))}\n${forged}`)
  }
  assert.deepEqual(openRecent(forge(asItIs), (await readState('demo', objects)).state ?? assert.fail()).folds.length, 2)
  const forgeries = [
    forge((own) => own.replace('"ending":"fixed"', '"ending":"gone"')),
    forge((own) => own.replace(/("ending":"fixed"(?!.*"ending":"fixed"))/, '"ending":"gone"')),
    forge(() => 'null'),
    forge((own) => own.replace(/"folds":.*\}$/, '"folds":[{}]}')),
    forge((own) => own.replace(/"months":\["[^"]*"/, '"months":["none"')),
    damaged(stored, 4),
    Buffer.from('{}'),
    Buffer.alloc(0),
  ]
  for (const body of forgeries) {
    assert.notDeepEqual(body, stored)
    await replace(objects, key, body)
    assert.deepEqual(await findings(), [{ key, problem }])
    await rebuildCluster(cluster, deps(objects))
    assert.deepEqual(await findings(), [])
  }
  await replace(objects, key, undefined)
  matchesText(await findings(), [{ key, problem: TEXT }])
  await deriveAlone(12, objects)
  await replace(objects, key, stored)
  assert.deepEqual(await findings(), [], 'it is of the windows before')
})

test('what windows are folded onto is compared as it is stored, without making it again, and made again where that is of no use', async () => {
  const { held, objects } = watchedStore()
  for (let index = 0; index < 12; index++) await deriveAlone(index, objects)
  await compactCluster(cluster, deps(objects))
  const stored = held.get(recentKey('demo')) ?? assert.fail()
  const { state, body } = await readState('demo', objects)
  assert.ok(state !== undefined && body !== null)
  const unreadable = { ...state.timeline, ends: new Proxy({}, { ownKeys: () => assert.fail('it is made again') }) }
  assert.equal(openRecent(stored, { ...state, timeline: unreadable }, body).folds.length, 2)
  const none = Buffer.alloc(0)
  const another = Buffer.from(Buffer.from(body).toString().replace('"isGone":false', '"isGone":true'))
  assert.notDeepEqual(another, body)
  for (const other of [null, none, another, stored]) {
    assert.throws(() => openRecent(stored, { ...state, timeline: unreadable }, other))
    assert.equal(openRecent(stored, state, other).folds.length, 2)
  }
})

test('rebuildCluster() of a cluster without evidence removes the object', async () => {
  const { held, objects } = watchedStore()
  await deriveAlone(0, objects)
  for (const key of held.keys()) if (key.startsWith('evidence/')) held.delete(key)
  await rebuildCluster(cluster, deps(objects))
  assert.deepEqual([...held.keys()], [])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { type StoreCheck, checkStore } from '../../../lib/seal/verify/check-store.ts'
import { parseHeadKey } from '../../../lib/store/log-keys.ts'
import { leafKind } from '../../../lib/seal/leaf.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import { addCluster, readClusters } from '../../../lib/store/registry/registry.ts'
import { type Changes, damaged, DAMAGES, type Held } from '../../support/stored/damage.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { type Gate, memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillStore, minutesIn, snapshotOf } from '../../support/stored/sealed-store.ts'
import { reportKey } from '../../../lib/store/report-keys.ts'
import { matchesText, textWith } from '../../support/texts/matches-text.ts'

const signer = newSigner()
const month = new Map<string, Uint8Array>()
await fillStore(memoryObjects(month), signer)

/** The key of one report of many, in their order. */
function reportOf(number: number): string {
  return reportKey('2026-11-24T00:00:00Z', number.toString(16).padStart(16, '0'))
}

/** A log of a thousand leaves about small objects, in batches of all sizes. */
const long = new Map<string, Uint8Array>()
for (const [run, size] of [1, 254, 1, 1, 0, 700, 3, 0, 140].entries()) {
  const objects = memoryObjects(long)
  for (let number = 0; number < size; number++)
    await objects.putOnce(reportOf(run * 1000 + number), Buffer.from(`${number}`))
  await seal({ now: minutesIn(run), everything: true }, { objects, signer })
}

const check = (held: Held): Promise<StoreCheck> =>
  checkStore({ vkey: signer.vkey }, { objects: memoryObjects(new Map(held)), assess: assessWindow })

function linesOf({ kept }: StoreCheck['findings']): string[] {
  return kept.map(({ key, problem }) => `${key ?? ''}: ${problem}`)
}

/** Fails unless each changed object is named: as wrong, or as not sealed where that is all there is to say of it. */
async function assertNamed(held: Held, changes: Changes, what: string): Promise<void> {
  const { findings, unsealed } = await check(damaged(held, changes))
  const wrong = linesOf(findings)
  for (const [key, body] of changes) {
    // Earlier versions kept no heads: one that is gone is no finding, and a pack takes a later one.
    if (body === null && parseHeadKey(key) !== undefined) continue
    const isNew = !held.has(key) && leafKind(key) !== undefined
    const lines = isNew ? [...wrong, ...linesOf(unsealed)] : wrong
    assert.ok(
      lines.some((line) => line.includes(key)),
      `${what} of ${key} is not named:\n${lines.join('\n')}`,
    )
  }
}

/** The changes of a damage, by numbers that decide where. */
function changesOf(damage: (typeof DAMAGES)[number], key: string, held: Held, numbers: readonly number[]): Changes {
  let next = 0
  return damage.changes(key, held, (below) => (numbers[next++ % numbers.length] ?? 0) % below)
}

test('checkStore() finds nothing in a store that nobody touched, and looks at all of it', async () => {
  const { findings, unsealed, ...counts } = await check(month)
  assert.deepEqual([findings, unsealed].map(linesOf), [[], []])
  assert.deepEqual(counts, {
    inForce: 0,
    foreign: { names: [], total: 0 },
    objects: month.size,
    leaves: 22,
    clusters: 3,
  })
  const another = await check(long)
  assert.deepEqual(linesOf(another.findings), [])
  assert.ok(another.leaves > 1100)
})

test('checkStore() names every object of a store, whatever befalls it', async () => {
  const numbers = fc.sample(fc.array(fc.nat(), { minLength: 3, maxLength: 3 }), month.size * DAMAGES.length)
  let run = 0
  for (const key of [...month.keys()].sort()) {
    for (const damage of DAMAGES) {
      const changes = changesOf(damage, key, month, numbers[run++] ?? [])
      if (changes.size > 0) await assertNamed(month, changes, damage.name)
    }
  }
})

test('checkStore() names any object of a long log, whatever befalls it', async () => {
  const keys = [...long.keys()].filter((key) => !key.startsWith('reports/') && !key.startsWith('log/index/')).sort()
  const some = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...keys) }, fc.constantFrom(...long.keys()))
  await fc.assert(
    fc.asyncProperty(
      some,
      fc.constantFrom(...DAMAGES),
      fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
      async (key, damage, numbers) => {
        await assertNamed(long, changesOf(damage, key, long, numbers), damage.name)
      },
    ),
    { numRuns: 60 },
  )
})

test('checkStore() tells of two objects that are damaged at once', async () => {
  const keys = [...month.keys()].filter((key) => parseHeadKey(key) === undefined)
  const pair = fc.tuple(fc.constantFrom(...keys), fc.constantFrom(...DAMAGES), fc.nat())
  await fc.assert(
    fc.asyncProperty(pair, pair, async (...pairs) => {
      const changes = pairs.map(([key, damage, number]) => changesOf(damage, key, month, [number]))
      const store = changes.reduce(damaged, new Map(month))
      const isSame =
        store.size === month.size &&
        [...month].every(([key, body]) => Buffer.compare(store.get(key) ?? Buffer.of(), body) === 0)
      const { findings, unsealed } = await check(store)
      assert.equal(findings.total + unsealed.total === 0, isSame)
    }),
    { numRuns: 100 },
  )
})

test('an object that is not sealed yet is said, and is no fault', async () => {
  const store = new Map(month)
  const objects = memoryObjects(store)
  const key = await writeAttempt(snapshotOf('east', 8), { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
  const { findings, unsealed } = await check(store)
  assert.deepEqual([findings, unsealed].map(linesOf), [[], [`${key}: not sealed yet`]])
})

test('a waiver or a scope that is in force and not sealed yet is counted apart from what only waits', async () => {
  const store = new Map(month)
  const objects = memoryObjects(store)
  await writeAttempt(snapshotOf('east', 8), { objects })
  const keys = ['changes/channels/000001.json', 'changes/scope/000001.json', 'changes/waivers/000002.json']
  for (const key of keys) await objects.putOnce(key, Buffer.from(`{"format":"ciphertrail/change/1","of":"${key}"}`))
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
  const { findings, unsealed, inForce } = await check(store)
  const judging = 'not sealed yet, and reports are judged by it already; run "ciphertrail seal"'
  assert.deepEqual([findings.total, inForce, unsealed.total], [0, 2, 4])
  assert.deepEqual(linesOf(unsealed).slice(0, 3), [
    'changes/channels/000001.json: not sealed yet',
    `changes/scope/000001.json: ${judging}`,
    `changes/waivers/000002.json: ${judging}`,
  ])
  await seal({ now: minutesIn(60), everything: true }, { objects, signer })
  const { unsealed: rest, inForce: none } = await check(store)
  assert.deepEqual([rest.total, none], [0, 0])
})

test('a store without a log is no sealed store', async () => {
  const objects = memoryObjects()
  await addCluster({ id: 'east' }, { now: minutesIn(0), by: 'tester' }, { objects })
  const { findings, unsealed } = await checkStore({}, { objects, assess: assessWindow })
  matchesText(linesOf(findings))
  assert.deepEqual(linesOf(unsealed), ['changes/clusters/000001.json: not sealed yet'])
})

test('a checkpoint of another key, and a key that was exchanged with it, are named', async () => {
  const other = newSigner()
  const forged = new Map<string, Uint8Array>()
  await fillStore(memoryObjects(forged), other)
  const exchanged = damaged(month, new Map([['log/checkpoint', forged.get('log/checkpoint') ?? Buffer.of()]]))
  matchesText(linesOf((await check(exchanged)).findings)[0])
  matchesText(linesOf((await check(forged)).findings).map((line) => line.slice(0, 40)))
  const { findings } = await checkStore({}, { objects: memoryObjects(forged), assess: assessWindow })
  assert.deepEqual(linesOf(findings), [])
})

test('lines that somebody added to the checkpoint are named although its signature holds', async () => {
  const text = Buffer.from(month.get('log/checkpoint') ?? []).toString()
  const stranger = '— example.org/witness AAAAAAAAAAAA\n'
  const store = damaged(month, new Map([['log/checkpoint', Buffer.from(text + stranger)]]))
  matchesText(linesOf((await check(store)).findings))
})

test('a checkpoint that was put back is named, by one run of seal or by several', async () => {
  const store = new Map(month)
  const heads = [store.get('log/checkpoint') ?? Buffer.of()]
  for (const minutes of [41, 42]) {
    await seal({ now: minutesIn(minutes), everything: true }, { objects: memoryObjects(store), signer })
    heads.push(store.get('log/checkpoint') ?? Buffer.of())
  }
  assert.deepEqual(linesOf((await check(store)).findings), [])
  const [twoAgo = Buffer.of(), oneAgo = Buffer.of()] = heads
  const byOne = linesOf((await check(damaged(store, new Map([['log/checkpoint', oneAgo]])))).findings)
  assert.equal(byOne.length, 1)
  matchesText(byOne[0])
  const byTwo = linesOf((await check(damaged(store, new Map([['log/checkpoint', twoAgo]])))).findings)
  matchesText(byTwo[0])
})

test('a number in the index that was to keep an object from being sealed is named, and the object is sealed', async () => {
  const store = new Map(month)
  const objects = memoryObjects(store)
  const hidden = reportOf(0)
  await objects.putOnce(hidden, Buffer.from('hidden'))
  await objects.putOnce(`log/index/${hidden}`, Buffer.from('3'))
  await seal({ now: minutesIn(50), everything: true }, { objects, signer })
  const { findings, unsealed } = await check(store)
  matchesText(linesOf(findings), textWith({ hidden }))
  assert.deepEqual(linesOf(unsealed), [])
})

test('an object that was sealed twice, since somebody removed its number, is named', async () => {
  const store = new Map(month)
  const name = 'changes/waivers/000001.json'
  store.delete(`log/index/${name}`)
  const { leaves } = await seal({ now: minutesIn(50), everything: true }, { objects: memoryObjects(store), signer })
  assert.deepEqual(leaves, { 'waiver-change': 1 })
  matchesText(linesOf((await check(store)).findings), textWith({ name }))
})

test('a change that is missing among others is named also where it was not sealed yet', async () => {
  const store = new Map(month)
  for (const number of ['000002', '000004']) store.set(`changes/waivers/${number}.json`, Buffer.from('{}'))
  const { findings } = await check(store)
  matchesText(linesOf(findings))
})

test('a run of seal that dies anywhere leaves a store of which nothing else is said, and the next run mends it', async () => {
  const before = damaged(month, new Map())
  const late = await writeAttempt(snapshotOf('east', 9), { objects: memoryObjects(before) })
  for (const cluster of await readClusters({ objects: memoryObjects(before) }))
    await deriveCluster(cluster, { objects: memoryObjects(before), assess: assessWindow })
  for (let steps = 0; ; steps++) {
    const store = new Map(before)
    let writes = 0
    const gate: Gate = ({ member }, effect) =>
      member.startsWith('put') && writes++ === steps
        ? Promise.reject(new Error('died'))
        : Promise.resolve().then(effect)
    const now = minutesIn(60)
    const died = await seal({ now, everything: true }, { objects: memoryObjects(store, gate), signer }).then(
      () => false,
      () => true,
    )
    const { findings, unsealed } = await check(store)
    for (const line of linesOf(findings)) assert.match(line, /^log\/batch\/.*a run of seal is under way or died/)
    if (findings.total === 0) assert.deepEqual(linesOf(unsealed), died && steps < 2 ? [`${late}: not sealed yet`] : [])
    await seal({ now, everything: true }, { objects: memoryObjects(store), signer })
    assert.deepEqual(linesOf((await check(store)).findings), [])
    if (!died) return assert.ok(steps > 5)
  }
})

test('checkStore() accuses nobody while others collect, derive and seal', async () => {
  const store = new Map(month)
  const objects = memoryObjects(store)
  let isOver = false
  const busy = (async () => {
    for (let index = 10; index < 18; index++) {
      await writeAttempt(snapshotOf('east', index), { objects })
      for (const cluster of await readClusters({ objects }))
        await deriveCluster(cluster, { objects, assess: assessWindow })
      await seal({ now: minutesIn(index * 5 + 6), everything: true }, { objects, signer })
    }
    isOver = true
  })()
  const said: string[] = []
  while (!isOver) said.push(...linesOf((await checkStore({}, { objects, assess: assessWindow })).findings))
  await busy
  // What is being written at that moment may be said, and nothing else.
  for (const line of said)
    assert.match(line, /under way or died|it is missing, run "ciphertrail rebuild"|not what the evidence comes to/)
  assert.deepEqual(linesOf((await check(store)).findings), [])
})

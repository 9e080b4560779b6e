import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { assessWindow } from '../../lib/assess/window/window.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { compactHistory } from '../../lib/jobs/compact-history.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { keepReport, makeReport, reportWeek } from '../../lib/jobs/make-report.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { compactCluster as compactStored } from '../../lib/history/derive.ts'
import { parseRequeriedKey } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { readHistory, readWindow } from '../../lib/history/cluster-state.ts'
import { newSigner, readLog } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'
import { areSame, FAULTS, runWithFault } from '../support/stored/store-faults.ts'
import { toldCluster, toldTime, toldWindow } from '../support/stored/told-cluster.ts'

type Held = Map<string, Uint8Array>

const collector = { name: 'ciphertrail', version: '0.0.0' }
const signer = newSigner()

/** Handles a message for a window at the time of another one. */
async function collect(
  objects: Objects,
  index: number,
  { attempt = 1, at = index, state = 'up' as 'up' | 'partial' | 'down' } = {},
): Promise<unknown> {
  const now = () => toldTime(at)
  const open = () => toldCluster(now, () => state).access
  return collectDue({ cluster: 'shop', window: toldWindow(index), attempt }, { collector, now }, { objects, open })
}

async function store(fill: (objects: Objects) => Promise<unknown>): Promise<Held> {
  const held: Held = new Map()
  const objects = memoryObjects(held)
  await addCluster({ id: 'shop', windowMinutes: 5 }, { now: minutesIn(0), by: 'tester' }, { objects })
  await fill(objects)
  return held
}

async function shop(objects: Objects): Promise<Cluster> {
  const [cluster] = await readClusters({ objects })
  return cluster ?? assert.fail('no cluster')
}

type Step = {
  readonly held: Held
  readonly run: (objects: Objects) => Promise<unknown>
  /** Fails where somebody who looks at a store between fault and retry finds it in pieces. */
  readonly look?: (objects: Objects) => Promise<unknown>
  /** Fails where the store is not what one run that nothing befell leaves. */
  readonly compare?: (left: Held, expected: Held) => Promise<void> | void
}

/**
 * Lets each request of a step meet with each fault, until the step runs through; runs it again, hit once more in the same place, and then again to its end.
 * Gives how many requests there were.
 */
async function faultEverywhere({ held, run, look, compare }: Step): Promise<number> {
  const expected: Held = new Map(held)
  await run(memoryObjects(expected))
  let requests = 0
  for (const fault of FAULTS) {
    for (let at = 0; ; at++) {
      const left: Held = new Map(held)
      const { wasHit, request } = await runWithFault(left, { fault, at }, run)
      if (!wasHit) {
        requests = at
        break
      }
      const what = `${fault} at ${request}`
      await look?.(memoryObjects(left))
      // A store that nothing changed in was told already.
      if (areSame(left, held)) continue
      await runWithFault(left, { fault, at }, run)
      await run(memoryObjects(left))
      if (compare === undefined) assert.ok(areSame(left, expected), `${what}: ${differing(left, expected).join(', ')}`)
      else await compare(left, expected)
    }
  }
  return requests
}

function differing(a: Held, b: Held): string[] {
  const keys = new Set([...a.keys(), ...b.keys()])
  return [...keys].filter((key) => Buffer.compare(a.get(key) ?? Buffer.of(0), b.get(key) ?? Buffer.of(0)) !== 0)
}

/** A run that dies before it noted what it asked again leaves that to the next window's; that one asks once more. */
function areSameButAsked(left: Held, expected: Held): void {
  assert.deepEqual(
    differing(left, expected).filter((key) => parseRequeriedKey(key) === undefined),
    [],
  )
}

/** Every window of a history as a reader sees it; fails where it cannot be read. */
async function readAll(objects: Objects): Promise<void> {
  const history = await readHistory('shop', objects)
  for (const { start } of history?.months.flatMap((month) => month.windows) ?? [])
    await readWindow('shop', start, objects)
}

test('plan that fails or dies at any request leaves no trace, and says the same when it runs again', async () => {
  const held = await store(async (objects) => {
    await collect(objects, 0)
    await collect(objects, 1, { state: 'partial' })
  })
  const now = toldTime(5)
  const expected = await plan({ now }, { objects: memoryObjects(held) })
  assert.equal(expected.due.length, 5)
  for (const fault of FAULTS) {
    for (let at = 0; ; at++) {
      const left: Held = new Map(held)
      if (!(await runWithFault(left, { fault, at }, (objects) => plan({ now }, { objects }))).wasHit) break
      assert.ok(areSame(left, held))
      assert.deepEqual(await plan({ now }, { objects: memoryObjects(left) }), expected)
    }
  }
})

test('collect that fails or dies at any request loses no window and tells none twice: a first attempt', async (context) => {
  const held = await store(async (objects) => {
    for (const index of [0, 1, 2]) await collect(objects, index)
  })
  const requests = await faultEverywhere({
    held,
    run: (objects) => collect(objects, 3),
    look: readAll,
    compare: areSameButAsked,
  })
  context.diagnostic(`${requests} requests`)
  assert.equal(requests, 19)
})

test('collect that fails or dies at any request loses no window and tells none twice: the first window of a cluster', async () => {
  const held = await store(() => Promise.resolve())
  await faultEverywhere({ held, run: (objects) => collect(objects, 0), look: readAll })
})

test('collect that fails or dies at any request loses no window and tells none twice: an attempt that is made good', async (context) => {
  const held = await store(async (objects) => {
    await collect(objects, 0)
    await collect(objects, 1, { state: 'partial' })
    await collect(objects, 2)
  })
  const requests = await faultEverywhere({
    held,
    run: (objects) => collect(objects, 1, { attempt: 2, at: 4 }),
    look: readAll,
    compare: areSameButAsked,
  })
  context.diagnostic(`${requests} requests`)
  assert.ok(requests > 10)
})

test('collect that fails or dies at any request loses no window and tells none twice: a list that other windows waited for', async () => {
  const held = await store(async (objects) => {
    await collect(objects, 0)
    for (const index of [1, 2]) await collect(objects, index, { state: 'partial' })
  })
  await faultEverywhere({ held, run: (objects) => collect(objects, 3), look: readAll, compare: areSameButAsked })
})

test('compact that fails or dies at any request ends in the same months, and readers never see a mixture', async (context) => {
  const missed = 9
  // Nine hours, of which few windows were collected in the middle: each one is a request more of each of hundreds of runs.
  const isCollected = (index: number) =>
    index !== missed && index % 10 !== 7 && (index < 16 || index > 102 || index % 10 === 3)
  const held = await store(async (objects) => {
    for (let index = 0; index < 110; index++) if (isCollected(index)) await collect(objects, index)
    await compactStored(await shop(objects), { objects, assess: assessWindow, unsettledSeconds: 8.5 * 3600 })
  })
  // A collector that died before it derived.
  const copy: Held = new Map(held)
  await collect(memoryObjects(copy), missed, { at: 110 })
  for (const [key, body] of copy) if (key.startsWith('evidence/')) held.set(key, body)
  const run = async (objects: Objects) => compactHistory(await shop(objects), toldTime(110), { objects })
  const before = await readHistory('shop', memoryObjects(held))
  await run(memoryObjects(copy))
  const after = await readHistory('shop', memoryObjects(copy))
  assert.notDeepEqual(before, after)

  const requests = await faultEverywhere({
    held,
    run,
    look: async (objects) => {
      const seen = await readHistory('shop', objects)
      assert.deepEqual(seen, isDeepStrictEqual(seen, before) ? before : after)
    },
  })
  context.diagnostic(`${requests} requests`)
})

test('seal that fails or dies at any request leaves each object with one leaf, and a log that is whole', async (context) => {
  const held = await store(async (objects) => {
    for (const index of [0, 1]) await collect(objects, index)
    await seal({ now: toldTime(1) }, { objects, signer })
    for (const index of [2, 4]) await collect(objects, index)
  })
  // Without heartbeats, since a run that only finished what another one began adds one; and in any order, since one that could not read the
  // registry leaves gaps to the next.
  const leaves = (of: Held) =>
    readLog(of, signer.vkey)
      .filter(({ kind }) => kind !== 'heartbeat')
      .map((leaf) => JSON.stringify(leaf))
      .toSorted()
  const requests = await faultEverywhere({
    held,
    run: (objects) => seal({ now: toldTime(5), retentionSeconds: 600 }, { objects, signer }),
    compare: async (left, expected) => {
      assert.deepEqual(leaves(left), leaves(expected))
      const { findings, unsealed } = await checkStore(
        { vkey: signer.vkey },
        { objects: memoryObjects(left), assess: assessWindow },
      )
      assert.deepEqual([findings.kept, unsealed.kept], [[], []])
      const outside = (of: Held) => new Map([...of].filter(([key]) => !/^(log|sealing)\//.test(key)))
      assert.ok(areSame(outside(left), outside(expected)))
    },
  })
  context.diagnostic(`${requests} requests`)
})

test('report that fails or dies at any request is kept once, with all its documents', async (context) => {
  const held = await store(async (objects) => {
    for (const index of [0, 1, 2]) await collect(objects, index)
    await seal({ now: toldTime(2) }, { objects, signer })
  })
  const monday = { now: new Date('2026-11-30T05:00:00Z'), timeZone: 'UTC', version: '0.0.0' }
  const expected: Held = new Map(held)
  const { key } = await reportWeek(monday, { objects: memoryObjects(expected) })
  assert.ok(key !== null)

  // Reading it together writes nothing, so only what is kept can be kept by half.
  let requests = 0
  const reads: string[] = []
  await makeReport(
    {
      clusters: [await shop(memoryObjects(held))],
      period: { from: '2026-11-23T00:00:00Z', to: '2026-11-30T00:00:00Z', label: 'Week 2026-W48', timeZone: 'UTC' },
      now: monday.now,
      version: monday.version,
    },
    {
      objects: memoryObjects(new Map(held), async ({ member, key: asked }, effect) => {
        assert.ok(['get', 'digest', 'list'].includes(member), `${member} ${asked}`)
        reads.push(asked)
        return effect()
      }),
    },
  ).then(async (made) => {
    requests = await faultEverywhere({
      held,
      run: (objects) => keepReport(made, objects),
      // A record names documents that are there.
      look: async (objects) => {
        const stored = await objects.get(key)
        if (stored !== undefined) assert.equal(await documentsIn(objects), made.files.length)
      },
      compare: (left) => assert.ok(areSame(left, expected), differing(left, expected).join(', ')),
    })
  })
  for (const at of reads.keys()) {
    const left: Held = new Map(held)
    await runWithFault(left, { fault: 'fails-before', at }, (objects) => reportWeek(monday, { objects }))
    assert.ok(areSame(left, held), `fails at ${reads[at]}`)
  }
  context.diagnostic(`${reads.length} reads, ${requests} requests to keep it`)
})

async function documentsIn(objects: Objects): Promise<number> {
  const keys: string[] = []
  for await (const key of objects.list('documents/')) keys.push(key)
  return keys.length
}

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { seal } from '../../../lib/seal/write/seal.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { type Actor, drawer, type Fate, tell, type Telling } from '../../support/stored/interleaving.ts'
import { verifierOf } from '../../../lib/seal/tlog/note.ts'
import { checkSigned, newSigner, readLog } from '../../support/stored/memory-log.ts'
import { memoryObjects, type StoreRequest } from '../../support/stored/memory-objects.ts'

// Tells the stories of faults.test.ts in a thread of its own; see test/support/process/thread.ts.

const RUNS = 8
const HOUR = 60 * 60 * 1000
const NOON = Date.UTC(2026, 10, 24, 12)
const timeText = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z')
const attempt = (hour: number, number: number, cluster: string) =>
  evidenceKey({
    window: { start: timeText(NOON + hour * HOUR), end: timeText(NOON + (hour + 1) * HOUR) },
    cluster,
    attempt: number,
  })

/** Two clusters since noon, ten hours ago: the windows of the first hours can no longer be filled. */
const LAST_HOUR = 10
const HOURS_LOST = 4

type World = { readonly held: Map<string, Uint8Array>; readonly signer: ReturnType<typeof newSigner> }

async function newWorld(signer: World['signer']): Promise<World> {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  for (const id of ['shop', 'farm']) await addCluster({ id }, { now: new Date(NOON), by: 'tester' }, { objects })
  return { held, signer }
}

/** A run some minutes after another, of which each fourth looks at everything. */
const sealer =
  ({ held, signer }: World, number: number): Actor =>
  (gate) =>
    seal(
      { now: new Date(NOON + LAST_HOUR * HOUR + number * 60_000), everything: number % 4 === 0 },
      { objects: memoryObjects(held, gate), signer },
    )

/** Collects what can still be collected, and what was thought lost. */
const collector =
  ({ held }: World, cluster: string, draw: (limit: number) => number): Actor =>
  async (gate) => {
    const objects = memoryObjects(held, gate)
    for (let number = 1; number <= 6; number++) {
      await objects.putOnce(attempt(draw(LAST_HOUR), number, cluster), Buffer.from(`${cluster} ${number}`))
    }
    await objects.putOnce(`reports/${cluster}.json`, Buffer.from(cluster))
  }

/**
 * Fails where the log does not have each thing once and each lost window's gap or attempts, after a run that nobody disturbs. Gives the kinds of
 * its leaves.
 */
async function check({ held, signer }: World): Promise<string[]> {
  await seal({ now: new Date(NOON + LAST_HOUR * HOUR), everything: true }, { objects: memoryObjects(held), signer })
  const leaves = readLog(held, signer.vkey)
  const stored = [...held.keys()].filter((key) => /^(evidence|changes|reports)\//.test(key))
  assert.deepEqual(leaves.flatMap(({ key }) => key ?? []).toSorted(), stored.toSorted())
  for (const cluster of ['shop', 'farm']) {
    for (let hour = 0; hour < HOURS_LOST; hour++) {
      const start = timeText(NOON + hour * HOUR)
      const ofWindow = leaves.filter((leaf) => leaf['cluster'] === cluster && isWindow(leaf['window'], start))
      assert.ok(ofWindow.length > 0, `${cluster} ${start}`)
    }
  }
  checkSigned(signer.signed, held, verifierOf(signer.vkey))
  return leaves.map(({ kind }) => kind)
}

function isWindow(window: unknown, start: string): boolean {
  return typeof window === 'object' && window !== null && 'start' in window && window.start === start
}

/** How many runs and collectors ended in which way. */
export type Ends = { died: number; failed: number; done: number }

/** Tells the stories of eight runs and two collectors, of which any request may fail and any caller die. Throws what went wrong first. */
async function tellSeeds(first: number, count: number): Promise<Ends> {
  const stories: (Telling & { readonly seed: number; readonly world: World })[] = []
  for (let seed = first; seed < first + count; seed++) {
    const draw = drawer(seed)
    const world = await newWorld(newSigner())
    const collectors = ['shop', 'farm'].map((cluster) => collector(world, cluster, draw))
    const runs = Array.from({ length: RUNS }, (_, number) => sealer(world, number))
    const fates: readonly Fate[] = ['dies-before', 'dies-after', 'fails-before', 'fails-after']
    stories.push({
      seed,
      world,
      actors: [...runs.slice(0, 2), ...collectors, ...runs.slice(2)],
      draw,
      // One request in eighty: most runs of a story come to an end, some do not.
      fateOf: () => fates[draw(320)] ?? 'done',
    })
  }
  const ends: Ends = { died: 0, failed: 0, done: 0 }
  await tell(stories, async ({ seed, world }, outcomes) => {
    for (const outcome of outcomes) {
      if (outcome instanceof Error) assert.ok(outcome instanceof StoreError, `seed ${seed}: ${String(outcome)}`)
      ends[outcome === undefined ? 'died' : outcome instanceof Error ? 'failed' : 'done'] += 1
    }
    await check(world).catch((error: unknown) => assert.fail(`seed ${seed}: ${String(error)}`))
  })
  return ends
}

/** One run in which something happens to one request, and one after it. Gives the requests, and the kinds of the leaves in the end. */
async function tellOne(at: number, fate: Fate): Promise<{ requests: StoreRequest[]; kinds: string[] }> {
  const world = await newWorld(newSigner())
  for (const hour of [0, 5]) world.held.set(attempt(hour, 1, 'shop'), Buffer.from('shop'))
  // Enough for the first full tile, and some more.
  for (let hour = -260; hour < 0; hour++) world.held.set(attempt(hour, 1, 'shop'), Buffer.from('shop'))
  const requests: StoreRequest[] = []
  const story: Telling = {
    actors: [sealer(world, 0)],
    draw: (limit) => limit - 1,
    fateOf: (request) => (requests.push(request) === at + 1 ? fate : 'done'),
  }
  await tell([story], () => Promise.resolve())
  return { requests, kinds: (await check(world)).filter((kind) => kind !== 'heartbeat').sort() }
}

/** Lets each write of a run fail and die, before and after it is done; gives how many of them there were. Throws what went wrong first. */
async function tellEachWrite(): Promise<number> {
  const whole = await tellOne(-1, 'done')
  const writes = whole.requests.flatMap(({ member }, at) => (member === 'putOnce' || member === 'putIf' ? at : []))
  // The numbers of leaves are all alike: some of them will do.
  const isNumber = (at: number) => whole.requests[at]?.key.startsWith('log/index/') === true
  const chosen = writes.filter((at, place) => !isNumber(at) || place % 50 === 0)
  for (const at of chosen) {
    for (const fate of ['dies-before', 'dies-after', 'fails-before', 'fails-after'] as const)
      assert.deepEqual((await tellOne(at, fate)).kinds, whole.kinds, `${fate} at request ${at}`)
  }
  return chosen.length
}

const { first, count } = workerData as { first: number; count: number }
parentPort?.postMessage(count === 0 ? await tellEachWrite() : await tellSeeds(first, count))

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { encodeBatch, leafEntry } from '../../../lib/seal/write/batch.ts'
import type { Leaf } from '../../../lib/seal/leaf.ts'
import { type Pending, unsealed } from '../../../lib/seal/write/pending.ts'
import { extend } from '../../../lib/seal/write/seal.ts'
import { batchKey } from '../../../lib/store/log-keys.ts'
import { ConflictError } from '../../../lib/store/objects/objects.ts'
import { type Actor, drawer, tell, type Telling } from '../../support/stored/interleaving.ts'
import { checkSigned, hashingSigner, readLog } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

// Tells the stories of model.test.ts in a thread of its own; see test/support/process/thread.ts.

/** No cluster is registered, and no run ever came to its end. */
const KNOWN = { now: 0, sealedAt: null, clusters: [], lostUntil: 0 }

type World = { readonly held: Map<string, Uint8Array>; readonly signer: ReturnType<typeof hashingSigner> }

/** A run of the steps as they are. */
const sealer =
  ({ held, signer }: World): Actor =>
  (gate) => {
    const objects = memoryObjects(held, gate)
    return extend(() => unsealed('reports/', objects), KNOWN, { objects, signer, verifier: signer.verifier })
  }

/** A run that lists before it finishes what is there, the first time. */
const hastySealer =
  ({ held, signer }: World): Actor =>
  async (gate) => {
    const objects = memoryObjects(held, gate)
    const early: Pending[] = []
    for await (const pending of unsealed('reports/', objects)) early.push(pending)
    let isFirst = true
    const list = async function* () {
      if (isFirst) yield* early
      else yield* unsealed('reports/', objects)
      isFirst = false
    }
    return extend(list, KNOWN, { objects, signer, verifier: signer.verifier })
  }

/** Stores some evidence, one thing after the other. */
const collector =
  ({ held }: World, name: string, count: number): Actor =>
  async (gate) => {
    const objects = memoryObjects(held, gate)
    for (let number = 0; number < count; number++) await objects.putOnce(`reports/${name}${number}`, Buffer.from(name))
  }

/** What somebody without the key would have signed: a heartbeat of another day, a false hash, evidence twice, what is stored, and no batch at all. */
const HOSTILE: readonly ((name: string) => Uint8Array)[] = [
  () => encodeBatch([leafEntry({ kind: 'heartbeat', time: '2020-01-01T00:00:00Z' })]),
  (name) => encodeBatch([leafEntry(reportLeaf(name, 'false'))]),
  () => encodeBatch([leafEntry(reportLeaf('old', 'old')), leafEntry(reportLeaf('old', 'old'))]),
  () => encodeBatch([leafEntry(reportLeaf('old', 'old'))]),
  () => Buffer.from('?'),
]

function reportLeaf(name: string, text: string): Leaf {
  const body = Buffer.from(text)
  return { kind: 'report', key: `reports/${name}`, sha256: hash('sha256', body), size: body.length }
}

/** Writes what nobody claimed where batches may come to lie, as far as nothing lies there. */
const intruder =
  ({ held }: World, draw: (limit: number) => number): Actor =>
  async (gate) => {
    const objects = memoryObjects(held, gate)
    for (let number = 0; number < 4; number++) {
      const body = HOSTILE[draw(HOSTILE.length)]?.(`new${draw(2)}`) ?? Buffer.of()
      try {
        await objects.putOnce(batchKey(draw(4), 1 + draw(3)), body)
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error
      }
    }
  }

/** Two or three runs, a collector, and perhaps an intruder, of which any may die at any request, on a store that has some evidence. */
function storyOf(
  seed: number,
  run: (world: World) => Actor,
  isAttacked: boolean,
): Telling & { readonly seed: number; readonly world: World } {
  const draw = drawer(seed)
  const world: World = { held: new Map(), signer: hashingSigner() }
  world.held.set('log/vkey', Buffer.from(`${world.signer.vkey}\n`))
  world.held.set('reports/old', Buffer.from('old'))
  const actors = [
    ...(isAttacked ? [intruder(world, draw)] : []),
    run(world),
    collector(world, 'new', 1 + draw(2)),
    run(world),
    ...(draw(4) === 0 ? [run(world)] : []),
  ]
  const fateOf = () => {
    const drawn = draw(60)
    return drawn === 0 ? 'dies-before' : drawn === 1 ? 'dies-after' : 'done'
  }
  return { seed, world, actors, draw, fateOf }
}

/** Fails where the log is not one line that has each thing once, after a run that nobody disturbs. */
async function check({ held, signer }: World): Promise<void> {
  const objects = memoryObjects(held)
  await extend(() => unsealed('reports/', objects), KNOWN, { objects, signer, verifier: signer.verifier })
  const leaves = readLog(held, signer.vkey, signer.verifier)
  assert.ok(leaves.every((leaf) => leaf.kind !== 'heartbeat' || leaf['time'] === '1970-01-01T00:00:00Z'))
  const logged = leaves.flatMap(({ key }) => key ?? [])
  const stored = [...held.keys()].filter((key) => key.startsWith('reports/'))
  assert.deepEqual(logged.toSorted(), stored.toSorted())
  checkSigned(signer.signed, held, signer.verifier)
}

/** How many stories went wrong, and the first of them. */
export type Told = { readonly wrong: number; readonly first: string | undefined }

/** Tells the stories of so many seeds. */
async function tellAll(
  firstSeed: number,
  count: number,
  run: (world: World) => Actor,
  isAttacked: boolean,
): Promise<Told> {
  function* stories() {
    for (let one = firstSeed; one < firstSeed + count; one++) yield storyOf(one, run, isAttacked)
  }
  let wrong = 0
  let first: string | undefined
  await tell(stories(), async ({ seed: one, world }, outcomes) => {
    try {
      for (const outcome of outcomes) if (outcome instanceof Error) throw outcome
      await check(world)
    } catch (error) {
      wrong += 1
      first ??= `seed ${one}: ${String(error)}`
    }
  })
  return { wrong, first }
}

/** Which stories to tell. */
export type ToTell = {
  readonly seed: number
  readonly count: number
  /** Runs list before they finish what is there. */
  readonly isHasty: boolean
  /** Somebody writes batches that the key did not claim. */
  readonly isAttacked: boolean
}

const { seed, count, isHasty, isAttacked } = workerData as ToTell
parentPort?.postMessage(await tellAll(seed, count, isHasty ? hastySealer : sealer, isAttacked))

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { type Pending, unsealed } from '../../lib/seal/pending.ts'
import { extend } from '../../lib/seal/seal.ts'
import { type Actor, drawer, tell, type Telling } from '../support/interleaving.ts'
import { checkSigned, hashingSigner, readLog } from '../support/log.ts'
import { memoryObjects } from '../support/memory-objects.ts'

// Tells the stories of model.test.ts in a thread of its own; see test/support/thread.ts.

type World = { readonly held: Map<string, Uint8Array>; readonly signer: ReturnType<typeof hashingSigner> }

/** A run of the steps as they are. */
const sealer =
  ({ held, signer }: World): Actor =>
  (gate) => {
    const objects = memoryObjects(held, gate)
    return extend(() => unsealed('reports/', objects), 0, { objects, signer, verifier: signer.verifier })
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
    return extend(list, 0, { objects, signer, verifier: signer.verifier })
  }

/** Stores some evidence, one thing after the other. */
const collector =
  ({ held }: World, name: string, count: number): Actor =>
  async (gate) => {
    const objects = memoryObjects(held, gate)
    for (let number = 0; number < count; number++) await objects.putOnce(`reports/${name}${number}`, Buffer.from(name))
  }

/** Two or three runs and a collector, of which any may die at any request, on a store that has some evidence. */
function storyOf(
  seed: number,
  run: (world: World) => Actor,
): Telling & { readonly seed: number; readonly world: World } {
  const draw = drawer(seed)
  const world: World = { held: new Map(), signer: hashingSigner() }
  world.held.set('log/vkey', Buffer.from(`${world.signer.vkey}\n`))
  world.held.set('reports/old', Buffer.from('old'))
  const actors = [run(world), collector(world, 'new', 1 + draw(2)), run(world), ...(draw(4) === 0 ? [run(world)] : [])]
  const fateOf = () => {
    const drawn = draw(60)
    return drawn === 0 ? 'dies-before' : drawn === 1 ? 'dies-after' : 'done'
  }
  return { seed, world, actors, draw, fateOf }
}

/** Fails where the log is not one line that has each thing once, after a run that nobody disturbs. */
async function check({ held, signer }: World): Promise<void> {
  const objects = memoryObjects(held)
  await extend(() => unsealed('reports/', objects), 0, { objects, signer, verifier: signer.verifier })
  const logged = readLog(held, signer.vkey, signer.verifier).flatMap(({ key }) => key ?? [])
  const stored = [...held.keys()].filter((key) => key.startsWith('reports/'))
  assert.deepEqual(logged.toSorted(), stored.toSorted())
  checkSigned(signer.signed, held)
}

/** How many stories went wrong, and the first of them. */
export type Told = { readonly wrong: number; readonly first: string | undefined }

/** Tells the stories of so many seeds. */
async function tellAll(firstSeed: number, count: number, run: (world: World) => Actor): Promise<Told> {
  function* stories() {
    for (let one = firstSeed; one < firstSeed + count; one++) yield storyOf(one, run)
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

const { seed, count, isHasty } = workerData as { seed: number; count: number; isHasty: boolean }
parentPort?.postMessage(await tellAll(seed, count, isHasty ? hastySealer : sealer))

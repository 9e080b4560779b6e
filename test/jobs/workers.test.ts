import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { rebuildCluster } from '../../lib/history/derive.ts'
import { readWindow } from '../../lib/history/cluster-state.ts'
import type { Compacted } from '../../lib/jobs/workers/job.ts'
import { type WorkerPool, type WorkerSettings, workerPool } from '../../lib/jobs/workers/worker-pool.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { encodeSnapshot, writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { forgetSetAside } from '../../lib/store/evidence/set-aside.ts'
import { setAsideKey } from '../../lib/store/keys.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { freshFolder } from '../support/recorder.ts'
import { largeSnapshot } from '../support/stored/large-snapshot.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import { toldWindow } from '../support/stored/told-cluster.ts'
import { errorText, textWith } from '../support/texts/matches-text.ts'

const BIN = join(import.meta.dirname, '../../bin/ciphertrail.js')
const now = minutesIn(20)
const MEMORY_MB = 80

const KEY = 'evidence/20261124T120000Z-20261124T120500Z/east/0001.json.gz'
const east = encodeSnapshot(largeSnapshot(snapshotOf('east', 0), 80_000_000))

/** A store with some clusters, of which `east` wrote what no worker of the test can hold. */
async function filled(context: TestContext, ids = ['east', 'west']): Promise<{ objects: Objects; place: string }> {
  const place = join(freshFolder(context), 'store')
  const objects = directoryObjects(place)
  for (const id of ids) {
    await addCluster({ id, windowMinutes: 5 }, { now: minutesIn(0), by: 'tester' }, { objects })
    if (id === 'east') await objects.putOnce(KEY, await east)
    else await writeAttempt(snapshotOf(id, 0), { objects })
  }
  return { objects, place }
}

function poolOn(
  context: TestContext,
  { objects, place }: { objects: Objects; place: string },
  settings: Partial<WorkerSettings> = {},
): WorkerPool {
  const pool = workerPool({ entry: BIN, args: ['worker', '--store', place], memoryMb: MEMORY_MB, ...settings }, objects)
  context.after(() => pool.close())
  return pool
}

const LEFT_OUT =
  /^Cannot read evidence ".*east\/0001.json.gz": it ended the process that read it 2 times \(it needed more than 80 MB\), so it is left out; a newer version or "ciphertrail rebuild" tries it again$/m

test('evidence that fills the memory of a worker is tried twice and left out, told by its name, and can be tried again', async (context) => {
  const store = await filled(context)
  const { objects } = store
  const pool = poolOn(context, store)
  const derive = () => pool.derive({ cluster: 'east', window: toldWindow(0) })
  await assert.rejects(derive(), errorText({ name: 'WorkerEndedError', key: KEY, message: textWith({ KEY }) }))
  await pool.derive({ cluster: 'west', window: toldWindow(0) })
  await assert.rejects(derive(), errorText())
  await derive()
  const [told, west] = [await read('east', objects), await read('west', objects)]
  assert.deepEqual([told?.collected, west?.collected], [false, true])
  assert.match(told?.errors.join('\n') ?? '', LEFT_OUT)

  // It is what the store comes to, as long as it is left out.
  const signer = newSigner()
  await seal({ now, everything: true }, { objects, signer })
  const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow })
  assert.deepEqual(
    findings.kept.map(({ key, problem }) => [key, LEFT_OUT.test(problem)]),
    [[null, true]],
  )
  const [cluster = assert.fail()] = await readClusters({ objects })
  await forgetSetAside('east', objects)
  await rebuildCluster(cluster, { objects, assess: assessWindow })
  assert.equal((await read('east', objects))?.collected, true)
})

test('evidence that takes too long ends its worker, and is told so', async (context) => {
  const store = await filled(context)
  const pool = poolOn(context, store, { memoryMb: 1000, readingMs: 20 })
  const derive = pool.derive({ cluster: 'east', window: toldWindow(0) })
  await assert.rejects(derive, errorText({ name: 'WorkerEndedError' }))
})

test('a cluster that ends its worker keeps no other from being compacted, whether several are at once or one', async (context) => {
  for (const atOnce of [1, 3]) {
    const store = await filled(context, ['bank', 'east', 'west'])
    const pool = poolOn(context, store)
    const outcomes: Compacted[] = []
    await pool.compact(['bank', 'east', 'west'], { now, atOnce }, (outcome) => outcomes.push(outcome))
    // How many windows it says is not held: a worker that ended may have stored those of others before it told.
    assert.deepEqual(
      outcomes
        .map(({ cluster, problem }) => [cluster, problem])
        .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      ['bank', 'east', 'west'].map((id) => [id, null]),
    )
    assert.match(outcomes.find(({ cluster }) => cluster === 'east')?.errors.join('\n') ?? '', LEFT_OUT)
    for (const id of ['bank', 'west']) assert.equal((await read(id, store.objects))?.collected, true, id)
  }
})

test('what is set aside is forgotten with a version that derives otherwise, and by whoever damages it', async (context) => {
  const store = await filled(context)
  const { objects } = store
  const pool = poolOn(context, store)
  const derive = () => pool.derive({ cluster: 'east', window: toldWindow(0) })
  await assert.rejects(derive())
  await assert.rejects(derive())
  const stored = await objects.get(setAsideKey('east'))
  const text = Buffer.from(stored?.body ?? []).toString()
  const older = Buffer.from(text.replace(/"derivation":(\d+)/, '"derivation":1'))
  assert.notEqual(older.toString(), text)
  await objects.putIf(setAsideKey('east'), older, stored?.etag ?? null)
  await assert.rejects(derive(), /is tried once more/)
})

async function read(cluster: string, objects: Objects) {
  return readWindow(cluster, toldWindow(0).start, objects)
}

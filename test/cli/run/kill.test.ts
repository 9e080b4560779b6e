import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import type { Window } from '../../../lib/model/time.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { readSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidencePrefix } from '../../../lib/store/keys.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'
import { linesOf, start } from '../../support/process/command-line.ts'
import { startDemoMesh } from '../../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../../support/mesh/demo-mesh.ts'
import { copyStore } from '../../support/stored/trusted-store.ts'

/** A store with the first window collected, and what is derived from one and from two windows when nobody is killed. */
let mesh: DemoMesh
let second: Window
let ofOne: string[]
let ofTwo: string[]

before(async () => {
  mesh = await startDemoMesh()
  const [first, next] = mesh.windows
  assert.ok(first && next)
  second = next
  assert.equal((await mesh.run('collect', ...mesh.optionsAt(first))).code, 0)
  ofOne = derivedIn(copyOf('one'))
  const store = copyOf('two')
  assert.equal((await mesh.run('collect', ...mesh.optionsAt(next), '--store', store)).code, 0)
  ofTwo = derivedIn(store)
  assert.notDeepEqual(ofOne, ofTwo)
})
after(() => mesh.close())

function copyOf(name: string): string {
  const store = join(mesh.folder, `store-${name}`)
  copyStore(join(mesh.folder, 'ciphertrail-data'), store)
  return store
}

/** All files of a store, with those that no writer has finished. */
function filesIn(store: string): string[] {
  return readdirSync(store, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(store, join(parentPath, name)))
}

/** Name and hash of each derived object. */
function derivedIn(store: string): string[] {
  return filesIn(store)
    .filter((name) => /^(windows|state|timeline)\//.test(name))
    .map(
      (name) =>
        `${name} ${createHash('sha256')
          .update(readFileSync(join(store, name)))
          .digest('hex')}`,
    )
    .toSorted()
}

/** When to kill: at the n-th change of the names in the store, or so long after the first one. */
type Moment = { readonly change: number } | { readonly afterMs: number }

/** Starts a command and kills it by SIGKILL at a moment. */
async function killAt(
  moment: Moment,
  args: readonly string[],
  store: string,
): Promise<{ readonly wasKilled: boolean; readonly tookMs: number }> {
  const { child, ended } = start([...args, '--store', store], mesh)
  let isOver = false
  const over = ended.then((ran) => {
    isOver = true
    return ran
  })
  let changes = 0
  let first: number | undefined
  const isNow = (): boolean =>
    'change' in moment ? changes >= moment.change : first !== undefined && performance.now() - first >= moment.afterMs
  for (let last = filesIn(store).join(); !isOver && !isNow();) {
    const now = filesIn(store).join()
    if (now !== last) {
      changes++
      first ??= performance.now()
    }
    last = now
    // Starting takes most of the time, and nobody writes then.
    await (first === undefined ? sleep(2) : nextTurn())
  }
  child.kill('SIGKILL')
  const { signal, code, stderr } = await over
  if (signal === null) assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  return { wasKilled: signal === 'SIGKILL', tookMs: performance.now() - (first ?? performance.now()) }
}

/**
 * At every change that can be seen from outside, and at even steps over the time that writing takes: at more of them where a busy machine sees changes
 * too late, until so many were killed.
 */
async function killEverywhere(
  least: number,
  attempt: (moment: Moment) => Promise<{ wasKilled: boolean; tookMs: number }>,
): Promise<number> {
  let kills = 0
  let tookMs = 0
  for (let change = 1; change <= MAX_CHANGES; change++) {
    const { wasKilled, ...ended } = await attempt({ change })
    if (wasKilled) kills++
    else {
      tookMs = ended.tookMs
      break
    }
  }
  for (let step = 0; step < STEPS || (kills < least && step < 5 * STEPS); step++) {
    const part = ((step % STEPS) + Math.floor(step / STEPS) / 5) / STEPS
    if ((await attempt({ afterMs: tookMs * part })).wasKilled) kills++
  }
  assert.ok(kills >= least, `it was killed ${kills} times`)
  return kills
}

/** More changes than any of the commands makes. */
const MAX_CHANGES = 30
const STEPS = 5

/** Every attempt decodes; the next command derives what it would if nobody had been killed. Gives how many attempts there are. */
async function assertWhole(store: string): Promise<number> {
  const objects = directoryObjects(store)
  let attempts = 0
  for await (const key of objects.list(evidencePrefix)) {
    attempts++
    assert.equal((await readSnapshot(key, objects)).complete, true)
  }
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  assert.deepEqual((await deriveCluster(cluster, { objects, assess: assessWindow })).errors, [])
  assert.deepEqual(derivedIn(store), attempts === 2 ? ofTwo : ofOne)
  return attempts
}

test('collect that is killed at any moment leaves the store whole, and the next one goes on', async (context) => {
  const options = mesh.optionsAt(second)
  const stored = new Set<number>()
  let tries = 0
  const kills = await killEverywhere(8, async (moment) => {
    const store = copyOf(`collect-${++tries}`)
    const killed = await killAt(moment, ['collect', ...options], store)
    stored.add(await assertWhole(store))
    if (tries % 6 === 0) {
      // As its user would go on: the window is there, or is collected now.
      const period = ['--from', second.start, '--to', second.end, ...options.slice(2)]
      const { code, stderr } = await mesh.run('collect', ...period, '--store', store)
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.deepEqual(derivedIn(store), ofTwo)
    }
    rmSync(store, { recursive: true })
    return killed
  })
  context.diagnostic(`killed ${kills} times`)
  assert.ok(stored.has(2), 'also after the attempt was stored')
})

test('rebuild that is killed at any moment leaves the store whole, and the next one goes on', async (context) => {
  const store = join(mesh.folder, 'store-two')
  let tries = 0
  const kills = await killEverywhere(6, async (moment) => {
    for (const part of ['windows', 'state', 'timeline']) rmSync(join(store, part), { recursive: true, force: true })
    const killed = await killAt(moment, ['rebuild'], store)
    if (++tries % 4 === 0) {
      const { code, stdout, stderr } = await mesh.run('rebuild', '--store', store)
      assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'shop: 2 windows derived again\n', stderr: '' })
      assert.deepEqual(derivedIn(store), ofTwo)
    } else assert.equal(await assertWhole(store), 2)
    return killed
  })
  context.diagnostic(`killed ${kills} times`)
})

test('paths after a collect that was killed shows a history that is whole', async () => {
  const store = copyOf('read')
  const { stdout: earlier } = await mesh.run('paths', '--json', '--store', store)
  await killAt({ change: 4 }, ['collect', ...mesh.optionsAt(second)], store)
  const { code, stdout, stderr } = await mesh.run('paths', '--json', '--store', store)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.ok(linesOf(stdout).length >= linesOf(earlier).length)
})

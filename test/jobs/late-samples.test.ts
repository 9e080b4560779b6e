import assert from 'node:assert/strict'
import { test } from 'node:test'
import { againAt, toSeconds } from '../../lib/time/windows.ts'
import type { Window } from '../../lib/model/time.ts'
import { collectAsAgent } from '../../lib/jobs/collect-as-agent.ts'
import { collectWindows } from '../../lib/jobs/attempt-windows.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { isDueAgain } from '../../lib/jobs/late-samples.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { readRequeried, writeRequeried } from '../../lib/store/evidence/asked.ts'
import { listAttempts, readSnapshot } from '../../lib/store/evidence/evidence.ts'
import { requeriedKey, evidenceKey } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { newRegistration } from '../../lib/store/registry/registration.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { readHistory, readWindow } from '../../lib/history/cluster-state.ts'
import { rows } from '../../lib/history/rows/path-history.ts'
import { rebuildCluster } from '../../lib/history/derive.ts'
import { checkDerivedObjects } from '../../lib/seal/verify/check-derived.ts'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects, type StoreRequest } from '../support/stored/memory-objects.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'
import { toldCluster, toldTime, toldWindow } from '../support/stored/told-cluster.ts'
import type { ClusterAccess } from '../../lib/collect/cluster/cluster-access.ts'

const collector = { name: 'ciphertrail', version: '0.0.0' }
const author = { now: minutesIn(0), by: 'tester' }
const EMPTY = JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: [] } })

type LateOptions = { readonly lateMinutes?: number; readonly areListsRead?: boolean }

/**
 * A cluster of which clear connections reach Prometheus so many minutes after they are scraped, and the rest at once. `asked` are the ends of the windows
 * that were asked for, in minutes from the beginning of the first.
 */
function lateCluster(now: () => Date, { lateMinutes = 0, areListsRead = true }: LateOptions = {}) {
  const asked: number[] = []
  const { access } = toldCluster(now, () => (areListsRead ? 'up' : 'partial'))
  const late: ClusterAccess = {
    ...access,
    prometheus: {
      ...access.prometheus,
      ask(method, path, parameters, options) {
        const query = parameters.get('query') ?? ''
        const time = Number(parameters.get('time'))
        if (query.startsWith('count by (version)')) asked.push((time - toSeconds(toldWindow(0).start)) / 60)
        const isLate = query.startsWith('{') && query.includes('direction="outbound"') && query.includes('tls!="true"')
        if (isLate && now().getTime() / 1000 < time + lateMinutes * 60) return Promise.resolve(EMPTY)
        return access.prometheus.ask(method, path, parameters, options)
      },
    },
  }
  return { access: late, asked }
}

async function freshStore(requests: StoreRequest[] = []): Promise<Objects> {
  const objects = memoryObjects(new Map(), async (request, effect) => {
    requests.push(request)
    return effect()
  })
  await addCluster({ id: 'shop', windowMinutes: 5 }, author, { objects })
  return objects
}

/** Collects windows one after the other, each as soon as it is over. Gives how often each was asked for in the end. */
async function collectEach(count: number, objects: Objects, options: LateOptions = {}, from = 0) {
  const asked: number[] = []
  const again: string[] = []
  for (let index = from; index < from + count; index++) {
    const now = () => toldTime(index)
    const cluster = lateCluster(now, options)
    const message = { cluster: 'shop', window: toldWindow(index), attempt: 1 }
    const outcome = await collectDue(message, { collector, now }, { objects, open: () => cluster.access })
    assert.ok(outcome.outcome === 'collected')
    asked.push(...cluster.asked)
    again.push(...(outcome.again ?? []))
  }
  return { asked, again }
}

const keyOf = (index: number, attempt: number) => evidenceKey({ cluster: 'shop', window: toldWindow(index), attempt })

async function attemptsAt(index: number, objects: Objects): Promise<number> {
  return (await listAttempts(toldWindow(index), 'shop', { objects })).length
}

async function statesAt(index: number, objects: Objects): Promise<string[]> {
  const result = await readWindow('shop', toldWindow(index).start, objects)
  return (result?.paths ?? []).map(({ state, port }) => `${state} ${port}`)
}

test('a window is asked again two windows later, after ten minutes at least and thirty at most', () => {
  const after = (minutes: number) => {
    const start = '2026-11-24T12:00:00Z'
    const end = new Date(Date.parse(start) + minutes * 60_000).toISOString()
    return (againAt({ start, end }) - toSeconds(end)) / 60
  }
  assert.deepEqual([5, 15, 30, 60].map(after), [10, 30, 30, 30])
})

test('isDueAgain() waits for its time, asks whatever was collected as it ended, and nothing that Prometheus may have forgotten', () => {
  const window: Window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }
  const at = (time: string) => toSeconds(`2026-11-24T${time}Z`)
  const tried = (time: string | null, complete = true) => ({
    number: 1,
    complete,
    startedAt: time === null ? null : `2026-11-24T${time}Z`,
  })
  const first = tried('13:01:00')
  assert.deepEqual(
    ['13:01:00', '13:29:59', '13:30:00', '17:44:59', '17:45:00'].map((time) => isDueAgain(window, [first], at(time))),
    [false, false, true, true, false],
  )
  assert.equal(isDueAgain(window, [tried('13:30:00')], at('14:00:00')), false, 'it came late itself')
  assert.equal(isDueAgain(window, [first, tried('13:30:00')], at('14:00:00')), false)
  assert.equal(isDueAgain(window, [first, tried('13:30:00', false)], at('14:00:00')), true)
  assert.equal(isDueAgain(window, [tried('13:01:00', false)], at('14:00:00')), false)
  assert.equal(isDueAgain(window, [tried(null)], at('14:00:00')), true)
  assert.equal(isDueAgain(window, [], at('14:00:00')), false)
})

test('each window is asked twice, and an answer that is the same is stored once', async () => {
  const objects = await freshStore()
  const { asked, again } = await collectEach(6, objects)
  assert.deepEqual(asked, [5, 10, 15, 5, 20, 10, 25, 15, 30, 20])
  assert.deepEqual(again, [])
  for (let index = 0; index < 6; index++) assert.equal(await attemptsAt(index, objects), 1)
  assert.deepEqual(await plan({ now: toldTime(5) }, { objects }), { due: [], errors: [] })
})

test('samples that come late make another attempt, which tells what the first could not know, and both are named', async () => {
  const objects = await freshStore()
  const first = await collectEach(2, objects, { lateMinutes: 8 })
  assert.deepEqual([first.again, await statesAt(0, objects)], [[], []])
  const { again } = await collectEach(4, objects, { lateMinutes: 8 }, 2)
  assert.deepEqual(again, [keyOf(0, 2), keyOf(1, 2), keyOf(2, 2), keyOf(3, 2)])
  for (const index of [0, 1, 2, 3]) assert.deepEqual(await statesAt(index, objects), ['no-mesh-tls 8080'])
  assert.deepEqual(await statesAt(4, objects), [])
  const result = await readWindow('shop', toldWindow(1).start, objects)
  assert.deepEqual([result?.inputs.evidence, result?.inputs.also], [keyOf(1, 1), [keyOf(1, 2)]])
  const { viz, tap, proxies, ...snapshot } = await readSnapshot(keyOf(1, 2), objects)
  assert.deepEqual([viz, tap, proxies, snapshot.complete], [undefined, undefined, undefined, true])
  const history = await readHistory('shop', objects)
  const told = rows(history?.months ?? [], history?.episodes ?? [], {}, { fixOf: () => null, platformNamespaces: [] })
  const row = told.find(({ from }) => from === toldWindow(1).start)
  assert.deepEqual([row?.to, row?.evidence], [toldWindow(5).end, [keyOf(1, 1), keyOf(1, 2), keyOf(5, 1)]])
  assert.deepEqual(
    history?.months[0]?.windows.map(({ also }) => also),
    [...[0, 1, 2, 3].map((index) => [keyOf(index, 2)]), undefined, undefined],
  )
})

test('a Prometheus that lost its data erases nothing, and what it says then is an attempt like any other', async () => {
  const objects = await freshStore()
  await collectEach(2, objects)
  const before = await readWindow('shop', toldWindow(0).start, objects)
  assert.deepEqual(await statesAt(0, objects), ['no-mesh-tls 8080'])
  const { again } = await collectEach(2, objects, { lateMinutes: 600 }, 2)
  assert.deepEqual(again, [keyOf(0, 2), keyOf(1, 2)])
  const result = await readWindow('shop', toldWindow(0).start, objects)
  assert.deepEqual([result?.paths, result?.coverage], [before?.paths, before?.coverage])
})

test('a source that does not answer is asked again by the next run, and nothing of it is stored', async () => {
  const objects = await freshStore()
  await collectEach(2, objects, { lateMinutes: 8 })
  assert.deepEqual((await collectEach(1, objects, { lateMinutes: 8 }, 2)).again, [keyOf(0, 2)])
  await collectEach(1, objects, { lateMinutes: 8, areListsRead: false }, 3)
  assert.equal(await attemptsAt(1, objects), 1)
  assert.deepEqual([...(await readRequeried('shop', objects)).windows].length, 1)
  const { again } = await collectEach(1, objects, { lateMinutes: 8 }, 4)
  assert.deepEqual(again, [keyOf(1, 2), keyOf(2, 2)])
})

test('an answer that was stored by somebody who died before it was derived is not stored once more', async () => {
  const objects = await freshStore()
  await collectEach(2, objects, { lateMinutes: 8 })
  const held = new Map<string, Uint8Array>()
  for (const prefix of ['state/', 'windows/'])
    for await (const key of objects.list(prefix)) held.set(key, (await objects.get(key))?.body ?? Buffer.of())
  await collectEach(1, objects, { lateMinutes: 8 }, 2)
  for (const [key, body] of held) await objects.putIf(key, body, (await objects.get(key))?.etag ?? null)
  await objects.remove(requeriedKey('shop'))
  const { again } = await collectEach(1, objects, { lateMinutes: 8 }, 3)
  assert.deepEqual(again, [keyOf(0, 2), keyOf(1, 2)])
  assert.equal(await attemptsAt(0, objects), 2)
  assert.deepEqual(await statesAt(0, objects), ['no-mesh-tls 8080'])
})

test('who lost what was asked asks once more, and it changes no evidence', async () => {
  const objects = await freshStore()
  await collectEach(4, objects)
  await objects.remove(requeriedKey('shop'))
  const { asked, again } = await collectEach(1, objects, {}, 4)
  assert.deepEqual([asked, again], [[25, 5, 10, 15], []])
  assert.equal(await attemptsAt(0, objects), 1)
  await objects.putIf(
    requeriedKey('shop'),
    Buffer.from('damaged'),
    (await objects.get(requeriedKey('shop')))?.etag ?? null,
  )
  assert.equal((await collectEach(1, objects, {}, 5)).asked.length, 5)
})

test('what was asked is forgotten once nobody asks it any more, and who is second adds nothing', async () => {
  const objects = await freshStore()
  const nothing = await readRequeried('shop', objects)
  await writeRequeried('shop', nothing, [toldWindow(0), toldWindow(2)], 0, objects)
  await writeRequeried('shop', nothing, [toldWindow(1)], 0, objects)
  assert.equal((await readRequeried('shop', objects)).windows.size, 2)
  const since = toSeconds(toldWindow(2).end)
  await writeRequeried('shop', await readRequeried('shop', objects), [toldWindow(3)], since, objects)
  assert.equal((await readRequeried('shop', objects)).windows.size, 2)
})

test('a person who collects by hand asks again, too, also where nothing else is due', async () => {
  const objects = await freshStore()
  await collectEach(3, objects, { lateMinutes: 8 })
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  const now = () => new Date(toldTime(2).getTime() + 20 * 60_000)
  const { access } = lateCluster(now, { lateMinutes: 8 })
  const collected = await collectWindows(cluster, [], { collector, now, isReplay: true }, { objects, access })
  assert.deepEqual(
    collected.again.map(({ key, snapshot }) => [key, snapshot.complete, snapshot.metrics.answers]),
    [1, 2].map((index) => [keyOf(index, 2), true, []]),
  )
  assert.deepEqual(await statesAt(2, objects), ['no-mesh-tls 8080'])
})

test('the log takes other attempts as it takes any, and what is derived of them is what a rebuild makes', async () => {
  const objects = await freshStore()
  await collectEach(5, objects, { lateMinutes: 8 })
  const signer = newSigner()
  const { leaves } = await seal({ now: toldTime(4) }, { objects, signer })
  assert.deepEqual([leaves.snapshot, leaves.gap], [8, undefined])
  assert.equal((await seal({ now: toldTime(5) }, { objects, signer })).leaves.heartbeat, 1)
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  const deps = { objects, assess: assessWindow }
  assert.deepEqual(await checkDerivedObjects(cluster, deps), [])
  const before = await readHistory('shop', objects)
  await rebuildCluster(cluster, deps)
  assert.deepEqual(await readHistory('shop', objects), before)
})

test('asking again costs an attempt read, a look at the state and what was asked, and one write', async (context) => {
  const requests: StoreRequest[] = []
  const objects = await freshStore(requests)
  await collectEach(5, objects)
  requests.length = 0
  await collectEach(1, objects, {}, 5)
  const text = requests.map(({ member, key }) => `${member} ${key}`)
  context.diagnostic(text.join(', '))
  const own = text.filter((one) => one.includes('_asked') || one.endsWith(keyOf(3, 1)))
  assert.deepEqual(own, [`get ${requeriedKey('shop')}`, `get ${keyOf(3, 1)}`, `putIf ${requeriedKey('shop')}`])
})

test('an agent asks each window again in the run whose window ended as the time for that came, by its attempts alone', async () => {
  const objects = memoryObjects()
  const run = async (index: number, lateMinutes = 8) => {
    const now = () => toldTime(index)
    const { access, asked } = lateCluster(now, { lateMinutes })
    const cluster = newRegistration({ id: 'shop', windowMinutes: 5 }, toldTime(0))
    const keys: string[] = []
    for await (const { key } of collectAsAgent(cluster, { collector, now, isReplay: true }, { objects, access }))
      keys.push(key)
    return { keys, asked }
  }
  await run(0)
  await run(1)
  assert.deepEqual((await run(2)).keys, [keyOf(2, 1), keyOf(0, 2)])
  assert.deepEqual((await run(2)).asked, [], 'the same run again')
  // A run that did not come is made good by the next.
  assert.deepEqual((await run(4)).keys, [keyOf(4, 1), keyOf(3, 1), keyOf(1, 2), keyOf(2, 2)])
  const { keys, asked } = await run(5)
  assert.deepEqual(
    [keys, asked],
    [
      [keyOf(5, 1), keyOf(3, 2)],
      [30, 20],
    ],
  )
  // Nothing of this one is late any more, and what is the same is not stored.
  assert.deepEqual(await run(6, 0), { keys: [keyOf(6, 1), keyOf(4, 2)], asked: [35, 25] })
  assert.deepEqual(await run(8, 0), { keys: [keyOf(8, 1), keyOf(7, 1), keyOf(5, 2)], asked: [45, 40, 30, 35] })
  assert.deepEqual(await run(9, 0), { keys: [keyOf(9, 1)], asked: [50, 40] })
})

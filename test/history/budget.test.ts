/** Evidence that holds more than a window may: it costs its own window, once, and no other window and no other cluster. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { compactHistory } from '../../lib/jobs/compact-history.ts'
import { deriveCluster } from '../../lib/history/derive.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey, windowKey } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { freshStore } from '../support/stored/fresh-store.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'

const windowAt = (index: number) => snapshotOf('east', index).window
const hostile = evidenceKey({ window: windowAt(1), cluster: 'east', attempt: 1 })

const BOMBS: readonly (readonly [name: string, body: Uint8Array, line: RegExp])[] = [
  [
    '450 MB of empty lists',
    gzipSync(`[${'[],'.repeat(150_000_000)}[]]`),
    /: it has 450000004 bytes unpacked or more, wanted/,
  ],
  ['ten million brackets', gzipSync('['.repeat(10_000_000)), /: it has 101 levels of JSON or more, wanted/],
  [
    'a snapshot whose answer nests',
    gzipSync(
      JSON.stringify({
        ...snapshotOf('east', 1),
        cadvisor: {
          status: 'complete',
          errors: [],
          answers: [{ name: 'n', query: 'q', time: '1', body: '[['.repeat(99) }],
        },
      }),
    ),
    /: an answer in it has 101 levels of JSON or more, wanted at most 100; if that is right, raise "depth" in CIPH/,
  ],
]

async function resultOf(index: number, cluster: string, objects: Objects): Promise<WindowResult> {
  const stored = await objects.get(windowKey(cluster, windowAt(index)))
  return JSON.parse(Buffer.from(stored?.body ?? []).toString()) as WindowResult
}

for (const [name, body, line] of BOMBS)
  test(`${name} cost their own window, and are not read again`, async (context) => {
    const store = await freshStore(context)
    const read: string[] = []
    const objects: Objects = { ...store, get: (key, version) => (read.push(key), store.get(key, version)) }
    for (const id of ['east', 'west'])
      await addCluster({ id, windowMinutes: 5 }, { now: minutesIn(0), by: 't' }, { objects })
    for (const index of [0, 2]) await writeAttempt(snapshotOf('east', index), { objects })
    for (const index of [0, 1, 2]) await writeAttempt(snapshotOf('west', index), { objects })
    await objects.putOnce(hostile, body)
    const [east, west] = await readClusters({ objects })
    assert.ok(east !== undefined && west !== undefined)

    const now = minutesIn(20)
    const derived = await deriveCluster(east, { objects, assess: assessWindow, now })
    assert.equal(derived.errors.length, 1)
    assert.match(derived.errors[0] ?? '', line)
    assert.ok(derived.errors[0]?.includes(hostile))
    const results = [0, 1, 2].map((index) => resultOf(index, 'east', objects))
    assert.deepEqual(
      (await Promise.all(results)).map(({ collected }) => collected),
      [true, false, true],
    )
    assert.match((await resultOf(1, 'east', objects)).errors.join('\n'), line)

    assert.deepEqual((await compactHistory(west, now, { objects })).errors, [])
    assert.equal((await resultOf(1, 'west', objects)).collected, true)

    // It is known by now, for whoever derives next: an attempt that comes later does not have it read again.
    read.length = 0
    await writeAttempt(snapshotOf('east', 3), { objects })
    assert.deepEqual((await compactHistory(east, minutesIn(30), { objects })).errors, [])
    assert.ok(!read.includes(hostile))
    // A later attempt at that window stands.
    await writeAttempt(snapshotOf('east', 1), { objects })
    await compactHistory(east, minutesIn(30), { objects })
    assert.equal((await resultOf(1, 'east', objects)).collected, true)
  })

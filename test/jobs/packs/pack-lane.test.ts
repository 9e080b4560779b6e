import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeptOutcome } from '../../../lib/jobs/packs/make-kept-pack.ts'
import { createPackLane } from '../../../lib/jobs/packs/pack-lane.ts'
import { readPackState, recordAsked, recordFailed, recordMade } from '../../../lib/pack/pack-state.ts'
import { packKey } from '../../../lib/store/report-keys.ts'
import { toTime } from '../../../lib/time/windows.ts'
import { type Objects, StoreError } from '../../../lib/store/objects/objects.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillReported, VERSION } from '../../support/stored/packed-report.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'

const filled = new Map<string, Uint8Array>()
const report = await fillReported(memoryObjects(filled), newSigner())
const LATER = minutesIn(500)

/** A lane, what became of its packs, and what failed. */
function laneOf(objects: Objects, signal = new AbortController().signal) {
  const ended: (readonly [level: string, report: string, outcome: KeptOutcome['outcome']])[] = []
  const failures: unknown[] = []
  let under = Promise.resolve()
  const lane = createPackLane(VERSION, {
    objects,
    now: () => LATER,
    signal,
    begin: (work) => (under = work().catch((error: unknown) => void failures.push(error))),
    onEnd: (level, key, { outcome }) => ended.push([level, key, outcome]),
  })
  return { lane, ended, failures, idle: () => under.then(() => new Promise(setImmediate)) }
}

test('a pack that was asked for is made, also after a restart, and one that cannot be made is told', async () => {
  const objects = memoryObjects(new Map(filled))
  await recordAsked(report, LATER, objects)
  const { lane, ended, idle } = laneOf(objects)
  lane.look()
  await idle()
  const none = 'reports/20261124T122000Z-0123456789abcdef.json'
  lane.add(none)
  await idle()
  lane.look()
  await idle()
  assert.deepEqual(ended, [
    ['info', report, 'made'],
    ['warn', none, 'failed'],
  ])
})

test('a store that fails keeps a pack waiting for the next look', async () => {
  const objects = memoryObjects(new Map(filled))
  let isAway = true
  const failing: Objects = {
    ...objects,
    async get(key, version) {
      if (isAway && key.startsWith('log/')) throw new StoreError('Cannot read the store: it is away')
      return objects.get(key, version)
    },
  }
  const { lane, ended, failures, idle } = laneOf(failing)
  lane.add(report)
  await idle()
  assert.deepEqual([ended, failures.length], [[], 1])
  isAway = false
  lane.look()
  await idle()
  assert.deepEqual(ended, [['info', report, 'made']])
})

test('a lane that is stopped ends the pack under way, and leaves it to the next start', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  await recordAsked(report, LATER, objects)
  const stop = new AbortController()
  const stopping: Objects = {
    ...objects,
    async get(key, version) {
      if (key.startsWith('evidence/')) stop.abort()
      return objects.get(key, version)
    },
  }
  const { lane, ended, failures, idle } = laneOf(stopping, stop.signal)
  lane.look()
  await idle()
  assert.deepEqual([ended, failures, (await readPackState(report, objects)).status], [[], [], 'asked'])
  lane.add(report)
  await idle()
  const next = laneOf(objects)
  next.lane.look()
  await next.idle()
  assert.deepEqual(next.ended, [['info', report, 'made']])
})

test('a pack that fails each time, and a state that cannot be read, keep no other from being made', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  const bad = 'reports/20261124T121000Z-0123456789abcdef.json'
  await recordAsked(bad, LATER, objects)
  await recordAsked(report, LATER, objects)
  held.set(packKey(bad, 'outcome.json'), Buffer.from('no JSON'))
  const { lane, ended, idle } = laneOf(objects)
  lane.look()
  await idle()
  assert.deepEqual(ended, [['info', report, 'made']])
  const again = laneOf({
    ...objects,
    async get(key, version) {
      if (key.startsWith(`packs/${bad.slice('reports/'.length, -'.json'.length)}`))
        throw new StoreError('Cannot read it')
      return objects.get(key, version)
    },
  })
  again.lane.add(bad)
  await again.idle()
  again.lane.add(report)
  await again.idle()
  assert.deepEqual(again.ended, [['info', report, 'made']])
  assert.ok(again.failures.length > 0)
})

test('a pack that was made and removed waits once it is asked for again, and is told where it fails', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  await recordMade(
    report,
    { at: toTime(LATER.getTime() / 1000), size: 1, sha256: 'a'.repeat(64), version: null },
    objects,
  )
  assert.equal((await readPackState(report, objects)).status, 'made')
  const later = new Date(LATER.getTime() + 60_000)
  await recordAsked(report, later, objects)
  assert.equal((await readPackState(report, objects)).status, 'made', 'whatever a clock says')
  await recordAsked(report, later, objects, toTime(LATER.getTime() / 1000))
  assert.equal((await readPackState(report, objects)).status, 'asked')
  await recordFailed(report, 'Cannot make it', new Date(later.getTime() + 1000), objects)
  assert.equal((await readPackState(report, objects)).status, 'failed')
})

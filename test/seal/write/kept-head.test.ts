import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCheckpoint } from '../../../lib/seal/tlog/checkpoint.ts'
import { verifierOf } from '../../../lib/seal/tlog/note.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { headKey, headPrefix } from '../../../lib/store/log-keys.ts'
import { reportKey } from '../../../lib/store/report-keys.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'

const signer = newSigner()
const report = reportKey('2026-11-24T13:00:00Z', 'a'.repeat(64))

test('seal keeps the first head that covers a report, and no other', async () => {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  await seal({ now: minutesIn(0) }, { objects, signer })
  await objects.putOnce(report, Buffer.from('{}'))
  const { size } = await seal({ now: minutesIn(60) }, { objects, signer })
  const kept = held.get('log/checkpoint') ?? assert.fail()
  await seal({ now: minutesIn(120) }, { objects, signer })
  assert.deepEqual(
    [...held.keys()].filter((key) => key.startsWith(headPrefix)),
    [headKey(size)],
  )
  assert.deepEqual(held.get(headKey(size)), kept)
  assert.equal(openCheckpoint(kept, verifierOf(signer.vkey)).size, size)
})

test('something that somebody put in the place of a head stops no run', async () => {
  const objects = memoryObjects(new Map([[headKey(1), Buffer.from('not a head')]]))
  await objects.putOnce(report, Buffer.from('{}'))
  const { size } = await seal({ now: minutesIn(0) }, { objects, signer })
  assert.equal(size, 1)
})

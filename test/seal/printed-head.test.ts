import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoteError } from '../../lib/seal/tlog/note.ts'
import { readPrintedHead } from '../../lib/seal/printed-head.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { StoreError } from '../../lib/store/objects/objects.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'

const signer = newSigner()

/** A store of attempts at so many windows, and their keys. */
async function storeOf(windows: number): Promise<{ held: Map<string, Uint8Array>; objects: Objects; keys: string[] }> {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const keys: string[] = []
  for (let index = 0; index < windows; index++) keys.push(await writeAttempt(snapshotOf('east', index), { objects }))
  return { held, objects, keys }
}

test('readPrintedHead() is null where nothing was ever sealed', async () => {
  const { objects, keys } = await storeOf(2)
  assert.equal(await readPrintedHead(keys, objects), null)
})

test('readPrintedHead() gives the checkpoint as it was signed, and counts the attempts that it does not cover', async () => {
  const { held, objects, keys } = await storeOf(3)
  await seal({ now: minutesIn(20), everything: true }, { objects, signer })
  const head = await readPrintedHead(keys, objects)
  assert.equal(head?.text, Buffer.from(held.get('log/checkpoint') ?? []).toString())
  assert.deepEqual(
    [head?.origin, head?.size, head?.vkey, head?.attempts, head?.unsealed],
    ['example.com/log', 3, signer.vkey, 3, 0],
  )
  assert.equal(head?.text.split('\n')[2], head?.root)
  const later = await writeAttempt(snapshotOf('east', 4), { objects })
  const all = await readPrintedHead([later, ...keys], objects)
  assert.deepEqual([all?.attempts, all?.unsealed], [4, 1])
  assert.deepEqual((await readPrintedHead([later], objects))?.unsealed, 1)
  assert.deepEqual((await readPrintedHead([], objects))?.attempts, 0)
})

test('an attempt that a run indexed before it died, without a new checkpoint, is not covered', async () => {
  const { objects, keys } = await storeOf(2)
  await seal({ now: minutesIn(12), everything: true }, { objects, signer })
  const later = await writeAttempt(snapshotOf('east', 2), { objects })
  const dying: Objects = {
    ...objects,
    putIf: (key, ...rest) =>
      key === 'log/checkpoint'
        ? Promise.reject(new StoreError('Cannot write: the disk is full'))
        : objects.putIf(key, ...rest),
  }
  await assert.rejects(seal({ now: minutesIn(17), everything: true }, { objects: dying, signer }), StoreError)
  assert.notEqual(await objects.get(`log/index/${later}`), undefined)
  const head = await readPrintedHead([...keys, later], objects)
  assert.deepEqual([head?.size, head?.unsealed], [2, 1])
  await seal({ now: minutesIn(18), everything: true }, { objects, signer })
  assert.equal((await readPrintedHead([...keys, later], objects))?.unsealed, 0)
})

test('a checkpoint that the key of the store did not sign is printed by nobody', async () => {
  const { held, objects, keys } = await storeOf(1)
  await seal({ now: minutesIn(12), everything: true }, { objects, signer })
  held.set('log/vkey', Buffer.from(`${newSigner().vkey}\n`))
  await assert.rejects(readPrintedHead(keys, objects), NoteError)
})

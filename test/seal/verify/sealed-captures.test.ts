import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { checkStore } from '../../../lib/seal/verify/check-store.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { packetsKey } from '../../../lib/store/keys.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillStore, minutesIn } from '../../support/stored/sealed-store.ts'

test('a capture of packets is sealed once, beside all other evidence, and is named where it is changed, removed or nobody’s', async () => {
  const signer = newSigner()
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  await fillStore(objects, signer)
  const key = packetsKey('east', '2026-11-24T12:01:00Z', 'ab'.repeat(32))
  await objects.putOnce(key, Buffer.from('{}'))
  const check = async (with_: (store: Map<string, Uint8Array>) => void = () => undefined) => {
    const copy = new Map(held)
    with_(copy)
    const { findings, unsealed } = await checkStore(
      { vkey: signer.vkey },
      { objects: memoryObjects(copy), assess: assessWindow },
    )
    return { findings: findings.kept.map((one) => `${one.key}: ${one.problem}`), unsealed: unsealed.kept.length }
  }
  assert.equal((await check()).unsealed, 1)

  const sealAgain = async (everything: boolean) =>
    (await seal({ now: minutesIn(200), everything }, { objects, signer })).leaves.packets ?? 0
  assert.deepEqual([await sealAgain(false), await sealAgain(false), await sealAgain(true)], [1, 0, 0])
  assert.deepEqual(await check(), { findings: [], unsealed: 0 })

  const changed = await check((store) => store.set(key, Buffer.from('[]')))
  assert.deepEqual(
    changed.findings.map((line) => line.startsWith(`${key}: its bytes are not those that were sealed`)),
    [true],
  )
  const removed = await check((store) => store.delete(key))
  assert.deepEqual(
    removed.findings.map((line) => line.startsWith(`${key}: it is missing`)),
    [true],
  )
  for (const other of [key.replace('/east/', '/nowhere/'), 'evidence/packets/east/notes.json']) {
    const { findings } = await check((store) => store.set(other, Buffer.from('{}')))
    assert.deepEqual([findings.length, findings[0]?.startsWith(`${other}: `)], [1, true], other)
  }
})

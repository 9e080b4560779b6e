import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { claimOf, encodeBatch, isClaimed, leafEntry } from '../../../lib/seal/write/batch.ts'
import { verifierOf, signNote } from '../../../lib/seal/tlog/note.ts'
import { newSigner } from '../../support/stored/memory-log.ts'

const heartbeat = (minute: number) =>
  leafEntry({
    kind: 'heartbeat',
    time: new Date(Date.UTC(2026, 10, 24, 12, minute)).toISOString().replace('.000Z', 'Z'),
  })

const rootOf = (text: string) => hash('sha256', text, 'buffer')
const PLACE = { size: 7, root: rootOf('seven') }
const LEAVES = [heartbeat(0), heartbeat(1)]
const signer = newSigner()
const verifier = verifierOf(signer.vkey)

test('isClaimed() is so of the leaves that the log claimed for that place, and of nothing else', async () => {
  const claim = await claimOf(LEAVES, PLACE, signer)
  const bytes = encodeBatch(LEAVES, claim)
  assert.equal(isClaimed(bytes, PLACE, verifier), true)
  assert.equal(isClaimed(bytes, { size: 7 }, verifier), true)
  assert.equal(isClaimed(bytes, { ...PLACE, size: 8 }, verifier), false)
  assert.equal(isClaimed(bytes, { ...PLACE, root: rootOf('another seven') }, verifier), false)
  assert.equal(isClaimed(bytes, PLACE, verifierOf(newSigner().vkey)), false)
  assert.equal(isClaimed(encodeBatch([heartbeat(0), heartbeat(2)], claim), PLACE, verifier), false)
  assert.equal(isClaimed(encodeBatch(LEAVES), PLACE, verifier), false)
})

test('isClaimed() is not so of a note of the log that is no claim, whatever it says', async () => {
  for (const text of ['ciphertrail batch\n', 'ciphertrail batch\n7\n', 'ciphertrail batch\n7\nno root\nno hash\n']) {
    const bytes = encodeBatch(LEAVES, await signNote(text, signer))
    for (const place of [PLACE, { size: 7 }]) assert.equal(isClaimed(bytes, place, verifier), false, text)
  }
})

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { LogError } from '../../../lib/seal/write/head.ts'
import { fileLastHead } from '../../../lib/seal/write/last-head.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { checkpointKey } from '../../../lib/store/log-keys.ts'
import { checkSigned, newSigner, readLog } from '../../support/stored/memory-log.ts'
import { type Gate, memoryObjects } from '../../support/stored/memory-objects.ts'
import { verifierOf } from '../../../lib/seal/tlog/note.ts'
import { errorText, textWith } from '../../support/texts/matches-text.ts'

const at = (hour: number) => new Date(Date.UTC(2026, 10, 24, hour))

/** A store in memory, and a key that remembers in a file. */
function world(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-head-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.key.head')
  const held = new Map<string, Uint8Array>()
  const signer = newSigner()
  const last = fileLastHead(file, '/store')
  const run = (hour: number, gate?: Gate) =>
    seal({ now: at(hour) }, { objects: memoryObjects(held, gate), signer, last })
  const put = (name: string) => held.set(`reports/${name}`, Buffer.from(name))
  const back = (before: ReadonlyMap<string, Uint8Array>) => {
    held.clear()
    for (const [key, body] of before) held.set(key, body)
  }
  return { folder, file, held, signer, last, run, put, back }
}

const isRefused = (error: unknown): boolean => {
  assert.ok(error instanceof LogError)
  assert.match(
    error.message,
    /^Cannot extend the log: when it was last sealed it had \d+ leaves and root .+, and .+; it was put back to an earlier state or exchanged, put back what it held$/,
  )
  return true
}

test('seal() does not go on with a store that was put back to an earlier state, and signs nothing for it', async (t) => {
  const { held, signer, run, put, back } = world(t)
  put('a')
  await run(12)
  const before = new Map(held)
  put('b')
  await run(13)
  const whole = new Map(held)
  const signed = signer.signed.length
  for (const spoil of [() => undefined, () => put('c'), () => held.delete(checkpointKey), () => held.clear()]) {
    back(before)
    spoil()
    await assert.rejects(run(14), isRefused)
    assert.equal(signer.signed.length, signed)
  }
  back(whole)
  put('c')
  await run(15)
  assert.equal(readLog(held, signer.vkey).length, 3)
  checkSigned(signer.signed, held, verifierOf(signer.vkey))
})

test('seal() finishes what a run left that died between remembering its head and publishing it', async (t) => {
  const { held, signer, last, run, put } = world(t)
  put('a')
  await run(12)
  put('b')
  const gate: Gate = (request, effect) => {
    if (request.member === 'putIf' && request.key === checkpointKey) throw new Error('power cut')
    return Promise.resolve().then(effect)
  }
  await assert.rejects(run(13, gate), /power cut/)
  assert.equal((await last.read())?.size, 2)
  await run(14)
  const leaves = readLog(held, signer.vkey)
  assert.deepEqual(
    leaves.slice(0, 2).map(({ key }) => key),
    ['reports/a', 'reports/b'],
  )
  checkSigned(signer.signed, held, verifierOf(signer.vkey))
})

test('seal() goes on with a log that somebody with the key sealed elsewhere, and not with another one of that length', async (t) => {
  const { held, signer, run, put, back } = world(t)
  put('a')
  await run(12)
  const before = new Map(held)
  const elsewhere = (hour: number) => seal({ now: at(hour) }, { objects: memoryObjects(held), signer })
  for (let hour = 13; hour < 20; hour++) await elsewhere(hour)
  await run(20)
  assert.equal(readLog(held, signer.vkey).length, 9)
  back(before)
  held.delete('reports/a')
  for (const key of held.keys()) if (key.startsWith('log/') && key !== 'log/vkey') held.delete(key)
  for (let hour = 0; hour < 12; hour++) await elsewhere(hour)
  await assert.rejects(run(21), isRefused)
})

test('what is remembered is a file of its owner, of mode 0600, for each store, and anything else in it is one line', async (t) => {
  const { file, run, put, last } = world(t)
  put('a')
  await run(12)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal((await fileLastHead(file, '/another').read())?.size, undefined)
  await assert.rejects(last.write({ size: 1, root: Buffer.alloc(32) }), isRefused)
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, '?')
  await assert.rejects(run(13), errorText({ message: textWith({ file }) }))
  writeFileSync(file, text)
  chmodSync(file, 0o644)
  await assert.rejects(run(13), errorText())
})

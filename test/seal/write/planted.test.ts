import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { checkStore } from '../../../lib/seal/verify/check-store.ts'
import { type Leaf, parseLeaf } from '../../../lib/seal/leaf.ts'
import { readEntries, treeOfEntries } from '../../../lib/seal/read-entries.ts'
import { rootOf } from '../../../lib/seal/tlog/merkle.ts'
import { verifierOf } from '../../../lib/seal/tlog/note.ts'
import { readHead } from '../../../lib/seal/write/head.ts'
import { encodeBatch, leafEntry } from '../../../lib/seal/write/batch.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { changeKey, evidenceKey } from '../../../lib/store/keys.ts'
import { batchKey, gapName, indexKey } from '../../../lib/store/log-keys.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { type Gate, memoryObjects } from '../../support/stored/memory-objects.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** What somebody does who may write objects and has no key: numbers in the index, so that `seal` takes for sealed what is not. */

const windowOf = (hour: number) => ({
  start: `2026-11-24T${String(hour).padStart(2, '0')}:00:00Z`,
  end: `2026-11-24T${String(hour + 1).padStart(2, '0')}:00:00Z`,
})
const attempt = (hour: number, number = 1) => evidenceKey({ window: windowOf(hour), cluster: 'shop', attempt: number })
const at = (time: string) => new Date(`2026-11-24T${time}Z`)

/** A log of an attempt at noon, sealed at 13:30, and another one that is not sealed yet. */
async function sealedStore() {
  const held = new Map<string, Uint8Array>()
  const reads: string[] = []
  const gate: Gate = async ({ member, key }, effect) => {
    if (member === 'get') reads.push(key)
    return effect()
  }
  const objects = memoryObjects(held, gate)
  const signer = newSigner()
  await addCluster({ id: 'shop' }, { now: at('12:00:00'), by: 'tester' }, { objects })
  await objects.putOnce(attempt(12), Buffer.from('noon'))
  const run = (now: Date) => seal({ now }, { objects, signer })
  const { size } = await run(at('13:30:00'))
  await objects.putOnce(attempt(13), Buffer.from('one'))
  /** What the log's entries name, whatever its index says. */
  const named = async (from = 0): Promise<(string | undefined)[][]> => {
    const { root, size: end } = await head()
    const { tree } = await treeOfEntries(end, [], objects)
    assert.deepEqual(rootOf(tree), root)
    const leaves: Leaf[] = []
    for await (const { entries } of readEntries(end, objects)) leaves.push(...entries.map(parseLeaf))
    return leaves.slice(from).map((leaf) => [leaf.kind, 'key' in leaf ? leaf.key : undefined])
  }
  const head = () => readHead(objects, verifierOf(signer.vkey))
  return { held, objects, signer, run, size, named, reads }
}

for (const number of ['0', '1', '2', '7', '9999999', '-1', 'x', ''])
  test(`seal() seals evidence whose number in the index, "${number}", no leaf bears out, tells it, and does so once`, async () => {
    const { held, objects, signer, run, size, named } = await sealedStore()
    assert.equal(size, 2)
    const key = indexKey(attempt(13))
    held.set(key, Buffer.from(number))
    const { errors } = await run(at('14:30:00'))
    assert.deepEqual(errors, [
      `Sealed what "${key}" hid: the number there is of no leaf that names it; find out who wrote it, and move it away`,
    ])
    assert.deepEqual(await named(size), [['snapshot', attempt(13)]])
    assert.deepEqual((await run(at('15:30:00'))).errors, [])
    assert.equal((await named()).filter(([, name]) => name === attempt(13)).length, 1)
    // The number stays wrong, unless it happens to be the right one.
    const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow, now: at('15:31:00') })
    assert.equal(
      findings.kept.some((finding) => finding.key === key),
      number !== '2',
    )
  })

test('seal() seals a gap and a change that a number hides, and tells of many in one line', async () => {
  const { held, objects, run, size, named } = await sealedStore()
  // The window from 14:00 to 15:00 is lost at 21:00.
  held.set(indexKey(gapName(windowOf(14), 'shop')), Buffer.from('0'))
  held.set(indexKey(attempt(13)), Buffer.from('0'))
  held.set(indexKey(changeKey('waivers', 1)), Buffer.from('1'))
  await objects.putOnce(changeKey('waivers', 1), Buffer.from('{}'))
  const { errors } = await run(at('21:30:00'))
  matchesText(errors.join('\n'))
  assert.deepEqual(new Set((await named(size)).map(([kind]) => kind)), new Set(['gap', 'snapshot', 'waiver-change']))
  assert.deepEqual((await run(at('21:40:00'))).errors, [])
})

test('seal() reads a few bundles of entries for that, and no number of what the log has', async () => {
  const { run, reads } = await sealedStore()
  await run(at('14:30:00'))
  reads.length = 0
  await run(at('14:40:00'))
  assert.deepEqual(
    reads.filter((key) => key.startsWith('log/index/evidence/')),
    [],
  )
  assert.ok(reads.filter((key) => key.startsWith('log/tile/entries/')).length <= 3, reads.join('\n'))
})

test('seal() tells in a few lines of hundreds of batches that others wrote', async () => {
  const { held, run, size, named } = await sealedStore()
  const body = encodeBatch([leafEntry({ kind: 'heartbeat', time: '2020-01-01T00:00:00Z' })])
  for (let place = 1; place <= 900; place++) held.set(batchKey(size, place), body)
  const { errors } = await run(at('14:30:00'))
  assert.equal(errors.length, 11)
  matchesText(errors.at(-1))
  assert.deepEqual(await named(size), [['snapshot', attempt(13)]])
})

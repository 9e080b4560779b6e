import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { encodeBatch, leafEntry } from '../../../lib/seal/write/batch.ts'
import { checkStore } from '../../../lib/seal/verify/check-store.ts'
import type { Leaf } from '../../../lib/seal/leaf.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { batchKey } from '../../../lib/store/log-keys.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { newSigner, readLog } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { errorText, matchesText, TEXT, textWith } from '../../support/texts/matches-text.ts'

/** What somebody does who may write objects and has no key: a batch where the next one belongs, for the next run to sign. */

const windowOf = (hour: number) => ({
  start: `2026-11-24T${String(hour).padStart(2, '0')}:00:00Z`,
  end: `2026-11-24T${String(hour + 1).padStart(2, '0')}:00:00Z`,
})
const attempt = (hour: number) => evidenceKey({ window: windowOf(hour), cluster: 'shop', attempt: 1 })
const at = (time: string) => new Date(`2026-11-24T${time}Z`)

const leafOf = (key: string, text: string) => ({
  key,
  sha256: createHash('sha256').update(text).digest('hex'),
  size: Buffer.byteLength(text),
})
const snapshot = (hour: number, text = 'false'): Leaf => ({
  kind: 'snapshot',
  cluster: 'shop',
  window: windowOf(hour),
  ...leafOf(attempt(hour), text),
})
const gap = (hour: number, cluster = 'shop'): Leaf => ({
  kind: 'gap',
  cluster,
  window: windowOf(hour),
  reason: 'no-attempt',
})
const heartbeat = (time: string): Leaf => ({ kind: 'heartbeat', time })

/** A log of one attempt at noon, sealed at 13:30, and another attempt that is not sealed yet. */
async function sealedStore() {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const signer = newSigner()
  await addCluster({ id: 'shop' }, { now: at('12:00:00'), by: 'tester' }, { objects })
  await objects.putOnce(attempt(12), Buffer.from('noon'))
  const run = (now: Date) => seal({ now }, { objects, signer })
  const { size } = await run(at('13:30:00'))
  await objects.putOnce(attempt(13), Buffer.from('one'))
  return { held, objects, signer, run, size, leaves: () => readLog(held, signer.vkey) }
}

const HOSTILE: Readonly<Record<string, readonly Leaf[]>> = {
  'a heartbeat of another day': [heartbeat('2020-01-01T00:00:00Z')],
  'a heartbeat of a time to come': [heartbeat('2026-11-24T23:00:00Z')],
  'a gap for a window that was collected': [gap(13)],
  'a gap for a window that can still be collected': [gap(14)],
  'a gap of a cluster that nobody registered': [gap(12, 'farm')],
  'a gap for no other reason than being called lost': [{ ...gap(12), reason: 'operator-asleep' } as Leaf],
  'a false hash for evidence that is there': [snapshot(13)],
  'a hash for evidence that nobody collected yet': [snapshot(14)],
  'evidence that is sealed already': [snapshot(12, 'noon')],
  'evidence twice': [snapshot(13, 'one'), snapshot(13, 'one')],
  'a change of the registry that nobody made': [
    { kind: 'registry-change', ...leafOf('changes/clusters/000009.json', 'x') },
  ],
  'a false leaf among true ones': [snapshot(13, 'one'), heartbeat('2020-01-01T00:00:00Z')],
}

for (const [what, leaves] of Object.entries(HOSTILE))
  test(`seal() puts a batch aside that nobody with the key claimed and that is not what is stored: ${what}`, async () => {
    const { held, run, size, leaves: logged } = await sealedStore()
    const key = batchKey(size)
    held.set(key, encodeBatch(leaves.map(leafEntry)))
    const sealed = await run(at('14:30:00'))
    assert.equal(sealed.errors.length, 1)
    assert.match(
      sealed.errors[0] ?? '',
      new RegExp(`^Put aside "${key}", which the log's key did not claim: .+; find out who wrote it$`),
    )
    assert.deepEqual(
      logged()
        .slice(size)
        .map(({ kind, key: named }) => [kind, named]),
      [['snapshot', attempt(13)]],
    )
    // What is collected later is sealed as it is, and the log goes on.
    held.set(attempt(14), Buffer.from('two'))
    assert.deepEqual(await run(at('15:30:00')).then(({ leaves: more, errors }) => [more, errors]), [
      { snapshot: 1 },
      [],
    ])
    assert.equal(logged().length, size + 2)
  })

test('seal() puts aside what is no batch at all, and what copies the claim of another place or another log', async () => {
  const { held, run, size, leaves } = await sealedStore()
  const other = await sealedStore()
  await other.run(at('14:30:00'))
  const spoilers = [
    Buffer.from('?'),
    Buffer.alloc(0),
    held.get(batchKey(0)) ?? assert.fail(),
    other.held.get(batchKey(size)) ?? assert.fail(),
  ]
  for (const [place, body] of spoilers.entries()) held.set(batchKey(size, place + 1), body)
  const { errors } = await run(at('14:30:00'))
  // The other log's leaves are what is stored here, too, and are claimed again.
  assert.equal(errors.length, 3)
  assert.equal(leaves().length, size + 1)
  assert.ok(held.has(batchKey(size, spoilers.length + 1)))
})

test('seal() goes on with an unclaimed batch that is what is stored, as a version without claims left it', async () => {
  const { held, run, size, leaves } = await sealedStore()
  held.set(batchKey(size), encodeBatch([leafEntry(snapshot(13, 'one')), leafEntry(heartbeat('2026-11-24T13:40:00Z'))]))
  const { errors } = await run(at('14:30:00'))
  assert.deepEqual(errors, [])
  assert.deepEqual(
    leaves()
      .slice(size)
      .map(({ kind }) => kind),
    ['snapshot', 'heartbeat'],
  )
})

test('seal() finds the end of the log also where somebody wrote batches inside it and after it', async () => {
  const { held, run, size, leaves } = await sealedStore()
  for (const first of [size - 1, size + 1, size + 5]) {
    held.set(batchKey(first), encodeBatch([leafEntry(heartbeat('2020-01-01T00:00:00Z'))]))
    held.set(batchKey(first, 2), Buffer.from('?'))
  }
  for (let hour = 15; hour < 23; hour++) await run(at(`${hour}:00:00`))
  assert.equal(
    leaves().filter(({ kind, ...leaf }) => kind === 'heartbeat' && leaf['time'] !== undefined).length >= 5,
    true,
  )
  assert.ok(leaves().every((leaf) => leaf.kind !== 'heartbeat' || String(leaf['time']).startsWith('2026-11-24')))
})

test('seal() ends in one line where nothing but what others wrote lies where its next batch belongs', async () => {
  const { held, run, size } = await sealedStore()
  for (let place = 1; place <= 1000; place++) held.set(batchKey(size, place), Buffer.from('?'))
  await assert.rejects(run(at('14:30:00')), errorText({ message: textWith({ batchKey: batchKey(size) }) }))
})

test('checkStore() names what was put aside, and a claim that is not the key’s, and finds the log whole beside them', async () => {
  const { held, objects, signer, run, size } = await sealedStore()
  held.set(batchKey(size), encodeBatch([leafEntry(heartbeat('2020-01-01T00:00:00Z'))]))
  await run(at('14:30:00'))
  const check = async () => {
    const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow, now: at('14:31:00') })
    return findings.kept.filter(({ key }) => key?.startsWith('log/') === true).map(({ key, problem }) => [key, problem])
  }
  const aside = [
    batchKey(size),
    `the log's key did not claim it, and "${batchKey(size, 2)}" has its place: somebody else wrote it, or a run of an earlier version died`,
  ]
  assert.deepEqual(await check(), [aside])
  const body = Buffer.from(held.get(batchKey(0)) ?? assert.fail())
  body[body.length - 20] = (body[body.length - 20] ?? 0) ^ 1
  held.set(batchKey(0), body)
  matchesText(await check(), [[batchKey(0), TEXT], aside])
})

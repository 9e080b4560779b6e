import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseHeadKey } from '../../../lib/store/log-keys.ts'
import { leafKind } from '../../../lib/seal/leaf.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { type Verification, verifyStore } from '../../../lib/seal/verify/verify-period.ts'
import { damaged, DAMAGES } from '../../support/stored/damage.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillStore, minutesIn } from '../../support/stored/sealed-store.ts'
import { errorText, matchesText, textWith } from '../../support/texts/matches-text.ts'

const signer = newSigner()
const held = new Map<string, Uint8Array>()
await fillStore(memoryObjects(held), signer)
const sealed = [...held.keys()].filter((key) => /^(evidence|changes|reports)\//.test(key))

const verify = (
  store: ReadonlyMap<string, Uint8Array>,
  input: Parameters<typeof verifyStore>[0] = { vkey: signer.vkey },
): Promise<Verification> => verifyStore(input, { objects: memoryObjects(new Map(store)) })

const linesOf = ({ findings }: Verification): string[] =>
  findings.kept.map(({ key, problem }) => `${key ?? ''}: ${problem}`)

const textOf = (key: string): Buffer => Buffer.from(held.get(key) ?? [])

/** The store after some more runs of seal. */
async function grown(runs: number): Promise<Map<string, Uint8Array>> {
  const store = new Map(held)
  for (let run = 1; run <= runs; run++)
    await seal({ now: minutesIn(40 + run), everything: true }, { objects: memoryObjects(store), signer })
  return store
}

test('verifyStore() counts what the leaves tell, and every object that they name', async () => {
  const verification = await verify(held)
  assert.deepEqual(linesOf(verification), [])
  const { kinds, clusters, objects, heartbeats, unsealed, checkpoint, isWhole } = verification
  assert.deepEqual(kinds, {
    snapshot: 8,
    gap: 7,
    'registry-change': 4,
    'waiver-change': 1,
    report: 1,
    heartbeat: 1,
  })
  const bytes = sealed.reduce((sum, key) => sum + textOf(key).length, 0)
  assert.deepEqual(objects, { asSealed: sealed.length, bytes, changed: 0, missing: 0 })
  assert.deepEqual(
    clusters.map(({ cluster, windows, attempts, gaps, filledLater }) => ({
      cluster,
      windows,
      attempts,
      gaps,
      filledLater,
    })),
    [
      { cluster: 'east', windows: 3, attempts: 4, gaps: { 'no-attempt': 3 }, filledLater: 0 },
      { cluster: 'old', windows: 1, attempts: 1, gaps: {}, filledLater: 0 },
      { cluster: 'west', windows: 3, attempts: 3, gaps: { 'no-attempt': 3 }, filledLater: 1 },
    ],
  )
  assert.deepEqual(heartbeats, { first: '2026-11-24T12:28:00Z', last: '2026-11-24T12:28:00Z' })
  assert.deepEqual(unsealed, { keys: [], total: 0 })
  assert.deepEqual([checkpoint?.size, isWhole], [22, true])
})

test('verifyStore() verifies nothing in which an object that was sealed, an entry or the checkpoint is not as it was', async () => {
  const keys = [...sealed, ...sealed, 'log/checkpoint', 'log/vkey', 'log/tile/entries/000.p/22']
  // An earlier head in the place of the checkpoint is a store that was rolled back: only --since shows that.
  const current = new Map([...held].filter(([key]) => parseHeadKey(key) === undefined))
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...keys),
      fc.constantFrom(...DAMAGES),
      fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
      async (key, damage, numbers) => {
        let next = 0
        const changes = damage.changes(key, current, (below) => (numbers[next++] ?? 0) % below)
        const verification = await verify(damaged(current, changes))
        const touched = [...changes.keys()].filter((one) => held.has(one) && keys.includes(one))
        assert.equal(verification.findings.total > 0, touched.length > 0)
        for (const one of touched)
          if (verification.isWhole) assert.ok(linesOf(verification).some((line) => line.includes(one)))
        const added = [...changes.keys()].filter((one) => !held.has(one) && leafKind(one) !== undefined)
        if (verification.isWhole) assert.deepEqual(verification.unsealed?.keys, added)
      },
    ),
    { numRuns: 400 },
  )
})

test('verifyStore() needs neither tiles nor index nor anything derived', async () => {
  const needed = /^(evidence|changes|reports)\/|^log\/(checkpoint|vkey|tile\/entries\/000\.p\/22)$/
  const store = new Map([...held].filter(([key]) => needed.test(key)))
  assert.deepEqual(linesOf(await verify(store)), [])
  const withFull = damaged(held, new Map([['log/tile/entries/000.p/22', null]]))
  matchesText(linesOf(await verify(withFull)))
})

test('verifyStore() names the bundle whose entries were changed, by the tile of their hashes', async () => {
  const key = 'log/tile/entries/000.p/22'
  const body = textOf(key)
  body[100] = (body[100] ?? 0) ^ 1
  const verification = await verify(damaged(held, new Map([[key, body]])))
  matchesText(linesOf(verification), textWith({ key }))
  assert.deepEqual([verification.isWhole, verification.unsealed, verification.objects.asSealed], [false, null, 0])
})

test('verifyStore() reads a full bundle where the partial one is gone, and no partial one with more entries than it should have', async () => {
  const key = 'log/tile/entries/000.p/22'
  const entry = Buffer.concat([Buffer.of(0, 2), Buffer.from('{}')])
  const full = Buffer.concat([textOf(key), ...Array<Buffer>(256 - 22).fill(entry)])
  const moved = new Map([
    [key, null],
    ['log/tile/entries/000', full],
  ])
  assert.deepEqual(linesOf(await verify(damaged(held, moved))), [])
  const longer = new Map([[key, Buffer.concat([textOf(key), entry])]])
  matchesText(linesOf(await verify(damaged(held, longer)))[0])
})

test('a copy that lacks objects is not verified, and in part where that was said; what is changed never is', async () => {
  const [first = '', second = ''] = sealed
  const store = damaged(held, new Map([[first, null]]))
  const whole = await verify(store)
  matchesText(linesOf(whole), textWith({ first }))
  const part = await verify(store, { vkey: signer.vkey, isPartial: true })
  assert.deepEqual(linesOf(part), [])
  assert.deepEqual([part.objects.missing, part.objects.asSealed], [1, sealed.length - 1])
  const changed = damaged(store, new Map([[second, Buffer.from('other')]]))
  assert.equal((await verify(changed, { vkey: signer.vkey, isPartial: true })).findings.total, 1)
  const onlyLog = damaged(held, new Map(sealed.map((key) => [key, null])))
  matchesText(linesOf(await verify(onlyLog, { vkey: signer.vkey, isPartial: true })))
})

test('with --since a log goes on from what was signed before, or is told to be rolled back, rewritten or of another key', async () => {
  const since = textOf('log/checkpoint')
  const later = await grown(2)
  const goesOn = await verify(later, { vkey: signer.vkey, since })
  assert.deepEqual([linesOf(goesOn), goesOn.since?.size, goesOn.since?.isContinued], [[], 22, true])
  assert.equal((await verify(held, { vkey: signer.vkey, since })).since?.isContinued, true)

  const newest = later.get('log/checkpoint') ?? Buffer.of()
  const rolledBack = await verify(held, { vkey: signer.vkey, since: newest })
  matchesText(linesOf(rolledBack))
  assert.equal(rolledBack.since?.isContinued, false)

  // The same key signs another history: of the same length, and of a longer one.
  for (const runs of [22, 30]) {
    const rewritten = new Map<string, Uint8Array>()
    for (let run = 0; run < runs; run++)
      await seal({ now: minutesIn(run), everything: true }, { objects: memoryObjects(rewritten), signer })
    assert.deepEqual(linesOf(await verify(rewritten, { vkey: signer.vkey, since })), [
      'log/checkpoint: the log was rewritten: its first 22 leaves are not those of the earlier checkpoint, which the same key signed',
    ])
  }
  const other = newSigner()
  const foreign = new Map<string, Uint8Array>()
  await fillStore(memoryObjects(foreign), other)
  matchesText(linesOf(await verify(foreign, { since }))[0])
})

test('without a key the one in the store is taken, and said to come from there', async () => {
  const { key, findings } = await verify(held, {})
  assert.deepEqual([key, findings.total], [{ vkey: signer.vkey, from: 'store' }, 0])
  assert.equal((await verify(held)).key.from, 'given')
  const other = newSigner()
  assert.deepEqual(
    linesOf(await verify(held, { vkey: other.vkey })).map((line) => line.slice(0, 36)),
    ['log/vkey: it is not the key given', 'log/checkpoint: it proves nothing: C'].map((line) => line.slice(0, 36)),
  )
  await assert.rejects(verify(held, { vkey: 'no key' }), errorText({ name: 'NoteError' }))
})

test('a store of which nothing is signed is not verified', async () => {
  const none = await verify(new Map())
  matchesText(linesOf(none))
  assert.deepEqual([none.checkpoint, none.isWhole], [null, false])
  assert.equal((await verify(new Map(), {})).findings.total, 1)
  // Nor does it go on from what was signed before.
  const since = textOf('log/checkpoint')
  assert.equal((await verify(new Map(), { vkey: signer.vkey, since })).since?.isContinued, false)
})

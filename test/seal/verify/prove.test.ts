import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openCheckpoint } from '../../../lib/seal/tlog/checkpoint.ts'
import { LeafError } from '../../../lib/seal/leaf.ts'
import { NoteError, verifierOf } from '../../../lib/seal/tlog/note.ts'
import { parseProof } from '../../../lib/seal/tlog/proof.ts'
import { checkProof, ProveError, proveLeaf } from '../../../lib/seal/verify/prove.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'

const signer = newSigner()
const verifier = verifierOf(signer.vkey)
const held = new Map<string, Uint8Array>()
const objects = memoryObjects(held)

/** Seals so many reports more, and gives the head. */
async function grow(run: number, reports: number) {
  for (let number = 0; number < reports; number++)
    await objects.putOnce(`reports/${run}/${number}`, Buffer.from(`${run} ${number}`))
  await seal({ now: minutesIn(run), everything: true }, { objects, signer })
  return head()
}

function head() {
  const note = held.get('log/checkpoint') ?? Buffer.of()
  return { note, checkpoint: openCheckpoint(note, verifier), verifier }
}

test('proveLeaf() proves every leaf of a log of any size, and checkProof() tells what it proves', async () => {
  for (const [run, reports] of [1, 2, 252, 1, 1, 255, 1, 300].entries()) {
    const { checkpoint, ...rest } = await grow(run, reports)
    const names = [...held.keys()].filter((key) => key.startsWith('reports/'))
    for (const name of names.filter((_, at) => at % 7 === 0 || at > names.length - 5)) {
      const proof = await proveLeaf(name, { checkpoint, ...rest }, objects)
      const proved = checkProof(proof, verifier)
      assert.equal(proved.index, Number(Buffer.from(held.get(`log/index/${name}`) ?? []).toString()))
      assert.ok('key' in proved.leaf && proved.leaf.key === name)
      assert.equal(proved.checkpoint.size, checkpoint.size)
    }
  }
})

test('checkProof() believes no proof of which a byte was changed, cut or added', async () => {
  const proof = await proveLeaf('reports/2/100', head(), objects)
  const change = fc.record({ at: fc.nat(proof.length - 1), bit: fc.nat(7), how: fc.constantFrom('flip', 'cut', 'add') })
  fc.assert(
    fc.property(change, ({ at, bit, how }) => {
      const bytes = Buffer.from(proof)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
      const changed =
        how === 'flip' ? bytes : how === 'cut' ? proof.subarray(0, at) : Buffer.concat([proof, Buffer.of(at % 256)])
      assert.throws(
        () => checkProof(changed, verifier),
        (error) => error instanceof NoteError || error instanceof LeafError,
      )
    }),
    { numRuns: 500 },
  )
  assert.throws(() => checkProof(proof, verifierOf(newSigner().vkey)), NoteError)
  const text = Buffer.from(proof)
    .toString()
    .replace(/^extra .*\n/m, '')
  assert.equal(parseProof(Buffer.from(text)).extra, null)
  assert.throws(() => checkProof(Buffer.from(text), verifier), /does not hold the leaf/)
})

test('proveLeaf() says why there is no proof', async () => {
  const says = (name: string, what: RegExp, at = head()) =>
    assert.rejects(proveLeaf(name, at, objects), (error) => error instanceof ProveError && what.test(error.message))
  const before = head()
  await says('reports/none', /^Cannot prove "reports\/none": it is not sealed, run "ciphertrail seal"$/)
  await grow(100, 1)
  await says('reports/100/0', /no checkpoint covers its leaf yet/, before)
  const { size } = head().checkpoint
  const tile = `log/tile/0/${String(Math.floor(size / 256)).padStart(3, '0')}.p/${size % 256}`
  const kept = held.get(tile) ?? Buffer.of()
  held.delete(tile)
  await says(
    'reports/0/0',
    new RegExp(`the log is damaged \\(Cannot read "${tile}": it is missing\\), run "ciphertrail log check"`),
  )
  held.set(tile, Buffer.alloc(kept.length))
  await says('reports/0/0', /the log is damaged \(Cannot believe the proof: .*\), run "ciphertrail log check"/)
})

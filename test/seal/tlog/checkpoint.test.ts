import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatCheckpoint, openCheckpoint, parseCheckpoint, signCheckpoint } from '../../../lib/seal/tlog/checkpoint.ts'
import { EMPTY_ROOT, leafHash } from '../../../lib/seal/tlog/merkle.ts'
import { formatVkey, NoteError, parseNote, signNote, verifierOf } from '../../../lib/seal/tlog/note.ts'
import { errorText } from '../../support/texts/matches-text.ts'

// The example of C2SP tlog-checkpoint.
const EXAMPLE = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`

function newSigner(name: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  return {
    vkey: formatVkey(name, raw),
    sign: (message: Uint8Array) => Promise.resolve(sign(null, message, privateKey)),
  }
}

const line = fc.stringMatching(/^[!-~]{1,20}$/)

test('parseCheckpoint() reads the example of C2SP tlog-checkpoint', () => {
  const { text } = parseNote(Buffer.from(EXAMPLE))
  const checkpoint = parseCheckpoint(text)
  assert.equal(checkpoint.origin, 'example.com/behind-the-sofa')
  assert.equal(checkpoint.size, 20_852_163)
  assert.equal(Buffer.from(checkpoint.root).toString('base64'), 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=')
  assert.deepEqual(checkpoint.extensions, [])
  assert.equal(formatCheckpoint(checkpoint), text)
})

test('parseCheckpoint() gives back what formatCheckpoint() wrote', () => {
  fc.assert(
    fc.property(
      line,
      fc.maxSafeNat(),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.array(line, { maxLength: 3 }),
      (origin, size, root, extensions) => {
        const parsed = parseCheckpoint(formatCheckpoint({ origin, size, root, extensions }))
        assert.deepEqual({ ...parsed, root: Uint8Array.from(parsed.root) }, { origin, size, root, extensions })
      },
    ),
  )
})

test('parseCheckpoint() refuses what says less, or says it in another way', () => {
  const root = Buffer.from(EMPTY_ROOT).toString('base64')
  for (const text of [
    '',
    '\n',
    `log\n0\n`,
    `log\n0\n${root}`,
    `\n0\n${root}\n`,
    `log\n00\n${root}\n`,
    `log\n-1\n${root}\n`,
    `log\n1.0\n${root}\n`,
    `log\n1e3\n${root}\n`,
    `log\n9007199254740992\n${root}\n`,
    `log\n 1\n${root}\n`,
    `log\n1\n${root.slice(4)}\n`,
    `log\n1\n${root.replace('=', '')}\n`,
    `log\n1\n${root}\n\nextension\n`,
  ])
    assert.throws(() => parseCheckpoint(text), NoteError, JSON.stringify(text))
})

test('openCheckpoint() believes the log that signed, and no other', async () => {
  const signer = newSigner('example.com/log')
  const head = { size: 7, root: leafHash(Buffer.from('x')) }
  const note = await signCheckpoint(head, signer)
  const { origin, size, root } = openCheckpoint(note, verifierOf(signer.vkey))
  assert.deepEqual({ origin, size, root }, { origin: 'example.com/log', ...head })
  assert.throws(() => openCheckpoint(note, verifierOf(newSigner('example.com/log').vkey)), /not signed by/)
  const foreign = await signNote(formatCheckpoint({ ...head, origin: 'example.com/other', extensions: [] }), signer)
  assert.throws(() => openCheckpoint(foreign, verifierOf(signer.vkey)), errorText())
})

import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatNote,
  formatVkey,
  isKeyName,
  NoteError,
  openNote,
  parseNote,
  parseVkey,
  signNote,
  verifierOf,
} from '../../../lib/seal/tlog/note.ts'

// The key and note that C2SP signed-note gives as its example, and those of golang.org/x/mod/sumdb/note's tests.
const FOO = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const FOO_NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const PETER_LINE =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
const ENOCH = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
const ENOCH_LINE =
  '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n'
const TEXT =
  'If you think cryptography is the answer to your problem,\n' + "then you don't know what your problem is.\n"
const C2SP_POEM = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`

const open = (note: string, ...vkeys: string[]) => openNote(Buffer.from(note), vkeys.map(verifierOf))
const isNoteError = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof NoteError)
  assert.match(error.message, pattern)
  assert.doesNotMatch(error.message, /\n/)
  return true
}

/** A key of this test, by the name that it signs under. */
function newSigner(name: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  return {
    vkey: formatVkey(name, raw),
    sign: (message: Uint8Array) => Promise.resolve(sign(null, message, privateKey)),
  }
}

const names = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 12 })
  .map((text) => text.replaceAll(/[\p{White_Space}+\p{Cc}]/gu, '-'))
  .filter(isKeyName)
const texts = fc
  .array(fc.string({ unit: 'binary', maxLength: 20 }), { minLength: 1, maxLength: 4 })
  // oxlint-disable-next-line no-control-regex -- what a note may not hold
  .map((lines) => lines.map((line) => `${line.replaceAll(/[\u0000-\u001F]/g, '.')}\n`).join(''))

test("openNote() opens the example of C2SP signed-note and those of Go's note package", () => {
  assert.equal(open(FOO_NOTE, FOO).text, 'This is an example message.\n')
  const both = `${TEXT}\n${PETER_LINE}${ENOCH_LINE}`
  assert.equal(open(both, PETER).text, TEXT)
  const signers = (note: string, ...vkeys: string[]) => open(note, ...vkeys).signatures.map(({ name }) => name)
  assert.deepEqual(signers(both, PETER), ['PeterNeumann'])
  assert.deepEqual(signers(both, ENOCH), ['EnochRoot'])
  assert.deepEqual(signers(both, ENOCH, PETER), ['PeterNeumann', 'EnochRoot'])
})

test('parseNote() separates text and signatures at the last empty line', () => {
  const { text, signatures } = parseNote(Buffer.from(C2SP_POEM))
  assert.ok(text.endsWith('sole:\n\ned è subito sera.\n'))
  assert.deepEqual(
    signatures.map(({ name, signature }) => [name, signature.length]),
    [['quasimodo.example/salvatore', 64]],
  )
  assert.equal(Buffer.from(formatNote(parseNote(Buffer.from(C2SP_POEM)))).toString(), C2SP_POEM)
})

test('openNote() ignores signatures of other keys, but not a wrong one of a known key', () => {
  assert.throws(() => open(`${TEXT}\n${ENOCH_LINE}`, PETER), isNoteError(/not signed by "PeterNeumann\+c74f20a3"/))
  assert.throws(() => open(`${TEXT}\n${ENOCH_LINE}`), isNoteError(/not signed by a known key/))
  assert.throws(
    () => open(`${TEXT}.\n\n${PETER_LINE}`, PETER),
    isNoteError(/the signature of "PeterNeumann\+c74f20a3" is wrong/),
  )
  const misnamed = PETER_LINE.replace('PeterNeumann', 'CarmenSandiego')
  assert.throws(() => open(`${TEXT}\n${misnamed}`, PETER), isNoteError(/not signed/))
  const good = open(`${TEXT}\n${PETER_LINE}`, PETER)
  const wrong = `${TEXT}\n${PETER_LINE}${PETER_LINE.replace('x08go/ZJ', 'x08go/ZK')}`
  assert.equal(good.signatures.length, 1)
  assert.throws(() => open(wrong, PETER), isNoteError(/is wrong/))
})

test('parseNote() refuses what is malformed', () => {
  const whole = `${TEXT}\n${PETER_LINE}`
  const bad: (string | Buffer)[] = [
    '',
    TEXT,
    `${TEXT}\n`,
    whole.slice(0, -1),
    `\u0001${whole}`,
    whole.replace('\n', '\r\n'),
    Buffer.concat([Buffer.from([0xff]), Buffer.from(whole)]),
    `${whole}An unexpected line.\n`,
    whole.replace('— ', '- '),
    whole.replace('PeterNeumann', 'Peter Neumann'),
    whole.replace('PeterNeumann', 'Peter+Neumann'),
    whole.replace('PeterNeumann', 'Peter\u00A0Neumann'),
    whole.replace('PeterNeumann', ''),
    whole.replace('nAM=', 'nAM'),
    whole.replace('nAM=', 'nAN='),
    `${TEXT}\n— PeterNeumann AAAAAA==\n`,
    `${TEXT}\n${PETER_LINE.repeat(101)}`,
    `${'x'.repeat(1_000_000)}\n\n${PETER_LINE}`,
  ]
  for (const note of bad) {
    assert.throws(
      () => parseNote(Buffer.from(note)),
      isNoteError(/^Cannot read the note: /),
      note.toString().slice(0, 80),
    )
  }
  assert.equal(parseNote(Buffer.from(`${TEXT}\n${PETER_LINE.repeat(100)}`)).signatures.length, 100)
})

test('parseVkey() takes no key but the one that it is of', () => {
  const mangled = new Set<string>()
  for (let from = 0; from < PETER.length; from++) {
    for (let to = from + 1; to <= PETER.length; to++) mangled.add(PETER.slice(from, to))
    const next = String.fromCharCode(PETER.charCodeAt(from) + 1)
    mangled.add(PETER.slice(0, from) + next + PETER.slice(from + 1))
  }
  mangled.delete(PETER)
  mangled.add('PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==')
  mangled.add('PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')
  mangled.add(`${PETER}\n`)
  for (const vkey of mangled) assert.throws(() => parseVkey(vkey), NoteError, vkey)
  assert.equal(parseVkey(PETER).keyId, 0xc74f20a3)
  assert.throws(() => formatVkey('a b', Buffer.alloc(32)), NoteError)
  assert.throws(() => formatVkey('a', Buffer.alloc(31)), NoteError)
})

test('a vkey, and a note of any text and names, is read as what was written', () => {
  fc.assert(
    fc.property(names, fc.uint8Array({ minLength: 32, maxLength: 32 }), (name, publicKey) => {
      const parsed = parseVkey(formatVkey(name, publicKey))
      assert.deepEqual([parsed.name, Buffer.from(parsed.publicKey)], [name, Buffer.from(publicKey)])
    }),
  )
  const signature = fc.record(
    { name: names, keyId: fc.nat({ max: 0xffffffff }), signature: fc.uint8Array({ minLength: 1, maxLength: 80 }) },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(texts, fc.array(signature, { minLength: 1, maxLength: 16 }), (text, signatures) => {
      const parsed = parseNote(formatNote({ text, signatures }))
      assert.equal(parsed.text, text)
      assert.deepEqual(
        parsed.signatures.map((one) => ({ ...one, signature: Uint8Array.from(one.signature) })),
        signatures.map((one) => ({ ...one, signature: Uint8Array.from(one.signature) })),
      )
    }),
  )
})

test('signNote() signs what openNote() opens, and a note of which one byte is another opens no more', async () => {
  const signer = newSigner('example.com/log')
  const verifiers = [verifierOf(signer.vkey)]
  await fc.assert(
    fc.asyncProperty(texts, fc.nat(), fc.integer({ min: 1, max: 255 }), async (text, place, change) => {
      const note = await signNote(text, signer)
      assert.equal(openNote(note, verifiers).text, text)
      const changed = Uint8Array.from(note)
      const at = place % note.length
      changed[at] = (changed[at] ?? 0) ^ change
      assert.throws(() => openNote(changed, verifiers), NoteError)
    }),
  )
})

test('formatNote() writes nothing that would be refused when it is read', () => {
  const signature = { name: 'a', keyId: 1, signature: Buffer.alloc(64) }
  for (const note of [
    { text: 'no end', signatures: [signature] },
    { text: 'a\u0001b\n', signatures: [signature] },
    { text: '\uD800\n', signatures: [signature] },
    { text: 'text\n', signatures: [] },
    { text: 'text\n', signatures: [{ ...signature, name: 'a b' }] },
    { text: 'text\n', signatures: [{ ...signature, signature: Buffer.alloc(0) }] },
  ])
    assert.throws(() => formatNote(note), NoteError)
})

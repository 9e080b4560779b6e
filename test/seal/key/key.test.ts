import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { createKeyFile, keyFileSigner, KeyFileError } from '../../../lib/seal/key/key-file.ts'
import { isOrigin, newPrivateKey, signerOf } from '../../../lib/seal/key/key.ts'
import { isKeyName, NoteError, openNote, parseVkey, signNote, verifierOf } from '../../../lib/seal/tlog/note.ts'
import { freshFolder } from '../../support/recorder.ts'
import { errorText } from '../../support/texts/matches-text.ts'

// Of golang.org/x/mod/sumdb/note's tests.
const PETER = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"

test("signerOf() signs as Go's note package does with the same key", async () => {
  const signer = signerOf(PETER)
  assert.equal(signer.vkey, 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')
  assert.equal(
    Buffer.from(await signNote(TEXT, signer)).toString(),
    `${TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`,
  )
})

test('signerOf() takes no text but the one that it is of, and never quotes it', () => {
  const mangled = new Set<string>([''])
  for (let from = 0; from < PETER.length; from++) {
    for (let to = from + 1; to <= PETER.length; to++) mangled.add(PETER.slice(from, to))
    const next = String.fromCharCode(PETER.charCodeAt(from) + 1)
    mangled.add(PETER.slice(0, from) + next + PETER.slice(from + 1))
  }
  mangled.delete(PETER)
  for (const text of mangled)
    assert.throws(
      () => signerOf(text),
      (error) => {
        assert.ok(error instanceof NoteError)
        assert.doesNotMatch(error.message, /AYEKFA|c74f/)
        return true
      },
    )
  assert.throws(() => parseVkey(PETER), errorText())
})

test('newPrivateKey() makes a key whose signatures its public half checks, and another one each time', async () => {
  const origin = fc.constantFrom('example.com/ciphertrail', 'localhost:8080', 'log.example', 'a.b/c/d_e~f')
  const made = new Set<string>()
  await fc.assert(
    fc.asyncProperty(origin, async (name) => {
      const text = newPrivateKey(name)
      assert.ok(!made.has(text))
      made.add(text)
      const signer = signerOf(text)
      assert.equal(openNote(await signNote('text\n', signer), [verifierOf(signer.vkey)]).text, 'text\n')
      assert.equal(parseVkey(signer.vkey).name, name)
    }),
    { numRuns: 20 },
  )
})

test('isOrigin() takes addresses without a scheme, which are names of keys', () => {
  for (const name of ['example.com', 'example.com/log', 'a', '127.0.0.1:80/x'])
    assert.ok(isOrigin(name) && isKeyName(name))
  for (const name of [
    '',
    'https://example.com',
    'a b',
    'a+b',
    'a/',
    '/a',
    'a//b',
    'a\n',
    'é.example',
    'a'.repeat(300),
    'a/..?',
  ])
    assert.ok(!isOrigin(name), name)
  fc.assert(
    fc.property(fc.string({ maxLength: 30 }), (text) => {
      assert.ok(!isOrigin(text) || isKeyName(text))
    }),
  )
})

test('createKeyFile() makes a file that only its owner may read, and never over another', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'log.key')
  const vkey = await createKeyFile(path, 'example.com/log')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.match(readFileSync(path, 'utf8'), /^PRIVATE\+KEY\+example\.com\/log\+[0-9a-f]{8}\+\S+\n$/)
  assert.equal((await keyFileSigner(path)).vkey, vkey)
  const before = readFileSync(path)
  await assert.rejects(createKeyFile(path, 'example.com/log'), errorText({ name: 'KeyFileError' }))
  assert.deepEqual(readFileSync(path), before)
  await assert.rejects(createKeyFile(join(folder, 'none', 'key'), 'example.com/log'), KeyFileError)
  assert.deepEqual(readdirSync(folder), ['log.key'])
})

test('keyFileSigner() refuses a file that others may read, and one that holds no key', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'log.key')
  await createKeyFile(path, 'example.com/log')
  for (const mode of [0o640, 0o604, 0o660, 0o602, 0o644]) {
    chmodSync(path, mode)
    await assert.rejects(
      keyFileSigner(path),
      /^KeyFileError: Cannot use key file .+: others than its owner may read or write it, run "chmod 600 /,
    )
  }
  chmodSync(path, 0o400)
  await keyFileSigner(path)
  const secret = readFileSync(path, 'utf8').slice(40)
  for (const [name, content] of Object.entries({
    empty: '',
    text: 'x',
    cut: readFileSync(path, 'utf8').slice(0, -9),
    long: 'x'.repeat(1e5),
  })) {
    const other = join(folder, name)
    writeFileSync(other, content, { mode: 0o600 })
    await assert.rejects(keyFileSigner(other), (error) => {
      assert.ok(error instanceof KeyFileError)
      assert.ok(!error.message.includes(secret) && !error.message.includes('\n'))
      return true
    })
  }
  mkdirSync(join(folder, 'folder'), { mode: 0o700 })
  for (const name of ['folder', 'none', 'log.key/x'])
    await assert.rejects(keyFileSigner(join(folder, name)), KeyFileError)
})

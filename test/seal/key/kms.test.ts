import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { KMSClient } from '@aws-sdk/client-kms'
import { KmsError, kmsSigner } from '../../../lib/seal/key/kms.ts'
import { formatVkey, NoteError } from '../../../lib/seal/tlog/note.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { KEY_ARN, startKmsServer } from '../../support/servers/kms-server.ts'
import { readLog } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { errorText, matchesText, textWith } from '../../support/texts/matches-text.ts'

async function start(t: TestContext) {
  const server = await startKmsServer()
  const client = new KMSClient({
    endpoint: server.url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'tester', secretAccessKey: 'hunter2' },
    maxAttempts: 1,
  })
  t.after(async () => {
    client.destroy()
    await server.close()
  })
  return { server, client }
}

const name = 'example.com/log'

test('kmsSigner() seals a log with a key that only KMS has', async (t) => {
  const { server, client } = await start(t)
  const signer = await kmsSigner({ keyId: KEY_ARN, name }, client)
  assert.equal(signer.vkey, formatVkey(name, server.publicKey))
  const held = new Map<string, Uint8Array>([['evidence/x', Buffer.from('x')]])
  const now = new Date('2026-11-24T12:00:00Z')
  await seal({ now }, { objects: memoryObjects(held), signer })
  await seal({ now }, { objects: memoryObjects(held), signer })
  assert.deepEqual(
    readLog(held, signer.vkey).map(({ kind }) => kind),
    ['snapshot', 'heartbeat'],
  )
  assert.deepEqual(
    server.asked.map(({ action }) => action),
    // Of each batch its claim, and the head that it leads to.
    ['GetPublicKey', 'Sign', 'Sign', 'Sign', 'Sign'],
  )
})

test('kmsSigner() says in one line what KMS refused', async (t) => {
  const { server, client } = await start(t)
  await assert.rejects(kmsSigner({ keyId: 'alias/none', name }, client), (error) => {
    assert.ok(error instanceof KmsError)
    matchesText(error.message)
    return true
  })
  const signer = await kmsSigner({ keyId: KEY_ARN, name }, client)
  server.misbehave(() => ({ status: 400, body: { __type: 'DisabledException', message: 'The key\nis disabled' } }))
  await assert.rejects(signer.sign(Buffer.from('x')), errorText({ name: 'KmsError', message: textWith({ KEY_ARN }) }))
})

test('kmsSigner() uses no key of another type, and seals nothing with a signature that is wrong', async (t) => {
  const { server, client } = await start(t)
  const wrong = [
    { KeySpec: 'ECC_NIST_P256', PublicKey: 'AAAA' },
    { KeySpec: 'ECC_NIST_EDWARDS25519' },
    { KeySpec: 'ECC_NIST_EDWARDS25519', PublicKey: 'AAAA' },
  ]
  for (const body of wrong) {
    server.misbehave(() => ({ status: 200, body }))
    await assert.rejects(kmsSigner({ keyId: KEY_ARN, name }, client), KmsError)
  }
  server.misbehave(({ action }) => (action === 'Sign' ? { status: 200, body: { Signature: 'AAAA' } } : undefined))
  const signer = await kmsSigner({ keyId: KEY_ARN, name }, client)
  const held = new Map<string, Uint8Array>()
  await assert.rejects(seal({ now: new Date() }, { objects: memoryObjects(held), signer }), NoteError)
  assert.equal(held.has('log/checkpoint'), false)
  server.misbehave(({ action }) => (action === 'Sign' ? { status: 200, body: {} } : undefined))
  await assert.rejects(seal({ now: new Date() }, { objects: memoryObjects(held), signer }), KmsError)
})

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { stampHeads } from '../../lib/seal/timestamp/stamp-heads.ts'
import { readTimestamp } from '../../lib/seal/timestamp/stored-timestamp.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { headKey, timestampKey } from '../../lib/store/log-keys.ts'
import { type KeyOptions, startOpensslAuthority } from '../support/servers/openssl-authority.ts'
import { certified, pemOf } from '../support/servers/time-stamps.ts'
import { startTimestampServer } from '../support/servers/time-stamp-server.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { askAuthority } from '../../lib/seal/timestamp/ask-authority.ts'

/** Time stamps of OpenSSL's authority are taken, and time stamps that are taken are good to OpenSSL. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-ts-'))
after(() => rmSync(folder, { recursive: true }))

async function sealedHead() {
  const held = new Map<string, Uint8Array>([
    ['reports/20261130T000000Z-0123456789abcdef.json', Buffer.from('a report')],
  ])
  const objects = memoryObjects(held)
  await seal({ now: new Date() }, { objects, signer: newSigner() })
  return { held, objects, note: held.get(headKey(1)) ?? assert.fail() }
}

/** What OpenSSL says of a time stamp. */
function verifiedByOpenssl(note: Uint8Array, answer: Uint8Array, authorities: string): boolean {
  for (const [name, body] of [
    ['note', note],
    ['answer', answer],
    ['ca.pem', authorities],
  ] as const)
    writeFileSync(join(folder, name), body)
  const args = ['ts', '-verify', '-data', 'note', '-in', 'answer', '-CAfile', 'ca.pem']
  return spawnSync('openssl', args, { cwd: folder }).status === 0
}

const KEYS: Readonly<Record<string, KeyOptions>> = {
  'RSA of 3072 bits': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
  'ECDSA on P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ECDSA on P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
}

for (const [name, key] of Object.entries(KEYS))
  test(`a time stamp of OpenSSL with ${name} is taken, stored, and good to OpenSSL`, async (t) => {
    const { held, objects, note } = await sealedHead()
    const { ask, settings } = await startOpensslAuthority(t, key)
    const policy = '1.2.3.4.5'
    const { stamped, problems } = await stampHeads({ ...settings, policy }, {}, { objects, ask, now: () => new Date() })
    assert.deepEqual(problems, [])
    assert.partialDeepStrictEqual(stamped, [
      {
        size: 1,
        policy,
        accuracySeconds: 1.5,
        isTrusted: true,
        signer: 'O=OpenSSL, CN=tsa',
        issuer: 'O=OpenSSL, CN=between',
      },
    ])
    const answer = held.get(timestampKey(1)) ?? assert.fail()
    assert.ok(verifiedByOpenssl(note, answer, settings.authorities))
    assert.ok(!verifiedByOpenssl(Buffer.concat([note, Buffer.of(10)]), answer, settings.authorities))
    const read = await readTimestamp({ size: 1, note }, objects)
    assert.ok(read !== null && 'body' in read)
    // Under a policy that it does not have, OpenSSL refuses, and nothing is stored.
    held.delete(timestampKey(1))
    const refused = await stampHeads({ ...settings, policy: '1.2.3.4.9' }, {}, { objects, ask, now: () => new Date() })
    assert.match(refused.problems[0] ?? '', /the authority did not grant it \(status 2/)
    assert.ok(!held.has(timestampKey(1)))
  })

test('time stamps of the authority that other tests use are good to OpenSSL, too', async (t) => {
  const { held, objects, note } = await sealedHead()
  const server = await startTimestampServer(t, () => new Date())
  const settings = { url: new URL(server.url), policy: null, authorities: server.authorities }
  const ask = askAuthority(settings.url, undefined)
  await stampHeads(settings, {}, { objects, ask, now: () => new Date() })
  const answer = held.get(timestampKey(1)) ?? assert.fail()
  assert.ok(verifiedByOpenssl(note, answer, server.authorities))
  assert.ok(!verifiedByOpenssl(note, answer, pemOf(certified('Other', { isAuthority: true }))))
  assert.match(
    execFileSync('openssl', ['ts', '-reply', '-in', join(folder, 'answer'), '-text'], { encoding: 'utf8' }),
    /Status: Granted/,
  )
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { readAuthorities } from '../../../lib/seal/timestamp/authorities.ts'
import { checkTimestamp, type Wanted } from '../../../lib/seal/timestamp/check-timestamp.ts'
import { newNonce, timestampRequest } from '../../../lib/seal/timestamp/request.ts'
import { TimestampError } from '../../../lib/seal/timestamp/timestamp-error.ts'
import {
  certified,
  OLD_HASH,
  pemOf,
  readRequest,
  stampOf,
  type StampOptions,
} from '../../support/servers/time-stamps.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const NOTE = Buffer.from('example.com/log\n7\nroot\n\n— example.com/log signature\n')
const IMPRINT = createHash('sha256').update(NOTE).digest()
const NOW = new Date('2026-11-24T12:00:00Z')
const nonce = newNonce()
const root = certified('Root', { isAuthority: true, kind: 'rsa' })
const between = certified('Between', { isAuthority: true, issuer: root })
const signer = certified('TSA \u202ETimes', { issuer: between })
const other = certified('Other root', { isAuthority: true })
const usual = { signer, others: [between], at: NOW, imprint: IMPRINT, nonce: Buffer.from(nonce) } as const

const answer = (changes: Partial<StampOptions> = {}) => stampOf({ ...usual, ...changes })
const check = (bytes: Uint8Array, wanted: Partial<Wanted> = {}) =>
  checkTimestamp(bytes, NOTE, { nonce, authorities: readAuthorities(pemOf(root)), now: NOW, ...wanted })

/** Why an answer is refused. */
async function refusal(bytes: Uint8Array, wanted: Partial<Wanted> = {}): Promise<string> {
  try {
    await check(bytes, wanted)
  } catch (error) {
    assert.ok(error instanceof TimestampError, String(error))
    assert.doesNotMatch(error.message, /\n/)
    return error.message
  }
  return 'taken'
}

test('a request asks for the SHA-256 of the head with a nonce and the certificates, and for a policy where one is wanted', () => {
  const {
    imprint,
    nonce: sent,
    policy,
    hasCertificates,
  } = readRequest(Buffer.from(timestampRequest(NOTE, nonce, null)))
  assert.deepEqual([imprint, sent, policy, hasCertificates], [IMPRINT, Buffer.from(nonce), null, true])
  const asked = readRequest(Buffer.from(timestampRequest(NOTE, nonce, '1.2.3.4.5')))
  assert.equal(asked.policy, '06042a030405')
})

test('a time stamp says when, and by whom, for keys and names of all kinds', async () => {
  assert.deepEqual(await check(answer()), {
    time: '2026-11-24T12:00:00Z',
    accuracySeconds: 1,
    policy: '1.2.3.4.1',
    serial: '1b59',
    signer: 'CN=TSA [U+202E]Times',
    issuer: 'CN=Between',
    isTrusted: true,
  })
  const ofRsa = certified('RSA', { kind: 'rsa', issuer: root })
  assert.equal((await check(answer({ signer: ofRsa }))).issuer, 'CN=Root')
  const alone = certified('Alone')
  assert.equal(
    (await check(answer({ signer: alone }), { authorities: readAuthorities(pemOf(other, alone)) })).isTrusted,
    true,
  )
  assert.equal((await check(answer({ signer: alone }), { authorities: [] })).isTrusted, false)
  assert.equal((await check(answer({ namesOld: true, status: 1 }))).isTrusted, true)
  // An authority may be trusted without the one above it.
  assert.equal((await check(answer(), { authorities: readAuthorities(pemOf(between)) })).isTrusted, true)
  // Later nobody knows the nonce, and the time is long ago.
  const late = { authorities: readAuthorities(pemOf(root)), now: new Date('2040-01-01T00:00:00Z') }
  assert.equal((await checkTimestamp(answer({ nonce: null }), NOTE, late)).isTrusted, true)
})

test('what is no time stamp of the head, or not by whom it should be, is refused', async () => {
  const expired = certified('Expired', { issuer: root, to: new Date('2026-11-24T11:00:00Z') })
  const oldRoot = certified('Old root', { isAuthority: true, to: new Date('2026-01-01T00:00:00Z') })
  const [mine, theirs] = [certified('Other'), certified('Forger')]
  for (const [changes, wanted] of [
    [{ imprint: createHash('sha256').update('another').digest() }],
    [{ imprintAlgorithm: OLD_HASH }],
    [{ nonce: Buffer.from('4000000000000000', 'hex') }],
    [{ nonce: null }],
    [{ status: 2, statusText: 'bad\nday' }],
    [{ key: theirs.key }],
    [{ names: mine }],
    [{ names: null }],
    [{ contentType: '1.2.840.113549.1.7.1' }],
    [{ signer: theirs }],
    [{ others: [] }],
    [{ others: [certified('Between', { isAuthority: true, issuer: other })] }],
    [{ signer: expired }],
    [{ signer: certified('Left', { issuer: oldRoot }) }, { authorities: readAuthorities(pemOf(oldRoot)) }],
    [{ signer: certified('Server', { issuer: root, purposes: ['1.3.6.1.5.5.7.3.1'] }) }],
    [{ signer: certified('Both', { issuer: root, purposes: ['1.3.6.1.5.5.7.3.8', '1.3.6.1.5.5.7.3.1'] }) }],
    [{ signer: certified('Lax', { issuer: root, isCritical: false }) }],
    [{ signer: certified('Under', { issuer: signer }), others: [signer, between] }],
    [{ at: new Date('2026-11-24T14:00:00Z') }],
    [{ at: new Date('2026-11-24T10:00:00Z') }],
    [{ at: new Date('9999-11-24T10:00:00Z') }],
    [{}, { policy: '1.2.3' }],
    [{ others: Array.from({ length: 10 }, () => between) }],
  ] as const)
    matchesText(await refusal(answer(changes), wanted))
})

test('certificates that issued each other are not followed for ever', async () => {
  const one = certified('One', { isAuthority: true })
  const two = certified('Two', { isAuthority: true, issuer: one })
  const back = certified('One', { isAuthority: true, issuer: two, key: one.key })
  const under = certified('Under', { issuer: back })
  assert.match(await refusal(answer({ signer: under, others: [two, back] })), /does not lead/)
})

test('any byte that is changed or cut is refused, or changes nothing that was said', async () => {
  const whole = answer({ nonce: null })
  const wanted = { authorities: readAuthorities(pemOf(root)), now: NOW }
  const said = await checkTimestamp(whole, NOTE, wanted)
  let refused = 0
  for (let at = 0; at < whole.length; at += 4) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ (1 << ((at / 4) % 8))
    try {
      assert.deepEqual(await checkTimestamp(changed, NOTE, wanted), said, `byte ${at}`)
    } catch (error) {
      assert.ok(error instanceof TimestampError, `byte ${at}: ${String(error)}`)
      refused += 1
    }
  }
  assert.ok(refused > whole.length * 0.22, `${refused} of ${whole.length}`)
  for (let length = 0; length < whole.length; length += 7)
    assert.notEqual(await refusal(whole.subarray(0, length)), 'taken', `${length} bytes`)
  matchesText(await refusal(Buffer.concat([whole, Buffer.of(0)])))
  matchesText(await refusal(Buffer.from('<html>')))
  matchesText(await refusal(Buffer.alloc(100_000, 0x30)))
})

test('files of certificates are read whole, or it is said what is wrong with them', () => {
  assert.equal(readAuthorities(`# ours\n${pemOf(root, other)}`).length, 2)
  for (const [text, says] of [
    ['', /^it has no certificate, wanted PEM/],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /^certificate 1 in it cannot be read$/],
    [pemOf(...Array.from({ length: 51 }, () => root)), /^it has 51 certificates, wanted/],
  ] as const)
    assert.throws(
      () => readAuthorities(text),
      (error) => error instanceof TimestampError && says.test(error.message),
    )
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { generate } from 'selfsigned'
import { cryptoOf } from '../../../lib/assess/window/window-crypto.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import type { Answers } from '../../../lib/assess/counters/counter-movement.ts'
import { reduceItems } from '../../../lib/observed/reduce-objects.ts'

type Vectors = Readonly<Record<string, readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[]>>

/** The answers of queries for cryptography. */
function answers(vectors: Vectors): Answers {
  return (name) => (vectors[name] ?? []).map(([labels, value]) => ({ labels, samples: [{ time: 0, value }] }))
}

const NONE = { proxyVersions: [], tls: [], certificates: null, trustAnchors: [] }
const SUITES = { tls_suites: 'TLS13_AES_128_GCM_SHA256,', tls_kx_groups: 'X25519MLKEM768,X25519,', tls_fips: 'false' }

test('cryptoOf() says what the proxies can do and until when their certificates hold, in the same order always', () => {
  const vectors: Vectors = {
    'crypto-versions': [
      [{ version: 'edge-2' }, 3],
      [{ version: 'edge-1' }, 1],
    ],
    'crypto-tls': [
      [SUITES, 3],
      [{ ...SUITES, tls_fips: 'true' }, 1],
    ],
    'crypto-certificate-first': [[{}, 1_795_607_627.9]],
    'crypto-certificate-last': [[{}, 1_795_612_342]],
    'crypto-certificate-count': [[{}, 4]],
  }
  const said = cryptoOf(answers(vectors), null, [])
  assert.deepEqual(said, {
    proxyVersions: [
      { version: 'edge-1', proxies: 1 },
      { version: 'edge-2', proxies: 3 },
    ],
    tls: [
      { suites: 'TLS13_AES_128_GCM_SHA256', keyExchange: 'X25519MLKEM768,X25519', fips: 'false', proxies: 3 },
      { suites: 'TLS13_AES_128_GCM_SHA256', keyExchange: 'X25519MLKEM768,X25519', fips: 'true', proxies: 1 },
    ],
    certificates: { earliestExpiry: '2026-11-25T11:53:47Z', latestExpiry: '2026-11-25T13:12:22Z', proxies: 4 },
    trustAnchors: [],
  })
  const turned = Object.fromEntries(Object.entries(vectors).map(([name, all]) => [name, all.toReversed()]))
  assert.deepEqual(cryptoOf(answers(turned), null, []), said)
})

test('cryptoOf() says nothing where the proxies said nothing', () => {
  assert.deepEqual(cryptoOf(answers({}), null, []), NONE)
  assert.deepEqual(cryptoOf(answers({ 'crypto-certificate-first': [[{}, 1]] }), null, []), NONE)
})

test('cryptoOf() reads trust anchors from the bundle, and leaves out what is no certificate', async () => {
  const twoDays = { notBeforeDate: new Date('2026-11-24T00:00:00Z'), notAfterDate: new Date('2026-11-26T00:00:00Z') }
  const names = [
    { name: 'organizationName', value: 'shop' },
    { name: 'commonName', value: 'root' },
  ]
  const { cert: pem } = await generate(names, { keyType: 'ec', algorithm: 'sha256', ...twoDays })
  const der = Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ''), 'base64')
  const broken = '-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n'
  const bundle = (text: string, name = 'linkerd-identity-trust-roots') => {
    const items = reduceItems(
      'configmaps',
      [{ metadata: { name, namespace: 'linkerd' }, data: { 'ca-bundle.crt': text } }],
      'x',
    )
    return cryptoOf(answers({}), listedOf([{ resource: 'configmaps', items }], 0), []).trustAnchors
  }
  const [anchor, ...others] = bundle(`${broken}${pem}`)
  assert.deepEqual(others, [])
  assert.equal(anchor?.sha256, createHash('sha256').update(der).digest('hex'))
  assert.equal(anchor.subject, 'O=shop, CN=root')
  assert.equal((Date.parse(anchor.notAfter) - Date.parse(anchor.notBefore)) / 86_400_000, 2)
  assert.equal(bundle(`${pem}${pem}`).length, 2)
  assert.deepEqual(bundle(pem, 'other'), [])
})

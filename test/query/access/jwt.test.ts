import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { addressCheck } from '../../../lib/net/refused-addresses.ts'
import { firstAccess, parseTokens, tokenAccess } from '../../../lib/query/access/access.ts'
import { jwtAccess, publishedKeys } from '../../../lib/query/access/jwt.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { errorText, matchesText } from '../../support/texts/matches-text.ts'

const NOW = new Date('2026-11-24T12:00:00Z')
const issuer = { issuer: 'https://login.example.com', audience: 'ciphertrail', claim: 'ciphertrail_clusters' }

type Pair = Awaited<ReturnType<typeof generateKeyPair>>
const pair = (algorithm = 'ES256') => generateKeyPair(algorithm, { extractable: true })
const [first, second, foreign] = await Promise.all([pair(), pair('RS256'), pair()])

const good = { iss: issuer.issuer, aud: issuer.audience, sub: 'ann', ciphertrail_clusters: 'east west' }
const seconds = NOW.getTime() / 1000

async function sign(
  claims: Record<string, unknown>,
  {
    key = first.privateKey,
    alg = 'ES256',
    kid = 'first',
  }: { key?: Pair['privateKey'] | Uint8Array; alg?: string; kid?: string } = {},
): Promise<string> {
  return new SignJWT({ exp: seconds + 60, ...claims }).setProtectedHeader({ alg, kid }).sign(key)
}

/** An issuer that publishes the first key, until it is told otherwise. */
async function startIssuer(t: Pick<TestContext, 'after'>) {
  let published: readonly [string, Pair][] = [['first', first]]
  let isDown = false
  let asked = 0
  const server = createServer((_, response) => {
    asked++
    if (isDown) return void response.writeHead(500).end('secret-of-the-issuer')
    void Promise.all(published.map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid }))).then(
      (keys) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys })),
    )
  })
  const { port, close } = await listenOnLoopback(server)
  t.after(close)
  return {
    access: jwtAccess(
      issuer,
      publishedKeys(new URL(`http://127.0.0.1:${port}/keys`), addressCheck(undefined)),
      () => NOW,
    ),
    publish: (...keys: readonly [string, Pair][]) => {
      published = keys
    },
    setDown: (value: boolean) => {
      isDown = value
    },
    asked: () => asked,
  }
}

const asking = (token: string) => new Request('http://x/', { headers: { authorization: `Bearer ${token}` } })

test('a token of the issuer opens the clusters that its claim names, and one without the claim opens none', async (t) => {
  const { access, asked } = await startIssuer(t)
  const granted = async (claims: Record<string, unknown>) => access(asking(await sign(claims)), undefined)
  assert.deepEqual(await granted(good), { subject: 'ann', clusters: ['east', 'west'] })
  assert.deepEqual((await granted({ ...good, ciphertrail_clusters: ['east'] }))?.clusters, ['east'])
  assert.equal((await granted({ ...good, ciphertrail_clusters: '*' }))?.clusters, 'all')
  assert.deepEqual((await granted({ ...good, ciphertrail_clusters: undefined }))?.clusters, [])
  assert.equal((await granted({ ...good, sub: undefined }))?.subject, 'unnamed')
  assert.equal((await granted({ ...good, aud: ['other', issuer.audience] }))?.subject, 'ann')
  assert.equal(asked(), 1)
})

test('a token of somebody else, for somebody else, or out of its time opens nothing', async (t) => {
  const { access } = await startIssuer(t)
  const secret = new TextEncoder().encode(await exportSPKI(first.publicKey))
  const [header, payload, signature] = (await sign(good)).split('.')
  const other = Buffer.from(JSON.stringify({ ...good, sub: 'eve', exp: seconds + 60 })).toString('base64url')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const tokens = {
    'another issuer': await sign({ ...good, iss: 'https://login.example.org' }),
    'no issuer': await sign({ ...good, iss: undefined }),
    'another audience': await sign({ ...good, aud: 'other' }),
    'no audience': await sign({ ...good, aud: undefined }),
    expired: await sign({ ...good, exp: seconds - 31 }),
    'without end': await sign({ ...good, exp: undefined }),
    'not valid yet': await sign({ ...good, nbf: seconds + 31 }),
    'signed by another key': await sign(good, { key: foreign.privateKey }),
    'of a key that is not published': await sign(good, { key: foreign.privateKey, kid: 'foreign' }),
    'signed with the public key as a secret': await sign(good, { key: secret, alg: 'HS256' }),
    'not signed': `${none}.${payload}.`,
    'another content': `${header}.${other}.${signature}`,
    'no signature': `${header}.${payload}`,
    'too long': `${header}.${payload}.${'A'.repeat(20_000)}`,
  }
  for (const [what, token] of Object.entries(tokens))
    assert.equal(await access(asking(token), undefined), undefined, what)
  assert.notEqual(await access(asking(await sign({ ...good, exp: seconds - 29 })), undefined), undefined)
})

test('a token of 16 KB opens what it names, and a longer one nothing', async (t) => {
  const { access } = await startIssuer(t)
  const padded = (length: number) => sign({ ...good, pad: 'x'.repeat(length) })
  const most = 16_384
  let length = 11_900
  while ((await padded(length + 1)).length <= most) length += 1
  const [longest, longer] = [await padded(length), await padded(length + 1)]
  assert.ok(longest.length > most - 4 && longer.length > most, `${longest.length} and ${longer.length}`)
  assert.equal((await access(asking(longest), undefined))?.subject, 'ann')
  assert.equal(await access(asking(longer), undefined), undefined)
})

test('clocks may be thirty seconds apart, and no more', async (t) => {
  const { access } = await startIssuer(t)
  const opens = async (claims: Record<string, unknown>) =>
    (await access(asking(await sign({ ...good, ...claims })), undefined)) !== undefined
  assert.deepEqual([await opens({ exp: seconds - 29 }), await opens({ exp: seconds - 30 })], [true, false])
  assert.deepEqual([await opens({ nbf: seconds + 30 }), await opens({ nbf: seconds + 31 })], [true, false])
})

test('the issuer is asked for a key that it did not have once in thirty seconds', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: NOW.getTime() })
  const { access, asked } = await startIssuer(t)
  const unknown = asking(await sign(good, { key: foreign.privateKey, kid: 'foreign' }))
  const ask = async (): Promise<number> => {
    assert.equal(await access(unknown, undefined), undefined)
    return asked()
  }
  assert.equal((await access(asking(await sign(good)), undefined))?.subject, 'ann')
  assert.deepEqual([await ask(), await ask()], [1, 1])
  t.mock.timers.tick(29_999)
  assert.equal(await ask(), 1)
  t.mock.timers.tick(2)
  assert.deepEqual([await ask(), await ask()], [2, 2])
})

test('an issuer that does not tell its keys within five seconds is one that does not tell them', async (t) => {
  const { access } = await startIssuer(t)
  const waited: number[] = []
  t.mock.method(AbortSignal, 'timeout', (milliseconds: number) => {
    waited.push(milliseconds)
    return AbortSignal.abort(new DOMException('the time is over', 'TimeoutError'))
  })
  await assert.rejects(access(asking(await sign(good)), undefined), errorText({ name: 'Error' }))
  assert.deepEqual(waited, [5_000])
})

test('whatever is brought in place of a token opens nothing, and is no failure', async (t) => {
  const { access } = await startIssuer(t)
  const valid = await sign(good)
  const part = fc.oneof(
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc.constantFrom(...valid.split('.')),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
      const token = parts.join('.')
      fc.pre(token !== valid)
      assert.equal(await access(asking(token), undefined), undefined)
    }),
  )
})

test('a key that the issuer published later is read, and one that it took back is forgotten with the next look', async (t) => {
  const { access, publish } = await startIssuer(t)
  publish(['second', second])
  const token = await sign(good, { key: second.privateKey, alg: 'RS256', kid: 'second' })
  assert.equal((await access(asking(token), undefined))?.subject, 'ann')
  assert.equal(await access(asking(await sign(good)), undefined), undefined)
})

test('where the issuer does not tell its keys nobody gets in by them, the log says why, and other tokens still work', async (t) => {
  const { access, setDown } = await startIssuer(t)
  setDown(true)
  const own = 'o'.repeat(32)
  const both = firstAccess([tokenAccess(async () => parseTokens(own)), access])
  const { url, logged } = await startApi(t, { access: both })
  const ask = (token: string) => fetch(new URL('/v1/paths', url), { headers: { authorization: `Bearer ${token}` } })
  const response = await ask(await sign(good))
  assert.equal(response.status, 500)
  assert.doesNotMatch(await response.text(), /keys|issuer|secret/)
  matchesText(logged.at(-1)?.error)
  assert.doesNotMatch(logged.at(-1)?.error ?? '', /secret/)
  assert.equal((await ask(own)).status, 200)
  setDown(false)
  assert.equal((await ask(await sign({ ...good, ciphertrail_clusters: '*' }))).status, 200)
  assert.equal((await ask(await sign({ ...good, ciphertrail_clusters: '' }))).status, 403)
})

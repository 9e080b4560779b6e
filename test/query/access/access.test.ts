import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  TokenFileError,
  clustersOf,
  firstAccess,
  gatewayAccess,
  signedAccess,
  loopbackAccess,
  maySee,
  parseTokens,
  tokenAccess,
} from '../../../lib/query/access/access.ts'

const first = 'a'.repeat(32)
const second = '0123456789abcdef0123456789ABCDEF._~+/=-'

function asking(headers: Record<string, string>): Request {
  return new Request('http://127.0.0.1/v1/paths', { headers })
}

test('a token opens what stands behind it in its file: all clusters, or those that are named', async () => {
  const tokens = parseTokens(`# for the dashboard\n${first}\n\n  ${second} east,west\r\n`)
  const access = tokenAccess(async () => tokens)
  const granted = (authorization: string) => access(asking({ authorization }), undefined)
  assert.deepEqual(await granted(`Bearer ${first}`), { subject: 'token 2', clusters: 'all' })
  assert.deepEqual(await granted(`bearer  ${second}`), { subject: 'token 4', clusters: ['east', 'west'] })
  const wrong = [
    '',
    'Bearer',
    'Bearer ',
    `Basic ${first}`,
    first,
    `Bearer ${first}a`,
    `Bearer ${first} ${second}`,
    `Bearer ${first},`,
  ]
  for (const header of wrong) assert.equal(await granted(header), undefined, header)
  assert.equal(await access(asking({}), undefined), undefined)
})

test('a line of a token file that is none is refused by its number, and never quoted', () => {
  const short = 'secret-and-short'
  for (const [text, line] of [
    [short, 1],
    [`${first}\n${short}`, 2],
    [`${first} east west`, 1],
    [`${first} East`, 1],
    [`${first} east,`, 1],
    [`${'ü'.repeat(40)}`, 1],
  ] as const)
    assert.throws(
      () => parseTokens(text),
      (error) =>
        error instanceof TokenFileError && error.message.includes(`line ${line} `) && !error.message.includes('secret'),
      text,
    )
  for (const text of ['', '\n\n', '# nothing']) assert.throws(() => parseTokens(text), TokenFileError)
})

test('only the very token opens anything', () => {
  const access = tokenAccess(async () => parseTokens(first))
  return fc.assert(
    fc.asyncProperty(fc.stringMatching(/^[A-Za-z0-9._~+/=-]{1,64}$/), async (token) => {
      const granted = await access(asking({ authorization: `Bearer ${token}` }), undefined)
      assert.equal(granted !== undefined, token === first)
    }),
  )
})

test('whom the first way knows is let in by it, and the next is asked only about others', async () => {
  const asked: string[] = []
  const way = (name: string, clusters?: readonly string[]) => async () => {
    asked.push(name)
    return clusters === undefined ? undefined : { subject: name, clusters }
  }
  const of = (...ways: Parameters<typeof firstAccess>[0]) => firstAccess(ways)(asking({}), undefined)
  assert.deepEqual(await of(way('a', ['east']), way('b', ['west'])), { subject: 'a', clusters: ['east'] })
  assert.deepEqual(asked, ['a'])
  // Who is known and may see nothing is not let in by another way.
  assert.deepEqual((await of(way('a', []), way('b', ['west'])))?.clusters, [])
  assert.equal((await of(way('a'), way('b', ['west'])))?.subject, 'b')
  assert.equal(await of(way('a'), way('b')), undefined)
})

test('on loopback only a name that cannot be led there by others is let in', async () => {
  for (const host of ['127.0.0.1', '127.0.0.1:8080', '127.0.0.2:8080', 'localhost:8080', 'LOCALHOST', '[::1]:80'])
    assert.equal((await loopbackAccess(asking({ host }), undefined))?.clusters, 'all', host)
  for (const host of [
    '',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '127.0.0.evil',
    'evil.example:127',
    '127.0.0.1@evil',
  ])
    assert.equal(await loopbackAccess(asking({ host }), undefined), undefined, host)
  // A proxy on this machine names it, whoever asks.
  for (const header of ['Forwarded', 'X-Forwarded-For', 'x-forwarded-proto'])
    assert.equal(
      await loopbackAccess(asking({ host: '127.0.0.1:8080', [header]: '192.0.2.1' }), undefined),
      undefined,
      header,
    )
})

const event = (claims: unknown) => ({ event: { requestContext: { authorizer: { jwt: { claims } } } } })

test('behind API Gateway a claim says which clusters are seen, and without it none is', async () => {
  const access = gatewayAccess('ciphertrail_clusters')
  const granted = (environment: unknown) => access(asking({}), environment)
  const seen = async (claim: unknown) => (await granted(event({ sub: 'ann', ciphertrail_clusters: claim })))?.clusters
  assert.equal(await seen('*'), 'all')
  assert.deepEqual(await seen('east west'), ['east', 'west'])
  assert.deepEqual(await seen('[east west]'), ['east', 'west'])
  assert.deepEqual(await seen('east, west'), ['east', 'west'])
  assert.deepEqual(await seen(['east', 'No Cluster']), ['east'])
  for (const nothing of [undefined, null, '', 7, {}, [1], 'a*'])
    assert.deepEqual(await seen(nothing), [], JSON.stringify(nothing))
  assert.equal((await granted(event({ ciphertrail_clusters: '*' })))?.subject, 'unnamed')
  for (const none of [undefined, null, {}, { event: {} }, event(undefined), event('x')])
    assert.equal(await granted(none), undefined)
})

test('behind API Gateway a signature with IAM credentials opens all clusters, and nothing else does', async () => {
  const granted = (authorizer: unknown) => signedAccess(asking({}), { event: { requestContext: { authorizer } } })
  const userArn = 'arn:aws:iam::111122223333:user/ann'
  assert.deepEqual(await granted({ iam: { userArn } }), { subject: userArn, clusters: 'all' })
  for (const none of [
    undefined,
    null,
    {},
    { iam: {} },
    { iam: { userArn: '' } },
    { iam: { userArn: 7 } },
    { jwt: { claims: {} } },
  ])
    assert.equal(await granted(none), undefined)
  assert.equal(await signedAccess(asking({ authorization: 'AWS4-HMAC-SHA256 Credential=x' }), undefined), undefined)
})

test('no claim opens a cluster that it does not name', () => {
  fc.assert(
    fc.property(fc.anything(), (claim) => {
      const clusters = clustersOf(claim)
      if (!JSON.stringify(claim ?? null)?.includes('east')) assert.ok(clusters === 'all' || !clusters.includes('east'))
      if (clusters === 'all') assert.match(JSON.stringify(claim), /\*/)
    }),
  )
  for (const [clusters, sees] of [
    ['all', true],
    [['east'], true],
    [['west', 'east'], true],
    [['west'], false],
    [[], false],
  ] as const)
    assert.equal(maySee({ subject: '', clusters }, 'east'), sees)
})

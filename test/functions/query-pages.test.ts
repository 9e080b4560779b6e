/** The pages on AWS: the function behind an API Gateway, with its store in S3, its key in Secrets Manager, and an issuer. */
import assert from 'node:assert/strict'
import { type TestContext, after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { GatewayHandler } from '../support/aws/api-gateway.ts'
import { capturedLog, contextOf } from '../support/aws/lambda.ts'
import { type PagesWorld, startPagesWorld } from '../support/aws/pages-world.ts'
import { setEnvironment } from '../support/process/environment.ts'
import { CLIENT } from '../support/sign-in/oidc-server.ts'
import { plainBrowser } from '../support/sign-in/plain-browser.ts'
import { errorText } from '../support/texts/matches-text.ts'

const ended: (() => Promise<void> | void)[] = []

let issuer: PagesWorld['issuer']
let gateway: PagesWorld['gateway']
let environment: PagesWorld['environment']

before(async () => {
  ;({ issuer, gateway, environment } = await startPagesWorld({ after: (end) => void ended.push(end) }))
})
after(async () => {
  for (const end of ended.toReversed()) await end()
})

let starts = 0
/** A container of its own. */
async function container(): Promise<GatewayHandler> {
  const { handler } = (await import(`../../functions/query.ts?pages=${(starts += 1)}`)) as { handler: GatewayHandler }
  return handler
}

/** Signs somebody in over the gateway. */
async function signedIn(t: TestContext, claims: Readonly<Record<string, unknown>> = {}) {
  const log = capturedLog(t)
  gateway.lead(await container())
  issuer.user({ sub: 'ada', ciphertrail_clusters: '*', ...claims })
  const browser = plainBrowser()
  const at = (path: string): string => new URL(path, gateway.url).href
  const first = await browser.visit(at('/sign-in?next=%2Fworkloads'))
  return { browser, at, first, log, visit: (path: string) => browser.visit(at(path)) }
}

test('whoever signs in over API Gateway sees every page, and nobody else sees one', async (t) => {
  const { first, visit, at, log, browser } = await signedIn(t)
  assert.deepEqual([first.status, first.url.pathname], [200, '/workloads'])
  assert.match(issuer.tokenRequests.at(-1)?.authorization ?? '', /^Basic /)
  const front = await visit('/')
  for (const path of [
    '/',
    '/clusters',
    '/paths',
    '/flow',
    '/changes',
    '/reports',
    '/log',
    '/v1/clusters',
    '/v1/checkpoint',
  ]) {
    const page = await visit(path)
    assert.ok(page.status === 200 || path === '/v1/checkpoint', `${path}: ${page.status} ${page.text}`)
    assert.equal((await fetch(at(path), { redirect: 'manual' })).status, 401, path)
  }
  const [, line = ''] = /<a href="(\/paths\/[^"]+)"/.exec((await visit('/paths')).text) ?? []
  assert.equal((await visit(line)).status, 200, line)
  const [, css = ''] = /href="(\/assets\/[^"]+)"/.exec(front.text) ?? []
  const styles = await fetch(at(css))
  assert.match(styles.headers.get('cache-control') ?? '', /immutable/)
  assert.match(styles.headers.get('vary') ?? '', /accept-encoding/i)
  assert.match(front.headers.get('content-security-policy') ?? '', /default-src 'none'.*form-action 'self'/)
  assert.equal((await browser.ask(at('/sign-in'), { method: 'POST' })).status, 405)
  assert.match(await (await fetch(at('/'))).text(), /Sign in at 127/)
  assert.doesNotMatch(log.text(), /code=|k{64}|s{40}/)
})

test('a session holds in every container, and ends when its cookie is taken away', async (t) => {
  const { visit, at, browser } = await signedIn(t)
  assert.match([...browser.cookies(gateway.url)].join(), /__Host-ciphertrail,/)
  gateway.lead(await container())
  assert.equal((await visit('/reports')).status, 200)
  const out = await browser.visit(at('/sign-out'), { method: 'POST', headers: { origin: gateway.url } })
  assert.deepEqual([out.status, out.url.pathname], [200, '/signed-out'])
  assert.equal((await visit('/reports')).status, 401)
})

test('claims open the same to a session and to a token of the API, and another team nothing', async (t) => {
  const { visit, at, first } = await signedIn(t, { ciphertrail_clusters: 'west' })
  assert.doesNotMatch(first.text, /\beast\b/)
  for (const path of ['/paths?cluster=east', '/v1/clusters/east/coverage'])
    assert.equal((await visit(path)).status, 404)
  assert.equal((await visit('/v1/clusters/west/coverage')).status, 200)
  for (const [audience, status] of [
    ['ciphertrail-api', 200],
    ['other', 200],
    // An ID token is for the pages.
    [CLIENT.id, 401],
  ] as const) {
    const token = await issuer.token({ aud: audience, ciphertrail_clusters: 'west' })
    const headers = { authorization: `Bearer ${token}` }
    assert.equal((await fetch(at('/v1/clusters/west/coverage'), { headers })).status, status, audience)
    if (status === 200) assert.equal((await fetch(at('/v1/clusters/east/coverage'), { headers })).status, 404)
  }
})

test('a request for the head of any page is no failure', async () => {
  gateway.lead(await container())
  for (const path of ['/', '/sign-in', '/paths', '/nowhere']) {
    const { status } = await fetch(new URL(path, gateway.url), { method: 'HEAD', redirect: 'manual' })
    assert.ok(status < 500, `${path}: ${status}`)
  }
})

test('a page goes compressed to whoever takes it so', async (t) => {
  const { browser, at } = await signedIn(t)
  const cookies = [...browser.cookies(gateway.url)].map(([name, value]) => `${name}=${value}`)
  const handler = await container()
  const event = (headers: Readonly<Record<string, string>>) => ({
    rawPath: '/paths',
    rawQueryString: 'class=all',
    cookies,
    headers: { host: new URL(at('/')).host, ...headers },
    requestContext: { domainName: 'pages.example', http: { method: 'GET' } },
  })
  const plain = await handler(event({}), contextOf(29_000))
  const small = await handler(event({ 'accept-encoding': 'gzip, br' }), contextOf(29_000))
  const bytes = Buffer.from(small.body ?? '', 'base64')
  assert.equal(small.headers?.['content-encoding'], 'gzip')
  assert.deepEqual(gunzipSync(bytes), Buffer.from(plain.body ?? '', 'base64'))
  assert.ok(bytes.length * 3 < gunzipSync(bytes).length)
})

test('a function with pages does not start without what they need', async (t) => {
  setEnvironment(t, environment)
  for (const [variable, value] of [
    ['CIPHERTRAIL_API_ISSUER', ''],
    ['CIPHERTRAIL_API_ISSUER', 'http://login.example.com'],
    ['CIPHERTRAIL_SIGN_IN_CLIENT', ''],
    ['CIPHERTRAIL_SIGN_IN_SCOPE', 'profile'],
    ['CIPHERTRAIL_SIGN_IN_KEY', 'a b'],
    ['CIPHERTRAIL_URL', 'https://example.com/pages'],
  ] as const) {
    process.env[variable] = value
    await assert.rejects(container(), errorText({}, `${variable} ${value}`))
    process.env[variable] = environment[variable] ?? ''
  }
})

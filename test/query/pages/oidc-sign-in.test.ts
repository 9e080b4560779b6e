import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { LONGEST_SESSION_SECONDS, SIGN_IN_SECONDS } from '../../../lib/query/oidc/session.ts'
import type { SiteDeps } from '../../../lib/query/site.ts'
import { ASKED_AT } from '../../support/stored/asked-store.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { CLIENT, startOidcServer } from '../../support/sign-in/oidc-server.ts'
import { plainBrowser } from '../../support/sign-in/plain-browser.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** A site whose people sign in at an issuer, and a browser. */
async function start(t: TestContext, changes: Partial<SiteDeps> = {}, seconds?: number) {
  let now = ASKED_AT
  const issuer = await startOidcServer(t, () => now, seconds)
  const site = await startLocalSite(t, { takesTokens: false, now: () => now, ...changes }, issuer.signInAt)
  const browser = plainBrowser()
  const at = (path: string): string => new URL(path, site.url).href
  return {
    issuer,
    site,
    browser,
    at,
    cookies: browser.cookies(site.url),
    visit: (path: string) => browser.visit(at(path)),
    signIn: (next = '/') => browser.visit(at(`/sign-in?${new URLSearchParams({ next }).toString()}`)),
    later: (seconds: number) => {
      now = new Date(now.getTime() + seconds * 1000)
    },
    /** Comes back from the issuer, but does not ask for the address where it led. */
    comingBack: async () => {
      const begun = await browser.ask(at('/sign-in'))
      const atIssuer = await browser.ask(begun.headers.get('location') ?? '')
      return new URL(atIssuer.headers.get('location') ?? '')
    },
  }
}

const decoded = (html: string): string => html.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=')

const linkOf = (text: string): string =>
  decoded(/<a (?:class="entry" )?href="(\/sign-in\?[^"]*)"/.exec(text)?.[1] ?? assert.fail('no link'))

test('the page that was asked for leads to the issuer, and from there back to itself', async (t) => {
  const { visit, site, issuer } = await start(t)
  const asked = await visit('/paths?cluster=east&class=all')
  assert.deepEqual([asked.status, asked.headers.get('cache-control')], [401, 'no-store'])
  assert.match(asked.text, /Sign in at 127\.0\.0\.1:\d+/)
  assert.doesNotMatch(asked.text, /<form/)
  const back = await visit(linkOf(asked.text))
  assert.deepEqual([back.status, back.url.pathname + back.url.search], [200, '/paths?cluster=east&class=all'])
  assert.match(back.text, /<button type="submit">Sign out<\/button>/)
  assert.equal((await visit('/v1/clusters')).status, 200)
  assert.equal(site.logged.at(-1)?.subject, 'ada')
  // A public client: the code is bound to the browser by PKCE alone.
  const [request] = issuer.tokenRequests
  assert.equal(request?.authorization, undefined)
  assert.match(request?.form.get('code_verifier') ?? '', /^[\w-]{43}$/)
  assert.equal(request?.form.get('redirect_uri'), `${site.url}/sign-in/callback`)
})

test('a client secret goes to the token endpoint, in the way that the issuer wants', async (t) => {
  const { issuer } = await start(t)
  for (const [methods, sent] of [
    [undefined, null],
    [['client_secret_post'], CLIENT.secret],
  ] as const) {
    issuer.misbehave({ metadata: methods === undefined ? {} : { token_endpoint_auth_methods_supported: methods } })
    const client = issuer.client('http://127.0.0.1:1', { secret: CLIENT.secret })
    const { location, pending } = await client.begin()
    const back = await fetch(location, { redirect: 'manual' })
    const { grant } = await client.finish(new URL(back.headers.get('location') ?? '').searchParams, pending)
    assert.deepEqual(grant, { subject: 'ada', clusters: 'all' })
    const { authorization, form } = issuer.tokenRequests.at(-1) ?? assert.fail()
    assert.equal(form.get('client_secret'), sent)
    const [, basic] = /^Basic (.*)$/.exec(authorization ?? '') ?? []
    // As the standard has it, both are encoded as in a form.
    const pair = basic === undefined ? null : decodeURIComponent(Buffer.from(basic, 'base64').toString())
    assert.equal(pair, sent === null ? `${CLIENT.id}:${CLIENT.secret}` : null)
  }
})

test('the cookie of a session is bound to this host, holds no token, and ends with the token', async (t) => {
  for (const [seconds, wanted] of [
    [3600, 3600],
    [7 * 24 * 3600, LONGEST_SESSION_SECONDS],
  ] as const) {
    const { browser, at, comingBack, later, site } = await start(t, { isSecure: true }, seconds)
    const back = await comingBack()
    assert.ok(browser.cookies(site.url).has('__Host-ciphertrail-sign-in'))
    const response = await browser.ask(back)
    const [session = '', forgotten] = response.headers.getSetCookie()
    assert.match(session, /^__Host-ciphertrail=[\w.-]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/)
    assert.doesNotMatch(session, /Domain/i)
    assert.match(forgotten ?? '', /^__Host-ciphertrail-sign-in=; Path=\/; Max-Age=0/)
    const [header = ''] = /=([^.]+)\./.exec(session)?.slice(1) ?? []
    assert.deepEqual(JSON.parse(Buffer.from(header, 'base64url').toString()), {
      alg: 'dir',
      enc: 'A256GCM',
      typ: 'session',
    })
    later(wanted - 1)
    assert.equal((await browser.ask(at('/reports'))).status, 200)
    later(1)
    assert.equal((await browser.ask(at('/reports'))).status, 401)
    assert.equal((await browser.ask(at('/v1/clusters'))).status, 401)
  }
})

test('a session that is over says so, and leads back to the page after signing in again', async (t) => {
  const { visit, signIn, later } = await start(t)
  assert.equal((await signIn('/workloads')).url.pathname, '/workloads')
  later(3600)
  const over = await visit('/workloads?cluster=west')
  assert.equal(over.status, 401)
  assert.match(over.text, /<h1>Your session ended<\/h1>/)
  assert.match(over.text, />Sign in again<\/a>/)
  const back = await visit(linkOf(over.text))
  assert.deepEqual([back.status, back.url.pathname + back.url.search], [200, '/workloads?cluster=west'])
})

test('whoever signs out is out, also with a copy of the cookie, and can end the session of the issuer', async (t) => {
  const { browser, at, site, signIn, issuer, cookies } = await start(t)
  await signIn()
  const copy = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }])
    assert.equal((await browser.ask(at('/sign-out'), { method: 'POST', headers })).status, 403)
  assert.equal((await browser.ask(at('/'))).status, 200)
  const out = await browser.visit(at('/sign-out'), { method: 'POST' })
  assert.deepEqual([out.status, out.url.pathname, cookies.size], [200, '/signed-out', 0])
  const [, logout = ''] = /<a href="(http[^"]*)">Sign out at/.exec(out.text) ?? []
  const { origin, pathname, searchParams } = new URL(decoded(logout))
  assert.deepEqual([origin, pathname], [issuer.url, '/logout'])
  assert.deepEqual(Object.fromEntries(searchParams), {
    client_id: CLIENT.id,
    post_logout_redirect_uri: `${site.url}/`,
  })
  assert.equal((await site.ask('/', { headers: { cookie: copy } })).status, 401)
  issuer.misbehave({ metadata: { end_session_endpoint: undefined } })
  const other = await startLocalSite(t, { now: () => ASKED_AT }, issuer.signInAt)
  assert.doesNotMatch(await (await other.ask('/signed-out')).text(), /Sign out at/)
})

test('a code is used once, and in the browser that asked for it', async (t) => {
  const { browser, comingBack, site } = await start(t)
  const back = await comingBack()
  const stranger = await plainBrowser().visit(back)
  assert.equal(stranger.status, 400)
  assert.match(stranger.text, /This sign-in is over/)
  const sealed = [...browser.cookies(site.url)].map(([name, value]) => `${name}=${value}`).join('; ')
  assert.equal((await browser.ask(back)).status, 303)
  // The browser forgot it; a thief of all of it is refused by the issuer.
  assert.equal((await browser.visit(back)).status, 400)
  const replayed = await site.ask(back.pathname + back.search, { headers: { cookie: sealed } })
  assert.equal(replayed.status, 403)
  assert.match(await replayed.text(), /does not accept this code/)
  assert.equal(replayed.headers.getSetCookie().filter((one) => one.startsWith('ciphertrail')).length, 1)
})

test('an answer to another sign-in, or after ten minutes, signs nobody in', async (t) => {
  const { browser, comingBack, later } = await start(t)
  for (const change of [
    (back: URL) => back.searchParams.set('state', 'x'.repeat(43)),
    (back: URL) => back.searchParams.delete('state'),
    (back: URL) => back.searchParams.append('state', 'again'),
    (back: URL) => back.searchParams.set('iss', 'https://other.example'),
  ]) {
    const back = await comingBack()
    change(back)
    const { status, text } = await browser.visit(back)
    assert.equal(status, 403, text)
    assert.match(text, /does not belong to the sign-in that was begun here/)
  }
  const late = await comingBack()
  later(SIGN_IN_SECONDS)
  assert.equal((await browser.visit(late)).status, 400)
})

test('an answer to an older sign-in is refused, and does not end the one that began in another tab', async (t) => {
  const { browser, comingBack } = await start(t)
  const older = await comingBack()
  const newer = await comingBack()
  const { status, text } = await browser.visit(older)
  assert.equal(status, 403, text)
  matchesText(text)
  assert.equal((await browser.ask(newer)).status, 303)
})

test('only an ID token that the issuer made for this client and this sign-in is believed', async (t) => {
  const { signIn, issuer, cookies } = await start(t)
  for (const [name, how] of Object.entries({
    'another nonce': { claims: { nonce: 'another' } },
    'no nonce': { claims: { nonce: undefined } },
    'another issuer': { claims: { iss: 'https://login.other.example' } },
    'another client': { claims: { aud: 'another' } },
    'one of several clients, for another': { claims: { aud: [CLIENT.id, 'another'], azp: 'another' } },
    expired: { claims: { exp: Math.floor(ASKED_AT.getTime() / 1000) - 60 } },
    'no end': { claims: { exp: undefined } },
    'a key that is not published': { signature: 'foreign' },
    'no signature': { signature: 'none' },
  } as const)) {
    issuer.misbehave(how)
    const { status, text } = await signIn()
    assert.ok([403, 503].includes(status), `${name}: ${status}`)
    assert.match(text, /You are not signed in|Nobody can sign in now/, name)
    assert.equal(cookies.size, 0, name)
  }
  issuer.misbehave({})
  assert.equal((await signIn()).status, 200)
})

test('whoever the issuer does not let in reads its code, and nothing that somebody wrote into it', async (t) => {
  const { signIn, issuer } = await start(t)
  issuer.misbehave({ error: 'access_denied' })
  const denied = await signIn('/log')
  assert.equal(denied.status, 403)
  assert.match(denied.text, /answered “access_denied”/)
  assert.equal(linkOf(denied.text), '/sign-in?next=%2Flog')
  issuer.misbehave({ error: '<script>alert(1)</script>' })
  assert.match((await signIn()).text, /answered “an unknown error”/)
})

test('a cookie that was changed, or sealed for something else, opens nothing', async (t) => {
  const { browser, at, signIn, cookies, site, comingBack } = await start(t)
  await signIn()
  const [[name, value] = assert.fail()] = cookies
  const other = await start(t)
  await other.signIn()
  const [[, foreign] = assert.fail()] = other.cookies
  await comingBack()
  const wayBack = cookies.get(name.replace('session', 'sign-in')) ?? assert.fail()
  const parts = value.split('.')
  const changed = (index: number, text: string) => parts.map((part, at) => (at === index ? text : part)).join('.')
  for (const [what, cookie] of Object.entries({
    foreign,
    'sealed for a sign-in': wayBack,
    'a changed byte': changed(3, `${(parts[3] ?? '').startsWith('A') ? 'B' : 'A'}${(parts[3] ?? '').slice(1)}`),
    'another purpose': changed(0, Buffer.from('{"alg":"dir","enc":"A256GCM","typ":"sign-in"}').toString('base64url')),
    'no encryption': changed(0, Buffer.from('{"alg":"none"}').toString('base64url')),
    'no tag': changed(4, ''),
    'plain JSON': Buffer.from('{"subject":"eve","clusters":"all"}').toString('base64url'),
    empty: '',
  })) {
    const response = await site.ask('/reports', { headers: { cookie: `${name}=${cookie}` } })
    assert.equal(response.status, 401, what)
  }
  assert.equal((await browser.ask(at('/reports'))).status, 200)
  // By https a name without the prefix is one that another host may have set.
  const secure = await start(t, { isSecure: true })
  await secure.signIn()
  const [[, good] = assert.fail()] = secure.cookies
  const port = new URL(secure.site.url).port
  const tossed = await secure.site.ask('/reports', { headers: { cookie: `ciphertrail-${port}-session=${good}` } })
  assert.equal(tossed.status, 401)
})

test('whoever signed in sees the clusters of their claim, as with a token of the API', async (t) => {
  const { issuer, signIn, visit } = await start(t)
  issuer.user({ sub: 'bob', ciphertrail_clusters: ['west', 'not an id'] })
  const page = await signIn()
  assert.equal(page.status, 200)
  assert.doesNotMatch(page.text, /\beast\b/)
  for (const path of ['/paths?cluster=east', '/paths/east/none', '/workloads?cluster=east'])
    assert.equal((await visit(path)).status, 404, path)
  assert.equal((await visit('/v1/clusters/east/coverage')).status, 404)
  assert.equal((await visit('/v1/clusters/west/coverage')).status, 200)
  issuer.user({ sub: 'eve' })
  const nothing = await signIn()
  assert.equal(nothing.status, 403)
  assert.match(nothing.text, /No cluster is granted/)
  assert.match(nothing.text, /Sign out/)
})

test('hundreds of clusters fit into a session, and more than fit are refused in words', async (t) => {
  const { issuer, signIn, cookies } = await start(t)
  const names = (count: number) => Array.from({ length: count }, (_, at) => `prod-eu-west-1-team-${at * 7919}`)
  issuer.user({ sub: 'bob', ciphertrail_clusters: ['west', ...names(300)] })
  assert.equal((await signIn()).status, 200)
  cookies.clear()
  const random = Array.from({ length: 500 }, () => randomBytes(10).toString('hex'))
  issuer.user({ sub: 'bob', ciphertrail_clusters: random })
  const refused = await signIn()
  assert.equal(refused.status, 403)
  matchesText(refused.text)
  assert.equal(cookies.size, 0)
})

test('nobody is led to another site by signing in, nor in a circle', async (t) => {
  const { signIn, site } = await start(t)
  for (const next of [
    'https://evil.example',
    '//evil.example',
    '/.//evil.example',
    '/\\evil.example',
    '/sign-in?next=/',
  ]) {
    const { url, status } = await signIn(next)
    assert.deepEqual([status, url.href], [200, `${site.url}/`], next)
  }
  // An address that no cookie could hold is given up, and nothing else.
  assert.equal((await signIn(`/log?x=${Array.from({ length: 900 }, (_, at) => at * 7919).join('')}`)).url.pathname, '/')
})

test('an issuer that cannot be used is told to the operator, and keeps out nobody who is signed in', async (t) => {
  const { issuer, signIn, visit, site, later } = await start(t)
  await signIn()
  issuer.misbehave({ isDown: true })
  assert.equal((await visit('/reports')).status, 200)
  const refused = await plainBrowser().visit(`${site.url}/sign-in/callback?code=x&state=y`)
  assert.equal(refused.status, 400)
  later(3600)
  const down = await visit('/sign-in')
  assert.equal(down.status, 503)
  matchesText(down.text)
  matchesText(site.logged.at(-1)?.error)
  assert.doesNotMatch(JSON.stringify(site.logged), /secret-of-the-issuer|code=/)
  issuer.misbehave({ metadata: { token_endpoint: 'http://evil.example/token' } })
  assert.equal((await visit('/sign-in')).status, 503)
  assert.match(site.logged.at(-1)?.error ?? '', /no https token_endpoint/)
  issuer.misbehave({ metadata: { issuer: 'https://other.example' } })
  assert.equal((await visit('/sign-in')).status, 503)
})

test('tokens can be pasted beside, where there are some, and nowhere else', async (t) => {
  const { at, browser, issuer } = await start(t)
  const form = { method: 'POST', body: new URLSearchParams({ token: TOKENS.all }) }
  assert.equal((await browser.ask(at('/sign-in'), form)).status, 405)
  const both = await startLocalSite(t, {}, issuer.signInAt)
  const page = await (await both.ask('/')).text()
  assert.match(page, /<form class="form" method="post" action="\/sign-in">/)
  assert.match(page, /Or paste the token/)
  assert.equal((await both.ask('/', { headers: { cookie: await both.signIn(TOKENS.all) } })).status, 200)
})

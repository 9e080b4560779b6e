import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { localPath } from '../../../lib/query/pages/sign-in.ts'
import { SESSION_SECONDS, createSessions } from '../../../lib/query/pages/sessions.ts'
import { ASKED_AT } from '../../support/stored/asked-store.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'

const form = (fields: Readonly<Record<string, string>>): RequestInit => ({
  method: 'POST',
  body: new URLSearchParams(fields),
})

test('a page asks who comes without a session for a token, and a session opens pages and API', async (t) => {
  const { ask, signIn } = await startLocalSite(t)
  for (const path of ['/', '/paths', '/paths/x/none', '/log']) {
    const response = await ask(path)
    assert.equal(response.status, 401)
    const page = await response.text()
    assert.match(page, /<form class="form" method="post" action="\/sign-in">/)
    assert.doesNotMatch(page, /east|west/)
  }
  const cookie = await signIn(TOKENS.all)
  assert.equal((await ask('/', { headers: { cookie } })).status, 200)
  assert.equal((await ask('/v1/clusters', { headers: { cookie } })).status, 200)
  assert.equal((await ask('/v1/clusters')).status, 401)
})

test('a session is a cookie that no script and no other site can use, and holds no token', async (t) => {
  const plain = await startLocalSite(t)
  const response = await plain.ask('/sign-in', form({ token: TOKENS.all, next: '/paths?cluster=east' }))
  assert.deepEqual([response.status, response.headers.get('location')], [303, '/paths?cluster=east'])
  const cookie = response.headers.get('set-cookie') ?? ''
  assert.match(cookie, /^ciphertrail-\d+=[\w-]{43}; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax$/)
  assert.doesNotMatch(cookie, new RegExp(TOKENS.all))
  const secure = await startLocalSite(t, { isSecure: true })
  const other = await secure.ask('/sign-in', form({ token: TOKENS.all }))
  assert.match(other.headers.get('set-cookie') ?? '', /; Secure$/)
})

test('a wrong token, none, and one that no header can hold get the form again', async (t) => {
  const { ask, logged } = await startLocalSite(t)
  for (const token of ['', 'x'.repeat(32), 'a b', 'ä'.repeat(40), `${TOKENS.all}\nX-Other: 1`, 'x'.repeat(20_000)]) {
    const response = await ask('/sign-in', form({ token }))
    assert.equal(response.status, 401, token.slice(0, 20))
    assert.equal(response.headers.get('set-cookie'), null)
  }
  assert.doesNotMatch(JSON.stringify(logged), new RegExp(TOKENS.all))
})

test('a form that another site sends signs nobody in or out', async (t) => {
  const { ask, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) {
    assert.equal((await ask('/sign-in', { ...form({ token: TOKENS.all }), headers })).status, 403)
    assert.equal((await ask('/sign-out', { method: 'POST', headers: { ...headers, cookie } })).status, 403)
  }
  assert.equal((await ask('/', { headers: { cookie } })).status, 200)
})

test('whoever signs out is out, whatever the browser keeps', async (t) => {
  const { ask, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  const response = await ask('/sign-out', { method: 'POST', headers: { cookie } })
  assert.equal(response.status, 303)
  assert.match(response.headers.get('set-cookie') ?? '', /^ciphertrail-\d+=; Path=\/; Max-Age=0/)
  const again = await ask('/', { headers: { cookie } })
  assert.equal(again.status, 401)
  assert.match(await again.text(), /<h1>Your session ended<\/h1>/)
})

test('a session ends after half a day', async (t) => {
  let now = ASKED_AT
  const { ask, signIn } = await startLocalSite(t, { now: () => now })
  const cookie = await signIn(TOKENS.all)
  now = new Date(ASKED_AT.getTime() + (SESSION_SECONDS - 1) * 1000)
  assert.equal((await ask('/reports', { headers: { cookie } })).status, 200)
  now = new Date(ASKED_AT.getTime() + SESSION_SECONDS * 1000)
  assert.equal((await ask('/reports', { headers: { cookie } })).status, 401)
})

test('a token that is taken back ends its sessions at once', async (t) => {
  let isKnown = true
  const { ask, signIn } = await startLocalSite(t, {
    access: async (request) =>
      isKnown && request.headers.get('authorization') === `Bearer ${TOKENS.all}`
        ? { subject: 'ada', clusters: 'all' }
        : undefined,
  })
  const cookie = await signIn(TOKENS.all)
  assert.equal((await ask('/reports', { headers: { cookie } })).status, 200)
  isKnown = false
  assert.equal((await ask('/reports', { headers: { cookie } })).status, 401)
})

test('only so many sessions are kept, the latest ones', () => {
  const sessions = createSessions(() => ASKED_AT)
  const names = Array.from({ length: 1001 }, (_, index) => sessions.open(`token ${index}`))
  assert.deepEqual(
    [names[0], names[1], names[1000]].map((name) => sessions.tokenOf(name ?? '')),
    [undefined, 'token 1', 'token 1000'],
  )
})

test('nobody is led to another site after signing in', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.webUrl(),
        fc.string(),
        fc.constantFrom(
          '//evil.example',
          '/\\evil',
          '/\t/evil',
          '/.//evil.example',
          '/a/..//evil.example',
          '/%2e//evil.example',
        ),
      ),
      (text) => {
        const path = localPath(text)
        assert.equal(new URL(path, 'https://here.example').host, 'here.example')
        assert.match(path, /^\/(?![/\\])/)
      },
    ),
  )
  for (const text of ['/.//evil.com', '/a/..//evil.com', '/%2e//evil.com']) assert.equal(localPath(text), '/', text)
  assert.equal(localPath('/paths?cluster=a'), '/paths?cluster=a')
})

test('whoever signs in by a link of another site stays on this one', async (t) => {
  const { ask } = await startLocalSite(t)
  for (const next of ['/.//evil.com', '/a/..//evil.com', '/%2e//evil.com', '//evil.com']) {
    const response = await ask('/sign-in', form({ token: TOKENS.all, next }))
    assert.deepEqual([response.status, response.headers.get('location')], [303, '/'], next)
  }
})

test('a form that is sent in part is no failure of the server', async (t) => {
  const { url, logged } = await startLocalSite(t)
  const { hostname, port, host } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, 'connect')
  socket.end(
    `POST /sign-in HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 30000\r\n\r\ntoken=`,
  )
  while (logged.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    logged.map(({ path, status, error }) => [path, status, error]),
    [['/sign-in', 401, null]],
  )
})

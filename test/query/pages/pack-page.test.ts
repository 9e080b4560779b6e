import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { keepPack } from '../../../lib/jobs/packs/make-kept-pack.ts'
import { recordFailed } from '../../../lib/pack/pack-state.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { startOidcServer } from '../../support/sign-in/oidc-server.ts'
import { plainBrowser } from '../../support/sign-in/plain-browser.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillReported, packOf, VERSION } from '../../support/stored/packed-report.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const filled = new Map<string, Uint8Array>()
const report = await fillReported(memoryObjects(filled), newSigner())
const id = report.replace(/^reports\/(.*)\.json$/, '$1')
const PAGE = `/reports/${id}/pack`
const BUTTON = `<form class="form" method="post" action="${PAGE}">`
const LATER = minutesIn(500)

test('a button asks for the pack of a report, the page says how it stands, and then gives it', async (t) => {
  const objects = memoryObjects(new Map(filled))
  const queued: string[] = []
  const site = await startLocalSite(t, { objects, now: () => LATER, queuePack: async (key) => void queued.push(key) })
  const { page, ask, signIn } = site
  const cookie = await signIn(TOKENS.all)
  for (const place of ['/reports', PAGE]) assert.ok((await page(place, cookie)).includes(BUTTON), place)
  const press = (headers: Record<string, string> = {}) =>
    ask(PAGE, { method: 'POST', headers: { cookie, origin: site.url, ...headers } })
  const pressed = await press()
  assert.deepEqual([pressed.status, pressed.headers.get('location')], [303, PAGE])
  assert.deepEqual(queued, [report])
  const waiting = await page(PAGE, cookie)
  matchesText(waiting)
  assert.match(waiting, />Look again</)
  assert.ok(!waiting.includes(BUTTON))
  assert.match(await page('/reports', cookie), />Audit pack<\/a> <span class="note">being made</)
  assert.equal((await press()).status, 303)
  assert.deepEqual(queued, [report])

  await keepPack(report, { version: VERSION, now: () => LATER }, { objects })
  const { made } = await packOf(memoryObjects(new Map(filled)), { key: report })
  const there = await page(PAGE, cookie)
  assert.ok(there.includes(made.sha256))
  const [, href = ''] = /<a href="([^"]+)">Download the pack</.exec(there) ?? []
  const given = await ask(href, { headers: { cookie } })
  assert.equal(hash('sha256', Buffer.from(await given.arrayBuffer())), made.sha256)
  assert.match(await page('/reports', cookie), />Audit pack<\/a> <span class="note">[\d.]+ kB</)
  assert.match(String(given.headers.get('content-disposition')), /^attachment/)
  assert.ok(
    site.logged.some(({ method, path, subject }) => method === 'POST' && path === PAGE && subject === 'token 1'),
  )
})

test('a form of another site, one without a session and one of whoever sees one cluster ask for nothing', async (t) => {
  const objects = memoryObjects(new Map(filled))
  const queued: string[] = []
  const site = await startLocalSite(t, { objects, now: () => LATER, queuePack: async (key) => void queued.push(key) })
  const [all, west] = [await site.signIn(TOKENS.all), await site.signIn(TOKENS.west)]
  const statusOf = async (headers: Record<string, string>) => (await site.ask(PAGE, { method: 'POST', headers })).status
  assert.equal(await statusOf({ cookie: all, origin: 'https://evil.example' }), 403)
  assert.equal(await statusOf({ cookie: all, origin: 'null' }), 403)
  assert.equal(await statusOf({ cookie: all, 'sec-fetch-site': 'cross-site' }), 403)
  assert.equal(await statusOf({ origin: site.url }), 401)
  assert.equal(await statusOf({ cookie: west, origin: site.url }), 404)
  assert.equal((await site.ask(PAGE, { headers: { cookie: west } })).status, 404)
  assert.doesNotMatch(await site.page('/reports', west), /pack/i)
  // The cookie alone opens nothing of the API that changes anything.
  const posted = await site.ask(`/v1/reports/${id}/pack`, {
    method: 'POST',
    headers: { cookie: all, origin: site.url },
  })
  assert.equal(posted.status, 401)
  assert.deepEqual(queued, [])
})

test('whoever signed in at an issuer presses the button, and the cookie alone asks the API for nothing', async (t) => {
  const objects = memoryObjects(new Map(filled))
  const queued: string[] = []
  const issuer = await startOidcServer(t, () => LATER)
  const changes = { objects, now: () => LATER, queuePack: async (key: string) => void queued.push(key) }
  const site = await startLocalSite(t, changes, issuer.signInAt)
  const browser = plainBrowser()
  const at = (path: string): string => new URL(path, site.url).href
  await browser.visit(at('/sign-in'))
  const press = (path: string, origin: string) => browser.ask(at(path), { method: 'POST', headers: { origin } })
  assert.equal((await press(PAGE, 'https://evil.example')).status, 403)
  assert.equal((await press(`/v1/reports/${id}/pack`, site.url)).status, 401)
  assert.deepEqual(queued, [])
  const pressed = await press(PAGE, site.url)
  assert.deepEqual([pressed.status, pressed.headers.get('location')], [303, PAGE])
  assert.deepEqual(queued, [report])
  // A proxy in front may have another name than the pages, whose own name the issuer knows.
  const behind = await startLocalSite(t, changes, () => issuer.signInAt('https://pages.example.com'))
  const statusBehind = async (path: string, method: string, headers: Record<string, string>) =>
    (await behind.ask(path, { method, headers })).status
  assert.equal(await statusBehind(PAGE, 'POST', { origin: 'https://pages.example.com' }), 401)
  assert.equal(await statusBehind(PAGE, 'POST', { origin: 'https://evil.example' }), 403)
  assert.equal(
    await statusBehind(`/v1/reports/${id.replace('-', '%2D')}/pack`, 'GET', { authorization: `Bearer ${TOKENS.all}` }),
    404,
  )
})

test('what failed says why and what to run, and a server that only shows names the command', async (t) => {
  const objects = memoryObjects(new Map(filled))
  const making = await startLocalSite(t, { objects, now: () => LATER, queuePack: async () => undefined })
  await recordFailed(report, 'Cannot pack it here: it has 90 GB <b>', LATER, objects)
  const cookie = await making.signIn(TOKENS.all)
  const failed = await making.page(PAGE, cookie)
  matchesText(failed)
  assert.match(failed, new RegExp(`ciphertrail pack --report ${id} --out pack\\.zip`))
  assert.ok(!failed.includes(BUTTON), 'not again at once')

  const shown = memoryObjects(new Map(filled))
  const showing = await startLocalSite(t, { objects: shown, now: () => LATER })
  const other = await showing.signIn(TOKENS.all)
  const none = await showing.page(PAGE, other)
  assert.match(none, /this server only shows/)
  for (const page of [none, await showing.page('/reports', other)]) assert.ok(!page.includes(BUTTON))
  const posted = await showing.ask(PAGE, { method: 'POST', headers: { cookie: other, origin: showing.url } })
  assert.equal(posted.status, 409)
  matchesText(await posted.text())
})

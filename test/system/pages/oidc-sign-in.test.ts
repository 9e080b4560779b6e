/** Signing in to the pages in a real browser, at a certified OpenID Connect provider on another site: there and back, no JavaScript, axe, the policy, sign-out. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { Provider } from 'oidc-provider'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { addressCheck } from '../../../lib/net/refused-addresses.ts'
import { createIssuer } from '../../../lib/query/oidc/create-issuer.ts'
import { createSealer } from '../../../lib/query/oidc/sealed.ts'
import { startBrowser, violations } from '../../support/browser.ts'
import { type LocalSite, startLocalSite } from '../../support/servers/local-site.ts'

const CLIENT = 'ciphertrail-pages'

/** What people see, by their login. */
const CLUSTERS: Readonly<Record<string, string>> = { ada: '*', bob: 'west' }

const ended: (() => Promise<void> | void)[] = []
const suite = { after: (end: () => Promise<void> | void) => void ended.push(end) }

let browser: Browser
let site: LocalSite
/** How far the clock of the pages is ahead. */
let aheadMs = 0

before(async () => {
  let answer: ReturnType<Provider['callback']> | undefined
  const server = createServer((request, response) => void answer?.(request, response))
  const { port, close } = await listenOnLoopback(server)
  suite.after(close)
  // Another name of this machine: for a browser it is another site.
  const url = `http://localhost:${port}`
  const now = (): Date => new Date(Date.now() + aheadMs)
  site = await startLocalSite(suite, { takesTokens: false, now }, (pages) => {
    const provider = new Provider(url, {
      clients: [
        {
          client_id: CLIENT,
          token_endpoint_auth_method: 'none',
          redirect_uris: [`${pages}/sign-in/callback`],
          post_logout_redirect_uris: [`${pages}/`],
        },
      ],
      pkce: { required: () => true },
      claims: { openid: ['sub', 'ciphertrail_clusters'] },
      conformIdTokenClaims: false,
      cookies: { keys: [randomBytes(16).toString('hex')] },
      findAccount: (_, accountId) => ({
        accountId,
        claims: () => ({ sub: accountId, ciphertrail_clusters: CLUSTERS[accountId] }),
      }),
    })
    answer = provider.callback()
    const settings = { issuer: url, clientId: CLIENT, scope: 'openid', claim: 'ciphertrail_clusters', url: pages }
    const key = randomBytes(32)
    return {
      issuer: createIssuer(settings, { clientSecret: null, check: addressCheck(undefined), now }),
      sealer: createSealer(async () => key),
    }
  })
  browser = await startBrowser()
  suite.after(() => browser.close())
})

after(async () => {
  for (const end of ended.toReversed()) await end()
})

const at = (path: string): string => new URL(path, site.url).href

/** A browser window, and all that it complained of on our pages; what is said of the provider's own pages is left out, and that somebody is not signed in. */
async function open(options: BrowserContextOptions = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.location().url.startsWith(site.url) && !/status of 4\d\d/.test(message.text()))
      complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  return { page, complaints, context }
}

/** From a page that asks for it, through the login and the consent of the provider, until the browser is back: a click does not wait for a page of another site. */
async function signIn(page: Page, login: string): Promise<void> {
  await page.click('main a:has-text("Sign in")')
  await page.fill('input[name=login]', login)
  await page.fill('input[name=password]', 'x')
  await page.click('button[type=submit]')
  await page.click('button:has-text("Continue")')
  await page.waitForURL(({ origin }) => origin === new URL(site.url).origin)
}

test('from the front page through the provider and back, and out again, without JavaScript', async () => {
  const { page, complaints, context } = await open({ javaScriptEnabled: false })
  await page.goto(at('/paths?cluster=east&class=all'))
  assert.equal(await page.textContent('h1'), 'Sign in')
  await signIn(page, 'ada')
  assert.equal(page.url(), at('/paths?cluster=east&class=all'))
  assert.match((await page.textContent('main')) ?? '', /east|deployment/)
  const cookies = (await context.cookies()).filter(({ name }) => name.startsWith('ciphertrail'))
  assert.deepEqual(
    cookies.map(({ httpOnly, sameSite, path }) => [httpOnly, sameSite, path]),
    [[true, 'Lax', '/']],
  )
  await page.click('text=Sign out')
  assert.equal(await page.textContent('h1'), 'You are signed out')
  await page.goBack()
  assert.equal(await page.locator('table').count(), 0, 'nothing of it is kept')
  await page.goto(at('/signed-out'))
  await page.click('text=Sign out at localhost')
  assert.match((await page.textContent('body')) ?? '', /Do you want to sign-out/)
  await page.click('button[value=yes]')
  await page.waitForURL(at('/'))
  assert.equal(await page.textContent('h1'), 'Sign in')
  await page.click('main a:has-text("Sign in")')
  assert.equal(await page.locator('input[name=login]').count(), 1, 'the provider asks again')
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a session that is over says so, and one click leads back to the page', async (t) => {
  t.after(() => {
    aheadMs = 0
  })
  const { page, complaints, context } = await open()
  await page.goto(at('/workloads?cluster=west'))
  await signIn(page, 'ada')
  aheadMs = 13 * 60 * 60 * 1000
  const response = await page.reload()
  assert.equal(response?.status(), 401)
  assert.equal(await page.textContent('h1'), 'Your session ended')
  aheadMs = 0
  await page.click('text=Sign in again')
  await page.waitForURL(at('/workloads?cluster=west'))
  assert.deepEqual(complaints, [])
  await context.close()
})

test('the address of another team is refused to whoever signed in, in words', async () => {
  const { page, context } = await open()
  await page.goto(at('/'))
  await signIn(page, 'bob')
  assert.doesNotMatch(await page.content(), /\beast\b/)
  const response = await page.goto(at('/paths?cluster=east'))
  assert.equal(response?.status(), 404)
  assert.match((await page.textContent('main')) ?? '', /no such cluster may be seen here/)
  await context.close()
  const nobody = await open()
  await nobody.page.goto(at('/'))
  await signIn(nobody.page, 'eve')
  assert.equal(await nobody.page.textContent('h1'), 'No cluster is granted')
  await nobody.context.close()
})

for (const colorScheme of ['light', 'dark'] as const)
  test(`axe finds nothing on the pages around signing in, and none scrolls sideways, ${colorScheme}`, async () => {
    const { page, complaints, context } = await open({ colorScheme, viewport: { width: 360, height: 800 } })
    for (const path of ['/', '/signed-out', '/sign-in/callback?code=x&state=y']) {
      await page.goto(at(path))
      assert.deepEqual(await violations(page), [], path)
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, path)
    }
    // Whoever presses "back" in the middle of it comes with an answer to another sign-in.
    await page.goto(at('/sign-in'))
    await page.goto(at('/sign-in/callback?error=access_denied&state=y'))
    assert.equal(await page.textContent('h1'), 'You are not signed in')
    assert.deepEqual(await violations(page), [])
    assert.deepEqual(complaints, [])
    await context.close()
  })

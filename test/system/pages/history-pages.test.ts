/** The pages in a real browser, on months of history: three steps to a life line, axe, narrow screens, no JavaScript, the policy, names, sessions. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { DEMO_FIXTURE, openFixture } from '../../../demo/fixture.ts'
import { SYNTHETIC_WORDS, makeSyntheticHistory } from '../../../demo/synthetic-history.ts'
import { SESSION_SECONDS } from '../../../lib/query/pages/sessions.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { printable } from '../../../lib/text/printable.ts'
import { signInTo, startBrowser, violations } from '../../support/browser.ts'
import { run } from '../../support/process/command-line.ts'
import { type LocalSite, TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { ASKED_AT, HOSTILE } from '../../support/stored/asked-store.ts'

const PLACES = ['/', '/clusters', '/paths', '/workloads', '/flow', '/changes', '/reports', '/log']

/** Two periods and two times that are compared: what differs is drawn, and stands in tables. */
const COMPARED = [
  '/changes?from=2026-Q3&to=2026-Q4',
  '/changes?from=2026-11-24T12:00:00Z/2026-11-24T12:05:00Z&to=2026-11-24T12:05:00Z/2026-11-24T12:20:00Z',
  '/flow?before=2026-09-18T12:00:00Z&at=2026-10-27T12:00:00Z',
  '/flow?before=2026-11-24T12:06:00Z',
]

const ended: (() => Promise<void> | void)[] = []
const suite = { after: (end: () => Promise<void> | void) => void ended.push(end) }

let browser: Browser
/** Thirteen weeks of one cluster. */
let months: LocalSite
/** Two clusters, one with a hostile name in it. */
let small: LocalSite
let now = ASKED_AT

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ciphertrail-history-pages-'))
  suite.after(() => rm(folder, { recursive: true }))
  const { code, stderr } = await run(['demo'], { folder })
  assert.equal(code, 0, stderr)
  const { windows } = openFixture(DEMO_FIXTURE)
  const objects = await makeSyntheticHistory(
    join(folder, 'months'),
    { windows, until: windows.at(-1)?.end ?? '' },
    { recorded: directoryObjects(join(folder, 'demo-output/store')), version: '1.2.3', user: 'tester' },
  )
  months = await startLocalSite(suite, { objects, now: () => new Date('2026-11-25T00:00:00Z') })
  small = await startLocalSite(suite, { now: () => now })
  browser = await startBrowser()
  suite.after(() => browser.close())
})

after(async () => {
  for (const end of ended.toReversed()) await end()
})

/** The life line of a path that was in the clear, and its name. */
async function lifeLineOf(site: LocalSite): Promise<string> {
  const text = await site.page('/paths', await site.signIn(TOKENS.all))
  const [, href = ''] = /<a href="(\/paths\/[^"?]+)"/.exec(text) ?? []
  return href
}

for (const colorScheme of ['light', 'dark'] as const)
  test(`axe finds nothing on any page, ${colorScheme}, and the policy keeps nothing back`, async () => {
    for (const site of [months, small]) {
      const { page, complaints, context } = await signInTo(site, browser, { colorScheme })
      for (const path of [
        ...PLACES,
        ...COMPARED,
        await lifeLineOf(site),
        '/?at=2026-11-24T12:10:00Z',
        '/paths?class=all&state=encrypted',
      ]) {
        await page.goto(new URL(path, site.url).href)
        assert.deepEqual(await violations(page), [], path)
      }
      assert.deepEqual(complaints, [])
      for (const path of ['/nowhere', '/paths?cluster=none', '/paths?state=no']) {
        await page.goto(new URL(path, site.url).href)
        assert.deepEqual(await violations(page), [], path)
      }
      await context.close()
      const stranger = await browser.newContext({ colorScheme })
      const form = await stranger.newPage()
      await form.goto(site.url)
      assert.deepEqual(await violations(form), [])
      await stranger.close()
    }
  })

test('no page scrolls sideways, from 360 pixels on', async () => {
  for (const width of [360, 800, 1280])
    for (const site of [months, small]) {
      const { page, context } = await signInTo(site, browser, { viewport: { width, height: 800 } })
      for (const path of [...PLACES, ...COMPARED, await lifeLineOf(site)]) {
        await page.goto(new URL(path, site.url).href)
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${path} at ${width}`)
      }
      await context.close()
    }
})

test('three steps lead from the front page to the life line of a given path in the clear, without JavaScript', async () => {
  const { page, complaints, context } = await signInTo(months, browser, { javaScriptEnabled: false })
  await page.click('nav >> text=Paths')
  await page.click('a:has-text("emojivoto/web"):has-text("emojivoto/voting")')
  assert.match((await page.textContent('h1')) ?? '', /emojivoto\/web → deployment emojivoto\/voting:8080/)
  const text = (await page.textContent('main')) ?? ''
  assert.match(text, /unencrypted until .* fixed: seen encrypted, not for the first time/)
  assert.match(text, /kubectl patch deployment\/voting -n emojivoto/)
  assert.equal(await page.locator('#episodes + table tbody tr').count(), 2)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('filters work as a form without JavaScript, and stand in the address', async () => {
  const { page, context } = await signInTo(months, browser, { javaScriptEnabled: false })
  await page.goto(new URL('/paths', months.url).href)
  await page.click('summary')
  await page.selectOption('select[name=namespace]', 'warehouse')
  await page.click('.filters button')
  const { searchParams } = new URL(page.url())
  assert.equal(searchParams.get('namespace'), 'warehouse')
  assert.match((await page.textContent('.paths')) ?? '', /warehouse\/inventory/)
  assert.doesNotMatch((await page.textContent('.paths')) ?? '', /emojivoto/)
  await page.click('text=4 weeks')
  assert.equal(new URL(page.url()).searchParams.get('namespace'), 'warehouse')
  await context.close()
})

test('two periods and two times are compared by links and forms, without JavaScript', async () => {
  const { page, complaints, context } = await signInTo(months, browser, { javaScriptEnabled: false })
  await page.click('main >> text=What changed since the period before')
  await page.click('summary')
  await page.fill('input[name=from]', '2026-Q3')
  await page.fill('input[name=to]', '2026-Q4')
  await page.click('.filters button')
  assert.match((await page.textContent('main')) ?? '', /2 new, 2 still open, 2 fixed/)
  await page.click('.choices >> text=2 fixed')
  assert.equal(await page.locator('main table tbody tr').count(), 2)
  await page.click('nav >> text=Data flow')
  await page.click('text=4 weeks before')
  const drawn = (await page.textContent('.drawing svg')) ?? ''
  assert.match(drawn, /● → ▲ 8080/)
  assert.match(drawn, /new △ 5432/)
  assert.match(
    (await page.textContent('main table')) ?? '',
    /warehouse\/orders → statefulset warehouse\/inventory:8080/,
  )
  assert.deepEqual(complaints, [])
  await context.close()
})

test('everything can be reached by keyboard, the content first', async () => {
  const { page, context } = await signInTo(months, browser)
  await page.goto(months.url)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate('document.activeElement.closest("main") !== null'), true)
  await context.close()
})

test('what is synthetic says so on every page and on paper', async () => {
  const { page, context } = await signInTo(months, browser)
  for (const path of [...PLACES, ...COMPARED, await lifeLineOf(months)]) {
    await page.goto(new URL(path, months.url).href)
    await page.emulateMedia({ media: path === '/' ? 'print' : 'screen' })
    assert.ok((await page.locator('.replay').first().textContent())?.includes(SYNTHETIC_WORDS), path)
    assert.equal(await page.locator('.replay').first().isVisible(), true)
  }
  await context.close()
})

test('a hostile name is shown as text and does nothing', async () => {
  const { page, complaints, context } = await signInTo(small, browser)
  await page.goto(new URL('/paths?cluster=east&class=all', small.url).href)
  const shown = printable(HOSTILE)
  assert.ok((await page.textContent('main'))?.includes(shown), 'the name is on the page')
  assert.equal(await page.locator('main script').count(), 0)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('the address of another team is refused, in words', async () => {
  const foreign = await lifeLineOf(small)
  assert.match(foreign, /^\/paths\/east\//)
  const { page, context } = await signInTo(small, browser, { token: TOKENS.west })
  for (const path of [foreign, '/paths?cluster=east']) {
    const response = await page.goto(new URL(path, small.url).href)
    assert.equal(response?.status(), 404)
    assert.match((await page.textContent('main')) ?? '', /Cannot find cluster "east": no such cluster may be seen here/)
  }
  await page.goto(small.url)
  assert.doesNotMatch(await page.content(), /\beast\b/)
  await context.close()
})

test('a session that is over asks for the token again and leads back; signing out ends one', async () => {
  now = ASKED_AT
  const { page, context } = await signInTo(small, browser)
  await page.goto(new URL('/paths?cluster=west', small.url).href)
  now = new Date(ASKED_AT.getTime() + SESSION_SECONDS * 1000)
  const response = await page.reload()
  assert.equal(response?.status(), 401)
  assert.equal(await page.textContent('h1'), 'Your session ended')
  await page.fill('input[name=token]', TOKENS.all)
  await page.click('button[type=submit]')
  assert.equal(new URL(page.url()).search, '?cluster=west')
  await page.click('text=Sign out')
  assert.equal(await page.textContent('h1'), 'Sign in')
  await page.goBack()
  assert.equal(await page.locator('table').count(), 0, 'nothing of it is kept')
  now = ASKED_AT
  await context.close()
})

/** The page of an audit pack in a real browser: the button without JavaScript, the download, axe, narrow screens, the policy. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { keepPack } from '../../../lib/jobs/packs/make-kept-pack.ts'
import { recordFailed } from '../../../lib/pack/pack-state.ts'
import { signInTo, startBrowser, violations } from '../../support/browser.ts'
import { type LocalSite, startLocalSite } from '../../support/servers/local-site.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillReported, packOf, VERSION } from '../../support/stored/packed-report.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'

const LATER = minutesIn(500)
const ended: (() => Promise<void> | void)[] = []
const suite = { after: (end: () => Promise<void> | void) => void ended.push(end) }

let browser: Browser
let report: string
let page: string
let expected: string
const filled = new Map<string, Uint8Array>()

before(async () => {
  report = await fillReported(memoryObjects(filled), newSigner())
  page = report.replace(/^reports\/(.*)\.json$/, '/reports/$1/pack')
  expected = (await packOf(memoryObjects(filled), { key: report })).made.sha256
  browser = await startBrowser()
  suite.after(() => browser.close())
})
after(async () => {
  for (const end of ended.toReversed()) await end()
})

async function siteOf(): Promise<{
  site: LocalSite
  objects: ReturnType<typeof memoryObjects>
  make: () => Promise<void>
}> {
  const objects = memoryObjects(new Map(filled))
  const queued: string[] = []
  const site = await startLocalSite(suite, {
    objects,
    now: () => LATER,
    queuePack: async (key) => void queued.push(key),
  })
  const make = async (): Promise<void> => {
    for (const key of queued) await keepPack(key, { version: VERSION, now: () => LATER }, { objects })
  }
  return { site, objects, make }
}

test('somebody without JavaScript presses the button, looks again, and downloads the pack', async () => {
  const { site, make } = await siteOf()
  const { page: tab, complaints } = await signInTo(site, browser, { javaScriptEnabled: false })
  await tab.click('nav >> text=Reports')
  await tab.click('text=Make the audit pack')
  assert.equal(new URL(tab.url()).pathname, page)
  assert.match((await tab.textContent('main')) ?? '', /is being made/)
  await make()
  await tab.click('text=Look again')
  const [download] = await Promise.all([tab.waitForEvent('download'), tab.click('text=Download the pack')])
  assert.equal(hash('sha256', await readFile(await download.path())), expected)
  assert.match(download.suggestedFilename(), /^ciphertrail-.*-pack\.zip$/)
  assert.deepEqual(complaints, [])
})

for (const colorScheme of ['light', 'dark'] as const)
  test(`axe finds nothing on the page of a pack, however it stands, ${colorScheme}, and it does not scroll sideways`, async () => {
    const { site, objects, make } = await siteOf()
    const { page: tab, complaints } = await signInTo(site, browser, {
      colorScheme,
      viewport: { width: 360, height: 800 },
    })
    const look = async (what: string): Promise<void> => {
      for (const path of ['/reports', page]) {
        await tab.goto(new URL(path, site.url).href)
        assert.deepEqual(await violations(tab), [], `${path} ${what}`)
        assert.equal(await tab.evaluate('document.documentElement.scrollWidth'), 360, `${path} ${what}`)
      }
    }
    await look('before anybody asked')
    await recordFailed(report, `Cannot pack it here: ${'x'.repeat(120)}`, minutesIn(1), objects)
    await look('after it failed')
    await tab.click('text=Make the audit pack')
    await look('while it is made')
    await make()
    await look('once it is there')
    assert.deepEqual(complaints, [])
  })

/** The pages behind the links of a mail, in a real browser: axe finds nothing, light and dark, a narrow screen does not scroll sideways, and the button does what it says. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { addChannel, readChannels } from '../../../lib/deliver/channel/channels.ts'
import { downloadIdOf, makeDownload, readDownload, revokeDownload } from '../../../lib/deliver/link/downloads.ts'
import { linkKey } from '../../../lib/deliver/link/link-key.ts'
import { unsubscribePath } from '../../../lib/deliver/link/unsubscribe-links.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { startBrowser, violations } from '../../support/browser.ts'
import { REPORT_PDF, keepPdf } from '../../support/deliver/kept-report.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { startS3Server } from '../../support/servers/s3-server.ts'
import { openStore } from '../../store/objects/open-s3.ts'

const SENT = new Date('2026-11-23T07:00:00Z')

let browser: Browser

before(async () => {
  browser = await startBrowser()
})

after(() => browser.close())

/** Keeps a report and a channel with links, and gives who gets them and what makes one. */
async function keepChannel(objects: Objects) {
  const report = await keepPdf(objects)
  await addChannel(
    { id: 'grc', recipients: ['ada@example.com'], timeZone: 'America/Argentina/ComodRivadavia', hasDownloads: true },
    { now: new Date('2026-11-20T00:00:00Z'), by: 'test' },
    objects,
  )
  const [recipient = ''] = (await readChannels(objects))[0]?.recipients ?? []
  const link = (expiresAt: string) => makeDownload({ report, channel: 'grc', recipient, expiresAt }, SENT, objects)
  return { recipient, link }
}

const objects = memoryObjects()
const { recipient, link } = await keepChannel(objects)
const [works, expired, revoked] = await Promise.all([
  link('2026-12-23T07:00:00Z'),
  link('2026-11-23T07:00:00Z'),
  link('2026-12-23T07:00:00Z'),
])
await revokeDownload(downloadIdOf(revoked) ?? '', SENT, objects)

const PAGES = {
  'a link that works': `/d/${works}`,
  'a link that expired': `/d/${expired}`,
  'a link that was revoked': `/d/${revoked}`,
  'a link that is none': `/d/${'A'.repeat(43)}`,
  'a link to unsubscribe': unsubscribePath({ channel: 'grc', recipient }, await linkKey(objects)),
} as const

for (const [name, path] of Object.entries(PAGES))
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [360, 800])
      test(`the page of ${name} is readable at ${width} pixels, ${colorScheme}`, async (t) => {
        const { url } = await startApi(t, { objects, now: () => SENT })
        const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, bypassCSP: true })
        const page = await context.newPage()
        const asked: string[] = []
        page.on('request', (request) => asked.push(new URL(request.url()).pathname))
        await page.goto(new URL(path, url).href)
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
        assert.deepEqual(await violations(page), [])
        assert.deepEqual(
          asked.filter((one) => one !== '/favicon.ico'),
          [path],
          'the page asks for nothing but itself',
        )
        const folder = process.env['PICTURES']
        if (folder !== undefined)
          await page.screenshot({ path: `${folder}/${name.replaceAll(' ', '-')}-${width}-${colorScheme}.png` })
        await context.close()
      })

/** Presses the button of a page, and sees that the report comes under the name of its week. */
async function assertDownloads(address: string): Promise<void> {
  const page = await browser.newPage()
  await page.goto(address)
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('button')])
  assert.equal(download.suggestedFilename(), 'ciphertrail-2026-W47.pdf')
  assert.deepEqual(await readFile(await download.path()), REPORT_PDF)
  assert.equal(page.url(), address)
  await page.close()
}

test('a browser that presses the button downloads the report under the name of its week, and stays on the page', async (t) => {
  const { url } = await startApi(t, { objects, now: () => SENT })
  await assertDownloads(`${url}/d/${works}`)
  assert.equal((await readDownload(downloadIdOf(works) ?? '', objects))?.uses, 1)
})

test('a browser follows the button to the bucket, where the report is too large to be handed over', async (t) => {
  const s3 = await startS3Server()
  t.after(() => s3.close())
  Object.assign(process.env, s3.env)
  s3.makeBucket('bucket')
  s3.setNow(SENT)
  const stored = openStore('s3://bucket', { now: () => SENT })
  const token = await (await keepChannel(stored)).link('2026-12-23T07:00:00Z')
  await linkKey(stored)
  const { url } = await startApi(t, { objects: stored, now: () => SENT, largestBody: REPORT_PDF.length - 1 })
  await assertDownloads(`${url}/d/${token}`)
  const { headers } = s3.requests.findLast(({ action }) => action === 's3:GetObjectVersion') ?? assert.fail()
  assert.deepEqual([headers.referer, headers.authorization], [undefined, undefined])
})

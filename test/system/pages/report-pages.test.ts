/** The report in a real browser: axe finds nothing in light, dark and print, and a narrow screen does not scroll sideways. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { renderHtml } from '../../../lib/report/report-html.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import type { ReportInput } from '../../../lib/report/report-input.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { startBrowser, violations } from '../../support/browser.ts'
import { goldenPath } from '../../support/golden.ts'
import { storyOfAWeek } from '../../support/stored/report-input.ts'

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-pages-'))
let browser: Browser

before(async () => {
  browser = await startBrowser()
})

after(async () => {
  await browser.close()
  rmSync(folder, { recursive: true })
})

const pages = new Map([
  ...readdirSync(goldenPath('report')).map(
    (name) => [name, pathToFileURL(goldenPath(`report/${name}/report.html`)).href] as const,
  ),
  ['a week', pathToFileURL(join(folder, 'week.html')).href] as const,
])
const week: ReportInput = storyOfAWeek()
writeFileSync(fileURLToPath(pages.get('a week') ?? ''), renderHtml(viewOf(summarise(week))))

for (const [name, address] of pages) {
  for (const look of ['light', 'dark', 'print'] as const)
    test(`axe finds nothing in "${name}", ${look}`, async () => {
      const page = await browser.newPage({ colorScheme: look === 'dark' ? 'dark' : 'light' })
      if (look === 'print') await page.emulateMedia({ media: 'print' })
      const asked: string[] = []
      const complaints: string[] = []
      page.on('request', (request) => asked.push(request.url()))
      page.on('console', (message) => complaints.push(message.text()))
      await page.goto(address)
      assert.deepEqual(await violations(page), [])
      assert.deepEqual(asked, [address], 'the page asks for nothing but itself')
      assert.deepEqual(complaints, [])
      await page.close()
    })

  for (const width of [360, 800, 1280])
    test(`"${name}" does not scroll sideways at ${width} pixels`, async () => {
      const page = await browser.newPage({ viewport: { width, height: 800 } })
      await page.goto(address)
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
      await page.close()
    })
}

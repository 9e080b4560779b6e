/** Mails in a real browser: axe finds nothing, light and dark, nothing is asked of the network, and a narrow screen does not scroll sideways. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import axe from 'axe-core'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import { mailContent } from '../../lib/deliver/mail.ts'
import { hasLink } from '../../lib/deliver/report-offer.ts'
import { MAIL_STORIES } from '../support/mail-stories.ts'

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-mails-'))
let browser: Browser

before(async () => {
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--headless', '--disable-gpu'],
  })
})

after(async () => {
  await browser.close()
  rmSync(folder, { recursive: true })
})

for (const [name, story] of Object.entries(MAIL_STORIES)) {
  const file = join(folder, `${name}.html`)
  const input = story()
  const download = input.report !== null && hasLink(input.report) ? 'https://ciphertrail.example.com/d/x' : null
  writeFileSync(file, mailContent(input).html('https://ciphertrail.example.com/unsubscribe/x', download))
  const address = pathToFileURL(file).href

  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [360, 800])
      test(`the mail "${name}" is readable at ${width} pixels, ${colorScheme}`, async () => {
        const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme })
        const asked: string[] = []
        page.on('request', (request) => asked.push(request.url()))
        await page.goto(address)
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
        await page.evaluate(axe.source)
        const found = await page.evaluate<{ id: string; nodes: { html: string }[] }[]>(
          'axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then(({ violations }) => violations)',
        )
        assert.deepEqual(
          found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`),
          [],
        )
        assert.deepEqual(asked, [address], 'the mail asks for nothing but itself')
        await page.close()
      })
}

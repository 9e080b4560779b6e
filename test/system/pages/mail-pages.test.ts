/**
 * Mails in a real browser: axe finds nothing, light and dark, nothing is asked of the network, and a narrow screen does not scroll sideways. A weekly mail
 * is two screens of a phone long.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { alertContent } from '../../../lib/deliver/alert/alert-content.ts'
import { mailContent } from '../../../lib/deliver/mail/weekly-mail.ts'
import { hasLink } from '../../../lib/deliver/mail/report-offer.ts'
import { startBrowser, violations } from '../../support/browser.ts'
import { ALERT_STORIES } from '../../support/deliver/alert-stories.ts'
import { MAIL_STORIES } from '../../support/deliver/mail-stories.ts'

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-mails-'))
let browser: Browser

before(async () => {
  browser = await startBrowser()
})

after(async () => {
  await browser.close()
  rmSync(folder, { recursive: true })
})

const LEAVE = 'https://ciphertrail.example.com/unsubscribe/x'

const PAGES: readonly (readonly [name: string, html: () => string])[] = [
  ...Object.entries(MAIL_STORIES).map(([name, story]) => {
    const html = (): string => {
      const input = story()
      const hasDownload = input.report !== null && hasLink(input.report)
      return mailContent(input).html(LEAVE, hasDownload ? 'https://ciphertrail.example.com/d/x' : null)
    }
    return [name, html] as const
  }),
  ...Object.entries(ALERT_STORIES).map(([name, story]) => {
    const html = (): string => {
      const { notice, channel } = story()
      return alertContent(notice, channel, 'https://ciphertrail.example.com').html(LEAVE)
    }
    return [`alert ${name}`, html] as const
  }),
]

/** These have all that a mail can have, on two clusters. */
const LONGER = ['a-week-of-two-clusters', 'open-paths-and-an-anchor-ends', 'with-the-report']

for (const [name, html] of PAGES) {
  const file = join(folder, `${name}.html`)
  writeFileSync(file, html())
  const address = pathToFileURL(file).href

  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [360, 800])
      test(`the mail "${name}" is readable at ${width} pixels, ${colorScheme}`, async () => {
        const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme })
        const asked: string[] = []
        page.on('request', (request) => asked.push(request.url()))
        await page.goto(address)
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
        if (width === 360 && Object.hasOwn(MAIL_STORIES, name)) {
          const height = await page.evaluate<number>('document.documentElement.scrollHeight')
          assert.ok(height <= (LONGER.includes(name) ? 1900 : 1600), `${name} is ${height} pixels long`)
        }
        assert.deepEqual(await violations(page), [])
        assert.deepEqual(asked, [address], 'the mail asks for nothing but itself')
        await page.close()
      })
}

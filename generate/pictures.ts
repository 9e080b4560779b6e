/**
 * Makes the pictures of the README, docs/images, from what the demo wrote:
 *
 *     npm run demo && npm run pictures
 *
 * It needs Chromium in /usr/bin/chromium, which Debian has (`apt-get install chromium`; `npm run test:system` installs it as well).
 */
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { terminalSvg } from './terminal-svg.ts'

const ROOT = join(import.meta.dirname, '..')
const DEMO = join(ROOT, 'demo-output')
const IMAGES = join(ROOT, 'docs/images')

/** What the picture of a terminal shows as typed, after "ciphertrail". */
const COMMAND = ['status']

/** Page one of the report, as far as a screen shows it. */
const SCREEN = { width: 1000, height: 660 }

if (!existsSync(join(DEMO, 'report.html')))
  throw new Error(`Cannot make pictures: "${DEMO}" holds no report (run "npm run demo")`)

const printed = execFileSync(
  process.execPath,
  [join(ROOT, 'bin/ciphertrail.js'), '--store', join(DEMO, 'store'), ...COMMAND],
  { encoding: 'utf8', env: { FORCE_COLOR: '1' } },
)
writeFileSync(join(IMAGES, 'terminal.svg'), terminalSvg(['ciphertrail', ...COMMAND].join(' '), printed))

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  const page = await browser.newPage({ viewport: SCREEN, colorScheme: 'light' })
  await page.goto(pathToFileURL(join(DEMO, 'report.html')).href)
  await page.screenshot({ path: join(IMAGES, 'report.png') })
} finally {
  await browser.close()
}

/** Chromium for tests of pages: its start, signing in with a token, and what axe finds. */
import axe from 'axe-core'
import { type Browser, type BrowserContext, type BrowserContextOptions, type Page, chromium } from 'playwright-core'
import { type LocalSite, TOKENS } from './servers/local-site.ts'

/** A page that is signed in, and everything that the browser complained of since then. */
export type SignedIn = { readonly page: Page; readonly complaints: string[]; readonly context: BrowserContext }

/** Starts Chromium without a window; the caller closes it. Debian's, which `npm run test:system` installs. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--headless', '--disable-gpu'],
  })
}

/** Opens a site in a new context and pastes a token, by default one that opens every cluster. */
export async function signInTo(
  site: LocalSite,
  browser: Browser,
  { token = TOKENS.all, ...options }: BrowserContextOptions & { readonly token?: string } = {},
): Promise<SignedIn> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  await page.goto(site.url)
  await page.fill('input[name=token]', token)
  await page.click('button[type=submit]')
  await page.waitForSelector('nav a[aria-current=page]')
  // Only from here on: that nobody was signed in yet is no complaint.
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  return { page, complaints, context }
}

/** What axe finds on a page by WCAG 2.2 AA and its best practices, as rule and first element; works without JavaScript on the page, and past its policy. */
export async function violations(page: Page): Promise<readonly string[]> {
  const session = await page.context().newCDPSession(page)
  await session.send('Runtime.evaluate', { expression: axe.source })
  const { result } = await session.send('Runtime.evaluate', {
    expression:
      'axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then(({ violations }) => JSON.stringify(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ""}`)))',
    awaitPromise: true,
    returnByValue: true,
  })
  await session.detach()
  return JSON.parse(String(result.value)) as string[]
}

/**
 * Writes the report and the mail of six stories to a folder, to be looked at: a folder a story, with report.html, report.pdf and mail.html, and pictures of
 * them on a phone, on a desk, in light and in dark.
 *
 *     npm run demo && node bench/report-stories.ts FOLDER [STORY...]
 *
 * It needs Chromium in /usr/bin/chromium, as `npm run pictures` does. The numbers in the stories are made up by counting: equal runs write equal documents.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import { mailContent } from '../lib/deliver/mail/weekly-mail.ts'
import type { MailInput } from '../lib/deliver/mail/mail-input.ts'
import { dataOf } from '../lib/report/documents.ts'
import { renderHtml } from '../lib/report/report-html.ts'
import { renderPdf } from '../lib/report/report-pdf.ts'
import { viewOf } from '../lib/report/report-view.ts'
import { MAIL_STORIES, mailOf } from '../test/support/deliver/mail-stories.ts'
import { quarterOf } from './quarter.ts'

const ROOT = join(import.meta.dirname, '..')
const WIDTHS = { report: [1280, 360], mail: [600, 360] } as const
const SCHEMES = ['light', 'dark'] as const

const told = (name: string) => (): MailInput => {
  const story = MAIL_STORIES[name]
  if (story === undefined)
    throw new Error(`Cannot tell story "${name}": wanted one of test/support/deliver/mail-stories.ts`)
  return story()
}

/** The input of each story; the demo is a folder that `npm run demo` wrote. */
const STORIES: Readonly<Record<string, 'demo' | (() => MailInput)>> = {
  demo: 'demo',
  healthy: () => mailOf(quarterOf(2000, 'healthy'), { id: 'prod' }),
  sick: () => mailOf(quarterOf(2000, 'sick'), { id: 'prod' }),
  dark: told('three-clusters-one-dark'),
  'first-week': told('first-week'),
  hostile: told('hostile-names'),
}

const [folder, ...chosen] = process.argv.slice(2)
if (folder === undefined) throw new Error('Cannot write stories: name a folder to write to')
const unknown = chosen.find((name) => STORIES[name] === undefined)
if (unknown !== undefined)
  throw new Error(`Cannot tell story "${unknown}": wanted one of ${Object.keys(STORIES).join(', ')}`)

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  for (const [name, story] of Object.entries(STORIES).filter(([one]) => chosen.length === 0 || chosen.includes(one))) {
    const place = resolve(folder, name)
    mkdirSync(place, { recursive: true })
    if (story === 'demo') copyDemo(place)
    else writeStory(place, story())
    await takePictures(browser, place)
    console.log(place)
  }
} finally {
  await browser.close()
}

function writeStory(place: string, input: MailInput): void {
  const { summary } = input
  const view = viewOf(summary)
  writeFileSync(join(place, 'report.html'), renderHtml(view))
  writeFileSync(join(place, 'report.pdf'), renderPdf(view, summary.period.to, dataOf(summary, view)))
  const mail = mailContent(input)
  writeFileSync(join(place, 'mail.html'), mail.html('https://ciphertrail.example.com/unsubscribe/0123', null))
  writeFileSync(join(place, 'mail.txt'), `Subject: ${mail.view.subject}\n\n${mail.text(null, null)}`)
}

/** What the demo wrote, and the mail that a channel of its store would get of the week. */
function copyDemo(place: string): void {
  const demo = join(ROOT, 'demo-output')
  for (const file of ['report.html', 'report.pdf']) cpSync(join(demo, file), join(place, file))
  const store = join(place, 'store')
  rmSync(store, { recursive: true, force: true })
  cpSync(join(demo, 'store'), store, { recursive: true })
  const say = (...words: readonly string[]): void => {
    execFileSync(process.execPath, [join(ROOT, 'bin/ciphertrail.js'), '--store', store, 'channel', ...words])
  }
  say('add', 'platform', '--to', 'ada@example.com')
  const written = join(place, 'mail')
  say('preview', 'platform', '--week', '2026-W48', '--now', '2026-11-30T07:00:00Z', '--out', written)
  for (const name of readdirSync(written))
    cpSync(join(written, name), join(place, `mail.${name.split('.').at(-1) ?? ''}`))
}

async function takePictures(of: Browser, place: string): Promise<void> {
  for (const [document, widths] of Object.entries(WIDTHS))
    for (const width of widths)
      for (const colorScheme of SCHEMES) {
        const page = await of.newPage({ viewport: { width, height: width < 400 ? 800 : 1000 }, colorScheme })
        await page.goto(pathToFileURL(join(place, `${document}.html`)).href)
        const wide = await page.evaluate('document.documentElement.scrollWidth')
        const high = await page.evaluate('document.documentElement.scrollHeight')
        if (wide !== width) console.log(`${place}: ${document} at ${width} is ${String(wide)} wide`)
        const nav = (await page.evaluate(
          'Math.ceil(document.querySelector("nav")?.getBoundingClientRect().top ?? document.documentElement.scrollHeight)',
        )) as number
        console.log(`${document} ${width} ${colorScheme}: ${String(high)} high, page one ${nav}`)
        await page.screenshot({
          path: join(place, `${document}-${width}-${colorScheme}.png`),
          fullPage: true,
          clip: { x: 0, y: 0, width, height: Math.min(nav, 4000) },
        })
        await page.close()
      }
}

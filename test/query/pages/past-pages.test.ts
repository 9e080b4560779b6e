import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seal } from '../../../lib/seal/write/seal.ts'
import { fillHistories } from '../../support/stored/asked-store.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'

const PLACES = ['/', '/clusters', '/paths', '/workloads', '/flow', '/changes', '/reports', '/log']

/** After the first window, before the end of the second one. */
const THEN = '2026-11-24T12:06:30Z'

const decoded = (html: string): string => html.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=')

/** Addresses of pages that a page leads to, but for its own of now. The name of the product leads to the front page of now. */
function linksOf(page: string): URL[] {
  return [...page.replace(/<a href="[^"]*">Look at now<\/a>/, '').matchAll(/<a href="(\/[^"]*)"/g)]
    .map(([, href = '']) => new URL(decoded(href), 'http://here'))
    .filter(({ pathname }) => !/^\/(v1|assets)\//.test(pathname))
}

test('every page of a past time says so, leads to pages of that time, and shows nothing that came later', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  await seal({ now: minutesIn(21) }, { objects, signer: newSigner() })
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const then = (path: string): string => `${path}${path.includes('?') ? '&' : '?'}at=${encodeURIComponent(THEN)}`
  const lines = linksOf(await page(then('/paths?class=all&state=unencrypted'), cookie)).filter(({ pathname }) =>
    /^\/paths\/.+\//.test(pathname),
  )
  assert.ok(lines.length > 0)
  for (const path of [
    ...PLACES,
    '/paths?class=all',
    '/paths?class=all&state=encrypted',
    ...lines.map(({ pathname }) => pathname),
  ]) {
    const text = await page(then(path), cookie)
    assert.match(text, /As it stood on Tue 24 Nov 2026 12:06:30 \(UTC\)/, path)
    // The drawing that compares two periods ends with the later one, which may be earlier still.
    const lost = linksOf(text).filter(({ searchParams }) => {
      const at = searchParams.get('at')
      return at !== THEN && !(searchParams.has('before') && at !== null && Date.parse(at) < Date.parse(THEN))
    })
    assert.deepEqual(
      lost.map(({ href }) => href),
      [],
      path,
    )
    const [, main = ''] = /<main[^>]*>(.*)<\/main>/s.exec(text) ?? []
    assert.doesNotMatch(main.replaceAll(/<[^>]*>/g, ' '), /12:(1\d|2\d):?|unencrypted now|open now/, path)
  }
})

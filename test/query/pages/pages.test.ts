import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'parse5'
import { printable } from '../../../lib/text/printable.ts'
import { readStatus } from '../../../lib/jobs/read-status.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import { declareScope } from '../../../lib/store/registry/declarations.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'
import { readScopes } from '../../../lib/assess/judge/parse-scope.ts'
import { headlineWords } from '../../../lib/report/sections/opening.ts'
import { ASKED_AT, HOSTILE, collectLate, fillHistories } from '../../support/stored/asked-store.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const PLACES = ['/', '/clusters', '/paths', '/workloads', '/flow', '/changes', '/reports', '/log']

/** The addresses that a page links to on its own server. */
function linksOf(page: string): string[] {
  return [...page.matchAll(/<a href="([^"]+)"/g)].map(([, href = '']) =>
    href.replaceAll('&amp;', '&').replaceAll('&#x3D;', '='),
  )
}

const lifeLines = (page: string): string[] => [
  ...new Set(linksOf(page).filter((href) => /^\/paths\/[^?]+\//.test(href))),
]

test('every page is one whole document that runs nothing, loads its styles alone and is kept nowhere', async (t) => {
  const { ask, page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  const [lifeLine = assert.fail()] = lifeLines(await page('/paths', cookie))
  for (const path of [...PLACES, lifeLine, '/nowhere']) {
    const response = await ask(path, { headers: { cookie } })
    const { headers } = response
    assert.equal(headers.get('cache-control'), 'no-store', path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('referrer-policy'), 'same-origin')
    assert.equal(
      headers.get('content-security-policy'),
      "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    )
    const text = await response.text()
    assert.doesNotMatch(text, /<script|<style|\sstyle=|\son[a-z]+=|javascript:|https?:\/\//i, path)
    parse(text, { onParseError: ({ code }) => assert.fail(`${path}: ${code}`) })
    assert.equal(text.match(/<h1/g)?.length, 1, path)
    const [, css = ''] = /<link rel="stylesheet" href="([^"]+)">/.exec(text) ?? []
    const styles = await ask(css)
    assert.deepEqual(
      [styles.status, styles.headers.get('content-type'), styles.headers.get('cache-control')],
      [200, 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
    )
  }
})

test('the front page has the numbers of status, and the paths page the same', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const { summary } = await readStatus(
    { clusters: await readClusters({ objects }), now: ASKED_AT, version: '1.2.3', removed: ['old'] },
    { objects },
  )
  const now = await page('/', cookie)
  assert.ok(now.includes(`<h1 class="verdict">${headlineWords(summary)}</h1>`), headlineWords(summary))
  const [, open = ''] = /<span class="value">([^<]+)<\/span> <span class="label">unencrypted now/.exec(now) ?? []
  assert.equal(open, String(summary.figures.openNow))
  assert.match(now, /old, removed from the registry/)
  const paths = await page('/paths', cookie)
  assert.ok(paths.includes(headlineWords(summary)), headlineWords(summary))
})

test('every link of every page leads somewhere', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  await seal({ now: minutesIn(21) }, { objects, signer: newSigner() })
  const { ask, page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const [lifeLine = assert.fail()] = lifeLines(await page('/paths', cookie))
  const seen = new Set<string>()
  for (const path of [...PLACES, lifeLine, `${PLACES[2]}?at=2026-11-24T12:12:00Z`])
    for (const href of linksOf(await page(path, cookie))) {
      if (seen.has(href)) continue
      seen.add(href)
      assert.equal((await ask(href.replace(/#.*/, ''), { headers: { cookie } })).status, 200, `${path} -> ${href}`)
    }
  assert.ok(seen.size > 40, String(seen.size))
})

test('three steps lead from the front page to the reason, the fix and the evidence of a path in the clear', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  await seal({ now: minutesIn(21) }, { objects, signer: newSigner() })
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const front = await page('/', cookie)
  assert.match(front, /<a href="\/paths">Paths<\/a>/)
  const [lifeLine = assert.fail()] = lifeLines(await page('/paths', cookie))
  const path = await page(lifeLine, cookie)
  for (const term of ['Reason', 'Cause', 'Fix', 'Policy', 'Seen by', 'Traffic'])
    assert.match(path, new RegExp(`<dt>${term}</dt>`))
  assert.match(path, /<h2 id="episodes">Episodes<\/h2>\s*<table>/)
  assert.match(path, /evidence\/<wbr>/)
  assert.match(path, />leaf \d+, <a href="\/v1\/evidence\/[^"]+\/proof">proof<\/a>/)
  assert.match(path, /ciphertrail log show --proof evidence\/\S+ --out leaf-\d+\.tlog-proof/)
})

test('no page points at a section or a file that only a report has', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  await seal({ now: minutesIn(21) }, { objects, signer: newSigner() })
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  for (const path of PLACES)
    assert.doesNotMatch(
      await page(path, cookie),
      /“Judged paths|“Verification”|“Coverage”|“Findings|[Tt]his report|(windows|coverage|paths|workloads)\.csv (?!of a report)|summary\.json (?!of a report)/,
      path,
    )
  const front = await page('/', cookie)
  assert.match(front, /that this page is based on/)
  assert.match(front, /The signed checkpoint is on the page “Log”/)
  assert.match(front, /The page “Paths” lists them/)
  const log = await page('/log', cookie)
  assert.match(log, /\/v1\/checkpoint, linked below, has the same text/)
  assert.match(log, /<a href="\/v1\/checkpoint">/)
})

test('a page can be asked as it stood at a past time, and says so', async (t) => {
  const { ask, page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  const then = await page('/?at=2026-11-24T12:06:30Z', cookie)
  assert.match(
    then,
    /As it stood on Tue 24 Nov 2026 12:06:30 \(UTC\), by what is stored today: waivers, scope, registry and seal are today’s\. <a href="\/">Look at now<\/a>/,
  )
  assert.match(then, /Tue 24 Nov 12:00 to 12:05/)
  assert.match(then, /<a href="\/paths\?at&#x3D;2026-11-24T12%3A06%3A30Z">Paths<\/a>/)
  for (const path of ['/', '/paths', '/changes'])
    assert.doesNotMatch(await page(`${path}?at=2026-11-24T12:06:30Z`, cookie), /unencrypted now/, path)
  for (const path of PLACES)
    assert.equal((await ask(`${path}?at=2026-11-24T12:06:30Z`, { headers: { cookie } })).status, 200)
  // What is to come is not known.
  assert.doesNotMatch(await page('/?at=2027-01-01', cookie), /As it stood/)
  matchesText(await page('/paths?at=2026-11-24T12:06', cookie))
})

test('filters stand in the address and narrow the list, and never the numbers beside it', async (t) => {
  const { page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  const whole = await page('/paths?class=all', cookie)
  const west = await page('/paths?class=all&cluster=west', cookie)
  assert.ok(lifeLines(whole).some((href) => href.startsWith('/paths/east/')))
  assert.ok(lifeLines(west).every((href) => href.startsWith('/paths/west/')))
  assert.match(west, /<option selected>west<\/option>/)
  const encrypted = await page('/paths?class=all&state=encrypted', cookie)
  assert.notDeepEqual(lifeLines(encrypted), [])
  const [, rows = ''] = /<tbody>(.*)<\/tbody>/s.exec(encrypted) ?? []
  assert.doesNotMatch(rows, /is-plaintext|is-no-mesh-tls/)
  const words = (text: string): string => /<p class="sub">([^.]+\.)/.exec(text)?.[1] ?? ''
  assert.equal(words(encrypted), words(whole))
  matchesText(await page('/paths?namespace=nowhere', cookie))
})

test('what cannot be asked is told in words, with the parameter that is to blame', async (t) => {
  const { ask, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  for (const [path, status, words] of [
    [
      '/paths?state=open',
      400,
      'Cannot use state &quot;open&quot;: wanted one of unencrypted, undetermined, encrypted, other',
    ],
    ['/paths?sate=encrypted', 400, 'Cannot use parameter &quot;sate&quot;'],
    ['/?at=soon', 400, 'Cannot use at &quot;soon&quot;'],
    ['/?at=0000-01-01', 400, 'Cannot use at &quot;0000-01-01&quot;'],
    ['/flow?before=9999-12-31', 400, 'Cannot use before &quot;9999-12-31&quot;'],
    ['/changes?from=0000-01&to=0000-02', 400, 'Cannot use from &quot;0000-01&quot;'],
    ['/paths?cluster=a&cluster=b', 400, 'Cannot use parameter &quot;cluster&quot; twice'],
    ['/paths?page=0', 400, 'Cannot use page &quot;0&quot;'],
    ['/paths?cluster=EAST', 400, 'Cannot use cluster &quot;EAST&quot;'],
    ['/paths?cluster=none', 404, 'Cannot find cluster &quot;none&quot;'],
    ['/paths/east/none', 404, 'Cannot find this path'],
    ['/paths/east/%41', 404, 'Cannot find'],
    ['/nowhere', 404, 'There is no such page'],
  ] as const) {
    const response = await ask(path, { headers: { cookie } })
    const text = await response.text()
    assert.equal(response.status, status, path)
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/)
    assert.ok(text.includes(words), `${path}: ${text.slice(text.indexOf('<main'))}`)
  }
  const posted = await ask('/paths', { method: 'POST', headers: { cookie } })
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD'])
})

test('a token sees its own clusters on every page, and of others not even that they are there', async (t) => {
  const { ask, page, signIn } = await startLocalSite(t)
  const [all, west] = [await signIn(TOKENS.all), await signIn(TOKENS.west)]
  const foreign = lifeLines(await page('/paths?class=all', all)).filter((href) => href.startsWith('/paths/east/'))
  assert.notDeepEqual(foreign, [])
  for (const path of PLACES) assert.doesNotMatch(await page(path, west), /\beast\b|\bold\b/, path)
  for (const path of [...foreign, '/?cluster=east', '/paths?cluster=east', '/workloads?cluster=east']) {
    const response = await ask(path, { headers: { cookie: west } })
    assert.equal(response.status, 404, path)
    assert.equal(
      (await response.text()).replaceAll('east', 'none'),
      await (await ask(path.replace('east', 'none'), { headers: { cookie: west } })).text(),
    )
  }
  assert.equal((await ask('/v1/paths?cluster=east', { headers: { cookie: west } })).status, 404)
  const nobody = await ask('/', { headers: { cookie: await signIn(TOKENS.elsewhere) } })
  assert.equal(nobody.status, 200)
  assert.doesNotMatch(await nobody.text(), /\beast\b|\bwest\b/)
})

test('what somebody asks for is repeated as it is shown, and finds what is shown so', async (t) => {
  const { page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  const asked = 'a\u202eb\u0000c\u200d'
  const shown = 'a[U+202E]b[U+0000]c[U+200D]'
  for (const path of ['/paths', '/workloads'])
    for (const parameter of path === '/paths' ? ['namespace', 'workload'] : ['namespace']) {
      const text = await page(`${path}?${parameter}=${encodeURIComponent(asked)}`, cookie)
      for (const raw of ['\u202e', '\u0000', '\u200d', '\ufffd', '&#0;', '%E2%80%AE', '%00'])
        assert.ok(!text.includes(raw), `${path} ${parameter}`)
      assert.ok(text.includes(shown), `${path} ${parameter}`)
    }
  // A hostile name is found by itself, and by what is shown of it.
  const lines = async (name: string) => lifeLines(await page(`/paths?workload=${encodeURIComponent(name)}`, cookie))
  assert.ok((await lines(HOSTILE)).length > 0)
  assert.deepEqual(await lines(printable(HOSTILE)), await lines(HOSTILE))
})

test('hostile names are text on every page', async (t) => {
  const { page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  let shown = 0
  const paths = await page('/paths?class=all&cluster=east', cookie)
  for (const path of [...PLACES, '/paths?class=all&state=other', ...lifeLines(paths)]) {
    const text = await page(path, cookie)
    assert.ok(!text.includes(HOSTILE), path)
    for (const part of ['<script', '\u202e', '\u001b']) assert.ok(!text.includes(part), path)
    if (text.includes('HYPERLINK')) shown += 1
  }
  assert.ok(shown > 0, 'the name is shown somewhere')
  const asked = await page(
    `/paths?${new URLSearchParams({ namespace: HOSTILE, workload: HOSTILE }).toString()}`,
    cookie,
  )
  assert.doesNotMatch(asked, /<script/)
})

test('what comes late, and what is declared, is shown at the next look', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const before = await page('/clusters', cookie)
  assert.match(before, /no attempt is stored/)
  await collectLate(objects)
  const after = await page('/clusters', cookie)
  assert.notEqual(before, after)
  const { value } = readScopes('report:\n  judge: [application, mesh]\n')
  await declareScope(value ?? assert.fail(), { now: minutesIn(20), by: 'tester' }, objects)
  assert.match(await page('/', cookie), /mesh path/)
})

test('a store that cannot be read is told in words, and the log has the reason', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const broken = {
    ...objects,
    get: async () => Promise.reject(new StoreError('Cannot read store "x": EIO, look at its disk')),
  }
  const { ask, logged, signIn } = await startLocalSite(t, { objects: broken })
  const response = await ask('/', { headers: { cookie: await signIn(TOKENS.all) } })
  assert.equal(response.status, 503)
  assert.doesNotMatch(await response.text(), /EIO/)
  assert.match(logged.at(-1)?.error ?? '', /EIO/)
})

test('what moved in windows that nobody collected is unknown, not none', async (t) => {
  const { page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  const hrefs = lifeLines(await page('/paths?cluster=east&class=all', cookie))
  const rows = (await Promise.all(hrefs.map((href) => page(href, cookie)))).flatMap((text) =>
    (/<h2 id="seen">[^]*?<\/table>/.exec(text)?.[0] ?? '').split('<tr').filter((row) => row.includes('not-collected')),
  )
  assert.ok(rows.length > 0)
  for (const row of rows) assert.match(row, /data-label="Traffic"[^>]*><span class="line">unknown</)
})

test('a page that cannot be shown leads on', async (t) => {
  const { ask, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  for (const [path, next] of [
    ['/paths?state=no', '/paths'],
    ['/changes?from=2026-W47', '/changes'],
    ['/paths/west/ffffffffffffffff', '/paths/west/ffffffffffffffff?period=1y'],
    ['/nowhere', '/'],
  ] as const) {
    const response = await ask(path, { headers: { cookie } })
    assert.ok(linksOf(await response.text()).includes(next), path)
  }
})

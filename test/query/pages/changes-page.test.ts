import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillHistories, fillNorth } from '../../support/stored/asked-store.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

type Answer = {
  readonly counts: Readonly<Record<string, number>>
  readonly items: readonly { readonly change: string; readonly cluster: string; readonly pathId: string }[]
}

const minutes = (from: number, to: number): string =>
  [from, to].map((minute) => `2026-11-24T12:${String(minute).padStart(2, '0')}:00Z`).join('/')

const BODY = /<tbody>[^]*?<\/tbody>/
const ROW = /<tr><td data-label="Change">([^<]+)<\/td><th scope="row"><a href="\/paths\/(\w+)\/(\w+)"/g

for (const [from, to, what] of [
  [minutes(0, 5), minutes(5, 10), 'that touch'],
  [minutes(0, 5), minutes(15, 20), 'that lie apart'],
  [minutes(0, 10), minutes(5, 20), 'that overlap'],
  [minutes(5, 15), minutes(0, 20), 'of which one holds the other'],
] as const)
  test(`the page of two periods ${what} shows what the API answers`, async (t) => {
    const objects = memoryObjects()
    await fillHistories(objects)
    await fillNorth(objects)
    const { ask, page, signIn } = await startLocalSite(t, { objects })
    const cookie = await signIn(TOKENS.all)
    const question = new URLSearchParams({ from, to }).toString()
    const { counts, items } = (await (
      await ask(`/v1/diff?${question}`, { headers: { authorization: `Bearer ${TOKENS.all}` } })
    ).json()) as Answer
    const text = await page(`/changes?${question}`, cookie)
    const rows = [...(BODY.exec(text)?.[0] ?? '').matchAll(ROW)].map(([, change = '', ...path]) => [
      change.toLowerCase().replace(' when last seen', ''),
      ...path,
    ])
    assert.ok(items.length > 0)
    assert.deepEqual(
      rows,
      items.map(({ change, cluster, pathId }) => [change.replace('-', ' '), cluster, pathId]),
    )
    for (const [kind, count] of Object.entries(counts).filter(([, own]) => own > 0)) {
      const narrowed = await page(`/changes?${question}&change=${kind}`, cookie)
      assert.equal([...(BODY.exec(narrowed)?.[0] ?? '').matchAll(ROW)].length, count, kind)
    }
  })

test('a period that nobody looked at calls nothing fixed or gone, and says what is unknown', async (t) => {
  const { page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.all)
  const text = await page(
    `/changes?${new URLSearchParams({ from: minutes(0, 5), to: minutes(10, 15), cluster: 'east' }).toString()}`,
    cookie,
  )
  matchesText(text)
  assert.match(text, /Unencrypted paths: 2 still open\. /)
  assert.match(text, /<td data-label="Change">Still open when last seen<\/td>/)
  matchesText(text)
})

for (const [search, status] of [
  ['?from=2026-W47', 400],
  ['?from=2026-W47&to=yesterday', 400],
  ['?from=2026-12&to=2026-11', 400],
  ['?from=2026-11-24&to=2026-12', 400],
  ['?from=2024-01&to=2026-11', 400],
  ['?from=2026-Q3&to=2026-Q4&change=better', 400],
] as const)
  test(`/changes${search} is refused in words`, async (t) => {
    const { ask, signIn } = await startLocalSite(t)
    const response = await ask(`/changes${search}`, { headers: { cookie: await signIn(TOKENS.all) } })
    assert.equal(response.status, status)
    matchesText((await response.text()).replaceAll('&quot;', '"'))
  })

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillHistories, fillNorth } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

type Answer = {
  readonly counts: Readonly<Record<string, number>>
  readonly items: readonly { readonly change: string; readonly cluster: string; readonly pathId: string }[]
}

const BEFORE = '2026-11-24T12:05:00Z'
const AT = '2026-11-24T12:20:30Z'
const ROW = /<tr><td data-label="Difference">([^<]+)<\/td><th scope="row"><a href="\/paths\/(\w+)\/(\w+)/g

test('the difference of data flow shows what the API answers, as a drawing with words and as a table', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  await fillNorth(objects)
  const { ask, page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  const headers = { authorization: `Bearer ${TOKENS.all}` }
  const question = new URLSearchParams({ before: BEFORE, at: AT }).toString()
  const text = await page(`/flow?${question}`, cookie)
  const [, link = ''] = /<a href="(\/v1\/flow[^"]+)"/.exec(text) ?? []
  const api = link.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=')
  const { counts, items } = (await (await ask(api, { headers })).json()) as Answer
  const rows = [...text.matchAll(ROW)].map(([, change = '', ...path]) => [change, ...path])
  const different = items.filter(({ change }) => change !== 'same')
  assert.deepEqual(
    rows,
    different.map(({ change, cluster, pathId }) => [change.replace('-', ' '), cluster, pathId]),
  )
  for (const kind of ['new', 'changed', 'same']) assert.ok((counts[kind] ?? 0) > 0, kind)
  assert.match(text, /<title>Data flow, compared: \d+ boxes, \d+ arrows, \d+ of them different/)
  assert.match(text, />new [^<]+ \d+</)
  assert.match(text, />[^<]+ → [^<]+ \d+</)
  matchesText(text)
  const paged: unknown[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const response = await ask(`${api}&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`, { headers })
    const answer = (await response.json()) as Answer & { readonly next: string | null }
    paged.push(...answer.items)
    cursor = answer.next
  }
  assert.deepEqual(paged, items)
})

test('what lies before the first window of a cluster, and after the last one of a replay, is told', async (t) => {
  const objects = memoryObjects()
  await fillNorth(objects)
  await fillNorth(objects, 'south', { replay: 'A REPLAY' })
  const { page, signIn } = await startLocalSite(t, { objects, now: () => new Date('2026-11-24T14:00:00Z') })
  const text = await page(`/flow?before=${BEFORE}&at=2026-11-24T13:00:00Z`, await signIn(TOKENS.all))
  matchesText(text)
  matchesText(text)
  assert.doesNotMatch(text, /cluster north is a replay/)
})

test('an earlier time of which nothing was collected calls nothing new', async (t) => {
  const { page, signIn } = await startLocalSite(t)
  const text = await page('/flow?before=2026-11-20', await signIn(TOKENS.all))
  matchesText(text)
  matchesText(text)
  assert.doesNotMatch(text, /<tr><td data-label="Difference">/)
})

test('another team sees nothing of a cluster, in the drawing and by the API', async (t) => {
  const { ask, page, signIn } = await startLocalSite(t)
  const cookie = await signIn(TOKENS.west)
  assert.doesNotMatch(await page(`/flow?before=${BEFORE}`, cookie), /\beast\b/)
  assert.equal((await ask(`/flow?before=${BEFORE}&cluster=east`, { headers: { cookie } })).status, 404)
  const headers = { authorization: `Bearer ${TOKENS.west}` }
  assert.equal((await ask(`/v1/flow?before=${BEFORE}&cluster=east`, { headers })).status, 404)
})

for (const [search, said] of [
  ['?before=yesterday', /a time such as/],
  ['?before=2027-01-01', /a time before 2026-11-24T/],
  [`?before=${AT}&at=${BEFORE}`, /a time before 2026-11-24T12:00:00Z/],
] as const)
  test(`/flow${search} is refused in words`, async (t) => {
    const { ask, signIn } = await startLocalSite(t)
    const response = await ask(`/flow${search}`, { headers: { cookie: await signIn(TOKENS.all) } })
    assert.equal(response.status, 400)
    assert.match(await response.text(), said)
  })

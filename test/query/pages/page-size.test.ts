import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

test('a page that cannot be handed over in one piece says how to make it smaller', async (t) => {
  const { ask, signIn } = await startLocalSite(t, { largestBody: 8_000 })
  const cookie = await signIn(TOKENS.all)
  const large = await ask('/paths?class=all', { headers: { cookie, 'accept-encoding': 'identity' } })
  assert.equal(large.status, 400)
  const page = await large.text()
  matchesText(page)
  assert.match(page, /Sign out/)
  for (const id of ['east', 'west'])
    assert.ok(page.includes(`<a href="/paths?class&#x3D;all&amp;cluster&#x3D;${id}">${id}</a>`), id)
  assert.equal(large.headers.get('content-type'), 'text/html; charset=utf-8')
  // Compressed it is small enough.
  const small = await ask('/paths?class=all', { headers: { cookie, 'accept-encoding': 'gzip' } })
  assert.deepEqual([small.status, small.headers.get('content-encoding')], [200, 'gzip'])
  assert.match(await small.text(), /<\/html>/)
})

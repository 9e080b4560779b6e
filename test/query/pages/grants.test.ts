import assert from 'node:assert/strict'
import { test } from 'node:test'
import { declareWaivers } from '../../../lib/store/registry/declarations.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { fillHistories } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'

const waiver = (id: string, cluster: string) => ({
  id,
  cluster,
  source: `deployment/${id}/web`,
  reason: `reason of ${id}`,
  owner: `owner of ${id}`,
  compensatingControl: 'a firewall',
  expires: '2027-03-01T00:00:00Z',
})

test('each team reads its own waivers on the pages, as in the API', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const register = [waiver('of-east', 'east'), waiver('of-west', 'w*'), waiver('of-all', '*')]
  await declareWaivers(register, { now: minutesIn(20), by: 'alice' }, objects)
  const { ask, page, signIn } = await startLocalSite(t, { objects })
  const told = (text: string) => register.map(({ id }) => id).filter((id) => text.includes(id))
  // Whoever sees most asks first, so that what is kept for them would show.
  for (const [token, ids] of [
    [TOKENS.all, ['of-east', 'of-west', 'of-all']],
    [TOKENS.west, ['of-west', 'of-all']],
  ] as const) {
    const cookie = await signIn(token)
    for (const path of ['/changes', '/changes?cluster=west'])
      assert.deepEqual(told((await page(path, cookie)).replaceAll('<wbr>', '')), ids, path)
    assert.deepEqual(told(await (await ask('/v1/waivers', { headers: { cookie } })).text()), ids)
  }
})

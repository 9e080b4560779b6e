import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addChannel } from '../../../lib/deliver/channel/channels.ts'
import { packetsKey } from '../../../lib/store/keys.ts'
import { declareWaivers } from '../../../lib/store/registry/declarations.ts'
import { removeCluster } from '../../../lib/store/registry/registry.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { fillHistories } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

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

test('a removed cluster is told of to whom it was granted, whoever asked before', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  await removeCluster('east', { now: minutesIn(20), by: 'alice' }, { objects })
  const grants = { all: 'all', west: ['west'], both: ['east', 'west'] } as const
  type Name = keyof typeof grants
  const { page } = await startLocalSite(t, {
    objects,
    access: async (request) => {
      const name = (request.headers.get('cookie') ?? '') as Name
      return { subject: name, clusters: grants[name] }
    },
  })
  const removed = (text: string) => {
    const [words = ''] = /[^<>.]*, removed from the registry/.exec(text) ?? []
    return ['east', 'old'].filter((id) => words.includes(id))
  }
  // All of them ask about the one cluster that is left.
  for (const [path, name, ids] of [
    ['/?cluster=west', 'all', []],
    ['/', 'all', ['east', 'old']],
    ['/', 'west', []],
    ['/', 'both', ['east']],
    ['/?cluster=west', 'all', []],
    ['/', 'all', ['east', 'old']],
  ] as const)
    assert.deepEqual(removed(await page(path, name)), ids, `${path} ${name}`)
})

test('a page that is kept shows mail channels and captures at the next look', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const { page, signIn } = await startLocalSite(t, { objects })
  const cookie = await signIn(TOKENS.all)
  matchesText(await page('/', cookie))
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: minutesIn(20), by: 'alice' }, objects)
  assert.match(await page('/', cookie), /Mail: next .* to channel ops\./)
  const before = await page('/clusters', cookie)
  // One that cannot be read might contradict the proxies.
  await objects.putOnce(packetsKey('west', '2026-11-24T12:07:00Z', '0'.repeat(64)), Buffer.from('{}'))
  const after = await page('/clusters', cookie)
  assert.doesNotMatch(before, /it is no capture/)
  assert.match(after, /it is no capture/)
})

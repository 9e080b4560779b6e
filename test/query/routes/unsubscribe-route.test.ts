import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addChannel, readChannels } from '../../../lib/deliver/channel/channels.ts'
import { linkKey } from '../../../lib/deliver/link/link-key.ts'
import { isUnsubscribeLink, unsubscribePath } from '../../../lib/deliver/link/unsubscribe-links.ts'
import { liftSuppression, readSuppressions } from '../../../lib/deliver/channel/suppressions.ts'
import { type Objects, StoreError } from '../../../lib/store/objects/objects.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const ADDED = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }

async function linkOf(objects: Objects, address = 'ada@example.com'): Promise<{ path: string; recipient: string }> {
  await addChannel({ id: 'pay', recipients: [address] }, ADDED, objects)
  const recipient = (await readChannels(objects))[0]?.recipients[0] ?? ''
  return { recipient, path: unsubscribePath({ channel: 'pay', recipient }, await linkKey(objects)) }
}

const suppressed = async (objects: Objects) =>
  (await readSuppressions(objects)).map(({ recipient, channel, reason }) => ({ recipient, channel, reason }))

test('a link to unsubscribe changes nothing however often it is read, and one POST takes its recipient off its channel', async (t) => {
  const objects = memoryObjects()
  const { path, recipient } = await linkOf(objects)
  const { ask, logged } = await startApi(t, { objects })
  for (const method of ['GET', 'HEAD', 'GET']) {
    const response = await ask(path, { method, headers: { authorization: '' } })
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('referrer-policy'), 'no-referrer')
    assert.equal(response.headers.get('cache-control'), 'no-store')
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; .*form-action 'self'/)
    if (method !== 'GET') continue
    const page = await response.text()
    assert.equal(page.match(/<form method="post"><button/g)?.length, 1)
    assert.match(page, /all mail of channel pay\?.*the mail of each week, and alerts/s, 'what is lost is said before')
  }
  assert.deepEqual(await suppressed(objects), [])
  // As the program that shows mail sends it (RFC 8058): no cookie, no login, one field.
  for (let time = 0; time < 2; time++) {
    const response = await fetch(new URL(path, (await ask('/health')).url), {
      method: 'POST',
      body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }),
    })
    assert.equal(response.status, 200)
    assert.match(await response.text(), /You get no more mail of channel pay/)
    assert.deepEqual(await suppressed(objects), [{ recipient, channel: 'pay', reason: 'unsubscribed' }])
  }
  for (const { path: shown } of logged) assert.doesNotMatch(shown, /pay|r[0-9a-f]{32}/)
  await liftSuppression(recipient, 'pay', objects)
  assert.deepEqual(await suppressed(objects), [])
})

test('a link that was not made here does nothing and tells nothing', async (t) => {
  const objects = memoryObjects()
  const { path } = await linkOf(objects)
  const { ask } = await startApi(t, { objects })
  const parts = path.split('/')
  const other = `r${'0'.repeat(32)}`
  const wrong = [
    path.slice(0, -1),
    `${path}A`,
    [...parts.slice(0, 3), other, parts[4]].join('/'),
    [...parts.slice(0, 2), 'other', ...parts.slice(3)].join('/'),
    '/unsubscribe/pay/ada/x',
    '/unsubscribe/%2e%2e/x/x',
    `/unsubscribe/pay/${other}/${'A'.repeat(43)}`,
  ]
  const bodies = new Set<string>()
  for (const one of wrong)
    for (const method of ['GET', 'POST']) {
      const response = await ask(one, { method })
      assert.equal(response.status, 404, `${method} ${one}`)
      if (!one.includes('%2e')) bodies.add(await response.text())
    }
  assert.equal(bodies.size, 1)
  assert.deepEqual(await suppressed(objects), [])
  assert.equal((await ask(path, { method: 'DELETE' })).status, 405)
})

test('a store that cannot be written is told as that, and not as done', async (t) => {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const { path } = await linkOf(objects)
  const failing = { ...objects, putIf: () => Promise.reject(new StoreError('Cannot write: the disk is full')) }
  const { ask, logged } = await startApi(t, { objects: failing })
  const { status, headers } = await ask(path, { method: 'POST' })
  assert.equal(status, 503)
  // The address is a secret, whatever comes of it.
  assert.equal(headers.get('x-robots-tag'), 'noindex, nofollow')
  assert.equal(logged[0]?.error, 'Cannot write: the disk is full')
  assert.deepEqual(await suppressed(objects), [])
})

test('isUnsubscribeLink() takes no other link for one of ours', async () => {
  const key = await linkKey(memoryObjects())
  const leave = { channel: 'pay', recipient: `r${'a'.repeat(32)}` }
  const mac = unsubscribePath(leave, key).split('/').at(-1) ?? ''
  assert.equal(isUnsubscribeLink(leave, mac, key), true)
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (channel, recipient, other) => {
      assert.equal(isUnsubscribeLink({ channel, recipient }, mac, key), false)
      if (other !== mac) assert.equal(isUnsubscribeLink(leave, other, key), false)
    }),
  )
})

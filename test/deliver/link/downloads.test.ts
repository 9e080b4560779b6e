import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  DOWNLOAD_SECONDS,
  downloadIdOf,
  fetchDownload,
  downloadEnd,
  linkName,
  listDownloads,
  makeDownload,
  readDownload,
  removeOldDownloads,
  revokeDownload,
  useDownload,
} from '../../../lib/deliver/link/downloads.ts'
import { downloadTicket, readTicket } from '../../../lib/deliver/link/download-tickets.ts'
import { linkKey } from '../../../lib/deliver/link/link-key.ts'
import { isUnsubscribeLink, unsubscribePath } from '../../../lib/deliver/link/unsubscribe-links.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { CHANNEL } from '../../support/deliver/mail-stories.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { downloadKey, downloadsPrefix, parseDownloadKey } from '../../../lib/store/delivery-keys.ts'

const NOW = new Date('2026-11-23T07:00:00Z')
const DAY_MS = 24 * 60 * 60 * 1000
const RECIPIENT = `r${'a'.repeat(32)}`
const REPORT = 'reports/20261123T000000Z-0123456789abcdef.json'
const LINK = { report: REPORT, channel: 'everything', recipient: RECIPIENT, expiresAt: '2026-12-23T07:00:00Z' }

async function made(objects: Objects): Promise<{ readonly token: string; readonly id: string }> {
  const token = await makeDownload(LINK, NOW, objects)
  return { token, id: downloadIdOf(token) ?? assert.fail() }
}

test('makeDownload() keeps what a link is for under the hash of its token, and the token nowhere', async (t) => {
  const objects = await freshStore(t)
  const { token, id } = await made(objects)
  assert.match(token, /^[A-Za-z0-9_-]{43}$/)
  assert.equal(Buffer.from(token, 'base64url').length, 32)
  for await (const key of objects.list('')) {
    assert.equal(key, `downloads/${id}.json`)
    assert.doesNotMatch(Buffer.from((await objects.get(key))?.body ?? []).toString(), new RegExp(token))
  }
  assert.deepEqual(await readDownload(id, objects), {
    id,
    ...LINK,
    madeAt: '2026-11-23T07:00:00Z',
    revokedAt: null,
    uses: 0,
    usedAt: null,
    fetches: 0,
  })
  assert.notEqual(await makeDownload(LINK, NOW, objects), token)
  assert.equal((await listDownloads(objects)).downloads.length, 2)
})

test('a key of a link is read back as it was made, and no other text is one', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f]{64}$/), fc.string({ unit: 'binary' }), (sha256, other) => {
      assert.equal(parseDownloadKey(downloadKey(sha256)), sha256)
      assert.equal(parseDownloadKey(`${downloadsPrefix}${other}.json`), undefined)
      assert.throws(() => downloadKey(other), RangeError)
    }),
  )
})

test('downloadIdOf() takes no text for a token that could not be one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.string({ unit: 'binary' }), (bytes, other) => {
      const token = Buffer.from(bytes).toString('base64url')
      assert.match(downloadIdOf(token) ?? '', /^[0-9a-f]{64}$/)
      assert.equal(downloadIdOf(`${token}${other}`), other === '' ? downloadIdOf(token) : undefined)
      assert.equal(downloadIdOf(other), undefined)
    }),
  )
})

test('a ticket opens what it was made for, for a minute, with the key of its store and no other', async () => {
  const [key, elsewhere] = [await linkKey(memoryObjects()), await linkKey(memoryObjects())]
  const id = 'c'.repeat(64)
  const ticket = downloadTicket(id, NOW, key)
  const after = (ms: number) => new Date(NOW.getTime() + ms)
  assert.equal(readTicket(ticket, NOW, key), id)
  assert.equal(readTicket(ticket, after(59_999), key), id)
  assert.equal(readTicket(ticket, after(60_000), key), undefined)
  assert.equal(readTicket(ticket, NOW, elsewhere), undefined)
  const [, until = '', mac = ''] = ticket.split('.')
  for (const other of [
    `${'d'.repeat(64)}.${until}.${mac}`,
    `${id}.${Number(until) + 1}.${mac}`,
    `${id}.0${until}.${mac}`,
    `${id}.${until}`,
    `${ticket}A`,
  ])
    assert.equal(readTicket(other, NOW, key), undefined, other)
  // Of the same key, and never one for the other.
  const leave = { channel: 'everything', recipient: RECIPIENT }
  assert.equal(isUnsubscribeLink(leave, mac, key), false)
  assert.equal(readTicket(`${id}.${until}.${unsubscribePath(leave, key).split('/').at(-1)}`, NOW, key), undefined)
  fc.assert(
    fc.property(fc.string(), fc.nat(), (text, at) => {
      assert.equal(readTicket(text, NOW, key), undefined)
      const place = at % ticket.length
      const cut = `${ticket.slice(0, place)}${text.slice(0, 1)}${ticket.slice(place + 1)}`
      if (cut !== ticket) assert.equal(readTicket(cut, NOW, key), undefined)
    }),
  )
})

test('useDownload() counts each use, however many come at once', async (t) => {
  const objects = await freshStore(t)
  const { id } = await made(objects)
  const used = await Promise.all(Array.from({ length: 8 }, () => useDownload(id, NOW, objects)))
  assert.deepEqual(
    used.map((one) => one?.uses).toSorted((a, b) => (a ?? 0) - (b ?? 0)),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  const later = new Date('2026-11-24T00:00:00Z')
  assert.deepEqual((await useDownload(id, later, objects))?.usedAt, '2026-11-24T00:00:00Z')
})

test('revokeDownload() ends a link for whoever uses it at the same time and later, and once', async (t) => {
  const objects = await freshStore(t)
  const { id } = await made(objects)
  let isRevoked = false
  const use = async () => {
    const before = isRevoked
    const used = await useDownload(id, NOW, objects)
    if (before) assert.equal(used, undefined)
    return used
  }
  const uses = [use(), use(), use()]
  const revoked = revokeDownload(id, NOW, objects).then((download) => {
    isRevoked = true
    return download
  })
  const more = [use(), use()]
  assert.equal((await revoked)?.revokedAt, '2026-11-23T07:00:00Z')
  const counted = (await Promise.all([...uses, ...more])).filter((one) => one !== undefined).length
  assert.equal(await use(), undefined)
  const kept = await readDownload(id, objects)
  assert.deepEqual([kept?.uses, kept?.revokedAt], [counted, '2026-11-23T07:00:00Z'])
  assert.equal(await revokeDownload(id, new Date('2026-11-24T00:00:00Z'), objects), undefined)
  assert.equal(await revokeDownload('0'.repeat(64), NOW, objects), undefined)
})

test('useDownload() refuses from the very moment at which a link expires', async () => {
  const objects = memoryObjects()
  const { id } = await made(objects)
  const until = Date.parse(LINK.expiresAt)
  assert.equal((await useDownload(id, new Date(until - 1), objects))?.uses, 1)
  assert.equal(await useDownload(id, new Date(until), objects), undefined)
  assert.equal(DOWNLOAD_SECONDS, 30 * 86_400)
})

test('downloadEnd() ends a link with whatever it was made for, and names the first reason', async () => {
  const objects = memoryObjects()
  const { id } = await made(objects)
  const download = (await readDownload(id, objects)) ?? assert.fail()
  const channel = { ...CHANNEL, recipients: [RECIPIENT], downloadsSince: '2026-11-23T07:00:00Z' }
  const around = { isSuppressed: false, now: NOW }
  assert.equal(downloadEnd(download, channel, around), null)
  for (const [wanted, ...args] of [
    ['revoked', { ...download, revokedAt: '2026-11-24T00:00:00Z' }, undefined, around],
    ['channel removed', download, undefined, around],
    ['channel removed', download, { ...channel, addedAt: '2026-11-23T07:00:01Z' }, around],
    ['links off', download, { ...channel, downloadsSince: null }, around],
    ['links off', download, { ...channel, downloadsSince: '2026-11-23T07:00:01Z' }, around],
    ['links off', download, { ...channel, namespaces: ['pay-*'] }, around],
    ['links off', download, { ...channel, clusters: ['prod'] }, around],
    ['not a recipient', download, { ...channel, recipients: [`r${'b'.repeat(32)}`] }, around],
    ['gets no mail', download, channel, { ...around, isSuppressed: true }],
    ['expired', download, channel, { ...around, now: new Date(LINK.expiresAt) }],
  ] as const)
    assert.equal(downloadEnd(args[0], args[1], args[2]), wanted)
  assert.equal(downloadEnd(download, channel, { ...around, now: new Date(Date.parse(LINK.expiresAt) - 1) }), null)
})

test('a damaged link is named, works for nobody, and hides no other', async (t) => {
  const objects = await freshStore(t)
  const { id } = await made(objects)
  const other = await made(objects)
  const key = downloadKey(id)
  await objects.putIf(key, Buffer.from('{"uses":0}'), (await objects.get(key))?.etag ?? null)
  for (const read of [() => readDownload(id, objects), () => useDownload(id, NOW, objects)])
    await assert.rejects(read, (error) => error instanceof StoreError && error.message.includes(key))
  const { downloads, damaged } = await listDownloads(objects)
  assert.deepEqual([downloads.map((one) => one.id), damaged], [[other.id], [key]])
  assert.equal(linkName(other.id).length, 16)
})

test('removeOldDownloads() removes what expired 60 days ago or earlier, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: -100, max: 100 }), { maxLength: 8 }), async (days) => {
      const objects = memoryObjects()
      const beside = 'claims/week/2026-W47/everything/x.json'
      await objects.putIf(beside, Buffer.from('{}'), null)
      const damaged = downloadKey('d'.repeat(64))
      await objects.putIf(damaged, Buffer.from('{}'), null)
      const expiresAt = (day: number) => new Date(NOW.getTime() + day * DAY_MS).toISOString().replace('.000', '')
      const tokens = await Promise.all(
        days.map(async (day) => makeDownload({ ...LINK, expiresAt: expiresAt(day) }, NOW, objects)),
      )
      await revokeDownload(downloadIdOf(tokens[0] ?? '') ?? 'e'.repeat(64), NOW, objects)
      assert.equal(await removeOldDownloads(NOW, objects), days.filter((day) => day <= -60).length)
      const { downloads, damaged: left } = await listDownloads(objects)
      assert.deepEqual(
        downloads.map((one) => one.expiresAt).toSorted(),
        days
          .filter((day) => day > -60)
          .map(expiresAt)
          .toSorted(),
      )
      assert.deepEqual(left, [damaged])
      assert.ok((await objects.get(beside)) !== undefined)
      assert.equal(await removeOldDownloads(NOW, objects), 0)
    }),
    { numRuns: 50 },
  )
})

test('a link is removed in the second in which it expired 60 days ago', async () => {
  const objects = memoryObjects()
  await made(objects)
  const end = Date.parse(LINK.expiresAt) + 60 * DAY_MS
  assert.equal(await removeOldDownloads(new Date(end - 1), objects), 0)
  assert.equal(await removeOldDownloads(new Date(end), objects), 1)
})

test('linkKey() made by two at once is one key for both, and stays', async () => {
  let other: Promise<Buffer> | undefined
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held, async ({ member }, effect) => {
    // Just before the first of them writes, another one does all of it.
    if (member === 'putIf' && other === undefined) {
      other = linkKey(memoryObjects(held))
      await other
    }
    return effect()
  })
  const key = await linkKey(objects)
  assert.deepEqual(key, await other)
  assert.deepEqual(await linkKey(objects), key)
})

test('fetchDownload() counts by itself, from none where an earlier version made the link, and no more once that has ended', async (t) => {
  const objects = await freshStore(t)
  const { id } = await made(objects)
  const stored = (await objects.get(downloadKey(id))) ?? assert.fail()
  const { fetches: _, ...earlier } = JSON.parse(Buffer.from(stored.body).toString()) as Record<string, unknown>
  await objects.putIf(downloadKey(id), Buffer.from(JSON.stringify(earlier)), stored.etag)
  assert.equal((await readDownload(id, objects))?.fetches, 0)
  await useDownload(id, NOW, objects)
  await Promise.all([1, 2, 3].map(() => fetchDownload(id, NOW, objects)))
  const counted = await readDownload(id, objects)
  assert.deepEqual([counted?.uses, counted?.fetches], [1, 3])
  await revokeDownload(id, NOW, objects)
  assert.equal(await fetchDownload(id, NOW, objects), undefined)
  assert.equal((await readDownload(id, objects))?.fetches, 3)
})

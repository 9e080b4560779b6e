import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ChannelError,
  type ChannelOptions,
  checkedAddresses,
  isOfChannel,
} from '../../../lib/deliver/channel/channel.ts'
import { addChannel, readChannels, removeChannel } from '../../../lib/deliver/channel/channels.ts'
import { checkChannel } from '../../../lib/deliver/channel/check-channels.ts'
import { readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { changeKey, changesPrefix } from '../../../lib/store/keys.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { compareText } from '../../../lib/text/order.ts'
import { SURROUNDINGS } from '../../support/deliver/channel-surroundings.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { recipientsKey } from '../../../lib/store/delivery-keys.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const ada = { now: new Date('2026-11-24T12:34:56Z'), by: 'ada' }
const add = (objects: Objects, options: ChannelOptions) => addChannel(options, ada, objects)

async function addressesOf(id: string, objects: Objects): Promise<readonly string[]> {
  const recipients = await readRecipients(objects)
  const channel = (await readChannels(objects)).find((one) => one.id === id)
  return (channel?.recipients ?? []).map((pseudonym) => recipients.get(pseudonym) ?? '').toSorted(compareText)
}

test('addChannel() keeps what is not given, replaces what is, and says whether anything changed', async (t) => {
  const objects = await freshStore(t)
  assert.equal(await add(objects, { id: 'pay', recipients: ['ada@example.com'], timeZone: 'Europe/Berlin' }), 'added')
  assert.equal(await add(objects, { id: 'pay', namespaces: ['pay-*', 'bank', 'bank'] }), 'updated')
  assert.equal(await add(objects, { id: 'pay', recipients: ['ADA@EXAMPLE.COM'], sendAt: '07:00' }), 'unchanged')
  const [channel] = await readChannels(objects)
  assert.deepEqual(
    { ...channel, recipients: channel?.recipients.length },
    {
      id: 'pay',
      addedAt: '2026-11-24T12:34:56Z',
      clusters: [],
      namespaces: ['bank', 'pay-*'],
      team: null,
      recipients: 1,
      timeZone: 'Europe/Berlin',
      sendAt: '07:00',
      language: 'en',
      format: 'html',
      hasAlerts: true,
      webhook: null,
      snsTopic: null,
      downloadsSince: null,
      attachesPdf: false,
    },
  )
  assert.deepEqual(await addressesOf('pay', objects), ['ada@example.com'])
})

test('addChannel() keeps the format of the mails that is asked for', async (t) => {
  const objects = await freshStore(t)
  for (const format of ['text', 'html']) {
    await add(objects, { id: 'pay', format })
    assert.equal((await readChannels(objects))[0]?.format, format)
  }
})

test('no recorded change holds an address, and whoever leaves the last channel is forgotten', async (t) => {
  const objects = await freshStore(t)
  await add(objects, { id: 'one', recipients: ['ada@example.com', 'bob@example.com'] })
  await add(objects, { id: 'two', recipients: ['bob@example.com'] })
  const texts: string[] = []
  for await (const key of objects.list(changesPrefix('channels')))
    texts.push(Buffer.from((await objects.get(key))?.body ?? []).toString())
  assert.equal(texts.length, 2)
  for (const text of texts) assert.doesNotMatch(text, /@/)
  assert.equal(await removeChannel('one', ada, objects), true)
  assert.equal(await removeChannel('one', ada, objects), false)
  assert.deepEqual([...(await readRecipients(objects)).values()], ['bob@example.com'])
  await add(objects, { id: 'two', recipients: [] })
  const book = Buffer.from((await objects.get(recipientsKey))?.body ?? []).toString()
  assert.doesNotMatch(book, /@/)
})

test('a person has the same pseudonym in every channel, and another one in another store', async (t) => {
  const [one, other] = [await freshStore(t), await freshStore(t)]
  await add(one, { id: 'a', recipients: ['Ada@example.com'] })
  await add(one, { id: 'b', recipients: ['ada@EXAMPLE.com'] })
  await add(other, { id: 'a', recipients: ['ada@example.com'] })
  const [a, b] = await readChannels(one)
  const [elsewhere] = await readChannels(other)
  assert.deepEqual(a?.recipients, b?.recipients)
  assert.notDeepEqual(a?.recipients, elsewhere?.recipients)
})

const WRONG: readonly (readonly [options: ChannelOptions, wanted: RegExp])[] = [
  [{ id: 'Pay' }, /an id has 1 to 63/],
  [{ id: '../pay' }, /an id has 1 to 63/],
  [{ id: 'pay', clusters: ['a b'] }, /not the id of a cluster/],
  [{ id: 'pay', namespaces: ['Pay'] }, /not a namespace/],
  [{ id: 'pay', namespaces: [''] }, /not a namespace/],
  [{ id: 'pay', timeZone: 'Mars/Base' }, /no time zone/],
  [{ id: 'pay', sendAt: '7:00' }, /no time of day/],
  [{ id: 'pay', sendAt: '24:00' }, /no time of day/],
  [{ id: 'pay', language: 'not a tag' }, /no tag of a language/],
  [{ id: 'pay', language: 'de' }, /written in English/],
  [{ id: 'pay', format: 'pdf' }, /no format/],
  [{ id: 'pay', webhook: { url: 'http://hooks.example.com', secretFile: 's' } }, /begins with https/],
  [{ id: 'pay', webhook: { url: 'https://bob@hooks.example.com', secretFile: 's' } }, /holds a credential/],
  [{ id: 'pay', webhook: { url: 'https://hooks.example.com' } }, /one of the two/],
  [{ id: 'pay', webhook: { url: 'https://hooks.example.com', secretFile: 's', secret: 's' } }, /one of the two/],
  [{ id: 'pay', webhook: { url: 'https://hooks.example.com', secret: 'a b' } }, /a name or an ARN/],
  [{ id: 'pay', snsTopic: 'arn:aws:sqs:eu-central-1:123456789012:alerts' }, /ARN of a topic/],
  [{ id: 'pay', team: 'pay\r\nBcc: eve@example.com' }, /can be seen/],
  [{ id: 'pay', team: 'x'.repeat(61) }, /at most 60/],
  ...[
    'ada',
    'ada@',
    '@example.com',
    'ada@exa mple.com',
    'ada@example.com\r\nBcc: eve@example.com',
    'Ada <ada@example.com>',
    'ada@example.com,eve@example.com',
    'a..b@example.com',
    '.a@example.com',
    'ada@-example.com',
    'ada@example..com',
    `${'a'.repeat(65)}@example.com`,
    'ada@[127.0.0.1]',
  ].map(
    (address) => [{ id: 'pay', recipients: ['bob@example.com', address] }, /recipient 2 of 2 is no address/] as const,
  ),
]

for (const [options, wanted] of WRONG)
  test(`addChannel() refuses ${JSON.stringify(options)} and keeps nothing of it`, async (t) => {
    const objects = await freshStore(t)
    await assert.rejects(add(objects, options), (error) => {
      assert.ok(error instanceof ChannelError)
      assert.match(error.message, wanted)
      assert.doesNotMatch(error.message, /eve@|bob@/)
      return true
    })
    for await (const key of objects.list('')) assert.fail(key)
  })

test('checkedAddresses() writes a domain as the wire has it, and keeps the first of two spellings', () => {
  assert.deepEqual(checkedAddresses('pay', ['a@BÜCHER.example', 'Bob@example.com', 'bob@Example.com']), [
    'a@xn--bcher-kva.example',
    'Bob@example.com',
  ])
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      try {
        for (const address of checkedAddresses('pay', [text])) assert.match(address, /^[!-~]+$/)
      } catch (error) {
        assert.ok(error instanceof ChannelError)
      }
    }),
  )
})

test('addChannel() gives the report away only where it is asked to, and only to a channel of everything', async (t) => {
  const objects = await freshStore(t)
  const one = async () => (await readChannels(objects))[0]
  const later = { now: new Date('2026-11-25T00:00:00Z'), by: 'ada' }
  const refused = /Cannot add channel "pay": a report tells of every cluster and namespace, so only a channel/
  for (const options of [{ hasDownloads: true }, { attachesPdf: true }])
    for (const filter of [{ clusters: ['prod'] }, { namespaces: ['*'] }])
      await assert.rejects(add(objects, { id: 'pay', ...options, ...filter }), refused)
  await add(objects, { id: 'pay', hasDownloads: true, attachesPdf: true })
  assert.deepEqual([(await one())?.downloadsSince, (await one())?.attachesPdf], ['2026-11-24T12:34:56Z', true])
  assert.equal(await addChannel({ id: 'pay', hasDownloads: true }, later, objects), 'unchanged')
  for (const filter of [{ clusters: ['prod'] }, { namespaces: ['pay-*'] }])
    await assert.rejects(add(objects, { id: 'pay', recipients: ['ada@example.com'], ...filter }), refused)
  assert.deepEqual([...(await readRecipients(objects)).values()], [], 'nothing is kept of what was refused')
  await add(objects, { id: 'pay', hasDownloads: false, attachesPdf: false, namespaces: ['pay-*'] })
  assert.deepEqual([(await one())?.downloadsSince, (await one())?.attachesPdf], [null, false])
  await addChannel({ id: 'pay', hasDownloads: true, namespaces: [] }, later, objects)
  assert.equal((await one())?.downloadsSince, '2026-11-25T00:00:00Z', 'links of the time before stay ended')
})

test('readChannels() reads what was recorded before reports could leave with a mail, as a channel whose do not', async (t) => {
  const objects = await freshStore(t)
  const change = changeKey('channels', 1)
  await add(objects, { id: 'pay' })
  const recorded = Buffer.from((await objects.get(change))?.body ?? []).toString()
  const older = recorded.replace('"attachesPdf":false,', '').replace('"downloadsSince":null,', '')
  assert.equal(recorded.length - older.length, 42)
  const other = await freshStore(t)
  await other.putOnce(change, Buffer.from(older))
  assert.deepEqual(await readChannels(other), await readChannels(objects))
})

test('addChannel() by many at once loses no channel and no address', async (t) => {
  const objects = await freshStore(t)
  const ids = ['a', 'b', 'c', 'd', 'e', 'f']
  await Promise.all(ids.map((id) => add(objects, { id, recipients: [`${id}@example.com`, 'all@example.com'] })))
  await Promise.all([removeChannel('a', ada, objects), add(objects, { id: 'g', recipients: ['a@example.com'] })])
  assert.deepEqual(
    (await readChannels(objects)).map(({ id }) => id),
    ['b', 'c', 'd', 'e', 'f', 'g'],
  )
  for (const id of ['b', 'c', 'd', 'e', 'f'])
    assert.deepEqual(await addressesOf(id, objects), ['all@example.com', `${id}@example.com`].toSorted())
  assert.deepEqual(await addressesOf('g', objects), ['a@example.com'])
})

test('readChannels() names a damaged change, and readRecipients() its damaged object', async (t) => {
  const objects = await freshStore(t)
  await objects.putOnce(changeKey('channels', 1), Buffer.from('{"channels":[]}'))
  await assert.rejects(readChannels(objects), /changes\/channels\/000001\.json/)
  await objects.putIf(recipientsKey, Buffer.from('{}'), null)
  await assert.rejects(readRecipients(objects), /registry\/recipients\.json/)
})

test('isOfChannel() takes a path for a channel if either named end is in one of its namespaces', async (t) => {
  const objects = await freshStore(t)
  await add(objects, { id: 'pay', namespaces: ['pay-*'] })
  await add(objects, { id: 'all' })
  const [all, pay] = await readChannels(objects)
  assert.ok(all && pay)
  const ends = (...names: string[]) => names.map((namespace) => ({ namespace }))
  assert.equal(isOfChannel(pay, ends('shop', 'pay-eu')), true)
  assert.equal(isOfChannel(pay, ends('pay-eu', 'shop')), true)
  assert.equal(isOfChannel(pay, ends('', 'shop')), false)
  assert.equal(isOfChannel(pay, ends('', '')), false)
  assert.equal(isOfChannel(all, ends('', '')), true)
})

test('checkChannel() says why nobody would get a mail, or one that says nothing', async (t) => {
  const objects = await freshStore(t)
  await add(objects, { id: 'a', clusters: ['prod'], namespaces: ['pay-*', 'typo'], recipients: ['ada@example.com'] })
  await add(objects, { id: 'b', timeZone: 'Europe/Berlin' })
  const [a, b] = await readChannels(objects)
  assert.ok(a && b)
  const around = {
    ...SURROUNDINGS,
    recipients: await readRecipients(objects),
    namespaces: new Map([['prod', new Set(['pay-eu'])]]),
    now: '2026-10-20T00:00:00Z',
  }
  const said = (...args: Parameters<typeof checkChannel>) =>
    checkChannel(...args).map(({ title, problem, warning }) => problem ?? warning ?? title)
  matchesText(said(a, around))
  assert.match(said(a, { ...around, clusters: ['other'] }).join(), /not registered: prod/)
  assert.match(said(a, { ...around, namespaces: new Map() }).join(), /no history of prod/)
  matchesText(said(a, { ...around, recipients: new Map() }).join())
  assert.match(said(b, { ...around, clusters: [] }).join(), /no cluster is registered/)
  matchesText(said(b, around).slice(2))
})

test('checkChannel() warns of a webhook to which nothing is posted', async (t) => {
  const objects = await freshStore(t)
  await add(objects, { id: 'ops', webhook: { url: 'https://169.254.169.254/hook', secretFile: '/run/hook' } })
  const [channel] = await readChannels(objects)
  assert.ok(channel)
  matchesText(checkChannel(channel, SURROUNDINGS).at(-1)?.warning)
})

test('checkChannel() finds no problem in a channel without recipients whose alerts are posted or published', async (t) => {
  const objects = await freshStore(t)
  const webhook = { url: 'https://hooks.example.com/x', secretFile: '/run/hook' }
  await add(objects, { id: 'hook', webhook })
  await add(objects, { id: 'off', webhook, hasAlerts: false })
  await add(objects, { id: 'topic', snsTopic: 'arn:aws:sns:eu-central-1:111122223333:alerts' })
  const problems = (await readChannels(objects)).map((channel) => [
    channel.id,
    checkChannel(channel, SURROUNDINGS).flatMap(({ problem }) => problem ?? []),
  ])
  matchesText(problems, [
    ['hook', []],
    ['off', TEXT],
    ['topic', []],
  ])
})

test('checkChannel() warns of recipients who get no mail and says why, and fails where nobody is left', async (t) => {
  const objects = await freshStore(t)
  await add(objects, { id: 'pay', recipients: ['ada@example.com', 'bob@example.com', 'eve@example.com'] })
  const [pay] = await readChannels(objects)
  const around = { ...SURROUNDINGS, recipients: await readRecipients(objects), now: '2026-10-20T00:00:00Z' }
  const [one = '', two = '', three = ''] = pay?.recipients ?? []
  const suppressed = (
    [
      [one, 'pay', 'unsubscribed'],
      [two, null, 'bounced'],
      [three, null, 'complained'],
      // Of another channel, and of nobody here.
      [one, 'other', 'unsubscribed'],
      [`r${'f'.repeat(32)}`, null, 'bounced'],
    ] as const
  ).map(([recipient, channel, reason]) => ({ recipient, channel, reason, at: '2026-10-19T00:00:00Z' }))
  const said = (suppressions: typeof suppressed) => {
    const { problem, warning } = checkChannel(pay ?? assert.fail(), { ...around, suppressions })[2] ?? assert.fail()
    return { problem, warning }
  }
  assert.deepEqual(said(suppressed.slice(3)), { problem: null, warning: null })
  matchesText(said(suppressed.slice(0, 2)), { problem: null, warning: TEXT })
  matchesText(said(suppressed), { problem: TEXT, warning: null })
})

test('checkChannel() says where the report cannot leave with the mail, or is of another week', async (t) => {
  const objects = await freshStore(t)
  await add(objects, { id: 'grc', hasDownloads: true, attachesPdf: true, timeZone: 'Europe/Berlin' })
  const [grc] = await readChannels(objects)
  assert.ok(grc)
  const around = { ...SURROUNDINGS, now: '2026-11-20T00:00:00Z' }
  const said = (changes: Partial<typeof grc>, timeZone: string | null) => {
    const lastReport = timeZone === null ? null : { label: 'Week 2026-W46', timeZone }
    return checkChannel({ ...grc, ...changes }, { ...around, lastReport }).at(-1)
  }
  matchesText(said({}, 'Europe/Berlin'), { title: TEXT, problem: null, warning: null })
  matchesText(said({ downloadsSince: null }, 'Europe/Berlin')?.title)
  matchesText(said({}, null)?.warning)
  // 07:00 in Berlin is 06:00 UTC.
  assert.equal(said({ sendAt: '07:00' }, 'UTC')?.warning?.includes('goes before the report'), false)
  matchesText(said({ sendAt: '06:59' }, 'UTC')?.warning)
  matchesText(said({}, 'UTC')?.warning)
  const none = checkChannel({ ...grc, downloadsSince: null, attachesPdf: false }, around)
  assert.equal(none.length, 4)
})

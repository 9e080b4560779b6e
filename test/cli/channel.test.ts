import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readChannels } from '../../lib/deliver/channel/channels.ts'
import { downloadIdOf, fetchDownload, makeDownload, useDownload } from '../../lib/deliver/link/downloads.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { linesOf, parseNdjson, run } from '../support/process/command-line.ts'
import { keepPdf } from '../support/deliver/kept-report.ts'
import { freshFolder } from '../support/recorder.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

test('ciphertrail channel adds, lists, checks and removes a channel', async (t) => {
  const folder = freshFolder(t)
  const channel = (...args: string[]) => run(['channel', ...args], { folder })
  const none = await channel('list')
  assert.deepEqual([none.code, none.stdout], [0, ''])
  assert.match(none.stderr, /There is no channel/)

  const added = await channel(
    'add',
    'pay',
    '--namespace',
    'pay-*',
    '--to',
    'ada@example.com',
    '--to',
    'bob@example.com',
    '--time-zone',
    'Europe/Berlin',
    '--at',
    '08:30',
  )
  matchesText([added.code, added.stdout], [0, TEXT])
  const again = await channel('add', 'pay', '--team', 'Payments', '--json')
  assert.deepEqual(JSON.parse(again.stdout), { channel: 'pay', outcome: 'updated' })

  const [listed] = parseNdjson((await channel('list', '--json')).stdout)
  for (const address of ['ada@example.com', 'bob@example.com'])
    assert.ok(JSON.stringify(listed?.['recipients']).includes(`"address":"${address}"`))
  const [heading, row] = linesOf((await channel('list')).stdout)
  assert.match(heading ?? '', /^ID +CLUSTERS +NAMESPACES +MONDAY +FORMAT +TEAM +TO$/)
  matchesText(row)

  const unregistered = await channel('check', 'pay', '--now', '2026-11-24T00:00:00Z')
  assert.equal(unregistered.code, 1)
  matchesText(unregistered.stdout)
  matchesText(unregistered.stdout)
  await run(['cluster', 'add', 'prod', '--context', 'prod'], { folder })
  const checked = await channel('check', '--now', '2026-11-24T00:00:00Z', '--json')
  assert.equal(checked.code, 0, checked.stdout)
  assert.equal(parseNdjson(checked.stdout).length, 4)

  for (const args of [
    ['add', 'pay', '--to', 'nobody'],
    ['add', 'pay', '--all-clusters', '--cluster', 'prod'],
    ['add', 'pay', '--attach-pdf', 'yes'],
    ['add', 'pay', '--download-links', 'on'],
    ['check', 'other'],
    ['remove', 'other'],
  ] as const) {
    const refused = await channel(...args)
    assert.equal(refused.code, 2)
    matchesText(refused.stderr, TEXT, args)
  }
  assert.equal((await channel('remove', 'pay')).code, 0)
  assert.equal((await channel('check')).code, 2)
})

test('ciphertrail channel add gives the report away with the mails of a channel of everything, and takes it back', async (t) => {
  const folder = freshFolder(t)
  const channel = (...args: string[]) => run(['channel', ...args], { folder })
  const formatOf = async () => /^all +all +all +07:00 UTC +(\S+) /m.exec((await channel('list')).stdout)?.[1]
  const added = await channel('add', 'all', '--to', 'ada@example.com', '--download-links', 'on', '--attach-pdf', 'on')
  assert.equal(added.code, 0, added.stderr)
  assert.equal(await formatOf(), 'html+link+pdf')
  const refused = await channel('add', 'all', '--cluster', 'prod')
  assert.equal(refused.code, 2)
  matchesText(refused.stderr)
  assert.equal((await channel('add', 'all', '--download-links', 'off')).code, 0)
  assert.equal(await formatOf(), 'html+pdf')
})

test('ciphertrail channel links and revoke show and end what stands in mails, and never what opens it', async (t) => {
  const folder = freshFolder(t)
  const channel = (...args: string[]) => run(['channel', ...args], { folder })
  await channel('add', 'grc', '--to', 'ada@example.com', '--download-links', 'on')
  const none = await channel('links', 'grc')
  assert.deepEqual([none.code, none.stdout], [0, ''])
  matchesText(none.stderr)
  matchesText((await channel('check', 'grc')).stdout)

  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  const report = await keepPdf(objects)
  const [recipient = ''] = (await readChannels(objects))[0]?.recipients ?? []
  // Far enough for a channel that was added just now, whenever that is.
  const link = { report, channel: 'grc', recipient, expiresAt: '2099-12-31T00:00:00Z' }
  const tokens = []
  for (const day of [1, 2, 3]) tokens.push(await makeDownload(link, new Date(`2099-12-0${day}T00:00:00Z`), objects))
  await useDownload(downloadIdOf(tokens[2] ?? '') ?? '', new Date('2099-12-04T00:00:00Z'), objects)
  await fetchDownload(downloadIdOf(tokens[2] ?? '') ?? '', new Date('2099-12-04T00:00:00Z'), objects)

  const [heading, ...rows] = linesOf((await channel('links', 'grc')).stdout)
  assert.match(heading ?? '', /^LINK +TO +REPORT +UNTIL +WORKS +USED +FETCHED +LAST$/)
  assert.match(
    rows[0] ?? '',
    /^[0-9a-f]{16} +ada@example\.com +Week 2026-W47 UTC +2099-12-31T00:00:00Z +yes +1 +1 +2099-12-04T00:00:00Z$/,
  )
  const listed = await channel('links', 'grc', '--json')
  const [first, second, third] = parseNdjson(listed.stdout)
  assert.deepEqual([first?.['madeAt'], first?.['end'], second?.['uses']], ['2099-12-03T00:00:00Z', null, 0])
  for (const token of tokens) assert.ok(!listed.stdout.includes(token))

  const one = await channel('revoke', 'grc', '--link', String(third?.['link']))
  matchesText([one.code, one.stdout], [0, TEXT])
  assert.match(linesOf((await channel('links', 'grc')).stdout).at(-1) ?? '', / no: revoked +0 +0 +-$/)
  const all = await channel('revoke', 'grc', '--all', '--json')
  assert.deepEqual(JSON.parse(all.stdout), { channel: 'grc', revoked: 2, before: 1 })
  for (const args of [
    ['revoke', 'grc'],
    ['revoke', 'grc', '--all', '--link', 'x'],
    ['revoke', 'grc', '--link', 'x'],
    ['links', 'other'],
    ['revoke', 'other', '--all'],
  ] as const) {
    const refused = await channel(...args)
    assert.equal(refused.code, 2)
    matchesText(refused.stderr, TEXT, args)
  }
  // Those of a channel that is gone are still listed: who could read what then.
  await channel('add', 'other', '--to', 'ada@example.com')
  await channel('remove', 'grc')
  assert.equal(parseNdjson((await channel('links', 'grc', '--json')).stdout).length, 3)
  await run(['key', 'new', 'example.com/log', '--key', 'log.key'], { folder })
  await run(['seal', '--key', 'log.key'], { folder })
  const checked = await run(['log', 'check'], { folder })
  assert.equal(checked.code, 0, `links are known to whoever checks a store: ${checked.stdout}${checked.stderr}`)
})

test('the log seals a change of channels and finds nothing in the store that nobody makes', async (t) => {
  const folder = freshFolder(t)
  await run(['channel', 'add', 'pay', '--to', 'ada@example.com'], { folder })
  assert.equal((await run(['key', 'new', 'example.com/log', '--key', 'log.key'], { folder })).code, 0)
  const sealed = await run(['seal', '--key', 'log.key'], { folder })
  assert.equal(sealed.code, 0, sealed.stderr)
  assert.match(sealed.stdout, /1 change of a channel/)
  const checked = await run(['log', 'check'], { folder })
  assert.equal(checked.code, 0, `${checked.stdout}${checked.stderr}`)
})

test('ciphertrail channel suppress keeps a recipient from all mail, which list, check and preview tell and resume takes back', async (t) => {
  const folder = freshFolder(t)
  const channel = (...args: string[]) => run(['channel', ...args], { folder })
  await run(['cluster', 'add', 'prod', '--context', 'prod'], { folder })
  await channel('add', 'pay', '--to', 'ada@example.com', '--to', 'bob@example.com')
  await channel('add', 'all', '--to', 'Bob@example.com')
  const suppress = (...args: string[]) => channel('suppress', 'pay', '--to', 'BOB@example.com', ...args)
  const done = await suppress('--reason', 'bounced')
  matchesText([done.code, done.stdout], [0, TEXT])
  const again = await suppress('--reason', 'complained', '--json')
  assert.deepEqual(
    [again.code, (JSON.parse(again.stdout) as { outcome: string }).outcome],
    [0, 'unchanged'],
    'what was said first stays',
  )
  assert.match((await channel('list')).stdout, /bob@example\.com \(bounced\)/)

  const now = ['--now', '2026-11-24T00:00:00Z']
  const warned = await channel('check', 'pay', ...now)
  assert.equal(warned.code, 0, warned.stdout)
  matchesText(warned.stdout)
  const failed = await channel('check', 'all', ...now)
  assert.equal(failed.code, 1)
  matchesText(failed.stdout)
  const preview = await channel('preview', 'pay', ...now, '--out', 'mail', '--json')
  assert.equal(preview.code, 0, preview.stderr)
  const [, , text = ''] = (JSON.parse(preview.stdout) as { files: string[] }).files
  matchesText(readFileSync(join(folder, text), 'utf8').replaceAll(/\s+/g, ' '))

  for (const args of [
    ['pay', '--to', 'eve@example.com', '--reason', 'bounced'],
    ['pay', '--to', 'bob@example.com', '--reason', 'rude'],
    ['none', '--to', 'bob@example.com', '--reason', 'bounced'],
    ['pay', '--to', 'bob@example.com'],
  ] as const) {
    const refused = await channel('suppress', ...args)
    assert.equal(refused.code, 2)
    matchesText(refused.stderr, TEXT, args)
    assert.doesNotMatch(refused.stderr, /eve@|bob@/)
  }
  const resume = (...args: string[]) => channel('resume', 'all', '--to', 'bob@example.com', ...args)
  const resumed = await resume()
  matchesText([resumed.code, resumed.stdout], [0, TEXT])
  assert.equal((await channel('check', 'all', ...now)).code, 0)
  const nobody = await resume()
  matchesText([nobody.code, nobody.stdout], [0, TEXT])
  const { outcome } = JSON.parse((await resume('--json')).stdout) as { outcome: string }
  assert.equal(outcome, 'unchanged')
})

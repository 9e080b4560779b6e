import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import PostalMime from 'postal-mime'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { linesOf, run } from '../support/process/command-line.ts'
import { startDemoMesh } from '../support/mesh/demo-mesh.ts'
import { keepPdf } from '../support/deliver/kept-report.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { freshFolder } from '../support/recorder.ts'
import { matchesText } from '../support/texts/matches-text.ts'

/** A recorded mesh with three windows collected, in week 48. */
let mesh: DemoMesh

before(async () => {
  mesh = await startDemoMesh()
  for (const window of mesh.windows.slice(0, 3)) {
    const { code, stderr } = await mesh.run('collect', ...mesh.optionsAt(window))
    assert.equal(code, 0, stderr)
  }
})
after(() => mesh.close())

const NOW = ['--now', '2026-11-30T07:00:00Z'] as const

test('ciphertrail channel preview writes the mail of the week that is due, and sends and records nothing', async () => {
  await mesh.run('channel', 'add', 'everything', '--to', 'ada@example.com')
  const before = readdirSync(join(mesh.folder, 'ciphertrail-data'), { recursive: true }).length
  const { code, stdout, stderr } = await mesh.run(
    'channel',
    'preview',
    'everything',
    ...NOW,
    '--url',
    'https://ct.example.com/',
  )
  assert.equal(code, 0, stderr)
  const [subject, eml, html, txt] = linesOf(stdout)
  assert.match(subject ?? '', /^[\d.]+ % of the week monitored, \d+ unencrypted paths \(everything, week 48\)$/)
  assert.deepEqual(
    [eml, html, txt],
    ['eml', 'html', 'txt'].map((type) => `ciphertrail-mail/everything-2026-W48.${type}`),
  )
  const message = await PostalMime.parse(readFileSync(join(mesh.folder, eml ?? '')))
  assert.equal(message.subject, subject)
  assert.deepEqual(
    message.to?.map(({ address }) => address),
    ['recipient@example.invalid'],
  )
  assert.match(message.html ?? '', /href="https:\/\/ct\.example\.com"/)
  assert.equal(
    message.html?.replaceAll('\r\n', '\n').trimEnd(),
    readFileSync(join(mesh.folder, html ?? ''), 'utf8').trimEnd(),
  )
  matchesText(readFileSync(join(mesh.folder, txt ?? ''), 'utf8'))
  assert.equal(readdirSync(join(mesh.folder, 'ciphertrail-data'), { recursive: true }).length, before)
})

test('ciphertrail channel preview --json names what was written; a text channel has no page', async () => {
  await mesh.run('channel', 'add', 'plain', '--format', 'text', '--namespace', 'bank')
  const { stdout } = await mesh.run(
    'channel',
    'preview',
    'plain',
    '--week',
    '2026-W48',
    ...NOW,
    '--out',
    'mail',
    '--json',
  )
  const told = JSON.parse(stdout) as { files: string[]; week: string; bytes: number }
  assert.deepEqual(told.files, ['mail/plain-2026-W48.eml', 'mail/plain-2026-W48.txt'])
  assert.equal(told.week, '2026-W48')
  assert.equal(readFileSync(join(mesh.folder, 'mail/plain-2026-W48.eml')).length, told.bytes)
})

test('ciphertrail channel preview shows the report that would go along, and makes no link to it', async () => {
  const week = { from: '2026-11-23T00:00:00Z', to: '2026-11-30T00:00:00Z', label: 'Week 2026-W48', timeZone: 'UTC' }
  const objects = directoryObjects(join(mesh.folder, 'ciphertrail-data'))
  await keepPdf(objects, week)
  await mesh.run('channel', 'add', 'grc', '--to', 'ada@example.com', '--download-links', 'on', '--attach-pdf', 'on')
  const { code, stderr } = await mesh.run('channel', 'preview', 'grc', ...NOW, '--url', 'https://ct.example.com')
  assert.equal(code, 0, stderr)
  const message = await PostalMime.parse(readFileSync(join(mesh.folder, 'ciphertrail-mail/grc-2026-W48.eml')))
  assert.deepEqual(
    message.attachments.map(({ filename }) => filename),
    ['ciphertrail-2026-W48.pdf'],
  )
  assert.match(message.html ?? '', /href="https:\/\/ct\.example\.com\/d\/preview"/)
  assert.match(message.text ?? '', /https:\/\/ct\.example\.com\/d\/preview\n/)
  for await (const key of objects.list('downloads/')) assert.fail(key)
})

test('ciphertrail channel preview refuses what it cannot show, in one line', async (t) => {
  for (const [args, wanted] of [
    [['plain', '--week', '2026-W54'], /^Cannot read week "2026-W54"/],
    [['plain', '--url', 'javascript:alert(1)'], /^Cannot use --url "javascript:alert\(1\)"/],
    [['plain', '--url', 'https://a@b.example'], /^Cannot use --url/],
    [['nobody'], /^Cannot find channel "nobody"/],
  ] as const) {
    const { code, stderr } = await mesh.run('channel', 'preview', ...args, ...NOW)
    assert.equal(code, 2, stderr)
    assert.match(stderr, wanted)
  }
  const folder = freshFolder(t)
  assert.equal((await run(['channel', 'preview', 'x'], { folder })).code, 2)
  assert.ok(!existsSync(join(folder, 'ciphertrail-mail')))
})

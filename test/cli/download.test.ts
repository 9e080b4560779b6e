import assert from 'node:assert/strict'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import PostalMime from 'postal-mime'
import { makeDownload } from '../../lib/deliver/link/downloads.ts'
import { dueMail } from '../../lib/deliver/mail/sending-times.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { parseNdjson, run } from '../support/process/command-line.ts'
import { REPORT_PDF, keepPdf } from '../support/deliver/kept-report.ts'
import { startMailServer } from '../support/servers/mail-server.ts'
import { freshFolder } from '../support/recorder.ts'
import { startService } from '../support/process/running-service.ts'

const REPORT = 'reports/20261123T000000Z-0123456789abcdef.json'

test('a link that ciphertrail deliver mails is answered by ciphertrail run, listed and revoked, and no file and no line of its log holds it', async (t) => {
  const folder = freshFolder(t)
  const server = await startMailServer({ user: { name: 'ct', password: 'secret' } })
  t.after(() => server.close())
  writeFileSync(join(folder, 'ca.pem'), server.ca)
  writeFileSync(
    join(folder, 'mail.json'),
    JSON.stringify({
      from: 'ciphertrail@example.com',
      host: 'localhost',
      port: server.port,
      user: 'ct',
      password: 'secret',
      caFile: 'ca.pem',
    }),
  )
  const command = async (...args: string[]) => {
    const ran = await run(args, { folder })
    assert.equal(ran.code, 0, ran.stderr)
    return ran.stdout
  }
  await command('channel', 'add', 'grc', '--to', 'ada@example.com', '--download-links', 'on', '--attach-pdf', 'on')
  // Far enough for a channel that was added just now, whenever that is.
  const now = '2099-01-05T12:00:00Z'
  const mail = dueMail({ timeZone: 'UTC', sendAt: '07:00', addedAt: '2000-01-01T00:00:00Z' }, now)
  assert.ok(mail)
  const { week, from, to } = mail
  await keepPdf(directoryObjects(join(folder, 'ciphertrail-data')), {
    from,
    to,
    label: `Week ${week}`,
    timeZone: 'UTC',
  })
  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  const old = { report: REPORT, channel: 'grc', recipient: `r${'a'.repeat(32)}`, expiresAt: '2020-01-01T00:00:00Z' }
  await makeDownload(old, new Date('2019-12-01T00:00:00Z'), objects)
  await command('deliver', '--mail', 'mail.json', '--url', 'https://ct.example.com/reports', '--now', now)
  const { text, attachments } = await PostalMime.parse(server.taken[0]?.message ?? '')
  assert.equal(attachments[0]?.filename, `ciphertrail-${week}.pdf`)
  const token =
    /https:\/\/ct\.example\.com\/reports\/d\/([A-Za-z0-9_-]{43})\n/.exec(text ?? '')?.[1] ?? assert.fail(text)

  await command('key', 'new', 'example.com/log', '--key', 'log.key')
  const service = await startService(['--key', 'log.key'], folder)
  t.after(() => service.kill('SIGKILL'))
  const page = await fetch(`${service.url}/d/${token}`)
  assert.match(await page.text(), new RegExp(`Download the report of week ${week} \\(UTC\\)`))
  const pressed = await fetch(`${service.url}/d/${token}`, { method: 'POST' })
  assert.equal(pressed.headers.get('content-disposition'), `attachment; filename="ciphertrail-${week}.pdf"`)
  assert.deepEqual(Buffer.from(await pressed.arrayBuffer()), REPORT_PDF)

  const [listed, ...more] = parseNdjson(await command('channel', 'links', 'grc', '--json'))
  assert.deepEqual(more, [], 'who makes links removes those that were over for long')
  const [mailed] = parseNdjson(await command('deliveries', '--json'))
  assert.equal(mailed?.['link'], listed?.['link'])
  assert.deepEqual([listed?.['address'], listed?.['uses'], listed?.['end']], ['ada@example.com', 1, null])
  const line = await service.until(({ event, path }) => event === 'request' && path === '/d/file')
  assert.deepEqual(line['download'], { link: listed?.['link'], channel: 'grc', report: listed?.['report'] })
  assert.equal(line['subject'], listed?.['recipient'])
  await command('channel', 'revoke', 'grc', '--all')
  assert.equal((await fetch(`${service.url}/d/${token}`)).status, 410)

  assert.ok(!JSON.stringify(service.lines).includes(token))
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (statSync(path).isFile()) assert.ok(!`${name} ${readFileSync(path, 'latin1')}`.includes(token), name)
  }
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { keepWeek } from '../support/deliver/kept-report.ts'
import { linesOf, parseNdjson, run } from '../support/process/command-line.ts'
import { freshFolder } from '../support/recorder.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

/** A channel for a program that gets the report of each week, as it is typed. */

test('channel add names the format, check says what will be posted, alert posts it, deliveries lists it', async (t) => {
  const folder = freshFolder(t)
  const now = '2026-11-23T07:00:00Z'
  const command = (...args: string[]) => run(args, { folder, now })
  const server = createServer((_, response) => response.writeHead(204).end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  writeFileSync(join(folder, 'secret'), 'a secret', { mode: 0o600 })
  const hook = ['--webhook', url, '--webhook-secret-file', 'secret'] as const
  const added = await command('channel', 'add', 'siem', ...hook, '--webhook-format', 'ocsf')
  matchesText([added.code, added.stdout], [0, TEXT])
  for (const args of [
    ['siem', '--webhook-format', 'csv'],
    ['siem', '--namespace', 'pay'],
    ['other', '--webhook-format', 'oscal'],
  ] as const) {
    const { code, stderr } = await command('channel', 'add', ...args)
    assert.deepEqual([code, linesOf(stderr).length], [2, 1])
    matchesText(stderr.trim(), TEXT, args)
  }
  const check = async () => (await command('channel', 'check', 'siem', '--json')).stdout
  matchesText(await check())
  const none = await command('alert')
  matchesText([none.code, linesOf(none.stdout).at(-1)], [0, TEXT])
  const documents = { 'report.pdf': '%PDF', 'ocsf.json': '[{"class_uid":2003}]\n' }
  const key = await keepWeek('2026-W47', documents, directoryObjects(join(folder, 'ciphertrail-data')))
  assert.doesNotMatch(await check(), /no report of a week is kept/)
  const posted = await command('alert')
  matchesText([posted.code, linesOf(posted.stdout).at(-1)], [0, TEXT])
  const [delivery] = parseNdjson((await command('deliveries', '--kind', 'report', '--json')).stdout)
  assert.partialDeepStrictEqual(delivery, {
    kind: 'report',
    period: `${key.slice('reports/'.length, -'.json'.length)}-ocsf-1`,
    channel: 'siem',
    status: 'sent',
    detail: 'HTTP 204',
  })
  const week = await command('deliveries', '--kind', 'report', '--week', '2026-W47')
  assert.deepEqual([week.code, linesOf(week.stderr).length], [2, 1])
})

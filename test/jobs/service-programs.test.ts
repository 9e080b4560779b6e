import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { addChannel } from '../../lib/deliver/channel/channels.ts'
import { webhookPost } from '../../lib/deliver/send/webhook.ts'
import type { ServiceEvent } from '../../lib/jobs/service-events.ts'
import { createService } from '../../lib/jobs/service.ts'
import { timestampingBy } from '../../lib/seal/timestamp/timestamping.ts'
import { headKey, timestampKey } from '../../lib/store/log-keys.ts'
import { keepWeek } from '../support/deliver/kept-report.ts'
import { freshFolder } from '../support/recorder.ts'
import { startTimestampServer } from '../support/servers/time-stamp-server.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'

/** What the service tells programs of a week's report, and who confirms when it was sealed; both hold up nothing else. */

test('a service posts the report of a week and gets its time stamp, while one receiver and then the authority hang', async (t) => {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const clock = { at: Date.parse('2026-11-23T07:00:00Z') }
  const now = () => new Date(clock.at)
  const got: string[] = []
  const hook = createServer((request, response) => {
    got.push(`${request.url} ${String(request.headers['ciphertrail-id'])}`)
    if (request.url === '/well') response.writeHead(204).end()
  })
  hook.listen(0, '127.0.0.1')
  await once(hook, 'listening')
  t.after(() => {
    hook.closeAllConnections()
    hook.close()
  })
  const secretFile = join(freshFolder(t), 'secret')
  writeFileSync(secretFile, 'secret', { mode: 0o600 })
  for (const id of ['hangs', 'well']) {
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/${id}`
    await addChannel({ id, webhook: { url, secretFile }, webhookFormat: 'ocsf' }, { now: now(), by: 'tester' }, objects)
  }
  const report = await keepWeek('2026-W47', { 'ocsf.json': '[]\n' }, objects)
  const authority = await startTimestampServer(t, now)
  const { behave } = authority
  authority.behave = () => undefined
  const settings = { url: new URL(authority.url), policy: null, authorities: authority.authorities }
  const events: ServiceEvent[] = []
  const real = webhookPost(undefined)
  const service = createService(
    { version: '0.0.0', timeZone: 'UTC', clustersAtOnce: 1 },
    {
      objects,
      signer: newSigner(),
      timestamping: timestampingBy(settings, undefined),
      workers: { collect: () => Promise.reject(new Error('none')), compact: () => Promise.resolve() },
      now,
      log: (event) => events.push(event),
      post: (webhook, post, at) => real(webhook, { ...post, timeoutMs: 500 }, at),
      publish: () => Promise.reject(new Error('none')),
      mail: null,
      wait: () => Promise.resolve(),
    },
  )
  await service.tick()
  // The authority hangs: what follows does not wait for it.
  while (!events.some(({ event }) => event === 'posted') || !events.some(({ event }) => event === 'sealed'))
    await new Promise((resolve) => setTimeout(resolve, 20))
  const id = `${report.slice('reports/'.length, -'.json'.length)}-ocsf-1`
  await service.idle()
  assert.deepEqual(got.toSorted(), [`/hangs ${id}`, `/well ${id}`])
  const posted = events.filter(({ event }) => event === 'posted')
  assert.partialDeepStrictEqual(posted, [
    { level: 'warn', channel: 'hangs', sent: 0, failed: 1 },
    { level: 'info', channel: 'well', sent: 1, failed: 0 },
  ])
  assert.partialDeepStrictEqual(
    events.filter(({ event }) => event === 'stamped'),
    [{ level: 'warn' }],
  )
  assert.deepEqual(
    events.filter(({ event }) => event === 'failed'),
    [],
  )
  authority.behave = behave
  clock.at += 61 * 60_000
  await service.tick()
  await service.idle()
  assert.partialDeepStrictEqual(events.filter(({ event }) => event === 'stamped').at(-1), {
    level: 'info',
    by: 'CN=Time-stamping authority',
  })
  const [kept] = [...held.keys()].filter((key) => key.endsWith('.tsr'))
  assert.ok(kept !== undefined && held.has(kept.replace('.tsr', '')))
  assert.deepEqual(
    [headKey(3), timestampKey(3)].map((key) => held.has(key)),
    [true, true],
  )
  service.stop()
})

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { keyFileSigner } from '../../lib/seal/key/key-file.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { parseNdjson, run } from '../support/process/command-line.ts'
import { startService } from '../support/process/running-service.ts'
import { fillReported } from '../support/stored/packed-report.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'

/** `run` makes the packs that are asked for over HTTP, and goes on with them after it was killed. */

type Pack = { readonly status: string; readonly sha256: string | null }

test('a running service makes the pack that somebody asks for, with the bytes of the command, also after it was killed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-run-pack-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const own = { folder, now: minutesIn(500).toISOString() }
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(args, own)
    assert.equal(code, 0, stderr)
    return stdout
  }
  await ok('key', 'new', 'example.com/log')
  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  const report = await fillReported(objects, await keyFileSigner(join(folder, 'ciphertrail-data.key')))
  const id = report.replace(/^reports\/(.*)\.json$/, '$1')
  const [made] = parseNdjson(await ok('pack', '--report', id, '--out', 'pack.zip', '--json'))
  // Nothing else is to do.
  await ok('cluster', 'remove', 'east')

  const first = await startService([], folder)
  t.after(() => first.kill('SIGKILL'))
  const asked = await fetch(new URL(`/v1/reports/${id}/pack`, first.url), { method: 'POST' })
  assert.equal(asked.status, 202)
  first.kill('SIGKILL')
  await first.ended
  const next = await startService([], folder)
  t.after(() => next.kill('SIGKILL'))
  const pack = async () => {
    const answer = (await (await fetch(new URL(`/v1/reports/${id}`, next.url))).json()) as { pack: Pack }
    return answer.pack
  }
  while ((await pack()).status === 'asked') await sleep(50)
  assert.deepEqual([(await pack()).status, (await pack()).sha256], ['made', made?.['sha256']])
  const given = await fetch(new URL(`/v1/reports/${id}/pack`, next.url))
  assert.equal(hash('sha256', Buffer.from(await given.arrayBuffer())), made?.['sha256'])
  const page = await (await fetch(new URL(`/reports/${id}/pack`, next.url))).text()
  assert.ok(page.includes(String(made?.['sha256'])))
  assert.deepEqual(readdirSync(join(folder, 'ciphertrail-data/packs', id)).toSorted(), [
    'asked.json',
    'outcome.json',
    'pack.zip',
  ])
  next.kill('SIGTERM')
  assert.equal((await next.ended).code, 0)
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify, stripVTControlCharacters } from 'node:util'
import { seal } from '../../lib/seal/write/seal.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { startApi } from '../support/servers/local-api.ts'
import { ASKED_AT, fillHistories, fillNorth } from '../support/stored/asked-store.ts'
import { newSigner } from '../support/stored/memory-log.ts'

/** What must hold of every answer, whatever is asked. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
]

test('schemathesis finds no failure of the server and no answer that its document does not tell', async (t) => {
  const command = process.env['CIPHERTRAIL_SCHEMATHESIS'] ?? assert.fail('not installed, run test/system/run')
  const folder = await mkdtemp(join(tmpdir(), 'ciphertrail-schemathesis-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const objects = directoryObjects(join(folder, 'store'))
  await fillHistories(objects)
  await fillNorth(objects, 'prod')
  await seal({ now: ASKED_AT, everything: true }, { objects, signer: newSigner() })
  const { url, logged } = await startApi(t, { objects })
  const asked = promisify(execFile)(
    command,
    [
      'run',
      `${url}/openapi.json`,
      '--checks',
      CHECKS.join(','),
      '--phases',
      'examples,coverage,fuzzing',
      '--max-examples',
      '15',
      '--seed',
      '20261124',
      '--header',
      'Authorization: Bearer all',
    ],
    { cwd: folder, maxBuffer: 64 * 1024 * 1024, env: { ...process.env, HOME: folder } },
  )
  const { stdout, code } = await asked.then(
    (ended) => ({ ...ended, code: 0 }),
    (error: { stdout: string; code: number }) => error,
  )
  assert.equal(code, 0, stripVTControlCharacters(stdout).slice(-8000))
  const answered = logged.filter(({ status }) => status === 200).length
  assert.ok(answered > 100, `${answered} of ${logged.length} questions were answered`)
  assert.deepEqual(
    logged.filter(({ error }) => error !== null),
    [],
  )
})

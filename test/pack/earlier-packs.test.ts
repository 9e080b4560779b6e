import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { renderAgainBy } from '../../lib/jobs/render-again.ts'
import { VERIFIER_FOLDER } from '../../lib/pack/contents.ts'
import { verifyPack } from '../../lib/pack/verify/verify-pack.ts'

/** Packs of earlier versions, one of each release, which every later version verifies but for the rendering. */

const FOLDER = join(import.meta.dirname, '../fixtures/packs')

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.zip')))
  test(`the pack of ${file.replace('.zip', '')} verifies`, async () => {
    const path = join(FOLDER, file)
    const vkey = readFileSync(path.replace('.zip', '.vkey'), 'utf8').trim()
    const { findings, rendering, asSealed } = await verifyPack(
      { path, vkey, version: 'later' },
      { render: renderAgainBy('later') },
    )
    assert.deepEqual(findings.kept, [])
    assert.ok(asSealed.attempts > 0)
    assert.ok(rendering.status === 'not-rendered' && rendering.why.endsWith('made the report, and this is later'))
    const { status, stdout } = spawnSync(process.execPath, [join(VERIFIER_FOLDER, 'verify.mjs'), '--key', vkey, path])
    assert.equal(status, 0, stdout.toString())
  })

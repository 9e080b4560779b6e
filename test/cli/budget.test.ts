import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../lib/store/keys.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { run } from '../support/process/command-line.ts'
import { snapshotOf } from '../support/stored/sealed-store.ts'
import { matchesText } from '../support/texts/matches-text.ts'

test('commands name what an agent stored beyond its budget, go on, and read it where that is raised', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-budget-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const command = (line: string, env: Record<string, string> = {}) => run(line.split(' '), { folder, env })
  for (const line of [
    'key new example.com/log',
    'cluster add east --agent --window 5m',
    'cluster add west --agent --window 5m',
  ])
    assert.equal((await command(line)).code, 0, line)
  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  for (const index of [0, 1, 2]) await writeAttempt(snapshotOf('west', index), { objects })
  for (const index of [0, 2]) await writeAttempt(snapshotOf('east', index), { objects })
  // Deeper than it may be, and else in order.
  const deep = snapshotOf('east', 1)
  const viz = {
    status: 'complete' as const,
    errors: [],
    takenAt: deep.endedAt,
    answers: [{ kind: 'deployment', body: `${'['.repeat(150)}${']'.repeat(150)}` }],
  }
  const key = evidenceKey({ window: deep.window, cluster: 'east', attempt: 1 })
  await objects.putOnce(key, gzipSync(JSON.stringify({ ...deep, viz })))
  const line = `Cannot read evidence "${key}": an answer in it has 101 levels of JSON or more, wanted at most 100; if that is right, raise "depth" in CIPHERTRAIL_BUDGET`

  const rebuilt = await command('rebuild')
  assert.deepEqual([rebuilt.code, rebuilt.stderr.trim()], [1, line])
  matchesText(rebuilt.stdout)
  assert.equal((await command('seal')).code, 0)
  const checked = await command('log check')
  assert.equal(checked.code, 1)
  assert.deepEqual(
    `${checked.stdout}${checked.stderr}`.split('\n').filter((one) => one.includes('CIPHERTRAIL_BUDGET')).length,
    1,
  )
  // Neither looks into evidence: that it is there, as it was sealed, is all that they tell.
  const vkey = (await command('key show')).stdout.trim()
  assert.equal((await command(`verify ciphertrail-data --key ${vkey}`)).code, 0)
  assert.equal((await command('export copy')).code, 0)
  assert.equal((await command(`verify copy --key ${vkey}`)).code, 0)

  const raised = await command('rebuild', { CIPHERTRAIL_BUDGET: 'depth=200' })
  assert.deepEqual([raised.code, raised.stderr], [0, ''])
})

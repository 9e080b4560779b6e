import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { linkKey } from '../../lib/deliver/link/link-key.ts'
import { makeDownload } from '../../lib/deliver/link/downloads.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { linesOf, run, runShell } from '../support/process/command-line.ts'
import { startService } from '../support/process/running-service.ts'
import { keepPdf } from '../support/deliver/kept-report.ts'
import { linksKey } from '../../lib/store/delivery-keys.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

/** Files and folders below a folder, with their rights. */
function rightsIn(folder: string): (readonly [name: string, mode: number, isFolder: boolean])[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => {
    const stats = statSync(join(folder, name))
    return [name, stats.mode & 0o777, stats.isDirectory()]
  })
}

/** A sealed store with a report, a channel of one address, and a link, made under the umask of most machines. */
async function world(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-export-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const store = join(folder, 'ciphertrail-data')
  const before = process.umask(0o022)
  t.after(() => process.umask(before))
  const line =
    'umask 022 && ciphertrail key new example.com/log && ciphertrail cluster add prod --agent && ciphertrail channel add all --to ada@example.com'
  const { code, stderr } = await runShell(line, { folder })
  assert.equal(code, 0, stderr)
  const objects = directoryObjects(store)
  const report = await keepPdf(objects)
  await linkKey(objects)
  const recipient = `r${'0'.repeat(32)}`
  await makeDownload({ report, channel: 'all', recipient, expiresAt: '2027-01-01T00:00:00Z' }, new Date(), objects)
  assert.equal((await run(['seal'], { folder })).code, 0)
  return { folder, store, command: (...args: string[]) => run(args, { folder }) }
}

test('a store is readable by its owner alone, whatever the umask, and so is what lies beside it', async (t) => {
  const { folder, store } = await world(t)
  assert.equal(statSync(store).mode & 0o777, 0o700)
  const rights = rightsIn(store)
  assert.ok(rights.some(([name]) => name === linksKey) && rights.some(([name]) => name.startsWith('reports/')))
  for (const [name, mode, isFolder] of rights) assert.equal(mode, isFolder ? 0o700 : 0o600, name)
  for (const name of ['ciphertrail-data.key', 'ciphertrail-data.key.head', 'ciphertrail-data.trust'])
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
})

test('a store whose folders others can look into is told, with what to do, where addresses are put into it and where it runs, and refused by nobody', async (t) => {
  const { folder, store, command } = await world(t)
  const warned = async (...args: string[]) => {
    const { code, stderr } = await command(...args)
    assert.equal(code, 0, stderr)
    return linesOf(stderr).filter((line) => line.includes('chmod'))
  }
  const wanted = [
    'WARNING: store "./ciphertrail-data": others than its owner can look into its folder "registry", and it holds addresses and links; run "chmod -R go= ./ciphertrail-data" and judge whether they have',
  ]
  const add = ['channel', 'add', 'all', '--to', 'bob@example.com']
  assert.deepEqual(await warned(...add), [])
  // As an earlier version made it, or its owner on purpose; a closed folder above closes it all, an open one above closed ones opens none.
  for (const [rights, expected] of [
    [[0o755, 0o755], wanted],
    [[0o750, 0o750], wanted],
    [[0o711, 0o704], wanted],
    [[0o700, 0o755], []],
    [[0o755, 0o700], []],
  ] as const) {
    chmodSync(store, rights[0])
    chmodSync(join(store, 'registry'), rights[1])
    assert.deepEqual(await warned(...add), expected, rights.join(' '))
  }
  chmodSync(join(store, 'registry'), 0o755)
  const service = await startService([], folder)
  const { level, fix } = await service.until(({ event }) => event === 'readable')
  assert.deepEqual([level, wanted[0]?.endsWith(String(fix))], ['warn', true])
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
  const fixed = await runShell('chmod -R go= ./ciphertrail-data', { folder })
  assert.equal(fixed.code, 0)
  assert.deepEqual(await warned(...add), [])
})

test('export copies a store that verifies, and leaves behind who gets mail, addresses, links and what opens them', async (t) => {
  const { folder, command } = await world(t)
  const { code, stdout, stderr } = await command('export', 'copy')
  assert.deepEqual([code, stderr], [0, ''])
  matchesText(stdout)
  const vkey = (await command('key', 'show')).stdout.trim()
  const verified = await command('verify', 'copy', '--key', vkey)
  assert.equal(verified.code, 0, verified.stdout)
  for (const [name, , isFolder] of rightsIn(join(folder, 'copy'))) {
    assert.doesNotMatch(name, /recipients|links|downloads|claims|suppressed|alerts/)
    if (!isFolder) assert.doesNotMatch(readFileSync(join(folder, 'copy', name), 'latin1'), /ada@example\.com/, name)
  }
})

test('export writes into no folder that holds something, and says so in one line', async (t) => {
  const { folder, command } = await world(t)
  mkdirSync(join(folder, 'full'))
  writeFileSync(join(folder, 'full/x'), '')
  writeFileSync(join(folder, 'file'), '')
  for (const name of ['full', 'file'] as const) {
    const { code, stderr } = await command('export', name)
    assert.equal(code, 2)
    matchesText(stderr, TEXT, name)
  }
})

test('run refuses a file of tokens that others may read or write', async (t) => {
  const { folder, command } = await world(t)
  writeFileSync(join(folder, 'tokens'), `${'t'.repeat(32)}\n`)
  for (const mode of [0o644, 0o640, 0o602]) {
    chmodSync(join(folder, 'tokens'), mode)
    const { code, stderr } = await command('run', '--token-file', 'tokens')
    assert.deepEqual(
      [code, stderr],
      [
        1,
        'Cannot let anybody in: others than its owner may read or write the token file "tokens", run "chmod 600 tokens" and judge whether they have\n',
      ],
    )
  }
})

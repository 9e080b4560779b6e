import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { stampHeads } from '../../lib/seal/timestamp/stamp-heads.ts'
import { startOpensslAuthority } from '../support/servers/openssl-authority.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { fillReported, packOf } from '../support/stored/packed-report.ts'

/** What somebody with a pack, plain Node and no network types from README.txt, line by line: also with openssl, sha256sum and Tessera's checker. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-stranger-'))
after(() => rmSync(folder, { recursive: true }))
const authority = await startOpensslAuthority({ after })
const signer = newSigner()
const held = new Map<string, Uint8Array>()
await fillReported(memoryObjects(held), signer)
await stampHeads(authority.settings, {}, { objects: memoryObjects(held), ask: authority.ask, now: () => new Date() })
const { bytes: packed, made } = await packOf(memoryObjects(held))
writeFileSync(join(folder, 'pack.zip'), packed)
assert.ok(made.timestamp !== null && 'body' in made.timestamp)
writeFileSync(join(folder, 'pack.zip.tsr'), made.timestamp.body)
writeFileSync(join(folder, 'tsa-ca.pem'), authority.settings.authorities)
writeFileSync(join(folder, 'trusted-key.txt'), `${signer.vkey}\n`)
writeFileSync(join(folder, 'old-checkpoint'), held.get('log/checkpoint') ?? assert.fail())

const programs = join(folder, 'bin')
mkdirSync(programs)
execFileSync('go', ['build', '-o', join(programs, 'fsck'), 'github.com/transparency-dev/tessera/cmd/fsck'], {
  cwd: join(import.meta.dirname, 'tessera'),
})
copyFileSync(process.execPath, join(programs, 'node'))

const readme = execFileSync('unzip', ['-p', join(folder, 'pack.zip'), 'README.txt'], { encoding: 'utf8' })
const commands = readme
  .split('\n')
  .filter((line) => /^ {2}(?:unzip|gzip|node|sha256sum|head|tail|openssl|cut|sum=|grep|fsck) ?/.test(line))
  .map((line) => line.trim())

test('every line of README.txt works in a network without a route', () => {
  assert.ok(commands.length >= 13, commands.join('\n'))
  const script = ['set -e -o pipefail', ...commands.map((line, at) => `echo 'line ${at}' >&2; ${line}`)]
  const { status, stdout, stderr } = spawnSync('unshare', ['--net', 'bash', '-c', script.join('\n')], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: `${programs}:/usr/bin:/bin`, HOME: dirname(folder) },
  })
  assert.equal(status, 0, stdout + stderr)
  assert.equal(stdout.match(/^Verified\.$/gm)?.length, 3, stdout)
  for (const said of [
    /^files match$/m,
    /^Signature Verified Successfully$/m,
    /^Verification: OK$/m,
    /^Time stamp: .* GMT$/m,
    /^"sha256":"[0-9a-f]{64}"$/m,
    /^"key":"reports\/.*","kind":"report","sha256":"[0-9a-f]{64}"$/m,
    /^"name":"report\.html","sha256":"[0-9a-f]{64}"$/m,
    /^"name":"report\.pdf","sha256":"[0-9a-f]{64}"$/m,
  ])
    assert.match(stdout, said)
  const keys = stdout.match(/^[0-9a-f]{64} {2}-$/gm) ?? []
  assert.deepEqual([keys.length, new Set(keys).size], [2, 1])
  // The checker ends with 0 whatever it finds, so its words decide.
  assert.match(stderr, /Successfully fsck'd log with size/)
})

/** What the lines of README.txt print that need none of our programs, in a folder with a pack in which something was changed. */
function withoutOurs(name: string, pack: Uint8Array, change: (unpacked: string) => void) {
  const place = join(folder, name)
  mkdirSync(place)
  writeFileSync(join(place, 'pack.zip'), pack)
  writeFileSync(join(place, 'trusted-key.txt'), `${signer.vkey}\n`)
  execFileSync('unzip', ['-q', 'pack.zip', '-d', 'pack'], { cwd: place })
  change(join(place, 'pack'))
  const script = commands.filter((line) => !/^(?:unzip|gzip|node|sha256sum)/.test(line)).join('\n')
  const { stdout, stderr } = spawnSync('unshare', ['--net', 'bash', '-c', script], {
    cwd: join(place, 'pack'),
    encoding: 'utf8',
    env: { PATH: `${programs}:/usr/bin:/bin`, HOME: dirname(folder) },
  })
  return { stdout, stderr }
}

test('a pack signed with the key of a forger does not pass without our programs', async () => {
  const forged = new Map<string, Uint8Array>()
  await fillReported(memoryObjects(forged), newSigner())
  const { stdout, stderr } = withoutOurs('forger', (await packOf(memoryObjects(forged))).bytes, () => undefined)
  const keys = stdout.match(/^[0-9a-f]{64} {2}-$/gm) ?? []
  assert.deepEqual([keys.length, new Set(keys).size], [2, 2])
  assert.doesNotMatch(stderr, /Successfully fsck'd/)
})

test('a forged report in a pack of a genuine log does not pass without our programs', async () => {
  const { bytes } = await packOf(memoryObjects(held))
  const { stdout } = withoutOurs('report', bytes, (unpacked) =>
    writeFileSync(join(unpacked, 'report.html'), '<p>All was encrypted'),
  )
  assert.match(stdout, /^"name":"report\.pdf"/m)
  assert.doesNotMatch(stdout, /^"name":"report\.html"/m)
  const record = readme.match(/reports\/\S+\.json/)?.[0] ?? assert.fail()
  const changed = withoutOurs('record', bytes, (unpacked) =>
    writeFileSync(join(unpacked, record), readFileSync(join(unpacked, record), 'utf8').replace('"east"', '"west"')),
  )
  assert.doesNotMatch(changed.stdout, /"kind":"report"/)
})

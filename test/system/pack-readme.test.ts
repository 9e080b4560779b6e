import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { fillReported, packOf } from '../support/stored/packed-report.ts'

/** What somebody with a pack, plain Node and no network types from README.txt, line by line: also with openssl, sha256sum and Tessera's checker. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-stranger-'))
after(() => rmSync(folder, { recursive: true }))
const signer = newSigner()
const held = new Map<string, Uint8Array>()
await fillReported(memoryObjects(held), signer)
writeFileSync(join(folder, 'pack.zip'), (await packOf(memoryObjects(held))).bytes)
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
  for (const said of [/^files match$/m, /^Signature Verified Successfully$/m, /^"sha256":"[0-9a-f]{64}"$/m])
    assert.match(stdout, said)
  const keys = stdout.match(/^[0-9a-f]{64} {2}-$/gm) ?? []
  assert.deepEqual([keys.length, new Set(keys).size], [2, 1])
  // The checker ends with 0 whatever it finds, so its words decide.
  assert.match(stderr, /Successfully fsck'd log with size/)
})

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { keyFileSigner } from '../../lib/seal/key/key-file.ts'
import { headPrefix } from '../../lib/store/log-keys.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { linesOf, parseNdjson, run } from '../support/process/command-line.ts'
import { startTimestampServer } from '../support/servers/time-stamp-server.ts'
import { certified, pemOf } from '../support/servers/time-stamps.ts'
import { fillReported, PERIOD } from '../support/stored/packed-report.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

/** The time stamp of a report's checkpoint, as it is typed: `seal` gets it, `pack` puts it beside the pack, `verify` reads it. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-stamped-'))
after(() => rmSync(folder, { recursive: true }))
const now = minutesIn(500)
const command = (...args: string[]) => run(args, { folder, now: now.toISOString() })
assert.equal((await command('key', 'new', 'example.com/log')).code, 0)
const vkey = (await command('key', 'show')).stdout.trim()
const store = join(folder, 'ciphertrail-data')
await fillReported(directoryObjects(store), await keyFileSigner(`${store}.key`))
const server = await startTimestampServer({ after }, () => now)
writeFileSync(join(folder, 'tsa.pem'), server.authorities)
writeFileSync(join(folder, 'other.pem'), pemOf(certified('Other', { isAuthority: true })))
const asked = ['--tsa', server.url, '--tsa-http', '--tsa-ca', 'tsa.pem'] as const
const period = `${PERIOD.from}/${PERIOD.to}`
const path = (name: string) => join(folder, name)

async function packed(name: string): Promise<string> {
  const { code, stdout, stderr } = await command('pack', '--period', period, '--out', name)
  assert.deepEqual([code, stderr], [0, ''])
  return stdout
}

test('an authority is named in full, or one line says what is wrong', async () => {
  for (const args of [
    ['--tsa', server.url],
    ['--tsa', server.url, '--tsa-http'],
    ['--tsa-http'],
    ['--tsa', 'https://a.example/', '--tsa-ca', 'none.pem'],
    ['--tsa', 'https://a.example/', '--tsa-ca', 'ciphertrail-data.key'],
    ['--tsa', 'https://a.example/', '--tsa-policy', 'x'],
  ] as const) {
    const { code, stdout, stderr } = await command('seal', ...args)
    assert.deepEqual([code, stdout, linesOf(stderr).length], [2, '', 1], stderr)
    matchesText(stderr.trim())
  }
})

test('an authority that is away keeps nothing from being sealed and packed', async () => {
  const { behave } = server
  server.behave = (_, response) => response.writeHead(500).end()
  const sealed = await command('seal', ...asked)
  assert.equal(sealed.code, 0)
  matchesText(sealed.stderr)
  assert.match(sealed.stdout, /^Sealed /)
  assert.doesNotMatch(await packed('without.zip'), /time stamp/)
  assert.ok(!existsSync(path('without.zip.tsr')))
  const { stdout } = await command('verify', 'without.zip', '--key', vkey)
  assert.match(stdout, /^Verified: /)
  matchesText(stdout)
  const wanted = await command('verify', 'without.zip', '--key', vkey, '--tsa-ca', 'tsa.pem')
  assert.deepEqual([wanted.code, linesOf(wanted.stderr).length], [2, 1])
  server.behave = behave
})

test('the time stamp lies beside the pack, whose bytes are the same, and verify says when and by whom', async () => {
  const before = server.asked.length
  assert.equal((await command('seal', ...asked)).stderr, '')
  // Not so soon after a failure.
  assert.equal(server.asked.length, before)
  const sealed = await command('seal', '--all', ...asked, '--json')
  const [said] = parseNdjson(sealed.stdout)
  assert.equal(said?.['withoutTimestamp'], 0)
  assert.match(
    JSON.stringify(said?.['timestamps']),
    /"time":"2026-11-24T20:20:00Z".*"signer":"CN=Time-stamping authority"/,
  )
  matchesText(await packed('with.zip'))
  assert.deepEqual(readFileSync(path('with.zip')), readFileSync(path('without.zip')))
  const stored = readdirSync(join(store, headPrefix)).filter((name) => name.endsWith('.tsr'))
  assert.equal(stored.length, 1)
  assert.deepEqual(readFileSync(path('with.zip.tsr')), readFileSync(join(store, headPrefix, stored[0] ?? '')))
  const trusted = await command('verify', 'with.zip', '--key', vkey, '--tsa-ca', 'tsa.pem')
  assert.equal(trusted.code, 0, trusted.stdout)
  matchesText(trusted.stdout)
  assert.doesNotMatch(trusted.stdout, /Not shown: (when|that the time stamp)/)
  const own = await command('verify', 'with.zip', '--key', vkey)
  assert.equal(own.code, 0)
  matchesText(own.stdout)
  const [answer] = parseNdjson((await command('verify', 'with.zip', '--key', vkey, '--json')).stdout)
  assert.match(JSON.stringify(answer?.['timestamp']), /"isTrusted":false\}$/)
  assert.equal((await command('log', 'check')).code, 0)
})

test('verify fails on a time stamp that is wrong, of another checkpoint, or of another authority', async () => {
  const good = readFileSync(path('with.zip.tsr'))
  const fails = async (says: RegExp, ...args: string[]) => {
    const { code, stdout } = await command('verify', 'with.zip', '--key', vkey, ...args)
    assert.equal(code, 1, stdout)
    assert.match(stdout, /^Not verified: 1 finding\.$/m)
    assert.match(stdout, says)
    assert.doesNotMatch(stdout, /^Stamped/m)
  }
  await fails(
    /The time stamp is not one of the checkpoint in this pack: the certificate that signed it does not lead/,
    '--tsa-ca',
    'other.pem',
  )
  writeFileSync(path('with.zip.tsr'), good.subarray(0, 500))
  await fails(/not one of the checkpoint in this pack: it is no answer of a time-stamping authority/)
  writeFileSync(path('elsewhere.tsr'), good)
  assert.equal((await command('verify', 'with.zip', '--key', vkey, '--timestamp', 'elsewhere.tsr')).code, 0)
  await fails(/it is no answer/, '--timestamp', 'tsa.pem')
  const missing = await command('verify', 'with.zip', '--key', vkey, '--timestamp', 'none.tsr')
  matchesText([missing.code, missing.stderr], [2, TEXT])
  // Packed again, the right one takes its place; that of another pack does not stay.
  await packed('with.zip')
  assert.deepEqual(readFileSync(path('with.zip.tsr')), good)
  const [name = ''] = readdirSync(join(store, headPrefix)).filter((one) => one.endsWith('.tsr'))
  writeFileSync(join(store, headPrefix, name), 'planted')
  const { code, stdout, stderr } = await command('pack', '--period', period, '--out', 'with.zip')
  assert.equal(code, 0)
  assert.doesNotMatch(stdout, /time stamp/)
  matchesText(stderr)
  assert.ok(!existsSync(path('with.zip.tsr')))
  const checked = await command('log', 'check')
  assert.equal(checked.code, 1)
  matchesText(checked.stdout)
})

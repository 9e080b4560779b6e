import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { openCheckpoint } from '../../lib/seal/tlog/checkpoint.ts'
import { verifierOf } from '../../lib/seal/tlog/note.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { evidenceKey } from '../../lib/store/keys.ts'
import { linesOf, parseNdjson, run } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { KEY_ARN, startKmsServer } from '../support/servers/kms-server.ts'
import { HEAD_PARAMETER_ARN, startSsmServer } from '../support/servers/ssm-server.ts'
import { readLog } from '../support/stored/memory-log.ts'
import { freshFolder } from '../support/recorder.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const NAME = 'example.com/ciphertrail'
const window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }

async function put(folder: string, attempt: number): Promise<void> {
  const key = evidenceKey({ window, cluster: 'shop', attempt })
  await directoryObjects(join(folder, 'ciphertrail-data')).putOnce(key, Buffer.from(key))
}

async function logOf(folder: string, vkey: string) {
  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  const held = new Map<string, Uint8Array>()
  for await (const key of objects.list('')) held.set(key, (await objects.get(key))?.body ?? Buffer.alloc(0))
  return readLog(held, vkey)
}

function assertClear({ code, stdout, stderr }: Ran, expectedCode: number, says: RegExp): void {
  assert.deepEqual([code, stdout, linesOf(stderr).length], [expectedCode, '', 1], stderr)
  assert.match(stderr, says)
  assert.match(stderr, /^Cannot .*[^.\s]\n$/)
  assert.doesNotMatch(stderr, /\.ts:\d|node:internal|PRIVATE\+KEY/)
}

/** A folder with a key, and its public half. */
async function withKey(t: TestContext): Promise<{ folder: string; vkey: string }> {
  const folder = freshFolder(t)
  const { code, stdout } = await run(['key', 'new', NAME], { folder })
  assert.equal(code, 0)
  return { folder, vkey: stdout.trim() }
}

test('key new makes a key beside the store, key show gives its public half, and seal signs with it', async (t) => {
  const { folder, vkey } = await withKey(t)
  assert.match(vkey, /^example\.com\/ciphertrail\+[0-9a-f]{8}\+A[A-Za-z0-9+/]+=*$/)
  assert.equal(statSync(join(folder, 'ciphertrail-data.key')).mode & 0o777, 0o600)
  assert.equal((await run(['key', 'show'], { folder })).stdout, `${vkey}\n`)
  assert.deepEqual(parseNdjson((await run(['key', 'show', '--json'], { folder })).stdout), [{ vkey }])

  await put(folder, 1)
  await put(folder, 2)
  const sealed = await run(['seal', '--now', '2026-11-24T13:05:00Z'], { folder })
  assert.deepEqual([sealed.code, sealed.stderr], [0, ''])
  const note = readFileSync(join(folder, 'ciphertrail-data/log/checkpoint'))
  const root = Buffer.from(openCheckpoint(note, verifierOf(vkey)).root).toString('base64')
  assert.deepEqual(linesOf(sealed.stdout), ['Sealed 2 attempts', `Log ${NAME}: 2 leaves, root ${root}`])

  const quiet = await run(['seal', '--now', '2026-11-24T13:10:00Z', '--json'], { folder })
  const [answer] = parseNdjson(quiet.stdout)
  assert.deepEqual({ ...answer, root: '' }, { origin: NAME, size: 3, root: '', sealed: { heartbeat: 1 }, errors: [] })
  assert.deepEqual(
    (await logOf(folder, vkey)).map(({ kind }) => kind),
    ['snapshot', 'snapshot', 'heartbeat'],
  )
})

test('--key wins over CIPHERTRAIL_KEY, which wins over the file beside the store', async (t) => {
  const { folder, vkey } = await withKey(t)
  const others = await Promise.all(
    ['a.key', 'b.key'].map(async (file) => {
      const { stdout } = await run(['key', 'new', NAME, '--key', file, '--json'], { folder })
      const [made] = parseNdjson(stdout)
      assert.equal(made?.['file'], file)
      return String(made?.['vkey'])
    }),
  )
  const env = { CIPHERTRAIL_KEY: 'a.key' }
  const shown = async (args: string[], options = {}) =>
    (await run(['key', 'show', ...args], { folder, ...options })).stdout
  assert.equal(await shown([]), `${vkey}\n`)
  assert.equal(await shown([], { env }), `${others[0]}\n`)
  assert.equal(await shown(['--key', 'b.key'], { env }), `${others[1]}\n`)
  assert.equal(await shown(['--store', 'elsewhere/', '--key', 'b.key']), `${others[1]}\n`)
})

test('a key that cannot be used is one line, and nothing is sealed', async (t) => {
  const { folder } = await withKey(t)
  const seal = (...args: string[]) => run(['seal', ...args], { folder })
  const key = join(folder, 'ciphertrail-data.key')
  chmodSync(key, 0o644)
  assertClear(await seal(), 1, /: others than its owner may read or write it, run "chmod 600 .*ciphertrail-data\.key"/)
  chmodSync(key, 0o600)
  assertClear(await run(['key', 'new', NAME], { folder }), 1, /: it exists, and a key is never replaced/)
  assertClear(
    await seal('--key', 'none'),
    1,
    /key file "none": there is none, make a key with "ciphertrail key new NAME"/,
  )
  writeFileSync(join(folder, 'other'), 'no key', { mode: 0o600 })
  assertClear(await seal('--key', 'other'), 1, /: it holds no private key/)
  for (const inside of ['ciphertrail-data/key', './ciphertrail-data', 'ciphertrail-data/evidence/../key'])
    assertClear(await seal('--key', inside), 2, /: it lies inside the store/)
  assertClear(await run(['key', 'new', NAME, '--key', 'ciphertrail-data/key'], { folder }), 2, /inside the store/)
  assertClear(await seal('--name', NAME), 2, /--name without --kms-key/)
  assertClear(await seal('--kms-key', KEY_ARN), 2, /--kms-key without --name/)
  assertClear(await seal('--kms-key', KEY_ARN, '--name', NAME, '--key', 'x'), 2, /--key and --kms-key together/)
  for (const name of ['https://example.com', 'a b', 'a+b', '', 'example.com/\u001b[31m', 'example.com/'])
    assertClear(
      await run(['key', 'new', name, '--key', 'new'], { folder }),
      2,
      /^Cannot name a log ".*": wanted an address without "https:\/\/"/,
    )
  assertClear(await seal('--now', 'noon'), 2, /--now "noon"/)
  assert.equal(existsSync(join(folder, 'ciphertrail-data')) || existsSync(join(folder, 'new')), false)
})

test('a log that is of another key, or was changed, is one line, and nothing is sealed', async (t) => {
  const { folder, vkey } = await withKey(t)
  await put(folder, 1)
  await run(['seal'], { folder })
  await put(folder, 2)
  await run(['key', 'new', 'example.com/other', '--key', 'other.key'], { folder })
  assertClear(
    await run(['seal', '--key', 'other.key'], { folder }),
    1,
    /the log in this store is of key "example\.com\/ciphertrail\+/,
  )
  const tile = join(folder, 'ciphertrail-data/log/tile/0/000.p/1')
  const bytes = readFileSync(tile)
  writeFileSync(tile, Buffer.alloc(32))
  assertClear(await run(['seal'], { folder }), 1, /the tiles of its 1 leaves lead to another root/)
  writeFileSync(tile, bytes)
  const batch = join(folder, 'ciphertrail-data/log/batch/0000000000000000')
  const held = readFileSync(batch)
  rmSync(batch)
  assertClear(await run(['seal'], { folder }), 1, /has 1 leaves, but the batches before it end with leaf 0/)
  writeFileSync(batch, held)
  assert.equal((await run(['seal'], { folder })).code, 0)
  assert.equal((await logOf(folder, vkey)).length, 2)
})

test('a store that is a file is one line', async (t) => {
  const { folder } = await withKey(t)
  const key = join(folder, 'ciphertrail-data.key')
  writeFileSync(join(folder, 'a-file'), '')
  const sealed = await run(['seal', '--store', 'a-file', '--key', key], { folder })
  assertClear(sealed, 1, /a part of the path is a file, it must be a directory/)
})

test('a damaged registry keeps gaps from being sealed, and nothing else', async (t) => {
  const { folder, vkey } = await withKey(t)
  await put(folder, 1)
  await directoryObjects(join(folder, 'ciphertrail-data')).putIf('registry/clusters.json', Buffer.from('?'), null)
  const { code, stdout, stderr } = await run(['seal'], { folder })
  assert.deepEqual([code, linesOf(stderr).length], [1, 1])
  matchesText(stderr)
  assert.match(stdout, /^Sealed 1 attempt\n/)
  assert.equal((await logOf(folder, vkey)).length, 1)
})

test('seal and key show use a key in AWS KMS', async (t) => {
  const [server, ssm] = await Promise.all([startKmsServer(), startSsmServer()])
  t.after(() => Promise.all([server.close(), ssm.close()]))
  const folder = freshFolder(t)
  const env = {
    AWS_ENDPOINT_URL_KMS: server.url,
    AWS_ACCESS_KEY_ID: 'tester',
    AWS_SECRET_ACCESS_KEY: 'hunter2',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  const kms = ['--kms-key', KEY_ARN, '--name', NAME]
  const shown = await run(['key', 'show', ...kms], { folder, env })
  assert.deepEqual([shown.code, shown.stderr], [0, ''])
  await put(folder, 1)
  assert.equal((await run(['seal', ...kms], { folder, env })).code, 0)
  assert.equal((await logOf(folder, shown.stdout.trim())).length, 1)
  // What it signed last is remembered in a parameter, too, where CIPHERTRAIL_LOG_HEAD names one.
  const remembering = { ...env, AWS_ENDPOINT_URL_SSM: ssm.url, CIPHERTRAIL_LOG_HEAD: HEAD_PARAMETER_ARN }
  assert.equal((await run(['seal', ...kms], { folder, env: remembering })).code, 0)
  rmSync(join(folder, 'ciphertrail-data/log'), { recursive: true })
  assertClear(
    await run(['seal', ...kms], { folder, env: remembering }),
    1,
    /it had 2 leaves and root \S+ \("arn:aws:ssm:[^"]+"\), and the store has 0 and does not lead there/,
  )
  // Loading the SDK takes longer than most commands do.
  const loaded = join(folder, 'loaded')
  const watched = {
    ...env,
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'loaded-child.ts')}`,
    LOADED_MODULES: loaded,
  }
  await run(['key', 'new', NAME, '--key', 'other.key'], { folder, env: watched })
  await run(['seal', '--store', 'other', '--key', 'other.key'], { folder, env: watched })
  assert.equal(existsSync(loaded), false)
  await run(['key', 'show', ...kms], { folder, env: watched })
  assert.equal(existsSync(loaded), true)
  server.misbehave(() => ({ status: 400, body: { __type: 'AccessDeniedException', message: 'not you' } }))
  assertClear(
    await run(['seal', ...kms], { folder, env }),
    1,
    /^Cannot use KMS key ".+": AccessDeniedException: not you/,
  )
})

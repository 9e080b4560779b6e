import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { readChannels } from '../../lib/deliver/channel/channels.ts'
import { claimDelivery } from '../../lib/deliver/send/claims.ts'
import { makeDownload } from '../../lib/deliver/link/downloads.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { writeCapture } from '../../lib/store/evidence/captures.ts'
import { captureOf } from '../support/truth/captures.ts'
import { linesOf, run } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { addArguments, startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { policyOfDocs } from '../support/aws/iam-policy.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { freshFolder } from '../support/recorder.ts'
import { S3_ACCESS_KEY, S3_SECRET_KEY, startS3Server } from '../support/servers/s3-server.ts'
import type { S3Server } from '../support/servers/s3-server.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

const EVIDENCE = 'acme-evidence'
const DERIVED = 'acme-derived'
const STORE = `s3://${EVIDENCE}/ciphertrail?derived=${DERIVED}/ciphertrail`

let mesh: DemoMesh
let server: S3Server

before(async () => {
  mesh = await startDemoMesh()
  server = await startS3Server()
  // For how long a lock is asked for is judged by both clocks.
  server.setNow(new Date(mesh.now ?? assert.fail()))
  server.makeBucket(EVIDENCE)
  server.makeBucket(DERIVED, { hasLock: false })
})
after(() => Promise.all([mesh.close(), server.close()]))
afterEach(() => server.permit(() => true))

/** Runs a command on the store in S3, as CIPHERTRAIL_STORE says. */
function runOnS3(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return run(args, { folder: mesh.folder, now: mesh.now, env: { ...server.env, CIPHERTRAIL_STORE: STORE, ...env } })
}

/** What is derived, by key. */
function derivedInDirectory(): Map<string, string> {
  const root = join(mesh.folder, 'ciphertrail-data')
  // Months are written once a day: then there is none yet.
  const folders = ['windows', 'state', 'timeline'].map((folder) => join(root, folder)).filter(existsSync)
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
  )
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort()
  return new Map(paths.map((path) => [path.slice(root.length + 1), readFileSync(path, 'utf8')]))
}

function derivedInS3(): Map<string, string> {
  const derived = [...(server.buckets.get(DERIVED) ?? [])].flatMap(([key, versions]) => {
    const body = versions.at(-1)?.body
    return body === null || body === undefined ? [] : [[key.replace('ciphertrail/', ''), body.toString()] as const]
  })
  return new Map(derived.filter(([key]) => !key.startsWith('registry/')).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

test('every command gives on S3 what it gives on a directory, and derives the same bytes', async () => {
  const windows = mesh.windows.slice(0, 3)
  const [first, last] = [windows[0]?.start ?? '', windows.at(-1)?.end ?? '']
  const period = ['--from', first, '--to', last]
  const sameOnBoth = async (...command: string[]): Promise<Ran> => {
    const inDirectory = await mesh.run(...command)
    assert.equal(inDirectory.code, 0, inDirectory.stderr)
    assert.ok(linesOf(inDirectory.stdout).length > 0)
    assert.deepEqual(await runOnS3(command), inDirectory)
    return inDirectory
  }

  const [operator, collector, sealer, reader, reporter] = ['operator', 'collector', 'sealer', 'reader', 'reporter'].map(
    policyOfDocs,
  )
  assert.ok(operator && collector && sealer && reader && reporter)
  server.permit(operator.allows)
  const added = await runOnS3(addArguments(mesh))
  matchesText(added, { code: 0, signal: null, stdout: TEXT, stderr: '' })
  assert.match((await runOnS3(addArguments(mesh))).stdout, /unchanged/)
  assert.match((await runOnS3([...addArguments(mesh), '--viz-namespace', 'viz'])).stdout, /updated/)
  assert.match((await runOnS3([...addArguments(mesh), '--viz-namespace', 'linkerd-viz'])).stdout, /updated/)

  server.permit(collector.allows)
  for (const [index, window] of windows.entries()) {
    server.forget()
    await sameOnBoth('collect', ...mesh.optionsAt(window))
    const count = (wanted: string) => server.requests.filter(({ action }) => action === wanted).length
    const counts = [count('s3:PutObject'), count('s3:GetObject'), count('s3:ListBucket'), server.requests.length]
    // As docs/s3.md says. The third is collected when the first can be asked again.
    assert.deepEqual(counts, index < 2 ? [4, 14, 3, 21] : [5, 17, 3, 25])
  }
  assert.deepEqual(derivedInS3(), derivedInDirectory())

  server.permit(reader.allows)
  await sameOnBoth('paths', ...period)
  await sameOnBoth('paths', '--json', ...period)
  await sameOnBoth('edges', 'all', '--json')
  await sameOnBoth('workloads', '--json')
  // What a capture showed, whose addresses are named by the lists around it.
  const held = new Map<string, Uint8Array>()
  const from = windows[0]?.end ?? ''
  const capture = await writeCapture(captureOf({ from, to: from }), memoryObjects(held))
  server.meddle(EVIDENCE, `ciphertrail/${capture}`, Buffer.from(held.get(capture) ?? ''))
  server.permit(reporter.allows)
  const { stdout } = await sameOnBoth('report', ...period, '--json')
  assert.match(stdout, /"html":".*report\.html"/)

  server.permit(collector.allows)
  const kept = derivedInDirectory()
  // Something that no evidence is behind, a result that was damaged, and all of the state.
  server.meddle(DERIVED, 'ciphertrail/windows/shop/20261123T000000Z-20261123T000500Z.json', Buffer.from('{}'))
  server.meddle(DERIVED, `ciphertrail/${[...kept.keys()].at(-1)}`, Buffer.from('{}'))
  server.meddle(DERIVED, 'ciphertrail/state/shop.json', null)
  await sameOnBoth('rebuild', '--json')
  assert.deepEqual(derivedInDirectory(), kept)
  assert.deepEqual(derivedInS3(), kept)

  server.permit(sealer.allows)
  const env = { CIPHERTRAIL_KEY: join(mesh.folder, 's3.key') }
  assert.equal((await runOnS3(['key', 'new', 'example.com/s3'], env)).code, 0)
  const sealed = await runOnS3(['seal', '--json'], env)
  assert.deepEqual([sealed.code, sealed.stderr], [0, ''])
  assert.deepEqual(JSON.parse(sealed.stdout).sealed, { snapshot: 3, packets: 1, 'registry-change': 3, report: 1 })
  assert.equal((await runOnS3(['seal'], env)).code, 0)

  server.permit(operator.allows)
  assert.equal((await runOnS3(['cluster', 'remove', 'shop'])).code, 0)
  server.permit(() => true)
  for (const policy of [operator, collector, sealer, reader, reporter]) assert.deepEqual(policy.unused(), [])
})

test('whoever looks after mail is allowed what the commands ask, and nothing else', async (t) => {
  t.after(() => server.permit(() => true))
  Object.assign(process.env, server.env)
  const objects = openStore(STORE)
  const policy = policyOfDocs('postmaster')
  server.permit(policy.allows)
  const ok = async (...command: string[]): Promise<Ran> => {
    const ran = await runOnS3(command)
    assert.equal(ran.code, 0, `${command.join(' ')}: ${ran.stdout}${ran.stderr}`)
    return ran
  }
  await ok('channel', 'add', 'ops', '--to', 'ada@example.com', '--to', 'bob@example.com', '--download-links', 'on')
  server.permit(() => true)
  const [channel] = await readChannels(objects)
  const recipient = channel?.recipients[0] ?? ''
  const now = new Date('2026-11-30T00:00:00Z')
  const id = { kind: 'week', period: '2026-W48', channel: 'ops', recipient } as const
  await claimDelivery(id, { now, mayRepeat: false }, objects)
  await makeDownload({ report: 'x', channel: 'ops', recipient, expiresAt: '2199-01-01T00:00:00Z' }, now, objects)
  server.permit(policy.allows)
  await ok('channel', 'list')
  await ok('channel', 'suppress', 'ops', '--to', 'ada@example.com', '--reason', 'bounced')
  await ok('channel', 'resume', 'ops', '--to', 'ada@example.com')
  assert.match((await ok('deliveries')).stdout, /2026-W48/)
  await ok('channel', 'links', 'ops')
  await ok('channel', 'revoke', 'ops', '--all')
  await ok('channel', 'remove', 'ops')
  assert.deepEqual(policy.unused(), [])
})

test('a leaf names the version of what was sealed', () => {
  const evidence = server.buckets.get(EVIDENCE)
  const [batch] = evidence?.get('ciphertrail/log/batch/0000000000000000') ?? []
  for (const [key, [first]] of evidence ?? []) {
    if (!key.startsWith('ciphertrail/evidence/')) continue
    assert.ok(batch?.body?.toString().includes(`"versionId":"${first?.id}"`), key)
  }
})

test('all that is written once is locked for 13 months from when it was written, and nothing derived is', () => {
  for (const [key, [version]] of server.buckets.get(EVIDENCE) ?? []) {
    // The capture was laid there by the test itself.
    if (key.endsWith('/log/checkpoint') || key.includes('/evidence/packets/')) continue
    assert.equal(version?.lock?.mode, 'GOVERNANCE', key)
    // The clock of the commands stands still.
    assert.equal(version.lock.until, '2027-12-24T13:36:00Z', key)
  }
  for (const [, versions] of server.buckets.get(DERIVED) ?? [])
    for (const { lock } of versions) assert.equal(lock, undefined)
})

/** One line that says what to do, no credential, no stack. */
function assertLine({ code, stdout, stderr }: Ran, expected: number, says: RegExp): void {
  assert.deepEqual([code, stdout], [expected, ''], stderr)
  assert.equal(linesOf(stderr).length, 1, stderr)
  assert.match(stderr, says)
  assert.match(stderr, /^Cannot [^\n]*[^.\s]\n$/)
  assert.ok(!stderr.includes(S3_SECRET_KEY) && !stderr.includes(S3_ACCESS_KEY))
}

test('what is wrong with the environment is told in one line, with what to do', async () => {
  const list = ['cluster', 'list']
  const without = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }
  assertLine(await runOnS3(list, without), 1, /: no credentials can be had \(".*"\), set AWS_PROFILE, or /)
  assertLine(await runOnS3(list, { AWS_REGION: '' }), 1, /: no region is known, set AWS_REGION, such as /)
  assertLine(
    await runOnS3(list, { AWS_REGION: 'us-east-1' }),
    1,
    /in region "eu-central-1", set AWS_REGION=eu-central-1/,
  )
  assertLine(await runOnS3(list, { AWS_SESSION_TOKEN: 'expired' }), 1, /the credentials have expired, renew them/)
  assertLine(await runOnS3(list, { AWS_ACCESS_KEY_ID: 'AKIASOMEBODYELSE1234' }), 1, /S3 does not know the credentials/)
  assertLine(
    await runOnS3(list, { AWS_ENDPOINT_URL_S3: 'no url' }),
    2,
    /^Cannot use AWS_ENDPOINT_URL_S3 "no url": wanted/,
  )
  assertLine(
    await runOnS3(list, { CIPHERTRAIL_STORE: 's3://nobodys-bucket' }),
    1,
    /there is no bucket "nobodys-bucket"/,
  )
  server.permit((action) => action !== 's3:GetObject')
  assertLine(
    await runOnS3(list),
    1,
    /the credentials need s3:GetObject on "arn:aws:s3:::acme-derived\/ciphertrail\/\*"/,
  )
})

test('an address that is none is not understood, by option and by variable', async () => {
  for (const address of [
    's3://UPPER/x',
    's3:/bucket',
    'gs://bucket/x',
    's3://bucket?lock=maybe',
    's3://key:hunter2@bucket',
  ]) {
    for (const ran of [
      await runOnS3(['paths', '--store', address]),
      await runOnS3(['paths'], { CIPHERTRAIL_STORE: address }),
    ]) {
      assertLine(
        ran,
        2,
        /^Cannot use (store|CIPHERTRAIL_STORE) ".*": .*, wanted a directory, s3:\/\/bucket\/prefix, or /,
      )
      assert.ok(!ran.stderr.includes('hunter2'))
    }
  }
})

test('a bucket without Object Lock takes no evidence, unless the address says that it need not', async () => {
  server.makeBucket('unlocked', { hasLock: false })
  const args = [...addArguments(mesh), '--store', 's3://unlocked/x']
  const refused = await runOnS3(args)
  assert.equal(refused.code, 1)
  matchesText(refused.stderr)
  const taken = await runOnS3([...addArguments(mesh), '--store', 's3://unlocked/x?lock=none'])
  assert.equal(taken.code, 0)
  matchesText(taken.stderr)
})

test('the help warns of compliance mode, and so does the first command on such a store', async () => {
  const help = await runOnS3(['--help'])
  assert.match(help.stdout, /WARNING: with lock=compliance nobody can delete/)
  server.makeBucket('strict')
  const store = `s3://strict/x?derived=${DERIVED}/strict&lock=compliance&retention=6-years`
  const { code, stderr } = await runOnS3([...addArguments(mesh), '--store', store])
  assert.equal(code, 0)
  matchesText(stderr)
  const [version] = server.buckets.get('strict')?.get('x/changes/clusters/000001.json') ?? []
  assert.equal(version?.lock?.mode, 'COMPLIANCE')
})

test('a store in a directory loads no client of S3', async (context) => {
  const folder = freshFolder(context)
  const hook = join(folder, 'hook.mjs')
  writeFileSync(
    hook,
    `import { registerHooks } from 'node:module'
     registerHooks({ resolve(name, context, next) {
       if (name.startsWith('@aws-sdk/')) throw new Error('a client of S3 was loaded')
       return next(name, context)
     } })`,
  )
  const env = { NODE_OPTIONS: `--import=${hook}` }
  const inDirectory = await run(['cluster', 'list', '--json'], { folder: mesh.folder, env })
  assert.deepEqual([inDirectory.code, inDirectory.stderr], [0, ''])
  assertLine(await runOnS3(['cluster', 'list'], env), 1, /a client of S3 was loaded/)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { packLines } from '../../cli/commands/verify/pack-page.ts'
import { VERIFIER_FOLDER } from '../../lib/pack/contents.ts'
import { MANIFEST, parseManifest } from '../../lib/pack/members.ts'
import { checkMembers } from '../../lib/pack/verify/check-members.ts'
import { openPack } from '../../lib/pack/verify/open-pack.ts'
import { verifyPack } from '../../lib/pack/verify/verify-pack.ts'
import { forgedPack, type Written } from '../support/stored/forged-pack.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { fillReported, packOf, VERSION } from '../support/stored/packed-report.ts'
import { matchesText } from '../support/texts/matches-text.ts'

/** What a forger adds to a pack of a genuine log, and what a reader of either verifier then sees. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-forged-'))
after(() => rmSync(folder, { recursive: true }))
const signer = newSigner()
const objects = memoryObjects(new Map())
await fillReported(objects, signer)
const whole = join(folder, 'whole.zip')
const { bytes } = await packOf(objects)
writeFileSync(whole, bytes)
const opened = await openPack(whole, () => assert.fail('an untouched pack is as a pack is'))
const all: Written[] = []
for (const member of opened.members.values())
  all.push({ name: member.name, body: (await opened.read(member))?.body ?? assert.fail() })
await opened.close()
const heading = parseManifest(all.find(({ name }) => name === MANIFEST)?.body ?? Buffer.of()) ?? assert.fail()

let files = 0
function fileOf(content: Uint8Array): string {
  const path = join(folder, `${++files}.zip`)
  writeFileSync(path, content)
  return path
}

function bundled(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(VERIFIER_FOLDER, 'verify.mjs'), ...args], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test('no name in a pack moves the cursor of the terminal that prints it', async () => {
  const clears = '\u001B[2J\u001B[HVerified.\u009B2J\u202E'
  const listed = { name: `data/${clears}`, size: 1, sha256: 'ab'.repeat(32) }
  const { status, stdout } = bundled('--key', signer.vkey, fileOf(await forgedPack(all, heading, [listed])))
  assert.equal(status, 1)
  assert.match(stdout, /^NOT VERIFIED/)
  assert.match(stdout, /Verified\./)
  assert.doesNotMatch(stdout.replaceAll('\n', ''), /\p{C}/u)
  const doubled = await forgedPack([...all, ...[1, 2].map(() => ({ name: `x${clears}`, body: Buffer.of(1) }))], heading)
  assert.doesNotMatch(bundled('--key', signer.vkey, fileOf(doubled)).stdout.replaceAll('\n', ''), /\p{C}/u)

  const verification = await verifyPack({ path: whole, vkey: signer.vkey, version: VERSION }, {})
  const report = verification.report ?? assert.fail()
  // A time is whatever Date.parse accepts, with any text in brackets.
  const period = { ...report.period, from: `2026-11-24T12:00:00Z (${clears})`, to: clears }
  const lines = packLines({ ...verification, report: { ...report, key: clears, period } })
  assert.doesNotMatch(lines.join(''), /\p{C}/u)
})

test('the bundled verifier refuses what no pack has, although the manifest lists it, and misses what every pack has', async () => {
  const inOrder = (...added: readonly string[]) => [
    ...all.filter(({ name }) => !name.startsWith('verif')),
    ...added.map((name) => ({ name, body: Buffer.from('All was encrypted.') })),
    ...all.filter(({ name }) => name.startsWith('verif')),
  ]
  for (const name of ['START-HERE.html', 'index/summary.html', 'readme.txt', 'verifier/more.mjs', 'data/a/b.csv']) {
    const { status, stdout } = bundled('--key', signer.vkey, fileOf(await forgedPack(inOrder(name), heading)))
    assert.equal(status, 1, name)
    assert.ok(stdout.includes(`  ${name}: no pack has a member of such a name`), stdout)
  }
  const alike = await forgedPack(inOrder('Report.html'), heading)
  matchesText(bundled('--key', signer.vkey, fileOf(alike)).stdout)
  for (const name of ['README.txt', 'index/by-path.csv', 'verify.mjs', 'verifier/sealed.mjs', 'vkey.pem']) {
    const { status, stdout } = bundled(
      '--key',
      signer.vkey,
      fileOf(
        await forgedPack(
          all.filter((one) => one.name !== name),
          heading,
        ),
      ),
    )
    assert.equal(status, 1, name)
    assert.ok(stdout.includes(`  ${name}: it is missing`), stdout)
  }
})

/** Fails unless both verifiers refuse a pack and name the member. */
async function assertNamed(content: Uint8Array, name: string): Promise<void> {
  const path = fileOf(content)
  const { findings } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
  assert.ok(
    findings.kept.some(({ key }) => key === name),
    `verify accepts ${name}: ${JSON.stringify(findings.kept)}`,
  )
  const { status, stdout } = bundled('--key', signer.vkey, path)
  assert.equal(status, 1, `verify.mjs accepts ${name}`)
  assert.ok(stdout.includes(`  ${name}: `), stdout)
}

test('every field of the directory is compared, the number of the disk too', async () => {
  const start = bytes.readUInt32LE(bytes.length - 6)
  for (let at = start; bytes.readUInt32LE(at) === 0x02_01_4b_50; at += 46 + bytes.readUInt16LE(at + 28)) {
    const name = bytes.toString('utf8', at + 46, at + 46 + bytes.readUInt16LE(at + 28))
    if (!['README.txt', 'log/checkpoint', MANIFEST].includes(name)) continue
    const damaged = Buffer.from(bytes)
    damaged[at + 34] = 1
    await assertNamed(damaged, name)
  }
})

test('nothing hides behind what is packed, and what is stored in a pack may not be packed', async () => {
  const [readme, ...rest] = all
  assert.equal(readme?.name, 'README.txt')
  const trailing = Buffer.from('PK, and more')
  await assertNamed(await forgedPack([{ ...readme, trailing }, ...rest], heading), 'README.txt')
  for (const name of ['log/checkpoint', 'report.pdf'])
    await assertNamed(
      await forgedPack(
        all.map((one) => (one.name === name ? { ...one, isDeflated: true } : one)),
        heading,
      ),
      name,
    )
})

test('what the bundled verifier is given and cannot read is one line, and no finding', () => {
  for (const [args, says] of [
    [['--key', folder, whole], `Cannot read --key "${folder}": it is a folder`],
    [['--key', join(folder, 'none.txt'), whole], 'Cannot read --key: wanted a key such as'],
    [['--checkpoint', folder, whole], `Cannot read --checkpoint "${folder}": it is a folder`],
    [['--checkpoint', join(folder, 'none'), whole], `Cannot read --checkpoint "${join(folder, 'none')}": it does not`],
  ] as const) {
    const { status, stdout, stderr } = bundled(...args)
    assert.deepEqual([status, stdout], [2, ''], stderr)
    assert.ok(stderr.startsWith(says), stderr)
    assert.match(stderr, /^.*\nusage: .*\n$/)
  }
})

test('members that say that they unpack to more than any pack are not unpacked', async () => {
  const damaged = Buffer.from(bytes)
  let many = 0
  const start = bytes.readUInt32LE(bytes.length - 6)
  for (let at = start; bytes.readUInt32LE(at) === 0x02_01_4b_50; at += 46 + bytes.readUInt16LE(at + 28)) {
    if (bytes.readUInt16LE(at + 10) === 0 || many === 5) continue
    damaged.writeUInt32LE(500_000_000, at + 24)
    many++
  }
  assert.equal(many, 5)
  const path = fileOf(damaged)
  const { findings } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
  matchesText(findings.kept.at(-1)?.problem)
  matchesText(bundled('--key', signer.vkey, path).stdout)
})

test('members that are unpacked in memory are unpacked one by one, and few of them are kept', async () => {
  const pack = await openPack(whole, () => assert.fail('an untouched pack is as a pack is'))
  let [running, most, reads] = [0, 0, 0]
  const read: typeof pack.read = async (member) => {
    most = Math.max(most, ++running)
    reads++
    const body = await pack.read(member)
    running--
    return body
  }
  await checkMembers(heading, { ...pack, read }, () => assert.fail('every member is as listed'))
  await pack.close()
  assert.ok(reads > 10)
  assert.equal(most, 1)

  const partOf = (name: string): Promise<unknown> => import(join(VERIFIER_FOLDER, `verifier/${name}.mjs`))
  const { openZip } = (await partOf('zip')) as {
    openZip: (path: string) => { members: ReadonlyMap<string, unknown>; close: () => void }
  }
  const own = (await partOf('members')) as {
    checkMembers: (members: unknown, manifest: unknown, isZip: boolean) => { bodies: ReadonlyMap<string, unknown> }
  }
  const zip = openZip(whole)
  const { bodies } = own.checkMembers(zip.members, heading, true)
  zip.close()
  assert.deepEqual(
    [...bodies.keys()].filter((name) => !/^(log|changes\/clusters)\//.test(name)).toSorted(),
    ['data/windows.csv', heading.report, 'report.tlog-proof', 'vkey.pem', 'vkey.txt'].toSorted(),
  )
})

test('verify.mjs tells how it is used, and that is no error', () => {
  for (const option of ['--help', '-h']) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(VERIFIER_FOLDER, 'verify.mjs'), option], {
      encoding: 'utf8',
    })
    assert.deepEqual([status, stderr], [0, ''])
    assert.match(stdout, /^usage: node verify\.mjs \[--key KEY\|FILE\]/)
  }
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { VERIFIER_FOLDER } from '../../lib/pack/contents.ts'
import { MANIFEST, type Manifest, parseManifest } from '../../lib/pack/members.ts'
import { openPack } from '../../lib/pack/verify/open-pack.ts'
import { verifyPack } from '../../lib/pack/verify/verify-pack.ts'
import { forgedPack, type Written, zipOf } from '../support/stored/forged-pack.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { fillReported, packOf, VERSION } from '../support/stored/packed-report.ts'

/** Whatever befalls a pack, both verifiers fail and name it. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-damage-'))
after(() => rmSync(folder, { recursive: true }))
const signer = newSigner()
const held = new Map<string, Uint8Array>()
await fillReported(memoryObjects(held), signer)
const { bytes } = await packOf(memoryObjects(held))
const whole = join(folder, 'whole.zip')
writeFileSync(whole, bytes)
const opened = await openPack(whole, () => assert.fail('an untouched pack is as a pack is'))
after(() => opened.close())
const members = [...opened.members.values()]
const bodies = new Map<string, Buffer>()
for (const member of members) bodies.set(member.name, (await opened.read(member))?.body ?? assert.fail())

/** What both verifiers print of a file; fails unless both say that it is not verified. */
async function refused(
  damaged: Uint8Array,
  what: string,
): Promise<{ readonly ours: string; readonly bundled: string }> {
  const path = join(folder, 'damaged.zip')
  writeFileSync(path, damaged)
  const { findings } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
  assert.ok(findings.total > 0, `verify accepts ${what}`)
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(VERIFIER_FOLDER, 'verify.mjs'), '--key', signer.vkey, path],
    {
      encoding: 'utf8',
    },
  )
  assert.equal(status, 1, `verify.mjs accepts ${what}: ${stdout}`)
  return { ours: findings.kept.map(({ key, problem }) => `${key ?? ''}: ${problem}`).join('\n'), bundled: stdout }
}

/** Fails unless both verifiers refuse a file and name what was damaged. */
async function assertNamed(damaged: Uint8Array, name: string, what: string): Promise<void> {
  const { ours, bundled } = await refused(damaged, what)
  assert.ok(ours.includes(name), `verify does not name ${what}:\n${ours}`)
  assert.ok(bundled.includes(name), `verify.mjs does not name ${what}:\n${bundled}`)
}

const all: readonly Written[] = members.map(({ name }) => ({ name, body: bodies.get(name) ?? Buffer.of() }))

/** The pack that a forger makes of members: with a manifest that lists exactly them. */
function forged(written: readonly Written[], changes: Partial<Manifest> = {}): Promise<Buffer> {
  const before = parseManifest(bodies.get(MANIFEST) ?? assert.fail()) ?? assert.fail()
  return forgedPack(written, { ...before, ...changes })
}

test('what these tests write is what a pack is', async () => {
  const { findings } = await verifyPack({ path: whole, vkey: signer.vkey, version: VERSION }, {})
  assert.deepEqual(findings.kept, [])
  for (const again of [await zipOf(all), await forged(all)]) assert.equal(Buffer.compare(again, bytes), 0)
})

test('any byte that is flipped is found, and the member named that it is in', async () => {
  const inMember = fc.tuple(fc.constantFrom(...members), fc.nat(), fc.nat(7)).map(([member, at, bit]) => ({
    at: member.start + (at % Math.max(1, member.packedSize)),
    bit,
    name: member.packedSize === 0 ? '' : member.name,
  }))
  const anywhere = fc.tuple(fc.nat(bytes.length - 1), fc.nat(7)).map(([at, bit]) => ({ at, bit, name: '' }))
  // Where headers, the directory and its end lie, which are few of all bytes.
  const directory = fc
    .tuple(fc.nat(3000), fc.nat(7))
    .map(([back, bit]) => ({ at: bytes.length - 1 - back, bit, name: '' }))
  const headers = fc
    .tuple(fc.constantFrom(...members), fc.nat(45), fc.nat(7))
    .map(([member, back, bit]) => ({ at: Math.max(0, member.start - 1 - back), bit, name: '' }))
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 3, arbitrary: inMember }, anywhere, directory, headers),
      async ({ at, bit, name }) => {
        const damaged = Buffer.from(bytes)
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit)
        await assertNamed(damaged, name, `bit ${bit} of byte ${at}, in "${name}"`)
      },
    ),
    { numRuns: 80 },
  )
})

test('every member is named of which a byte is flipped', async () => {
  for (const { name, start, packedSize } of members) {
    const damaged = Buffer.from(bytes)
    const at = start + packedSize - 1
    damaged[at] = (damaged[at] ?? 0) ^ 0x80
    await assertNamed(damaged, name, `the last byte of ${name}`)
  }
})

test('a pack that was cut, or to which something was added, is refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 40 }), async (at, more) => {
      await refused(bytes.subarray(0, at), `a pack cut at byte ${at}`)
      await refused(Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]), `bytes added at ${at}`)
    }),
    { numRuns: 15 },
  )
  await refused(Buffer.concat([bytes, Buffer.of(0)]), 'a byte at the end')
  await refused(Buffer.concat([Buffer.of(0), bytes]), 'a byte at the beginning')
})

test('any member that is dropped, doubled, swapped, changed or added is named', async () => {
  const some = all.filter(({ name }) =>
    /^(evidence|changes|reports|index|data\/paths|log|README|report|vkey|verif|man)/i.test(name),
  )
  for (const [at, one] of some.entries()) {
    const others = all.filter(({ name }) => name !== one.name)
    await assertNamed(await zipOf(others), one.name, `${one.name} dropped`)
    if (at % 4 === 0) {
      await assertNamed(await zipOf([...all, one]), one.name, `${one.name} doubled`)
      await assertNamed(
        await zipOf(
          all.map((member) =>
            member.name === one.name ? { ...one, body: Buffer.concat([one.body, Buffer.of(10)]) } : member,
          ),
        ),
        one.name,
        `${one.name} longer`,
      )
    }
  }
  const [first, second, ...rest] = all
  assert.ok(first !== undefined && second !== undefined)
  await refused(await zipOf([second, first, ...rest]), 'members in another order')
  const evidence = all.filter(({ name }) => name.startsWith('evidence/'))
  const swapped = (name: string): Written | undefined => {
    const at = evidence.findIndex((one) => one.name === name)
    const other = evidence[at === 0 ? 1 : 0]
    return at === 0 || at === 1 ? { name, body: other?.body ?? Buffer.of() } : undefined
  }
  await assertNamed(
    await zipOf(all.map((one) => swapped(one.name) ?? one)),
    evidence[0]?.name ?? '',
    'swapped evidence',
  )
  await assertNamed(await zipOf([...all, { name: 'notes.txt', body: Buffer.from('x') }]), 'notes.txt', 'a member added')
})

test('a forger who also lists what they changed is found by the log', async () => {
  const evidence = all.filter(({ name }) => name.startsWith('evidence/'))
  const [one, other] = evidence
  assert.ok(one !== undefined && other !== undefined)
  const without = (name: string) => all.filter((member) => member.name !== name)
  const withBody = (name: string, body: Uint8Array) =>
    all.map((member) => (member.name === name ? { name, body } : member))
  const inPlace = (added: Written, before: string) =>
    all.flatMap((member) => (member.name === before ? [added, member] : [member]))
  const record = all.find(({ name }) => name.startsWith('reports/')) ?? assert.fail()
  const forgeries: readonly (readonly [string, string, Promise<Buffer>])[] = [
    ['evidence dropped', one.name, forged(without(one.name))],
    ['evidence replaced', one.name, forged(withBody(one.name, other.body))],
    [
      'evidence added',
      one.name.replace('0001', '0000').replace('0000.', '0002.'),
      forged(
        all.flatMap((member) =>
          member.name === one.name ? [member, { name: one.name.replace('0001.', '0002.'), body: one.body }] : [member],
        ),
      ),
    ],
    ['a waiver dropped', 'changes/waivers/000001.json', forged(without('changes/waivers/000001.json'))],
    [
      'a registration changed',
      'changes/clusters/000001.json',
      forged(withBody('changes/clusters/000001.json', Buffer.from('{}'))),
    ],
    ['a document changed', 'report.html', forged(withBody('report.html', Buffer.from('<p>All was encrypted')))],
    ['a document dropped', 'data/findings.csv', forged(without('data/findings.csv'))],
    [
      'a document added',
      'data/zzz.csv',
      forged(inPlace({ name: 'data/zzz.csv', body: Buffer.from('x') }, record.name)),
    ],
    [
      'the record changed',
      record.name,
      forged(withBody(record.name, Buffer.from(record.body.toString().replace('"east"', '"west"')))),
    ],
    ['a checkpoint changed', 'log/checkpoint', forged(withBody('log/checkpoint', Buffer.from('x')))],
    ['a proof dropped', 'report.tlog-proof', forged(without('report.tlog-proof'))],
    ['a proof changed', 'report.tlog-proof', forged(withBody('report.tlog-proof', Buffer.from('x')))],
    ['another key for openssl', 'vkey.pem', forged(withBody('vkey.pem', Buffer.from('x')))],
    ['a tile dropped', 'log/tile/0/', forged(all.filter(({ name }) => !name.startsWith('log/tile/0/')))],
  ]
  for (const [what, name, pack] of forgeries) await assertNamed(await pack, name, what)
  // What no key signs, this version makes again: only whoever has it can tell.
  for (const name of ['README.txt', 'index/by-path.csv', 'verify.mjs', 'controls.json']) {
    const path = join(folder, 'forged.zip')
    writeFileSync(path, await forged(withBody(name, Buffer.from('Everything is fine.'))))
    const { findings } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
    assert.deepEqual(
      findings.kept.map(({ key }) => key),
      [name],
    )
  }
})

test('a pack that says that another version made it must have what every pack has, and says what was not checked', async () => {
  const path = join(folder, 'forged.zip')
  const version = '9.9.9'
  const verified = async (written: readonly Written[]) => {
    writeFileSync(path, await forged(written, { version }))
    return verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
  }
  for (const name of ['README.txt', 'index/by-window.csv', 'verify.mjs', 'verifier/sealed.mjs']) {
    const { findings } = await verified(all.filter((one) => one.name !== name))
    assert.deepEqual(findings.kept, [{ key: name, problem: 'it is missing' }])
  }
  const { findings, isAsWritten, notChecked } = await verified(all)
  assert.deepEqual([findings.kept, isAsWritten, notChecked.length], [[], null, 11])
  assert.ok(notChecked.includes('README.txt') && notChecked.includes('controls.json'))
})

test('members that would leave the folder, links, bombs and names that are there twice are refused', async () => {
  const renamed = (from: string, to: string): Buffer => {
    assert.equal(from.length, to.length)
    return Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1')
  }
  await refused(renamed('data/paths.csv', '../../path.csv'), 'a name that leaves the folder')
  await refused(renamed('data/paths.csv', '/ata/paths.csv'), 'an absolute name')
  await refused(renamed('data/paths.csv', 'data\\paths.csv'), 'a name with a backslash')
  await refused(renamed('data/windows.csv', 'data/changes.csv'.padEnd(16)), 'a name with spaces')
  await refused(await zipOf(all.map((one) => (one.name === 'vkey.txt' ? { ...one, mode: 0o120777 } : one))), 'a link')
  await refused(await zipOf([...all, ...all]), 'everything twice')
  const bomb = await zipOf(
    all.map((one) => (one.name === 'README.txt' ? { ...one, body: Buffer.alloc(200_000_000) } : one)),
  )
  await assertNamed(bomb, 'README.txt', 'a bomb')
})

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { keepReport, makeReport } from '../../lib/jobs/make-report.ts'
import { renderAgainBy } from '../../lib/jobs/render-again.ts'
import { VERIFIER_FOLDER } from '../../lib/pack/contents.ts'
import { type PackVerification, verifyPack } from '../../lib/pack/verify/verify-pack.ts'
import { packetsKey } from '../../lib/store/keys.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { fillReported, packOf, PERIOD, VERSION } from '../support/stored/packed-report.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'
import { errorText, matchesText } from '../support/texts/matches-text.ts'

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-pack-'))
after(() => rmSync(folder, { recursive: true }))
const signer = newSigner()
const held = new Map<string, Uint8Array>()
const report = await fillReported(memoryObjects(held), signer)
const objects = memoryObjects(held)

let files = 0
function fileOf(bytes: Uint8Array): string {
  const path = join(folder, `${++files}.zip`)
  writeFileSync(path, bytes)
  return path
}

const linesOf = ({ findings }: PackVerification): string[] =>
  findings.kept.map(({ key, problem }) => `${key ?? ''}: ${problem}`)

function bundled(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(VERIFIER_FOLDER, 'verify.mjs'), ...args], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test('a reader that closes the pipe early gets the exit code, and no stack trace', async () => {
  const path = fileOf((await packOf(objects)).bytes)
  for (const [given, code] of [
    [path, 0],
    [fileOf(Buffer.from('no zip')), 1],
  ] as const) {
    const child = spawn(process.execPath, [join(VERIFIER_FOLDER, 'verify.mjs'), given])
    child.stdout.destroy()
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    assert.deepEqual([status, stderr], [code, ''])
  }
})

test('an untouched pack verifies by both verifiers, and the report is made again from its evidence', async () => {
  const path = fileOf((await packOf(objects)).bytes)
  const verification = await verifyPack(
    { path, vkey: signer.vkey, version: VERSION },
    { render: renderAgainBy(VERSION) },
  )
  assert.deepEqual(linesOf(verification), [])
  assert.equal(verification.rendering.status, 'same')
  assert.equal(verification.report?.key, report)
  assert.deepEqual(verification.windows, { attempts: 3, gaps: 1, untold: 0, unjudged: 0, left: [] })
  assert.equal(verification.isAsWritten, true)
  const { status, stdout } = bundled('--key', signer.vkey, path)
  assert.match(stdout, /^Verified\.\n/)
  matchesText(stdout)
  assert.equal(status, 0)
})

test('the same pack made later, when the log has grown, is the same', async () => {
  const { bytes } = await packOf(objects)
  const later = new Map(held)
  await seal({ now: minutesIn(1000) }, { objects: memoryObjects(later), signer })
  assert.equal(hash('sha256', (await packOf(memoryObjects(later))).bytes), hash('sha256', bytes))
})

test('a pack that somebody signed with a key of their own fails, and the key is the first line', async () => {
  const forger = newSigner()
  const forged = new Map<string, Uint8Array>()
  await fillReported(memoryObjects(forged), forger, { windows: [0, 1, 2, 3] })
  const path = fileOf((await packOf(memoryObjects(forged))).bytes)
  const verification = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
  assert.equal(verification.checkpoint, null)
  matchesText(linesOf(verification)[0])
  const { status, stdout } = bundled('--key', signer.vkey, path)
  matchesText(stdout)
  assert.equal(status, 1)
  // Without --key the forgery verifies by its own key, and says so.
  const own = bundled(path)
  matchesText(own.stdout)
  assert.ok(own.stdout.startsWith(`Key       ${forger.vkey}\n`))
})

test('an earlier checkpoint of the same log is continued, one of a rewritten log is not', async () => {
  const path = fileOf((await packOf(objects)).bytes)
  const earlier = new Map<string, Uint8Array>()
  const rewritten = new Map<string, Uint8Array>()
  for (const [store, windows] of [
    [earlier, [0, 1, 3]],
    [rewritten, [1, 3]],
  ] as const)
    await fillReported(memoryObjects(store), signer, { windows: [...windows] })
  for (const [store, isContinued] of [
    [earlier, true],
    [rewritten, false],
  ] as const) {
    const since = store.get('log/checkpoint') ?? assert.fail()
    const verification = await verifyPack({ path, vkey: signer.vkey, since, version: VERSION }, {})
    assert.equal(verification.since?.isContinued, isContinued)
    assert.equal(verification.findings.total > 0, !isContinued)
    const kept = join(folder, `checkpoint-${isContinued}`)
    writeFileSync(kept, since)
    assert.equal(bundled('--key', signer.vkey, '--checkpoint', kept, path).status, isContinued ? 0 : 1)
  }
})

test('a report of a later period is made again with the evidence before it, and not without', async () => {
  const store = new Map(held)
  const period = {
    ...PERIOD,
    from: PERIOD.to,
    to: new Date(Date.parse(PERIOD.to) + 600_000).toISOString().replace('.000Z', 'Z'),
  }
  await fillReported(memoryObjects(store), signer, { period, windows: [4, 5], reportedAt: 500 })
  for (const isPeriodOnly of [false, true]) {
    const { bytes, made } = await packOf(memoryObjects(store), { period, isPeriodOnly })
    assert.equal(made.evidence, isPeriodOnly ? 2 : 5)
    const path = fileOf(bytes)
    const verification = await verifyPack(
      { path, vkey: signer.vkey, version: VERSION },
      { render: renderAgainBy(VERSION) },
    )
    assert.deepEqual(linesOf(verification), [])
    const { rendering } = verification
    assert.equal(rendering.status, isPeriodOnly ? 'not-rendered' : 'same')
    if (rendering.status === 'not-rendered')
      assert.equal(rendering.why, 'the pack leaves out evidence from before and after the period')
    assert.equal(bundled('--key', signer.vkey, path).status, 0)
  }
})

test('a capture of packets is in the pack, and of no other cluster', async () => {
  const store = new Map<string, Uint8Array>()
  const captured = memoryObjects(store)
  const key = packetsKey('east', '2026-11-24T12:01:00Z', 'ab'.repeat(32))
  await captured.putOnce(packetsKey('west', '2026-11-24T12:01:00Z', 'cd'.repeat(32)), Buffer.from('{}'))
  const capture = {
    format: 'ciphertrail/packets/1',
    cluster: 'east',
    from: PERIOD.from,
    to: PERIOD.to,
    packets: 0,
    flows: [],
    omitted: 0,
  }
  await captured.putOnce(key, Buffer.from(JSON.stringify(capture)))
  await fillReported(captured, signer)
  const { bytes } = await packOf(captured)
  const path = fileOf(bytes)
  const verification = await verifyPack(
    { path, vkey: signer.vkey, version: VERSION },
    { render: renderAgainBy(VERSION) },
  )
  assert.deepEqual([linesOf(verification), verification.rendering.status], [[], 'same'])
  // The log names both; the manifest, which is stored as it is, only one.
  assert.ok(bytes.includes(`"name":"${key}"`) && !bytes.includes('"name":"evidence/packets/west/'))
  assert.equal(bundled('--key', signer.vkey, path).status, 0)
})

test('a report that the evidence does not give is named, although it is sealed', async () => {
  const store = new Map<string, Uint8Array>()
  const lying = memoryObjects(store)
  await fillReported(lying, signer, { windows: [0, 1, 3] })
  const other = new Map<string, Uint8Array>()
  // The same report record and documents, in a log whose evidence differs.
  await fillReported(memoryObjects(other), signer, { windows: [1, 2, 3] })
  for (const key of [...other.keys()].filter((one) => /^(documents|reports)\//.test(one)))
    store.set(key, other.get(key) ?? assert.fail())
  await seal({ now: minutesIn(900), everything: true }, { objects: lying, signer })
  const key = [...other.keys()].find((one) => one.startsWith('reports/')) ?? assert.fail()
  const path = fileOf((await packOf(lying, { key })).bytes)
  const verification = await verifyPack(
    { path, vkey: signer.vkey, version: VERSION },
    { render: renderAgainBy(VERSION) },
  )
  assert.equal(verification.rendering.status, 'different')
  assert.ok(verification.findings.total > 0)
})

test('a document that was left out of the sealed record is named', async () => {
  const store = new Map<string, Uint8Array>()
  const short = memoryObjects(store)
  await fillReported(short, signer)
  const clusters = await readClusters({ objects: short })
  const period = { ...PERIOD, label: 'The same twenty minutes' }
  const made = await makeReport({ clusters, period, now: minutesIn(500), version: VERSION }, { objects: short })
  const documents = made.record.documents.filter(({ name }) => name !== 'findings.csv')
  const key = await keepReport({ ...made, record: { ...made.record, documents } }, short)
  await seal({ now: minutesIn(501), everything: true }, { objects: short, signer })
  const path = fileOf((await packOf(short, { key })).bytes)
  const verification = await verifyPack(
    { path, vkey: signer.vkey, version: VERSION },
    { render: renderAgainBy(VERSION) },
  )
  assert.deepEqual(verification.rendering, { status: 'different', names: ['findings.csv'] })
  assert.ok(linesOf(verification).some((line) => line.startsWith('data/findings.csv: ')))
})

test('a pack of another version verifies all but what that version writes', async () => {
  const path = fileOf((await packOf(objects)).bytes)
  const verification = await verifyPack(
    { path, vkey: signer.vkey, version: '9.9.9' },
    { render: renderAgainBy('9.9.9') },
  )
  assert.deepEqual(linesOf(verification), [])
  assert.deepEqual(verification.rendering, {
    status: 'not-rendered',
    why: 'ciphertrail 0.0.0 made the report, and this is 9.9.9',
  })
  assert.equal(verification.isAsWritten, null)
})

test('no pack is made without a sealed report, and one line says what to run', async () => {
  const unsealed = new Map([...held].filter(([key]) => !key.startsWith('log/')))
  await assert.rejects(packOf(memoryObjects(unsealed)), errorText({ name: 'PackError' }))
  const none = { ...PERIOD, to: '2030-01-01T00:00:00Z', label: 'Never' }
  await assert.rejects(packOf(objects, { period: none }), errorText({ name: 'PackError' }))
  const without = new Map([...held].filter(([key]) => !key.endsWith('paths.csv')))
  await assert.rejects(packOf(memoryObjects(without)), errorText())
  const gone = new Map([...held].filter(([key]) => !key.startsWith('evidence/')))
  await assert.rejects(packOf(memoryObjects(gone)), errorText({ name: 'PackError' }))
})

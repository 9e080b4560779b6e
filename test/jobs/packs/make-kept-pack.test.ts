import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import manifest from '../../../package.json' with { type: 'json' }
import { askedPacks, keepPack } from '../../../lib/jobs/packs/make-kept-pack.ts'
import { mayAsk, readPackState, recordAsked } from '../../../lib/pack/pack-state.ts'
import { PackError } from '../../../lib/pack/select-report.ts'
import { keyFileSigner } from '../../../lib/seal/key/key-file.ts'
import { checkStore } from '../../../lib/seal/verify/check-store.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { type Objects, StoreError } from '../../../lib/store/objects/objects.ts'
import { packKey, packsPrefix } from '../../../lib/store/report-keys.ts'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { openStore } from '../../store/objects/open-s3.ts'
import { parseNdjson, run } from '../../support/process/command-line.ts'
import { startS3Server } from '../../support/servers/s3-server.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { type Gate, memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillReported, packOf, VERSION } from '../../support/stored/packed-report.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'
import { matchesText, textWith } from '../../support/texts/matches-text.ts'

const LATER = minutesIn(500)
const now = () => LATER
const instructions = { version: VERSION, now }
const EVIDENCE = 'evidence/20261124T120000Z-20261124T120500Z/east/0001.json.gz'

async function bytesAt(key: string, objects: Objects): Promise<Buffer | undefined> {
  const found = await objects.large?.open(key)
  if (found === undefined) return undefined
  const pieces: Uint8Array[] = []
  for await (const piece of found.read()) pieces.push(piece)
  return Buffer.concat(pieces)
}

async function keysOf(prefix: string, objects: Objects): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

/** A store with a sealed report, and a copy of what it holds. */
const filled = new Map<string, Uint8Array>()
const report = await fillReported(memoryObjects(filled), newSigner())
const expected = await packOf(memoryObjects(filled), { key: report })
const ZIP = packKey(report, 'pack.zip')

async function s3Store(t: TestContext): Promise<Objects> {
  const s3 = await startS3Server()
  t.after(() => s3.close())
  Object.assign(process.env, s3.env)
  s3.makeBucket('evidence', { hasLock: false })
  s3.makeBucket('derived', { hasLock: false })
  const objects = openStore('s3://evidence?derived=derived&lock=none')
  for (const [key, body] of filled) {
    if (/^(evidence|changes|reports|log)\//.test(key) && key !== 'log/checkpoint') await objects.putOnce(key, body)
    else await objects.putIf(key, body, null)
  }
  return objects
}

test('a pack is kept with the bytes that the command gives, in every store, and made once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-keep-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const own = { folder, now: LATER.toISOString() }
  await run(['key', 'new', 'example.com/log'], own)
  const directory = directoryObjects(join(folder, 'ciphertrail-data'))
  const key = await fillReported(directory, await keyFileSigner(join(folder, 'ciphertrail-data.key')))
  const [made] = parseNdjson((await run(['pack', '--report', key, '--out', 'own.zip', '--json'], own)).stdout)
  const kept = await keepPack(key, { version: manifest.version, now }, { objects: directory })
  assert.deepEqual(
    [kept.outcome, 'sha256' in kept && kept.sha256, 'size' in kept && kept.size],
    ['made', made?.['sha256'], made?.['size']],
  )
  for (const objects of [memoryObjects(new Map(filled)), await s3Store(t)]) {
    const first = await keepPack(report, instructions, { objects })
    assert.deepEqual(first, { outcome: 'made', isNew: true, size: expected.made.size, sha256: expected.made.sha256 })
    assert.equal(Buffer.compare((await bytesAt(ZIP, objects)) ?? Buffer.of(), expected.bytes), 0)
    assert.deepEqual(await keepPack(report, instructions, { objects }), { ...first, isNew: false })
    const state = await readPackState(report, objects)
    assert.deepEqual(
      [state.status, 'sha256' in state && state.sha256, 'at' in state && state.at],
      ['made', expected.made.sha256, LATER.toISOString().replace('.000', '')],
    )
    assert.equal(mayAsk(state, new Date(8e15)), false)
    assert.deepEqual(await keysOf(packsPrefix, objects), [packKey(report, 'outcome.json'), ZIP])
  }
})

test('of many runs at once one keeps the pack, and all tell the same', async (t) => {
  for (const objects of [memoryObjects(new Map(filled)), await s3Store(t)]) {
    const outcomes = await Promise.all([1, 2, 3].map(() => keepPack(report, instructions, { objects })))
    for (const outcome of outcomes) assert.equal('sha256' in outcome && outcome.sha256, expected.made.sha256)
    assert.equal(hash('sha256', (await bytesAt(ZIP, objects)) ?? ''), expected.made.sha256)
  }
})

test('a run that dies at any request leaves a whole pack or none, and the next one makes it good', async () => {
  const die = async (step: number): Promise<boolean> => {
    const held = new Map(filled)
    let requests = 0
    const dying: Gate = (_, effect) => {
      requests += 1
      return requests === step ? new Promise(() => undefined) : Promise.resolve().then(effect)
    }
    const { promise: over, resolve } = Promise.withResolvers<'died'>()
    setTimeout(() => resolve('died'), 150)
    const ended = await Promise.race([
      keepPack(report, instructions, { objects: memoryObjects(held, dying) }).then(() => 'ended'),
      over,
    ])
    const zip = held.get(ZIP)
    if (zip !== undefined) assert.equal(hash('sha256', zip), expected.made.sha256)
    const objects = memoryObjects(held)
    const again = await keepPack(report, instructions, { objects })
    assert.equal('sha256' in again && again.sha256, expected.made.sha256)
    assert.equal((await readPackState(report, objects)).status, 'made')
    return ended === 'died'
  }
  let died = 0
  for (let step = 1; await die(step); step += 3) died += 1
  assert.ok(died > 5)
})

test('what no second try changes is recorded with what to do, and may be asked for again after a while', async () => {
  const objects = memoryObjects(new Map(filled))
  const none = 'reports/20261124T122000Z-0123456789abcdef.json'
  const small = await keepPack(report, { ...instructions, mostBytes: 1000 }, { objects })
  matchesText('problem' in small ? small.problem : '')
  matchesText(await keepPack(none, instructions, { objects }), { outcome: 'failed', problem: textWith({ none }) })
  const missing = new Map(filled)
  missing.delete(EVIDENCE)
  const lacking = await keepPack(report, instructions, { objects: memoryObjects(missing) })
  matchesText('problem' in lacking ? lacking.problem : '')
  assert.equal(missing.has(ZIP), false)

  const state = await readPackState(report, objects)
  assert.equal(state.status, 'failed')
  const after = (minutes: number) => new Date(LATER.getTime() + minutes * 60_000)
  assert.deepEqual(
    [0, 14, 15].map((minutes) => mayAsk(state, after(minutes))),
    [false, false, true],
  )
  await recordAsked(report, after(15), objects)
  const asked = await readPackState(report, objects)
  assert.equal(asked.status, 'asked')
  assert.deepEqual(
    [15, 134, 135].map((minutes) => mayAsk(asked, after(minutes))),
    [false, false, true],
  )
  assert.deepEqual(await askedPacks(objects), [report])
  assert.equal((await keepPack(report, instructions, { objects })).outcome, 'made')
  assert.deepEqual(await askedPacks(objects), [])
})

test('work that is ended leaves nothing, and its reason is recorded where it is one for whoever asked', async (t) => {
  const objects = await s3Store(t)
  const stop = new AbortController()
  const ended: Objects = {
    ...objects,
    async get(key, version) {
      if (key === EVIDENCE) stop.abort()
      return objects.get(key, version)
    },
  }
  await assert.rejects(keepPack(report, { ...instructions, signal: stop.signal }, { objects: ended }), {
    name: 'AbortError',
  })
  assert.deepEqual(await keysOf(packsPrefix, objects), [])
  const late = AbortSignal.abort(new PackError('Cannot pack it here: it takes too long'))
  assert.deepEqual(await keepPack(report, { ...instructions, signal: late }, { objects }), {
    outcome: 'failed',
    problem: 'Cannot pack it here: it takes too long',
  })
})

test('a store that fails is no outcome: the next try may do better', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  const failing: Objects = {
    ...objects,
    async get(key) {
      if (key === EVIDENCE) throw new StoreError('Cannot read the store: it is away')
      return objects.get(key)
    },
  }
  await assert.rejects(keepPack(report, instructions, { objects: failing }), StoreError)
  assert.deepEqual(await keysOf(packsPrefix, objects), [])
})

test('a check of the store takes what is kept of packs as its own, and nothing else there', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  await recordAsked(report, LATER, objects)
  await keepPack(report, instructions, { objects })
  const findings = async () => (await checkStore({}, { objects, assess: assessWindow })).findings.kept
  assert.deepEqual(await findings(), [])
  held.set('packs/x/pack.zip', Buffer.of())
  assert.deepEqual(
    (await findings()).map(({ key }) => key),
    ['packs/x/pack.zip'],
  )
})

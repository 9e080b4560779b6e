import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { deriveCluster } from '../../lib/history/derive.ts'
import { renderAgainBy } from '../../lib/jobs/render-again.ts'
import { keepReport, makeReport } from '../../lib/jobs/make-report.ts'
import { packContents, VERIFIER_FOLDER } from '../../lib/pack/contents.ts'
import { leavesOf } from '../../lib/pack/log-files.ts'
import { populationOf } from '../../lib/pack/sample.ts'
import { entriesUpTo, presentHead, selectReport } from '../../lib/pack/select-report.ts'
import { verifyPack } from '../../lib/pack/verify/verify-pack.ts'
import { writePack } from '../../lib/pack/write-pack.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters, readWatched, removeCluster } from '../../lib/store/registry/registry.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { fillReported, packOf, PERIOD, VERSION } from '../support/stored/packed-report.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import { errorText, matchesText } from '../support/texts/matches-text.ts'

/** A report that was made before its period was over is no report of that period. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-part-'))
after(() => rmSync(folder, { recursive: true }))
const signer = newSigner()
const author = { now: minutesIn(0), by: 'tester' }

async function collect(windows: readonly number[], objects: Objects): Promise<void> {
  for (const index of windows) await writeAttempt(snapshotOf('east', index), { objects })
  for (const one of await readClusters({ objects })) await deriveCluster(one, { objects, assess: assessWindow })
}

async function reportAt(minutes: number, objects: Objects, version = VERSION): Promise<string> {
  const clusters = await readClusters({ objects })
  return keepReport(
    await makeReport({ clusters, period: PERIOD, now: minutesIn(minutes), version }, { objects }),
    objects,
  )
}

/** A pack as `pack` writes it where nothing is refused. */
async function forcedPack(key: string, objects: Objects): Promise<Buffer> {
  const { head, vkey } = await presentHead(objects)
  const deps = { objects, elsewhere: () => Promise.resolve(undefined) }
  const { record, documents } = await selectReport({ period: PERIOD, key, command: '' }, head, deps)
  const entries = await entriesUpTo(head.checkpoint.size, objects)
  const leaves = leavesOf(entries)
  const number = leaves.find(({ leaf }) => 'key' in leaf && leaf.key === key)?.number ?? assert.fail()
  const scope = { report: key, number, record, evidence: 'all' } as const
  const contents = await packContents({ scope, documents, entries, leaves, head, vkey, version: VERSION })
  const sink = new PassThrough()
  const bytes = buffer(sink)
  await writePack(contents, { version: VERSION, report: key, evidence: 'all' }, sink, { objects })
  return bytes
}

test('a report made before its period was over is not packed, and such a pack does not verify', async () => {
  const objects = memoryObjects(new Map())
  await addCluster({ id: 'east', windowMinutes: 5 }, author, { objects })
  await collect([0, 1], objects)
  const early = await reportAt(11, objects)
  await collect([2, 3], objects)
  await seal({ now: minutesIn(400), retentionSeconds: 600, everything: true }, { objects, signer })
  await assert.rejects(packOf(objects), errorText({ name: 'PackError' }))
  const path = join(folder, 'part.zip')
  writeFileSync(path, await forcedPack(early, objects))
  const { findings, windows } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
  assert.deepEqual(windows, { attempts: 4, gaps: 0, untold: 0, unjudged: 2, left: [] })
  assert.deepEqual(
    findings.kept.map(({ key }) => key),
    ['data/windows.csv', 'data/windows.csv'],
  )
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(VERIFIER_FOLDER, 'verify.mjs'), '--key', signer.vkey, path],
    { encoding: 'utf8' },
  )
  assert.equal(status, 1)
  matchesText(stdout)
})

test('of a period in which no window was expected any more, the report is made again from a pack, byte for byte', async () => {
  const objects = memoryObjects(new Map())
  await addCluster({ id: 'east', windowMinutes: 5, replay: 'A replay.' }, author, { objects })
  await fillReported(objects, signer, { windows: [0, 1] })
  const path = join(folder, 'ended.zip')
  writeFileSync(path, (await packOf(objects)).bytes)
  const render = renderAgainBy(VERSION)
  const { findings, rendering } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, { render })
  assert.deepEqual([findings.kept, rendering.status], [[], 'same'])
})

test('of the reports of a period that are sealed together, the one is packed that judged most of it', async () => {
  // Which of two keys is first is chance: whichever it is, in one of these stores the early report has the later leaf.
  const isLast = new Set<boolean>()
  for (let story = 0; story < 40; story++) {
    const version = `0.0.${story}`
    const objects = memoryObjects(new Map())
    await addCluster({ id: 'east', windowMinutes: 5 }, author, { objects })
    await collect([0, 1], objects)
    const early = await reportAt(11, objects, version)
    await collect([2, 3], objects)
    const late = await reportAt(400, objects, version)
    await seal({ now: minutesIn(401), retentionSeconds: 600, everything: true }, { objects, signer })
    isLast.add(early > late)
    assert.equal((await packOf(objects)).made.report, late)
    if (isLast.has(true)) break
  }
  assert.ok(isLast.has(true))
})

test('a cluster that was removed and added again was expected before, too, and one that the report leaves out is named', async () => {
  const objects = memoryObjects(new Map())
  await addCluster({ id: 'east', windowMinutes: 5 }, author, { objects })
  await addCluster({ id: 'west', windowMinutes: 5 }, author, { objects })
  await removeCluster('east', { ...author, now: minutesIn(10) }, { objects })
  await removeCluster('west', { ...author, now: minutesIn(10) }, { objects })
  await addCluster({ id: 'east', windowMinutes: 5 }, { ...author, now: minutesIn(10) }, { objects })
  await collect([2, 3], objects)
  const key = await reportAt(400, objects)
  // Nothing can be told of the first windows before their gaps are recorded.
  await seal({ now: minutesIn(9), retentionSeconds: 600, everything: true }, { objects, signer })
  const leaves = leavesOf(await entriesUpTo((await presentHead(objects)).head.checkpoint.size, objects))
  const { expected, neither } = populationOf(await readWatched({ objects }), PERIOD, leaves, () => '')
  assert.deepEqual([expected, neither], [6, 4])
  await assert.rejects(packOf(objects), errorText())
  const path = join(folder, 'again.zip')
  const verifiedBy = async (wanted: RegExp) => {
    writeFileSync(path, await forcedPack(key, objects))
    const { findings, windows } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
    const { stdout } = spawnSync(process.execPath, [join(VERIFIER_FOLDER, 'verify.mjs'), '--key', signer.vkey, path], {
      encoding: 'utf8',
    })
    assert.match(stdout, wanted)
    return { findings: findings.kept.map(({ problem }) => problem), windows }
  }
  const before = await verifiedBy(
    /cluster east: window 2026-11-24T12:00:00Z to .* is neither evidence nor a recorded gap/,
  )
  assert.equal(before.findings.length, 2)
  await seal({ now: minutesIn(401), retentionSeconds: 600, everything: true }, { objects, signer })
  const { findings, windows } = await verifiedBy(/^Verified/)
  const left = ['east', 'west'].map((cluster) => ({ cluster, windows: 2 }))
  assert.deepEqual([findings, windows], [[], { attempts: 2, gaps: 2, untold: 0, unjudged: 0, left }])
})

test('a registration that was made anew does not hide what the report did not judge', async () => {
  const objects = memoryObjects(new Map())
  await addCluster({ id: 'east', windowMinutes: 5 }, author, { objects })
  await collect([0, 1], objects)
  const key = await reportAt(11, objects)
  await collect([2, 3], objects)
  await removeCluster('east', { ...author, now: minutesIn(21) }, { objects })
  await addCluster({ id: 'east', windowMinutes: 5 }, { ...author, now: minutesIn(21) }, { objects })
  await seal({ now: minutesIn(401), retentionSeconds: 600, everything: true }, { objects, signer })
  await assert.rejects(packOf(objects), errorText())
  const path = join(folder, 'anew.zip')
  writeFileSync(path, await forcedPack(key, objects))
  const { windows } = await verifyPack({ path, vkey: signer.vkey, version: VERSION }, {})
  assert.deepEqual([windows.unjudged, windows.left], [2, []])
  const { stdout } = spawnSync(process.execPath, [join(VERIFIER_FOLDER, 'verify.mjs'), '--key', signer.vkey, path], {
    encoding: 'utf8',
  })
  assert.match(stdout, /^NOT VERIFIED: 2 findings/)
})

test('no pack is made of a report whose cluster was never registered', async () => {
  const objects = memoryObjects(new Map())
  await addCluster({ id: 'west', windowMinutes: 5 }, { ...author, now: minutesIn(20) }, { objects })
  const [west] = await readClusters({ objects })
  assert.ok(west !== undefined)
  const clusters = [{ ...west, id: 'east' }]
  await keepReport(
    await makeReport({ clusters, period: PERIOD, now: minutesIn(400), version: VERSION }, { objects }),
    objects,
  )
  await seal({ now: minutesIn(401), retentionSeconds: 600, everything: true }, { objects, signer })
  await assert.rejects(packOf(objects), errorText({ name: 'PackError' }))
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { compactCluster, deriveCluster } from '../../lib/history/derive.ts'
import { reportWeek } from '../../lib/jobs/make-report.ts'
import { renderAgainBy } from '../../lib/jobs/render-again.ts'
import { verifyPack } from '../../lib/pack/verify/verify-pack.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { readReport } from '../../lib/store/evidence/report-records.ts'
import { declareWaivers } from '../../lib/store/registry/declarations.ts'
import { addCluster, readClusters, removeCluster } from '../../lib/store/registry/registry.ts'
import { recordReview } from '../../lib/store/registry/reviews.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { packOf, VERSION } from '../support/stored/packed-report.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'

/** Packs of weekly reports of a store in use: what came before, after and too late does not keep a report from being made again. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-weekly-'))
after(() => rmSync(folder, { recursive: true }))
const signer = newSigner()
const author = { now: minutesIn(0), by: 'tester' }
const DAY = 24 * 60

const waiver = {
  id: 'W-1',
  owner: 'team',
  reason: 'old',
  compensatingControl: 'none',
  expires: '2027-01-01T00:00:00Z',
  destination: 'deployment/shop/api',
}

/** Collects some windows of a cluster, by the number of five minutes since the first. */
async function collect(cluster: string, windows: readonly number[], objects: Objects): Promise<void> {
  for (const index of windows) await writeAttempt(snapshotOf(cluster, index), { objects })
  for (const one of await readClusters({ objects })) await deriveCluster(one, { objects, assess: assessWindow })
}

async function verified(objects: Objects, key: string | null) {
  assert.ok(key !== null)
  const record = (await readReport(key, objects)) ?? assert.fail()
  const path = join(folder, 'week.zip')
  writeFileSync(path, (await packOf(objects, { key, period: record.period })).bytes)
  const { findings, rendering } = await verifyPack(
    { path, vkey: signer.vkey, version: VERSION },
    { render: renderAgainBy(VERSION) },
  )
  return { findings: findings.kept, status: rendering.status }
}

test('weekly reports are made again from their packs, whatever was stored around them', async () => {
  const objects = memoryObjects(new Map())
  const sealAt = (minutes: number) => seal({ now: minutesIn(minutes), everything: true }, { objects, signer })
  const weekAt = (days: number) =>
    reportWeek({ now: minutesIn(days * DAY), timeZone: 'Europe/Berlin', version: VERSION }, { objects })
  for (const id of ['east', 'old', 'west']) await addCluster({ id, windowMinutes: 60 }, author, { objects })
  // Windows of five minutes, as of a cluster whose size was another one.
  await addCluster({ id: 'east', windowMinutes: 5 }, { ...author, now: minutesIn(-DAY) }, { objects })
  await collect('east', [0, 1, 2], objects)
  await collect('west', [1], objects)
  await collect('old', [0], objects)
  await removeCluster('old', { ...author, now: minutesIn(13) }, { objects })
  await sealAt(DAY)
  // 24 November is a Tuesday: the first week ends after six days.
  const first = await weekAt(7)
  await declareWaivers([waiver], { ...author, now: minutesIn(7 * DAY) }, objects)
  await collect('west', [2], objects)
  await sealAt(7 * DAY + 1)
  const { period } = (await readReport(first.key ?? '', objects)) ?? assert.fail()
  await recordReview(
    { report: first.key ?? '', period, reviewer: 'Ada', note: 'well' },
    { ...author, now: minutesIn(8 * DAY) },
    objects,
  )
  await collect('east', [12 * 24 * 8, 12 * 24 * 8 + 1], objects)
  for (const one of await readClusters({ objects }))
    await compactCluster(one, { objects, assess: assessWindow, unsettledSeconds: 600 })
  await sealAt(13 * DAY)
  // Not sealed when the report is made, and in it.
  await collect('west', [12 * 24 * 9], objects)
  const second = await weekAt(14)
  assert.notEqual(first.key, second.key)
  await sealAt(14 * DAY + 1)
  for (const { key } of [first, second])
    assert.deepEqual(await verified(objects, key), { findings: [], status: 'same' })
})

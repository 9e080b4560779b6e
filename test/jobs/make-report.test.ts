import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { keepReport, makeReport, reportWeek } from '../../lib/jobs/make-report.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { stateKey } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { deriveCluster } from '../../lib/history/derive.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { addCluster, readClusters, removeCluster } from '../../lib/store/registry/registry.ts'
import { readReport } from '../../lib/store/evidence/report-records.ts'
import { sha256Of } from '../../lib/store/objects/derived-object.ts'
import { DEMO_FIXTURE } from '../../demo/fixture.ts'
import { recordedStore } from '../support/report/recorded-report.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import { documentKey, documentsPrefix, reportsPrefix } from '../../lib/store/report-keys.ts'
import { errorText } from '../support/texts/matches-text.ts'

const signer = newSigner()
const filled = new Map<string, Uint8Array>()
await fill(memoryObjects(filled))

/** Two clusters, one of which was removed since, with some windows of the week; sealed. */
async function fill(objects: Objects): Promise<void> {
  const author = { now: minutesIn(0), by: 'tester' }
  for (const id of ['east', 'old']) await addCluster({ id, windowMinutes: 5 }, author, { objects })
  for (const [id, index] of [
    ['east', 0],
    ['old', 0],
    ['east', 1],
  ] as const)
    await writeAttempt(snapshotOf(id, index), { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
  await removeCluster('old', { ...author, now: minutesIn(13) }, { objects })
  await seal({ now: minutesIn(20) }, { objects, signer })
}

const monday = new Date('2026-11-30T05:00:00Z')
const at = (now: Date) => ({ now, timeZone: 'Europe/Berlin', version: '0.0.0' })

async function keysOf(prefix: string, objects: Objects): Promise<string[]> {
  const keys = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

test('reportWeek() keeps the report of the week that is over, once, however often it runs', async () => {
  const objects = memoryObjects(new Map(filled))
  const before = await keysOf(reportsPrefix, objects)
  const first = await reportWeek(at(monday), { objects })
  assert.equal(first.week, '2026-W48')
  assert.ok(first.key !== null && first.isNew && first.verdict !== null)
  const record = await readReport(first.key, objects)
  assert.deepEqual(record?.period, {
    from: '2026-11-22T23:00:00Z',
    to: '2026-11-29T23:00:00Z',
    label: 'Week 2026-W48',
    timeZone: 'Europe/Berlin',
  })
  for (const { name, sha256 } of record.documents)
    assert.equal(sha256Of((await objects.get(documentKey(first.key, name)))?.body ?? Buffer.alloc(0)), sha256, name)
  assert.ok(record.documents.some(({ name }) => name === 'report.pdf'))

  for (const later of [monday, new Date('2026-12-06T22:59:59Z')])
    assert.deepEqual(await reportWeek(at(later), { objects }), { ...first, isNew: false, verdict: null })
  assert.equal((await keysOf(reportsPrefix, objects)).length, before.length + 1)
  // The next week is another one.
  assert.equal((await reportWeek(at(new Date('2026-12-06T23:00:00Z')), { objects })).week, '2026-W49')
})

test('a report of which only documents were kept is made again, and becomes the same', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  const first = await reportWeek(at(monday), { objects })
  const whole = new Map(held)
  held.delete(first.key ?? '')
  assert.deepEqual(await reportWeek(at(monday), { objects }), first)
  assert.deepEqual(held, whole)
})

test('the store is checked with the documents in it, and one that was changed or that nobody made is named', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  const { key } = await reportWeek(at(monday), { objects })
  await seal({ now: monday }, { objects, signer })
  const find = async (): Promise<string[]> => {
    const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow })
    return findings.kept.map((finding) => `${finding.key ?? ''}: ${finding.problem}`)
  }
  assert.deepEqual(await find(), [])
  const page = documentKey(key ?? '', 'report.html')
  const extra = documentKey(key ?? '', 'zzz.html')
  held.set(page, Buffer.from('<p>All was encrypted.'))
  held.set(extra, Buffer.from('<p>Nothing was found.'))
  held.set(`${documentsPrefix}x`, Buffer.from(''))
  assert.deepEqual(
    (await find()).toSorted(),
    [
      `${page}: it is not what "${key}" says of it`,
      `${extra}: "${key}" names no such document`,
      `${documentsPrefix}x: nobody makes such an object`,
    ].toSorted(),
  )
})

test('no report is made over a history that is damaged, and none where nothing is registered', async () => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  const [first] = await readClusters({ objects })
  held.delete(stateKey(first?.id ?? ''))
  await assert.rejects(reportWeek(at(monday), { objects }), errorText())
  assert.deepEqual(await reportWeek(at(monday), { objects: memoryObjects(new Map()) }), {
    week: '2026-W48',
    key: null,
    isNew: false,
    verdict: null,
  })
})

test('a document lies in the store before the record that names it', async () => {
  const objects = memoryObjects(new Map(filled))
  const written: string[] = []
  const recording: Objects = {
    ...objects,
    putOnce: (key, body) => {
      written.push(key)
      return objects.putOnce(key, body)
    },
  }
  const clusters = await readClusters({ objects })
  const period = { from: '2026-11-24T00:00:00Z', to: '2026-11-25T00:00:00Z', label: 'A day', timeZone: 'UTC' }
  const removed = ['west', 'east']
  const made = await makeReport({ clusters, period, now: monday, version: '0.0.0', removed }, { objects })
  // Whoever may see a report may see whom it names.
  assert.deepEqual(made.record.removed, ['east', 'west'])
  const key = await keepReport(made, recording)
  assert.equal(written.at(-1), key)
  assert.equal(written.length, made.files.length + 1)
})

test('a report of a period after the last window is made, and says that nothing was collected in it', async () => {
  const { objects, now } = await recordedStore(DEMO_FIXTURE)
  const clusters = await readClusters({ objects })
  const [from, to] = [1, 2].map((days) => new Date(now.getTime() + days * 86_400_000).toISOString()) as [string, string]
  const period = { from, to, label: 'Later', timeZone: 'UTC' }
  const later = new Date(now.getTime() + 3 * 86_400_000)
  const { files, summary } = await makeReport({ clusters, period, now: later, version: '0.0.0' }, { objects })
  assert.equal(summary.collectedWindows, 0)
  assert.ok(files.some(({ name, body }) => name === 'report.pdf' && body.length > 0))
})

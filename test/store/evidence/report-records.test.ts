import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  documentOf,
  findReport,
  findWeekReport,
  readDocument,
  readAmongReports,
  readReport,
  recordReport,
} from '../../../lib/store/evidence/report-records.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { documentKey, reportKey } from '../../../lib/store/report-keys.ts'
import { errorText } from '../../support/texts/matches-text.ts'

const record = {
  period: {
    from: '2026-11-16T00:00:00Z',
    to: '2026-11-23T00:00:00Z',
    label: 'Week 2026-W47',
    timeZone: 'UTC',
  },
  clusters: ['shop'],
  version: '0.1.0',
  checkpoint: null,
  documents: [documentOf('report.html', Buffer.from('<html>')), documentOf('report.pdf', Buffer.from('%PDF'))],
}

test('recordReport() keeps the hashes of the documents, once however often the same report is made', async (t) => {
  const objects = await freshStore(t)
  const { key, write } = recordReport(record, objects)
  await write()
  const again = recordReport(structuredClone(record), objects)
  assert.equal(again.key, key)
  await again.write()
  assert.match(key, /^reports\/20261123T000000Z-[0-9a-f]{16}\.json$/)
  assert.deepEqual(JSON.parse(Buffer.from((await objects.get(key))?.body ?? []).toString()), {
    format: 'ciphertrail/report/1',
    ...record,
    documents: [
      { name: 'report.html', sha256: 'b7d082ee12e91b756ea22e8513b8594eebcf5d39fab813da3cb55794dc888ad7', size: 6 },
      { name: 'report.pdf', sha256: '315d429b7714cedb6ad04ac31240145257692630457f3c88253c5beceac76027', size: 4 },
    ],
  })
})

test('another document, or another head of the log, is another report', async (t) => {
  const objects = await freshStore(t)
  const keys = [
    record,
    { ...record, documents: [documentOf('report.html', Buffer.from('<html >'))] },
    { ...record, checkpoint: { origin: 'example.com/log', size: 7, root: 'AAAA' } },
  ].map((one) => recordReport(one, objects).key)
  assert.equal(new Set(keys).size, 3)
})

test('a report is read back as it was recorded, and found by its period where its documents are kept', async (t) => {
  const objects = await freshStore(t)
  const { key, write } = recordReport(record, objects)
  assert.equal(await readReport(key, objects), undefined)
  await write()
  assert.deepEqual(await readReport(key, objects), record)
  assert.equal(await findReport(record.period, objects), undefined, 'its documents are elsewhere')
  await objects.putOnce(documentKey(key, 'report.pdf'), Buffer.from('%PDF'))
  assert.equal(await findReport(record.period, objects), key)
  for (const other of [{ from: '2026-11-15T00:00:00Z' }, { to: '2026-11-24T00:00:00Z' }, { timeZone: 'Europe/Berlin' }])
    assert.equal(await findReport({ ...record.period, ...other }, objects), undefined)
})

test('a record that cannot be read is an error, not an absence, and hides no other', async (t) => {
  const objects = await freshStore(t)
  const broken = reportKey(record.period.to, '00'.repeat(32))
  await objects.putOnce(broken, Buffer.from('{"format":"ciphertrail/report/1"}'))
  await assert.rejects(readReport(broken, objects), errorText())
  assert.equal(await readAmongReports(broken, objects), 'unreadable')
  const { key, write } = recordReport(record, objects)
  await write()
  await objects.putOnce(documentKey(key, 'report.pdf'), Buffer.from('%PDF'))
  assert.ok(broken < key)
  assert.equal(await findReport(record.period, objects), key)
})

test('findWeekReport() gives the report of the week in the wanted zone, else in another, and none whose documents are elsewhere', async (t) => {
  const objects = await freshStore(t)
  const keep = async (period: typeof record.period, isKept = true) => {
    const { key, write } = recordReport({ ...record, period }, objects)
    await write()
    if (isKept) await objects.putOnce(documentKey(key, 'report.pdf'), Buffer.from('%PDF'))
    return key
  }
  const { period } = record
  const far = { ...period, from: '2026-11-15T10:00:00Z', to: '2026-11-22T10:00:00Z', timeZone: 'Pacific/Kiritimati' }
  const near = { ...period, from: '2026-11-16T12:00:00Z', to: '2026-11-23T12:00:00Z', timeZone: 'Etc/GMT+12' }
  const found = async (wanted: typeof period) => (await findWeekReport(wanted, objects))?.key
  await keep(period, false)
  // Neither the week before nor one of another length.
  await keep({ ...period, from: '2026-11-09T00:00:00Z', to: '2026-11-16T00:00:00Z', label: 'Week 2026-W46' })
  await keep({ ...period, from: '2026-11-22T00:00:00Z', label: '22 Nov 2026' })
  assert.equal(await found(period), undefined)
  const last = await keep(near)
  assert.equal(await found(period), last)
  assert.equal(await found(far), last, '26 hours apart')
  const first = await keep(far)
  assert.equal(await found(near), last)
  assert.equal(await found(far), first)
  assert.deepEqual((await findWeekReport(far, objects))?.record.period, far)
})

test('readDocument() gives the bytes that were recorded, and no others', async (t) => {
  const objects = await freshStore(t)
  const { key } = recordReport(record, objects)
  const read = (name: string) => readDocument({ key, record }, name, objects)
  assert.equal(await read('report.pdf'), 'absent')
  await objects.putOnce(documentKey(key, 'report.pdf'), Buffer.from('%PDF'))
  await objects.putOnce(documentKey(key, 'report.html'), Buffer.from('<other>'))
  await objects.putOnce(documentKey(key, 'report.csv'), Buffer.from('a,b'))
  assert.deepEqual(await read('report.pdf'), {
    body: new Uint8Array(Buffer.from('%PDF')),
    key: documentKey(key, 'report.pdf'),
    version: null,
  })
  assert.equal(await read('report.html'), 'changed')
  assert.equal(await read('report.csv'), 'absent')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { documentOf, recordReport } from '../../lib/store/reports.ts'
import { freshStore } from '../support/fresh-store.ts'

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
  const key = await recordReport(record, objects)
  assert.equal(await recordReport(structuredClone(record), objects), key)
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
    await recordReport(record, objects),
    await recordReport({ ...record, documents: [documentOf('report.html', Buffer.from('<html >'))] }, objects),
    await recordReport({ ...record, checkpoint: { origin: 'example.com/log', size: 7, root: 'AAAA' } }, objects),
  ]
  assert.equal(new Set(keys).size, 3)
})

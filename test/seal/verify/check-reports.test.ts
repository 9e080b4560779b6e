import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkDocuments } from '../../../lib/seal/verify/check-reports.ts'
import { documentOf, recordReport } from '../../../lib/store/evidence/report-records.ts'
import { documentKey } from '../../../lib/store/report-keys.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { matchesText, textWith } from '../../support/texts/matches-text.ts'

const PERIOD = { from: '2026-11-16T00:00:00Z', to: '2026-11-23T00:00:00Z', label: 'Week 2026-W47', timeZone: 'UTC' }
const RECORD = { period: PERIOD, clusters: ['shop'], version: '1', checkpoint: null }
const [HTML, PDF] = [Buffer.from('<html>'), Buffer.from('%PDF')]

/** A store with the record of a report and the documents that are kept of it. */
async function storeOf(kept: Readonly<Record<string, Uint8Array>>) {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const documents = [documentOf('report.html', HTML), documentOf('report.pdf', PDF)]
  const { key: report, write } = recordReport({ ...RECORD, documents }, objects)
  await write()
  for (const [name, body] of Object.entries(kept)) held.set(documentKey(report, name), body)
  return { held, objects, report }
}

async function findingsOf(objects: ReturnType<typeof memoryObjects>): Promise<readonly string[]> {
  const findings: string[] = []
  await checkDocuments((key, problem) => findings.push(`${key?.split('/').at(-1) ?? ''}: ${problem}`), objects)
  return findings
}

test('checkDocuments() finds nothing where the documents are those that were recorded, or are kept elsewhere', async () => {
  for (const kept of [{ 'report.html': HTML, 'report.pdf': PDF }, { 'report.pdf': PDF }, {}])
    assert.deepEqual(await findingsOf((await storeOf(kept)).objects), [])
})

test('checkDocuments() finds a document that was changed, and one that its report does not name', async () => {
  const { objects, report } = await storeOf({ 'report.html': PDF, 'report.pdf': PDF, 'more.csv': HTML })
  matchesText(await findingsOf(objects), textWith({ report }))
})

test('checkDocuments() finds documents whose report is not recorded, or cannot be read', async () => {
  const gone = await storeOf({ 'report.pdf': PDF })
  gone.held.delete(gone.report)
  matchesText(await findingsOf(gone.objects), textWith({ report: gone.report }))
  const damaged = await storeOf({ 'report.pdf': PDF })
  damaged.held.set(damaged.report, Buffer.from('{}'))
  matchesText((await findingsOf(damaged.objects)).map((line) => line.slice(0, 51)))
})

test('checkDocuments() passes over a key that is none of a document', async () => {
  const { held, objects } = await storeOf({ 'report.pdf': PDF })
  held.set('documents/notes.txt', PDF)
  assert.deepEqual(await findingsOf(objects), [])
})

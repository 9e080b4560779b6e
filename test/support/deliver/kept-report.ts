/** A report of a week whose documents are kept in a store, as `reportWeek()` leaves it, without making one. */
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { type ReportRecord, documentOf, recordReport } from '../../../lib/store/evidence/report-records.ts'
import { documentKey } from '../../../lib/store/report-keys.ts'
import { weekPeriod } from '../../../lib/time/week.ts'

/** Week 47 in UTC. */
export const WEEK = {
  from: '2026-11-16T00:00:00Z',
  to: '2026-11-23T00:00:00Z',
  label: 'Week 2026-W47',
  timeZone: 'UTC',
} as const

export const REPORT_PDF = Buffer.from('%PDF-1.7 a report of everything')

/** Keeps a report, with its PDF, and gives its key. */
export async function keepPdf(
  objects: Objects,
  period: ReportRecord['period'] = WEEK,
  body: Uint8Array = REPORT_PDF,
): Promise<string> {
  const documents = [documentOf('report.pdf', body)]
  const { key, write } = recordReport(
    { period, clusters: ['prod'], version: '0.1.0', checkpoint: null, documents },
    objects,
  )
  await objects.putOnce(documentKey(key, 'report.pdf'), body)
  await write()
  return key
}

/** Keeps a report of an ISO week in UTC with these documents, by their names, and gives its key. */
export async function keepWeek(
  week: string,
  documents: Readonly<Record<string, string>>,
  objects: Objects,
): Promise<string> {
  const named = Object.entries(documents).map(([name, text]) => documentOf(name, Buffer.from(text)))
  const period = { ...spanOf(week), label: `Week ${week}`, timeZone: 'UTC' }
  const { key, write } = recordReport(
    { period, clusters: ['prod'], version: '0.1.0', checkpoint: null, documents: named },
    objects,
  )
  for (const [name, text] of Object.entries(documents)) await objects.putOnce(documentKey(key, name), Buffer.from(text))
  await write()
  return key
}

function spanOf(week: string): Pick<ReportRecord['period'], 'from' | 'to'> {
  const { from, to } = weekPeriod(week, 'UTC')
  return { from, to }
}

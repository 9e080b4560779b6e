/** Report of a period, from the stored evidence to the stored documents. */
import type { Document } from '../report/documents.ts'
import type { Summary } from '../report/summary/summary.ts'
import type { ReportView } from '../report/report-view.ts'
import { lastWeek } from '../time/week.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readClusters } from '../store/registry/registry.ts'
import { type ReadDeps, type ReportInstructions, readReportInput, removedClusters } from './read-report-input.ts'
import { type ReportRecord, documentOf, findReport, recordReport } from '../store/evidence/report-records.ts'
import { compareText } from '../text/order.ts'
import { documentKey } from '../store/report-keys.ts'

/** A report in memory: its documents, and its record. */
export type MadeReport = {
  /** The page first, then the PDF, then the data. */
  readonly files: readonly Document[]
  readonly record: ReportRecord
  readonly verdict: string
  readonly summary: Summary
  readonly view: ReportView
}

/**
 * Makes the report of a period. Writes nothing. Throws {@link StoreError} for a cluster whose history is damaged, since it would look as if it was never
 * observed.
 */
export async function makeReport(instructions: ReportInstructions, deps: ReadDeps): Promise<MadeReport> {
  const { clusters, period, version, removed = [] } = instructions
  const input = await readReportInput(instructions, deps)
  const { checkpoint } = input
  deps.progress?.('Setting the report')
  // Loaded on demand, since it needs Typst and Graphviz.
  const { documentsOf } = await import('../report/documents.ts')
  const { files, summary, view } = documentsOf(input)
  const record = {
    period,
    clusters: clusters.map(({ id }) => id).toSorted(compareText),
    ...(removed.length === 0 ? {} : { removed: removed.toSorted(compareText) }),
    version,
    checkpoint:
      checkpoint === null ? null : { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root },
    documents: files
      .map(({ name, body }) => documentOf(name, Buffer.from(body)))
      .toSorted((a, b) => compareText(a.name, b.name)),
  }
  return { files, record, verdict: view.verdict, summary, view }
}

/**
 * Stores a report: its documents, then its record, so that the record never names a missing document. Returns the record's key; the same report again changes
 * nothing.
 */
export async function keepReport({ files, record }: MadeReport, objects: Objects): Promise<string> {
  const { key, write } = recordReport(record, objects)
  await Promise.all(files.map(({ name, body }) => objects.putOnce(documentKey(key, name), Buffer.from(body))))
  await write()
  return key
}

/** The outcome of a weekly report. */
export type WeeklyReport = {
  readonly week: string
  /** Key of the record under `reports/`; null if no cluster is registered. */
  readonly key: string | null
  /** False if it existed before. */
  readonly isNew: boolean
  /** Null if it was not made now. */
  readonly verdict: string | null
}

/**
 * Makes and stores the report of the last whole week before a time, over all registered clusters, unless it exists: run every day, the next day makes up for a
 * failed one. `now` is also the time up to which missing windows are reported.
 */
export async function reportWeek(
  { now, timeZone, version }: { readonly now: Date; readonly timeZone: string; readonly version: string },
  { objects }: { readonly objects: Objects },
): Promise<WeeklyReport> {
  const { week, ...span } = lastWeek(now, timeZone)
  const period = { ...span, label: `Week ${week}`, timeZone }
  const existing = await findReport(period, objects)
  if (existing !== undefined) return { week, key: existing, isNew: false, verdict: null }
  const clusters = await readClusters({ objects })
  if (clusters.length === 0) return { week, key: null, isNew: false, verdict: null }
  const removed = await removedClusters(clusters, objects)
  const made = await makeReport({ clusters, period, now, version, removed }, { objects })
  return { week, key: await keepReport(made, objects), isNew: true, verdict: made.verdict }
}

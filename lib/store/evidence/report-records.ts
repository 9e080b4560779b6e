import canonicalize from 'canonicalize'
import * as z from 'zod'
import { toSeconds, toTime } from '../../time/windows.ts'
import { parseJson } from '../../text/parse-json.ts'
import { type Objects, StoreError, UnusableError } from '../objects/objects.ts'
import { sha256Of } from '../objects/derived-object.ts'
import { documentKey, isReportKey, reportKey, reportsPrefix, reportsUpTo } from '../report-keys.ts'

const FORMAT = 'ciphertrail/report/1'

const recordSchema = z.object({
  format: z.literal(FORMAT),
  period: z.object({ from: z.string(), to: z.string(), label: z.string(), timeZone: z.string() }).readonly(),
  /** Ids, in text order. */
  clusters: z.array(z.string()).readonly(),
  /** Ids that it lists as removed from the registry, in text order; absent: none. */
  removed: z.array(z.string()).readonly().exactOptional(),
  /** Version of ciphertrail. */
  version: z.string(),
  /** The head of the log that the report prints; null if nothing was sealed yet. */
  checkpoint: z.object({ origin: z.string(), size: z.number(), root: z.string() }).readonly().nullable(),
  /** In text order of their names. */
  documents: z.array(z.object({ name: z.string(), sha256: z.string(), size: z.number() }).readonly()).readonly(),
})

/** The record of a report: enough to tell, years later, whether a document is the original. */
export type ReportRecord = Readonly<Omit<z.infer<typeof recordSchema>, 'format'>>

/** The entry of one document in {@link recordReport}. */
export function documentOf(name: string, body: Uint8Array): ReportRecord['documents'][number] {
  return { name, sha256: sha256Of(body), size: body.byteLength }
}

/**
 * Records a report under `reports/`, where the next seal makes it a leaf: returns its key, and a function that writes it. Written once; the same report again
 * is the same record, since it holds neither time nor place of its making.
 */
export function recordReport(
  record: ReportRecord,
  objects: Objects,
): { readonly key: string; readonly write: () => Promise<void> } {
  const body = Buffer.from(canonicalize({ format: FORMAT, ...record }) ?? '')
  const key = reportKey(record.period.to, sha256Of(body))
  return { key, write: () => objects.putOnce(key, body) }
}

/** The record of one report cannot be read. Whoever reads many goes on. */
class ReportRecordError extends StoreError {
  override readonly name = 'ReportRecordError'
}

/** Reads the record of a report; undefined if there is none. Throws {@link StoreError} if it is unreadable. */
export async function readReport(key: string, objects: Objects): Promise<ReportRecord | undefined> {
  const stored = await objects.get(key).catch((error: unknown) => {
    throw error instanceof UnusableError ? new ReportRecordError(error.message, { cause: error }) : error
  })
  if (stored === undefined) return undefined
  const parsed = recordSchema.safeParse(parseJson(stored.body))
  if (!parsed.success)
    throw new ReportRecordError(`Cannot read "${key}": it is no record of a report, find out who wrote it`)
  const { format: _, ...record } = parsed.data
  return record
}

/** Reads one of many records of reports: `unreadable` if only this one cannot be read. */
export async function readAmongReports(
  key: string,
  objects: Objects,
): Promise<ReportRecord | 'unreadable' | undefined> {
  try {
    return await readReport(key, objects)
  } catch (error) {
    if (error instanceof ReportRecordError) return 'unreadable'
    throw error
  }
}

async function periodAt(key: string, objects: Objects): Promise<ReportRecord['period'] | undefined> {
  const record = await readAmongReports(key, objects)
  return record === 'unreadable' ? undefined : record?.period
}

/** The key of the first report of exactly that period whose documents are stored; undefined if there is none. */
export async function findReport(
  { from, to, label, timeZone }: ReportRecord['period'],
  objects: Objects,
): Promise<string | undefined> {
  for await (const key of objects.list(reportsUpTo(to))) {
    const period = await periodAt(key, objects)
    if (period?.from !== from || period.label !== label || period.timeZone !== timeZone) continue
    // A report made elsewhere leaves its record here, but not its documents.
    if ((await objects.digest(documentKey(key, PDF))) !== undefined) return key
  }
  return undefined
}

/** The document that every report has. */
export const PDF = 'report.pdf'

/** The file name of a downloaded report, with the week in the label of its period. */
export function pdfFileName({ label }: Pick<ReportRecord['period'], 'label'>): string {
  return `ciphertrail-${/\d{4}-W\d\d/.exec(label)?.[0] ?? 'report'}.pdf`
}

/** No two time zones are further apart, so the same week ends at most this much earlier or later elsewhere. */
const ZONES_APART = 27 * 60 * 60

/**
 * The report of a week whose documents are stored: in the wanted time zone, else in another one, in which that week begins and ends at other times. Undefined
 * if there is none.
 *
 * @param period with the label that the week has in every zone
 */
export async function findWeekReport(
  period: ReportRecord['period'],
  objects: Objects,
): Promise<{ readonly key: string; readonly record: ReportRecord } | undefined> {
  const exact = await findReport(period, objects)
  const record = exact === undefined ? undefined : await readReport(exact, objects)
  if (exact !== undefined && record !== undefined) return { key: exact, record }
  const end = toSeconds(period.to)
  const last = reportsUpTo(toTime(end + ZONES_APART))
  for await (const key of objects.list(reportsPrefix, reportsUpTo(toTime(end - ZONES_APART)))) {
    if (key > last) break
    const other = await readAmongReports(key, objects)
    if (other === 'unreadable' || other?.period.label !== period.label) continue
    if ((await objects.digest(documentKey(key, PDF))) !== undefined) return { key, record: other }
  }
  return undefined
}

/** The period of the latest weekly report with stored documents; null if there is none. */
export async function lastWeekReport(objects: Objects): Promise<ReportRecord['period'] | null> {
  const keys: string[] = []
  for await (const key of objects.list(reportsPrefix)) if (isReportKey(key)) keys.push(key)
  for (const key of keys.toReversed()) {
    const period = await periodAt(key, objects)
    if (period?.label.startsWith('Week ') !== true) continue
    if ((await objects.digest(documentKey(key, PDF))) !== undefined) return period
  }
  return null
}

/** A recorded document, and the version of its bytes in the store. */
export type ReadDocument = {
  readonly body: Uint8Array<ArrayBuffer>
  readonly key: string
  /** Identifies the bytes for ever; null if the store keeps no versions. */
  readonly version: string | null
}

/** Reads a recorded document; `absent` if the report names none such or it is not stored here, `changed` if its bytes differ. */
export async function readDocument(
  { key, record }: { readonly key: string; readonly record: ReportRecord },
  name: string,
  objects: Objects,
): Promise<ReadDocument | 'absent' | 'changed'> {
  const recorded = record.documents.find((document) => document.name === name)
  const place = documentKey(key, name)
  const stored = recorded === undefined ? undefined : await objects.get(place)
  if (recorded === undefined || stored === undefined) return 'absent'
  if (documentOf(name, stored.body).sha256 !== recorded.sha256) return 'changed'
  return { body: new Uint8Array(stored.body), key: place, version: stored.version }
}

import canonicalize from 'canonicalize'
import { reportKey } from './keys.ts'
import type { Objects } from './objects.ts'
import { sha256Of } from './state.ts'

/** What is kept of a report that was made: enough to tell, years later, whether a document is the one that was made then. */
export type ReportRecord = {
  readonly period: { readonly from: string; readonly to: string; readonly label: string; readonly timeZone: string }
  /** Ids, in text order. */
  readonly clusters: readonly string[]
  /** Version of ciphertrail. */
  readonly version: string
  /** The head of the log that is printed in the report; null where nothing was sealed yet. */
  readonly checkpoint: { readonly origin: string; readonly size: number; readonly root: string } | null
  /** In text order of their names. */
  readonly documents: readonly { readonly name: string; readonly sha256: string; readonly size: number }[]
}

/** What {@link recordReport} says of one document. */
export function documentOf(name: string, body: Uint8Array): ReportRecord['documents'][number] {
  return { name, sha256: sha256Of(body), size: body.byteLength }
}

/**
 * Records a report under `reports/`, where the next seal makes it a leaf, and gives its key. Written once; the same report
 * again is the same record, since it holds neither the time nor the place at which it was made.
 */
export async function recordReport(record: ReportRecord, objects: Objects): Promise<string> {
  const body = Buffer.from(canonicalize({ format: 'ciphertrail/report/1', ...record }) ?? '')
  const key = reportKey(record.period.to, sha256Of(body))
  await objects.putOnce(key, body)
  return key
}

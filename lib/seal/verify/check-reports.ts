import type { Objects } from '../../store/objects/objects.ts'
import { type ReportRecord, readReport } from '../../store/evidence/report-records.ts'
import type { AddFinding } from './finding.ts'
import { documentsPrefix, parseDocumentKey } from '../../store/report-keys.ts'

/** Compares stored documents with the records of their reports. A missing document is no finding: its author may keep it elsewhere. */
export async function checkDocuments(add: AddFinding, objects: Objects): Promise<void> {
  // A report's documents follow each other in the list.
  let read: { readonly report: string; readonly documents: ReportRecord['documents'] } | undefined
  for await (const key of objects.list(documentsPrefix)) {
    const named = parseDocumentKey(key)
    if (named === undefined) continue
    if (read?.report !== named.report) {
      try {
        read = { report: named.report, documents: (await readReport(named.report, objects))?.documents ?? [] }
      } catch (error) {
        if (!(error instanceof Error)) throw error
        add(key, `it cannot be compared with its report: ${error.message}`)
        continue
      }
    }
    const recorded = read.documents.find(({ name }) => name === named.name)
    const digest = await objects.digest(key)
    if (recorded === undefined) add(key, `"${named.report}" names no such document`)
    else if (digest?.sha256 !== recorded.sha256) add(key, `it is not what "${named.report}" says of it`)
  }
}

import { basicTime } from './keys.ts'

const REPORT_KEY = /^reports\/(\d{8}T\d{6}Z)-([0-9a-f]{16})\.json$/

const DOCUMENT_KEY = /^documents\/(\d{8}T\d{6}Z-[0-9a-f]{16})\/([A-Za-z0-9_-][A-Za-z0-9._-]{0,99})$/

/** Prefix of all reports, earliest periods first. */
export const reportsPrefix = 'reports/'

/** The key of a report's record: by the end of its period (RFC 3339, whole seconds) and the SHA-256 of the record, in hex. */
export function reportKey(to: string, sha256: string): string {
  const key = `${reportsPrefix}${basicTime(to)}-${sha256.slice(0, 16)}.json`
  if (isReportKey(key)) return key
  throw new RangeError(
    `Cannot make a key of a report up to ${JSON.stringify(to)}: wanted a time such as 2026-11-24T12:30:00Z`,
  )
}

/** Prefix of the reports of all periods that end at a time (RFC 3339, whole seconds). */
export function reportsUpTo(to: string): string {
  return `${reportsPrefix}${basicTime(to)}-`
}

/** Whether a text is the key of a report. */
export function isReportKey(key: string): boolean {
  return REPORT_KEY.test(key)
}

/** Prefix of all documents of all reports. */
export const documentsPrefix = 'documents/'

/** Prefix of all documents of a report, by its key. */
export function documentsOfReport(report: string): string {
  return `${documentsPrefix}${report.slice(reportsPrefix.length).replace(/\.json$/, '')}/`
}

/** The key of a document of a report, by the key of the report and the name of the document. */
export function documentKey(report: string, name: string): string {
  const key = `${documentsOfReport(report)}${name}`
  if (isReportKey(report) && parseDocumentKey(key)?.name === name) return key
  throw new RangeError(`Cannot make a key of document ${JSON.stringify(name)} of ${JSON.stringify(report)}`)
}

/** Parses the key of a document to its name and the key of its report; undefined for any other text. */
export function parseDocumentKey(key: string): { readonly report: string; readonly name: string } | undefined {
  const [, id = '', name = ''] = DOCUMENT_KEY.exec(key) ?? []
  const report = `${reportsPrefix}${id}.json`
  return isReportKey(report) ? { report, name } : undefined
}

/** Prefix of all that is kept of packs of reports. */
export const packsPrefix = 'packs/'

/** What is kept of the pack of a report: that somebody asked for it, what became of that, and the pack. Each has one writer. */
type PackFile = 'asked.json' | 'outcome.json' | 'pack.zip'

const PACK_KEY = /^packs\/(\d{8}T\d{6}Z-[0-9a-f]{16})\/(asked\.json|outcome\.json|pack\.zip)$/

/** A key of what is kept of the pack of a report, by the key of the report. */
export function packKey(report: string, file: PackFile): string {
  const key = `${packsPrefix}${report.slice(reportsPrefix.length).replace(/\.json$/, '')}/${file}`
  if (isReportKey(report) && parsePackKey(key)?.file === file) return key
  throw new RangeError(`Cannot make a key of the pack of ${JSON.stringify(report)}: wanted the key of a report`)
}

/** Parses a key of what is kept of a pack to that and the key of its report; undefined for any other text. */
export function parsePackKey(key: string): { readonly report: string; readonly file: string } | undefined {
  const [, id = '', file = ''] = PACK_KEY.exec(key) ?? []
  const report = `${reportsPrefix}${id}.json`
  return isReportKey(report) ? { report, file } : undefined
}

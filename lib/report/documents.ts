/** All documents of a period, made from one view and one summary, so that all of them say the same. */
import { csvFiles } from './csv/report-csv.ts'
import { complianceFindings } from './ocsf/compliance-findings.ts'
import { oscalDocuments } from './oscal/assessment-results.ts'
import { renderHtml } from './report-html.ts'
import type { ReportInput } from './report-input.ts'
import { renderPdf } from './report-pdf.ts'
import { summarise } from './summary/summary.ts'
import type { Summary } from './summary/summary.ts'
import { summaryJson } from './summary/summary-json.ts'
import { viewOf } from './report-view.ts'
import type { ReportView } from './report-view.ts'

/** One file of a report. */
export type Document = {
  /** The name of its file. */
  readonly name: string
  readonly body: string | Uint8Array
}

/** A report in all its forms. */
export type Documents = {
  readonly summary: Summary
  readonly view: ReportView
  /** The page first, then the PDF, then the data. */
  readonly files: readonly Document[]
}

/** Makes all documents. Equal input gives equal bytes, wherever and whenever they are made. */
export function documentsOf(input: ReportInput): Documents {
  const summary = summarise(input)
  const view = viewOf(summary)
  const data = dataOf(summary, view)
  // Before all that it does not need: setting it takes the most memory.
  const pdf = renderPdf(view, input.period.to, data)
  const html = renderHtml(view)
  return {
    summary,
    view,
    files: [
      { name: 'report.html', body: html },
      { name: 'report.pdf', body: pdf },
      ...data,
      ...documentsForTools(summary, view),
    ],
  }
}

/** What is written beside the documents for reading, and rides inside the PDF. */
export function dataOf(summary: Summary, view: ReportView): readonly (Document & { readonly body: string })[] {
  return [
    { name: 'summary.json', body: summaryJson(summary, view.verdict) },
    ...csvFiles(summary).map(({ name, body }) => ({ name, body })),
  ]
}

/** What other programs load: beside the documents, and not inside the PDF, which would be several times as large. */
export function documentsForTools(summary: Summary, view: ReportView): readonly Document[] {
  return [...oscalDocuments(summary, view.verdict), { name: 'ocsf.json', body: complianceFindings(summary) }]
}

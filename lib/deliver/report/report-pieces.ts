/** A week's report in pieces that a webhook takes, one after the other. Pure. */
import * as z from 'zod'
import { parseJson } from '../../text/parse-json.ts'
import { jsonText } from '../../text/json-lines.ts'
import { reportsPrefix } from '../../store/report-keys.ts'
import type { WebhookFormat } from '../channel/channel.ts'

/** The format of a posted report. */
export type ReportFormat = Exclude<WebhookFormat, 'alert'>

/** The documents that are posted in a format, in their order: results point to the plan, so that comes first. */
export const POSTED_DOCUMENTS: Readonly<Record<ReportFormat, readonly string[]>> = {
  ocsf: ['ocsf.json'],
  oscal: ['oscal-plan.json', 'oscal.json'],
}

/** Most bytes of a body with several findings. One finding has a few kilobytes. */
export const MAX_PIECE_BYTES = 500_000

/** Most bytes of a document that is posted: four thousand paths as OSCAL, fourteen thousand as OCSF. */
const MAX_DOCUMENT_BYTES = 25_000_000

/** One body. */
export type ReportPiece = {
  /** The same whenever it is posted: receivers recognise a repeat by it. */
  readonly id: string
  readonly body: string
}

/** A document cannot be posted. One line. */
export class ReportPieceError extends Error {
  override readonly name = 'ReportPieceError'
}

const findingsSchema = z.array(z.record(z.string(), z.unknown()))

/**
 * The pieces of a report's documents. OCSF: arrays of findings in the order of the document, each of at most {@link MAX_PIECE_BYTES} unless one finding has
 * more; an empty one where there is none, since silence would say nothing. OSCAL: each document whole. Equal documents give equal pieces. Throws
 * {@link ReportPieceError}.
 *
 * @param report key of the report
 * @param documents in the order of {@link POSTED_DOCUMENTS}
 */
export function reportPieces(
  report: string,
  format: ReportFormat,
  documents: readonly { readonly name: string; readonly body: Uint8Array }[],
): readonly ReportPiece[] {
  const bodies = format === 'ocsf' ? documents.flatMap(findingBodies) : documents.map(wholeBody)
  return bodies.map((body, at) => ({ id: pieceId(report, format, at + 1), body }))
}

/** The id of a piece of a report, by the number of the piece from 1. */
export function pieceId(report: string, format: ReportFormat, number: number): string {
  return `${report.slice(reportsPrefix.length).replace(/\.json$/, '')}-${format}-${number}`
}

function findingBodies({ name, body }: { readonly name: string; readonly body: Uint8Array }): readonly string[] {
  checkSize(name, body)
  const findings = findingsSchema.safeParse(parseJson(body)).data
  if (findings === undefined) throw new ReportPieceError(`"${name}" is no list of findings`)
  const bodies: string[] = []
  let items: string[] = []
  let size = 0
  for (const finding of findings) {
    // ASCII: characters are bytes.
    const item = jsonText(finding)
    if (items.length > 0 && size + item.length + FRAME > MAX_PIECE_BYTES) {
      bodies.push(arrayOf(items))
      items = []
      size = 0
    }
    items.push(item)
    size += item.length + SEPARATOR.length
  }
  return [...bodies, arrayOf(items)]
}

const SEPARATOR = ',\n'
/** The brackets and line ends around findings. */
const FRAME = '[\n\n]\n'.length

const arrayOf = (items: readonly string[]): string => (items.length === 0 ? '[]\n' : `[\n${items.join(SEPARATOR)}\n]\n`)

function wholeBody({ name, body }: { readonly name: string; readonly body: Uint8Array }): string {
  checkSize(name, body)
  return Buffer.from(body).toString()
}

function checkSize(name: string, { length }: Uint8Array): void {
  if (length > MAX_DOCUMENT_BYTES)
    throw new ReportPieceError(
      `"${name}" has ${length} bytes, and at most ${MAX_DOCUMENT_BYTES} are posted; read it from the store or the API`,
    )
}

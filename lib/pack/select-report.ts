/** Finds the report that a pack is made of: sealed, with its documents at hand. */
import type { Objects } from '../store/objects/objects.ts'
import { documentOf, readAmongReports, readReport, type ReportRecord } from '../store/evidence/report-records.ts'
import { documentKey, isReportKey, reportsUpTo } from '../store/report-keys.ts'
import { checkpointKey, headPrefix, indexKey, parseHeadKey, vkeyKey } from '../store/log-keys.ts'
import { openCheckpoint } from '../seal/tlog/checkpoint.ts'
import { NoteError, type Verifier, verifierOf } from '../seal/tlog/note.ts'
import { readEntries } from '../seal/read-entries.ts'
import { judgedWindows, WINDOWS_DOCUMENT } from './completeness.ts'
import type { PackedHead } from './log-files.ts'
import type { NumberedLeaf } from './packed-leaves.ts'

/** No pack can be made. One line that says what to run. */
export class PackError extends Error {
  override readonly name = 'PackError'
}

/** A document of a report: its name, and its bytes. */
export type PackedDocument = { readonly name: string; readonly body: Uint8Array }

/** A report that can be packed. */
export type SelectedReport = {
  readonly key: string
  readonly record: ReportRecord
  readonly documents: readonly PackedDocument[]
}

/** The bytes of a document that is kept elsewhere than in the store; undefined where there is none. */
export type DocumentReader = (name: string) => Promise<Uint8Array | undefined>

/** Which report is wanted: by its key, or the widest and latest one of exactly that period. */
export type ReportSelector = {
  readonly period: Pick<ReportRecord['period'], 'from' | 'to' | 'label'>
  readonly key?: string
  /** How the report of that period is made, as a command line. */
  readonly command: string
}

/** Selects a report. Throws {@link PackError} where there is none that is sealed and whose documents are at hand. */
export async function selectReport(
  { period, key: wanted, command }: ReportSelector,
  head: PackedHead,
  { objects, elsewhere }: { readonly objects: Objects; readonly elsewhere: DocumentReader },
): Promise<SelectedReport> {
  const what = wanted === undefined ? period.label : `"${wanted}"`
  const keys: string[] = []
  if (wanted === undefined) for await (const key of objects.list(reportsUpTo(period.to))) keys.push(key)
  else keys.push(wanted)
  const found: {
    key: string
    record: ReportRecord
    number: number | undefined
    documents: PackedDocument[] | string
  }[] = []
  for (const key of keys.filter(isReportKey)) {
    const record = wanted === undefined ? await readAmongReports(key, objects) : await readReport(key, objects)
    if (record === undefined || record === 'unreadable') continue
    if (wanted === undefined && (record.period.from !== period.from || record.period.to !== period.to)) continue
    const documents = await documentsOf(key, record, { objects, elsewhere })
    found.push({ key, record, documents, number: await sealedNumber(key, head, objects) })
  }
  const [best] = found.toSorted(
    (a, b) =>
      Number(isReady(b)) - Number(isReady(a)) ||
      b.record.clusters.length - a.record.clusters.length ||
      compareKnown(knownTo(b), knownTo(a)) ||
      (b.number ?? -1) - (a.number ?? -1),
  )
  if (best === undefined)
    throw new PackError(`Cannot pack ${what}: there is no report of it, run "${command}" and then "ciphertrail seal"`)
  if (best.number === undefined)
    throw new PackError(`Cannot pack ${what}: its report "${best.key}" is not sealed yet, run "ciphertrail seal"`)
  if (typeof best.documents === 'string')
    throw new PackError(
      `Cannot pack ${what}: document "${best.documents}" of "${best.key}" is not in the store, give the folder that "ciphertrail report" wrote with --documents`,
    )
  return { key: best.key, record: best.record, documents: best.documents }
}

/**
 * What a report knew: how many windows it judged, the size of the log that it prints, how many attempts it read. A later report of a period knows no less. Numbers of
 * leaves do not tell which is later: those of one run of `seal` are in the order of their keys.
 */
function knownTo({
  record,
  documents,
}: {
  readonly record: ReportRecord
  readonly documents: readonly PackedDocument[] | string
}): readonly number[] {
  const body = typeof documents === 'string' ? undefined : documents.find(({ name }) => name === WINDOWS_DOCUMENT)?.body
  const windows = judgedWindows(body)
  const attempts = windows.flatMap(({ evidence }) => evidence.split('; ').filter((key) => key !== ''))
  return [windows.length, record.checkpoint?.size ?? 0, attempts.length]
}

function compareKnown(a: readonly number[], b: readonly number[]): number {
  return a.map((value, at) => value - (b[at] ?? 0)).find((difference) => difference !== 0) ?? 0
}

function isReady({ number, documents }: { number: number | undefined; documents: unknown }): boolean {
  return number !== undefined && typeof documents !== 'string'
}

/** The documents that are what was recorded of them; the name of the first one that is nowhere. */
async function documentsOf(
  key: string,
  { documents }: ReportRecord,
  { objects, elsewhere }: { readonly objects: Objects; readonly elsewhere: DocumentReader },
): Promise<PackedDocument[] | string> {
  const read: PackedDocument[] = []
  for (const { name, sha256 } of documents) {
    const isRecorded = (body: Uint8Array | undefined): body is Uint8Array =>
      body !== undefined && documentOf(name, body).sha256 === sha256
    const stored = (await objects.get(documentKey(key, name)))?.body
    const body = isRecorded(stored) ? stored : await elsewhere(name)
    if (!isRecorded(body)) return name
    read.push({ name, body })
  }
  return read
}

/** The number of a report's leaf where a head covers it. */
async function sealedNumber(key: string, { checkpoint }: PackedHead, objects: Objects): Promise<number | undefined> {
  const stored = await objects.get(indexKey(key))
  const number = stored === undefined ? NaN : Number(Buffer.from(stored.body).toString())
  return number < checkpoint.size ? number : undefined
}

/** The log's key and its present head. Throws {@link PackError} where nothing is sealed, and a `NoteError` for a head that the key did not sign. */
export async function presentHead(
  objects: Objects,
): Promise<{ readonly vkey: string; readonly verifier: Verifier; readonly head: PackedHead }> {
  const [key, note] = await Promise.all([objects.get(vkeyKey), objects.get(checkpointKey)])
  if (key === undefined || note === undefined)
    throw new PackError('Cannot pack a report: nothing in this store is sealed, run "ciphertrail seal"')
  const vkey = Buffer.from(key.body).toString().trimEnd()
  const verifier = verifierOf(vkey)
  return { vkey, verifier, head: { note: note.body, checkpoint: openCheckpoint(note.body, verifier) } }
}

/** The first head that is kept and covers a leaf, so that a pack is the same whenever it is made; the present one where an earlier version kept none. */
export async function firstHeadAfter(
  number: number,
  { verifier, head }: { readonly verifier: Verifier; readonly head: PackedHead },
  objects: Objects,
): Promise<PackedHead> {
  for await (const key of objects.list(headPrefix)) {
    const size = parseHeadKey(key)
    if (size === undefined || size <= number || size > head.checkpoint.size) continue
    const kept = await objects.get(key)
    if (kept === undefined) continue
    try {
      const checkpoint = openCheckpoint(kept.body, verifier)
      if (checkpoint.size === size) return { note: kept.body, checkpoint }
    } catch (error) {
      // Whoever may write objects put it there; a later head proves as much.
      if (!(error instanceof NoteError)) throw error
    }
  }
  return head
}

/** The entries of the log up to a size. Throws `PartError` where some are missing. */
export async function entriesUpTo(size: number, objects: Objects): Promise<Uint8Array[]> {
  const entries: Uint8Array[] = []
  for await (const bundle of readEntries(size, objects)) entries.push(...bundle.entries)
  return entries
}

/** The number of the leaf of an object; undefined where none names it. */
export function numberOf(key: string, leaves: readonly NumberedLeaf[]): number | undefined {
  return leaves.find(({ leaf }) => 'key' in leaf && leaf.key === key)?.number
}

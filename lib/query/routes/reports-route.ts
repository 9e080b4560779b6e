import { concurrently } from '../../concurrently.ts'
import { type PackState, readPackStateIfReadable } from '../../pack/pack-state.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { type ReportRecord, readAmongReports, readDocument, readReport } from '../../store/evidence/report-records.ts'
import { type Grant, maySee } from '../access/access.ts'
import type { ApiAnswer } from '../answer.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { PageParameters } from '../parameters.ts'
import { ProblemError } from '../problem.ts'
import {
  documentsPrefix,
  isReportKey,
  packsPrefix,
  parseDocumentKey,
  parsePackKey,
  reportsPrefix,
} from '../../store/report-keys.ts'

/** How many records are read at once. */
const AT_ONCE = 8

/** A report that was made, with its documents. */
export type ReportItem = Omit<ReportRecord, 'documents'> & {
  /** The end of its period and a digest. */
  readonly id: string
  readonly documents: readonly (ReportRecord['documents'][number] & {
    /** Where it can be read; null where it is not kept in the store, as of a report that somebody made for a folder. */
    readonly href: string | null
  })[]
  /** How it stands with its audit pack; null for whoever may not have that: see {@link mayHavePack}. */
  readonly pack: PackItem | null
}

/** How it stands with the audit pack of a report: `none` where nobody asked for it. What does not apply is null. */
export type PackItem = {
  readonly status: PackState['status']
  /** Since when. */
  readonly at: string | null
  readonly size: number | null
  readonly sha256: string | null
  /** Why it cannot be made, and what to do. */
  readonly problem: string | null
  /** Where it can be downloaded. */
  readonly href: string | null
}

/**
 * Whether somebody may have packs. A pack holds the log, which names every cluster of the store, and all changes of registry, scope and waivers: it is for who
 * may see all clusters.
 */
export function mayHavePack({ clusters }: Grant): boolean {
  return clusters === 'all'
}

/** How it stands with a pack, for programs and pages. */
export function packItem(id: string, state: PackState): PackItem {
  const isMade = state.status === 'made'
  return {
    status: state.status,
    at: state.status === 'none' ? null : state.at,
    size: isMade ? state.size : null,
    sha256: isMade ? state.sha256 : null,
    problem: state.status === 'failed' ? state.problem : null,
    href: isMade ? `/v1/reports/${id}/pack` : null,
  }
}

/** What kinds of documents there are, by the end of their names. */
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  pdf: 'application/pdf',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json',
}

/** The page is one file with its styles and fonts inside. It runs nothing, and must not even where somebody changed it. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox allow-popups"

/**
 * Answers which reports were made, those of the latest periods first. Only those are shown of which every cluster may be seen, also those that they name as
 * removed. `unreadable` has the keys of records that cannot be read: nobody knows of which clusters they are.
 */
export async function answerReports(
  { limit, cursor }: PageParameters,
  grant: Grant,
  { objects, now }: { readonly objects: Objects; readonly now: string },
): Promise<Page<ReportItem> & { readonly unreadable: readonly string[] }> {
  const question = ['reports', grant.clusters]
  checkCursor({ cursor, question })
  const keys: string[] = []
  for await (const key of objects.list(reportsPrefix)) if (isReportKey(key)) keys.push(key)
  const records = await concurrently(keys.toReversed(), AT_ONCE, async (key) => ({
    key,
    record: await readAmongReports(key, objects),
  }))
  const seen = records.flatMap(({ key, record }) =>
    record !== undefined && record !== 'unreadable' && isGranted(record, grant) ? [{ key, record }] : [],
  )
  const page = pageOf(seen, { limit, cursor, question, until: cursor?.u ?? now }, ({ key }) => key)
  const unreadable = records.filter(({ record }) => record === 'unreadable').map(({ key }) => key)
  const packed = await packedReports(grant, objects)
  return {
    ...page,
    unreadable,
    items: await concurrently(page.items, AT_ONCE, async ({ key, record }) => ({
      ...(await itemOf(key, record, objects)),
      pack: await packOf(key, packed, objects),
    })),
  }
}

/** The reports of which there is anything to tell about a pack; null for whoever may have none. One list, since most reports have none. */
async function packedReports(grant: Grant, objects: Objects): Promise<ReadonlySet<string> | null> {
  if (!mayHavePack(grant)) return null
  const packed = new Set<string>()
  for await (const key of objects.list(packsPrefix)) {
    const report = parsePackKey(key)?.report
    if (report !== undefined) packed.add(report)
  }
  return packed
}

async function packOf(key: string, packed: ReadonlySet<string> | null, objects: Objects): Promise<PackItem | null> {
  if (packed === null) return null
  const state = packed.has(key) ? await readPackStateIfReadable(key, objects) : { status: 'none' as const }
  return state === undefined ? null : packItem(idOf(key), state)
}

/** The id of a report, by its key. */
function idOf(key: string): string {
  return key.slice(reportsPrefix.length, -'.json'.length)
}

/** Answers what is recorded of one report. Throws a `ProblemError` where there is none, or none that may be seen: no difference is made. */
export async function answerReport(id: string, grant: Grant, objects: Objects): Promise<ReportItem> {
  const { key, record } = await grantedReport(id, grant, objects)
  const state = mayHavePack(grant) ? await readPackStateIfReadable(key, objects) : undefined
  const pack = state === undefined ? null : packItem(id, state)
  return { ...(await itemOf(key, record, objects)), pack }
}

/** Documents with a short name, by it. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  html: 'report.html',
  pdf: 'report.pdf',
  oscal: 'oscal.json',
  ocsf: 'ocsf.json',
}

/** The full name of a document: `pdf` is the report's own. */
function documentName(asked: string): string {
  return Object.hasOwn(SHORT_NAMES, asked) ? (SHORT_NAMES[asked] ?? asked) : asked
}

/** The media type of a document by its name; undefined where we make none such. */
export function documentType(asked: string): string | undefined {
  const name = documentName(asked)
  const end = name.slice(name.lastIndexOf('.') + 1)
  return Object.hasOwn(TYPES, end) ? TYPES[end] : undefined
}

/**
 * Answers a document of a report. Throws a `ProblemError` where there is none that may be seen, and where its bytes are not those that
 * were recorded when it was made.
 */
export async function answerDocument(id: string, asked: string, grant: Grant, objects: Objects): Promise<ApiAnswer> {
  const { key, record } = await grantedReport(id, grant, objects)
  const name = documentName(asked)
  const type = documentType(asked)
  if (type === undefined || !record.documents.some((document) => document.name === name))
    throw new ProblemError('not-found', 'Cannot find this document: the report has none of that name')
  const read = await readDocument({ key, record }, name, objects)
  if (read === 'absent')
    throw new ProblemError(
      'not-found',
      'Cannot find this document: it is not kept in the store, only what was recorded of it',
    )
  if (read === 'changed')
    throw new ProblemError(
      'unreadable',
      'Cannot show this document: it is not the one that was recorded when it was made',
    )
  const isShown = type === TYPES['html'] || type === TYPES['pdf']
  return {
    type,
    body: read.body,
    stored: read,
    headers: {
      'content-disposition': `${isShown ? 'inline' : 'attachment'}; filename="ciphertrail-${id}-${name}"`,
      ...(type === TYPES['html'] ? { 'content-security-policy': PAGE_POLICY } : {}),
    },
  }
}

/** The record of a report that may be seen. Throws a `ProblemError` where there is none such. */
export async function grantedReport(
  id: string,
  grant: Grant,
  objects: Objects,
): Promise<{ readonly key: string; readonly record: ReportRecord }> {
  const key = `${reportsPrefix}${id}.json`
  const record = isReportKey(key) ? await readReport(key, objects) : undefined
  if (record === undefined || !isGranted(record, grant))
    throw new ProblemError('not-found', 'Cannot find this report: there is none of that id that may be seen here')
  return { key, record }
}

/** A report without clusters, or that tells of more than are granted, may tell what must not be seen. */
function isGranted({ clusters, removed = [] }: ReportRecord, grant: Grant): boolean {
  return grant.clusters === 'all' || (clusters.length > 0 && [...clusters, ...removed].every((id) => maySee(grant, id)))
}

async function itemOf(key: string, record: ReportRecord, objects: Objects): Promise<Omit<ReportItem, 'pack'>> {
  const id = idOf(key)
  const kept = new Set<string>()
  for await (const one of objects.list(`${documentsPrefix}${id}/`)) {
    const document = parseDocumentKey(one)
    if (document !== undefined) kept.add(document.name)
  }
  const documents = record.documents.map((document) => ({
    ...document,
    href: kept.has(document.name) ? `/v1/reports/${id}/${document.name}` : null,
  }))
  return { id, ...record, documents }
}

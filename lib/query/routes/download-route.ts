/**
 * The page behind the link in a mail by which a report is downloaded without login, and the bytes behind its button. Programs that follow links change
 * nothing and get nothing; who presses the button is written down before anything is given.
 */
import {
  type Download,
  type DownloadEnd,
  downloadIdOf,
  fetchDownload,
  readDownload,
  readEnd,
  useDownload,
} from '../../deliver/link/downloads.ts'
import { downloadTicket, readTicket, TICKET_MS } from '../../deliver/link/download-tickets.ts'
import { readLinkKey } from '../../deliver/link/link-key.ts'
import { datesOf } from '../../time/dates.ts'
import { byteWords } from '../../report/words/vocabulary.ts'
import { type LinkRequest, StoreError } from '../../store/objects/objects.ts'
import {
  PDF,
  type ReadDocument,
  type ReportRecord,
  pdfFileName,
  readDocument,
  readReport,
} from '../../store/evidence/report-records.ts'
import { SECURITY_HEADERS } from '../answer.ts'
import { FORM_HEADERS, formResponse } from './form-page.ts'
import { type HandOverDeps, storeAddress } from '../large.ts'
import { ProblemError } from '../problem.ts'
import { linksKey } from '../../store/delivery-keys.ts'

/** The answer, and the link that it is about: null for one that is none of ours. */
export type DownloadAnswer = { readonly response: Response; readonly download: Download | null }

/** What downloads are answered with. */
export type DownloadDeps = HandOverDeps & { readonly now: () => Date }

/**
 * Answers `/d/{token}`. GET shows a page with one button; POST writes down that it was pressed, and answers 303 to an address where the bytes are for a
 * minute: ours, or the store's for more than can be handed over. One that we did not make is answered like a page that is not there; one that we made and that has ended says so to whoever has it.
 */
export async function answerDownload(request: Request, token: string, deps: DownloadDeps): Promise<DownloadAnswer> {
  const { objects, now } = deps
  const id = downloadIdOf(token)
  const download = id === undefined ? undefined : await readDownload(id, objects)
  if (download === undefined) return { response: await nowhere(), download: null }
  const isReading = request.method === 'GET' || request.method === 'HEAD'
  if (!isReading && request.method !== 'POST')
    return { response: await notSo('This page is read, or its button is pressed', 'GET, HEAD, POST'), download }
  const opened = await open(download, deps)
  if ('end' in opened) return { response: await ended(download, opened.end, opened.timeZone), download }
  const { period } = opened.record
  const way = await wayOf(opened, 'GET', deps)
  if (way.by === 'nobody') return { response: await tooLarge(opened, way.largestBody), download }
  if (isReading)
    return {
      response: await formResponse(
        200,
        `Download the report of ${period.label.replace(/^W/, 'w')} (${period.timeZone})?`,
        [
          `A PDF of ${byteWords(opened.document.body.length)}, about every cluster.`,
          `This link works until ${fullDate(download, opened.timeZone)}. Whoever has it can download the report; each download is written down with whose link it was.`,
        ],
        'Download',
        way.by === 'us' ? {} : { 'content-security-policy': policyTowards(way.address) },
      ),
      download,
    }
  const key = await readLinkKey(objects)
  if (key === undefined)
    throw new StoreError(
      `Cannot give a report: "${linksKey}" is missing, put back a copy of it, or wait for the next mail`,
    )
  const used = await useDownload(download.id, now(), objects)
  if (used === undefined) return { response: await ended(download, null, opened.timeZone), download }
  // Ours is relative, since the pages may lie behind a path of somebody else's server.
  const location = way.by === 'store' ? way.address : `${downloadTicket(used.id, now(), key)}/${PDF}`
  return { response: seeOther(location), download: used }
}

/** Answers `/d/{ticket}/report.pdf` with the bytes, for a minute after the button was pressed, unless the link has ended since; each time is written down first. */
export async function answerDownloadBytes(
  request: Request,
  { ticket, name }: { readonly ticket: string; readonly name: string },
  deps: DownloadDeps,
): Promise<DownloadAnswer> {
  const { objects, now } = deps
  const key = await readLinkKey(objects)
  const id = key === undefined || name !== PDF ? undefined : readTicket(ticket, now(), key)
  const download = id === undefined ? undefined : await readDownload(id, objects)
  // Whoever has the key of the links could make a ticket that nobody pressed a button for.
  if (download === undefined || !wasJustUsed(download, now())) return { response: await nowhere(), download: null }
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return { response: await notSo('This is only read', 'GET, HEAD'), download }
  const opened = await open(download, deps)
  if ('end' in opened) return { response: await ended(download, opened.end, opened.timeZone), download }
  const way = await wayOf(opened, request.method === 'HEAD' ? 'HEAD' : 'GET', deps)
  if (way.by === 'nobody') return { response: await tooLarge(opened, way.largestBody), download }
  const counted = await fetchDownload(download.id, now(), objects)
  if (counted === undefined) return { response: await ended(download, null, opened.timeZone), download }
  if (way.by === 'store') return { response: seeOther(way.address), download: counted }
  return {
    response: new Response(opened.document.body, {
      headers: {
        ...FORM_HEADERS,
        'content-security-policy': `${SECURITY_HEADERS['content-security-policy']}; sandbox`,
        'content-disposition': dispositionOf(opened),
        'content-type': TYPE,
      },
    }),
    download: counted,
  }
}

/** Whether its button was pressed within the life of a ticket, as is written down: times there are whole seconds. */
function wasJustUsed({ usedAt }: Download, now: Date): boolean {
  return usedAt !== null && Math.abs(now.getTime() - Date.parse(usedAt)) < TICKET_MS + 1000
}

const TYPE = 'application/pdf'

type OpenedReport = { readonly record: ReportRecord; readonly document: ReadDocument }

/** Of a link that works: its report. Of one that does not: why; null where the report is not kept any more. */
type Opened = { readonly timeZone: string } & (OpenedReport | { readonly end: DownloadEnd | null })

const dispositionOf = ({ record }: OpenedReport): string => `attachment; filename="${pdfFileName(record.period)}"`

/** Who hands the report over: nobody, where it is too large for us and the store gives no address. */
type Way =
  | { readonly by: 'us' }
  | { readonly by: 'store'; readonly address: string }
  | { readonly by: 'nobody'; readonly largestBody: number }

async function wayOf(opened: OpenedReport, method: LinkRequest['method'], deps: DownloadDeps): Promise<Way> {
  const { document } = opened
  const { largestBody = Infinity } = deps
  if (document.body.length <= largestBody) return { by: 'us' }
  const address = await storeAddress(document, { method, type: TYPE, disposition: dispositionOf(opened) }, deps)
  return address === null ? { by: 'nobody', largestBody } : { by: 'store', address }
}

/** Browsers hold the button to its policy also where its answer leads elsewhere. */
function policyTowards(address: string): string {
  const { origin } = new URL(address)
  return FORM_HEADERS['content-security-policy'].replace("form-action 'self'", `form-action 'self' ${origin}`)
}

function seeOther(location: string): Response {
  return new Response(null, { status: 303, headers: { ...FORM_HEADERS, location } })
}

async function open(download: Download, { objects, now }: DownloadDeps): Promise<Opened> {
  const { end, timeZone } = await readEnd(download, now(), objects)
  if (end !== null) return { timeZone, end }
  const record = await readReport(download.report, objects)
  const document = record === undefined ? 'absent' : await readDocument({ key: download.report, record }, PDF, objects)
  if (record === undefined || document === 'absent') return { timeZone, end: null }
  if (document === 'changed')
    throw new ProblemError('unreadable', 'Cannot show the report: it is not the one that was recorded when it was made')
  return { timeZone, record, document }
}

/** A text for all that we did not make, so that nobody learns from it what there is. */
function nowhere(): Promise<Response> {
  return formResponse(
    404,
    'This link leads nowhere',
    [
      'It is not one from a mail, it was not copied whole, it ended months ago, or it is the address of a download that was over: open the link in the mail again.',
    ],
    null,
  )
}

function notSo(title: string, allow: string): Promise<Response> {
  return formResponse(405, title, [], null, { allow })
}

/** Said before the button, so that nobody presses it for nothing. */
function tooLarge({ record, document }: OpenedReport, largestBody: number): Promise<Response> {
  return formResponse(
    503,
    `The report of ${record.period.label.replace(/^W/, 'w')} is too large to be downloaded here`,
    [
      `Its PDF has ${byteWords(document.body.length)}, and ${byteWords(largestBody)} can be handed over here. Whoever runs ciphertrail where you work can send it to you.`,
    ],
    null,
  )
}

/** Only that it expired is told, since the mail says so, too; who left or was taken out is nobody's business. */
function ended(download: Download, end: DownloadEnd | null, timeZone: string): Promise<Response> {
  return formResponse(
    410,
    'This link does not work any more',
    [
      end === 'expired'
        ? `It worked until ${fullDate(download, timeZone)}. Later mails have a link of their own.`
        : 'It was ended, or the report is not kept any more. Whoever runs ciphertrail where you work can tell.',
    ],
    null,
  )
}

function fullDate({ madeAt, expiresAt }: Download, timeZone: string): string {
  return `${datesOf({ from: madeAt, to: expiresAt, timeZone }).full(expiresAt)} (${timeZone})`
}

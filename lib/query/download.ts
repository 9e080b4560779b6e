/**
 * The page behind the link in a mail by which a report is downloaded without login, and the bytes behind its button. Programs that follow links change
 * nothing and get nothing; who presses the button is written down before anything is given.
 */
import {
  type Download,
  type DownloadEnd,
  downloadIdOf,
  readDownload,
  readEnd,
  useDownload,
} from '../deliver/downloads.ts'
import { downloadTicket, readLinkKey, readTicket } from '../deliver/links.ts'
import { datesOf } from '../report/dates.ts'
import { byteWords } from '../report/words.ts'
import { type Objects, StoreError } from '../store/objects.ts'
import { linksKey } from '../store/keys.ts'
import { PDF, type ReportRecord, pdfFileName, readDocument, readReport } from '../store/reports.ts'
import { SECURITY_HEADERS } from './answer.ts'
import { PAGE_HEADERS, pageResponse } from './form-page.ts'
import { ProblemError } from './problem.ts'

/** The answer, and the link that it is about: null for one that is none of ours. */
export type DownloadAnswer = { readonly response: Response; readonly download: Download | null }

export type DownloadDeps = {
  readonly objects: Objects
  readonly now: () => Date
  /** The most bytes that whoever serves this can hand over; absent: any number. */
  readonly largestBody?: number
}

/**
 * Answers `/d/{token}`. GET shows a page with one button; POST writes down that it was pressed, and answers 303 to an address where the bytes are for a
 * minute. One that we did not make is answered like a page that is not there; one that we made and that has ended says so to whoever has it.
 */
export async function answerDownload(request: Request, token: string, deps: DownloadDeps): Promise<DownloadAnswer> {
  const { objects, now, largestBody = Infinity } = deps
  const id = downloadIdOf(token)
  const download = id === undefined ? undefined : await readDownload(id, objects)
  if (download === undefined) return { response: nowhere(), download: null }
  const isReading = request.method === 'GET' || request.method === 'HEAD'
  if (!isReading && request.method !== 'POST')
    return { response: notSo('This page is read, or its button is pressed', 'GET, HEAD, POST'), download }
  const opened = await open(download, deps)
  if ('end' in opened) return { response: ended(download, opened.end, opened.timeZone), download }
  const { period } = opened.record
  if (opened.body.length > largestBody)
    return { response: tooLarge(period.label, opened.body.length, largestBody), download }
  if (isReading)
    return {
      response: pageResponse(
        200,
        `Download the report of ${period.label.replace(/^W/, 'w')} (${period.timeZone})?`,
        [
          `A PDF of ${byteWords(opened.body.length)}, about every cluster.`,
          `This link works until ${fullDate(download, opened.timeZone)}. Whoever has it can download the report; each download is written down with whose link it was.`,
        ],
        'Download',
      ),
      download,
    }
  const key = await readLinkKey(objects)
  if (key === undefined)
    throw new StoreError(
      `Cannot give a report: "${linksKey}" is missing, put back a copy of it, or wait for the next mail`,
    )
  const used = await useDownload(download.id, now(), objects)
  if (used === undefined) return { response: ended(download, null, opened.timeZone), download }
  // Relative, since the pages may lie behind a path of somebody else's server.
  const location = `${downloadTicket(used.id, now(), key)}/${PDF}`
  return { response: new Response(null, { status: 303, headers: { ...PAGE_HEADERS, location } }), download: used }
}

/** Answers `/d/{ticket}/report.pdf` with the bytes, for a minute after the button was pressed, unless the link has ended since. */
export async function answerDownloadBytes(
  request: Request,
  { ticket, name }: { readonly ticket: string; readonly name: string },
  deps: DownloadDeps,
): Promise<DownloadAnswer> {
  const { objects, now } = deps
  const key = await readLinkKey(objects)
  const id = key === undefined || name !== PDF ? undefined : readTicket(ticket, now(), key)
  const download = id === undefined ? undefined : await readDownload(id, objects)
  if (download === undefined) return { response: nowhere(), download: null }
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return { response: notSo('This is only read', 'GET, HEAD'), download }
  const opened = await open(download, deps)
  if ('end' in opened) return { response: ended(download, opened.end, opened.timeZone), download }
  return {
    response: new Response(opened.body, {
      headers: {
        ...PAGE_HEADERS,
        'content-security-policy': `${SECURITY_HEADERS['content-security-policy']}; sandbox`,
        'content-disposition': `attachment; filename="${pdfFileName(opened.record.period)}"`,
        'content-type': 'application/pdf',
      },
    }),
    download,
  }
}

/** Of a link that works: its report. Of one that does not: why; null where the report is not kept any more. */
type Opened = { readonly timeZone: string } & (
  | { readonly record: ReportRecord; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly end: DownloadEnd | null }
)

async function open(download: Download, { objects, now }: DownloadDeps): Promise<Opened> {
  const { end, timeZone } = await readEnd(download, now(), objects)
  if (end !== null) return { timeZone, end }
  const record = await readReport(download.report, objects)
  const body = record === undefined ? 'absent' : await readDocument({ key: download.report, record }, PDF, objects)
  if (record === undefined || body === 'absent') return { timeZone, end: null }
  if (body === 'changed')
    throw new ProblemError('unreadable', 'Cannot show the report: it is not the one that was recorded when it was made')
  return { timeZone, record, body }
}

/** A text for all that we did not make, so that nobody learns from it what there is. */
function nowhere(): Response {
  return pageResponse(
    404,
    'This link leads nowhere',
    [
      'It is not one from a mail, it was not copied whole, or it is the address of a download that was over: open the link in the mail again.',
    ],
    null,
  )
}

function notSo(title: string, allow: string): Response {
  return pageResponse(405, title, [], null, { allow })
}

/** Said before the button, so that nobody presses it for nothing. */
function tooLarge(label: string, bytes: number, most: number): Response {
  return pageResponse(
    503,
    `The report of ${label.replace(/^W/, 'w')} is too large to be downloaded here`,
    [
      `Its PDF has ${byteWords(bytes)}, and ${byteWords(most)} can be handed over here. Whoever runs ciphertrail where you work can send it to you.`,
    ],
    null,
  )
}

/** Only that it expired is told, since the mail says so, too; who left or was taken out is nobody's business. */
function ended(download: Download, end: DownloadEnd | null, timeZone: string): Response {
  return pageResponse(
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

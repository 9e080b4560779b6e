/** The report that goes with a channel's weekly mail. */
import type { Channel } from '../../deliver/channel/channel.ts'
import { givesReport, isOfEverything } from '../../deliver/channel/channel.ts'
import { DOWNLOAD_SECONDS, type Download } from '../../deliver/link/downloads.ts'
import type { Attachment } from '../../deliver/send/mime-message.ts'
import { type ReportOffer, hasAttachment, hasLink } from '../../deliver/mail/report-offer.ts'
import { toTime } from '../../time/windows.ts'
import type { Objects } from '../../store/objects/objects.ts'
import {
  PDF,
  type ReportRecord,
  findWeekReport,
  pdfFileName,
  readDocument,
} from '../../store/evidence/report-records.ts'

/** The offer of the report, and its delivery. */
export type MailReport = {
  /** Null if the report is not sent with mails of the channel. */
  readonly offer: ReportOffer | null
  /** The target of each recipient's link, and its expiry; null: none. */
  readonly download: Pick<Download, 'report' | 'expiresAt'> | null
  readonly attachments: readonly Attachment[]
}

/** Reads the stored report of a week, if the channel wants it. Throws `StoreError` if the store cannot be read. */
export async function readMailReport(
  {
    channel,
    period,
    now,
    hasPages,
  }: {
    readonly channel: Channel
    readonly period: ReportRecord['period']
    readonly now: Date
    /** Whether the URL of the pages is known. */
    readonly hasPages: boolean
  },
  objects: Objects,
): Promise<MailReport> {
  // Records of an earlier version, or made by hand, may not have been validated.
  if (!givesReport(channel) || !isOfEverything(channel)) return { offer: null, download: null, attachments: [] }
  const expiresAt = toTime(Math.floor(now.getTime() / 1000) + DOWNLOAD_SECONDS)
  const found = await findWeekReport(period, objects)
  const read = found === undefined ? 'absent' : await readDocument(found, PDF, objects)
  const report =
    found === undefined || typeof read === 'string'
      ? 'absent'
      : { period: found.record.period, bytes: read.body.length }
  const offer = {
    report: read === 'changed' ? 'changed' : report,
    linkUntil: channel.downloadsSince === null ? null : expiresAt,
    hasPages,
    isAttached: channel.attachesPdf,
  } as const
  return {
    offer,
    download: found !== undefined && hasLink(offer) ? { report: found.key, expiresAt } : null,
    attachments:
      typeof read !== 'string' && hasAttachment(offer)
        ? [{ name: pdfFileName(period), type: 'application/pdf', body: read.body }]
        : [],
  }
}

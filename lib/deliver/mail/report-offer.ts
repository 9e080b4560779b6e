/** How the report of the week itself leaves with a mail, in words. Pure. */
import { type Dates, datesOf } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { byteWords } from '../../report/words/vocabulary.ts'

/** What there is to give of the report. */
export type ReportOffer = {
  /** `absent`: none of that week is kept yet. `changed`: its file is not the one that was recorded when it was made. */
  readonly report:
    | 'absent'
    | 'changed'
    | {
        /** In whose weeks it is made, which may not be those of the channel. */
        readonly period: { readonly from: string; readonly to: string; readonly timeZone: string }
        /** Of its PDF. */
        readonly bytes: number
      }
  /** Until when a link works, RFC 3339; null where the channel has none. */
  readonly linkUntil: string | null
  /** False where nobody said where the pages are reached: then no link can lead to them. */
  readonly hasPages: boolean
  /** Whether the channel wants it attached. */
  readonly isAttached: boolean
}

/** Servers of mail refuse messages of about 10 MB, and an attachment grows by a third on its way. */
const MAX_ATTACHED = 5_000_000

/** Whether there is a report to which a link can be made. */
export function hasLink({ report, linkUntil, hasPages }: ReportOffer): boolean {
  return typeof report !== 'string' && linkUntil !== null && hasPages
}

/** Whether the PDF is attached. */
export function hasAttachment({ report, isAttached }: ReportOffer): boolean {
  return isAttached && typeof report !== 'string' && report.bytes <= MAX_ATTACHED
}

/**
 * What a mail says of the report, in sentences, also of what the channel wants and does not get.
 *
 * @param dates those of the mail, in its time zone
 */
export function reportLines(offer: ReportOffer, timeZone: string, dates: Dates): readonly string[] {
  const { report, linkUntil, hasPages, isAttached } = offer
  const wanted = [...(linkUntil === null ? [] : ['a link to it']), ...(isAttached ? ['an attachment of it'] : [])]
  if (report === 'absent')
    return [`The report of this week is not kept yet, so this mail is without ${wanted.join(' and without ')}.`]
  if (report === 'changed')
    return [
      `The kept report of this week is not the one that was recorded when it was made, so this mail is without ${wanted.join(' and without ')}; whoever runs ciphertrail must know (ciphertrail log check).`,
    ]
  const { period, bytes } = report
  return [
    ...(linkUntil === null
      ? []
      : hasPages
        ? [
            `The link to download needs no login and works until ${dates.full(linkUntil)}. Whoever has this mail has it, too: do not forward it. Each download is written down as yours.`,
          ]
        : ['There is no link to the report, since whoever runs ciphertrail did not say where its pages are (--url).']),
    ...(isAttached
      ? [
          hasAttachment(offer)
            ? `The report is attached as a PDF of ${byteWords(bytes)}.`
            : `The report is not attached: its PDF of ${byteWords(bytes)} is more than the ${byteWords(MAX_ATTACHED)} that servers of mail are sure to take.`,
        ]
      : []),
    ...(period.timeZone === timeZone
      ? []
      : [
          `The report is of the same week in ${printable(period.timeZone)}, where it was ${datesOf(period).range(period.from, period.to)}; its numbers may differ from those of this mail.`,
        ]),
  ]
}

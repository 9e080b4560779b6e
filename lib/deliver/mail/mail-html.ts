/** The part of a mail in HTML: tables and inline style, since that is what programs that show mail have in common; no image, no script. */
import { pageTemplate } from '../../report/page-template.ts'
import type { MailView } from './view-parts.ts'

const place = pageTemplate(new URL('templates/mail.hbs', import.meta.url))

/** By what actions are ordered, in words. */
export const ACTION_ORDER = 'In scope, worst state, most bytes, oldest first.'

/**
 * Renders a view; everything in it is escaped.
 *
 * @param unsubscribe absolute address of the page that takes the recipient off the channel; null where there is none
 * @param download absolute address of the page by which the recipient downloads the report; null where there is none
 */
export function mailHtml(view: MailView, unsubscribe: string | null, download: string | null): string {
  return place({ view, unsubscribe, download, actionOrder: ACTION_ORDER })
}

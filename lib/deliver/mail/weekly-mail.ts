/** The content of a weekly mail, small enough for every program that shows mail. Pure. */
import { fittingView } from './fitting-view.ts'
import { mailHtml } from './mail-html.ts'
import { mailText } from './mail-text.ts'
import { mailView } from './mail-view.ts'
import type { MailInput } from './mail-input.ts'
import type { MailView } from './view-parts.ts'

/** What is said to every recipient of a channel. */
export type MailContent = {
  readonly view: MailView
  /** With the recipient's own links, to unsubscribe and to download the report; null for none. */
  readonly text: (unsubscribe: string | null, download: string | null) => string
  readonly html: (unsubscribe: string | null, download: string | null) => string
}

/** How many entries a list shows at most; the first that fits. */
const STEPS = [5, 3, 2, 1] as const

/** With the longest links; a page of usual names has a third of it. */
const MAX_BYTES = 30_000

/** Makes a mail of less than 30 KB: lists show their first entries, and count the others. */
export function mailContent(input: MailInput): MailContent {
  const view = fittingView(
    STEPS,
    (most) => mailView(input, most),
    (tried, link) => mailHtml(tried, link, link),
    MAX_BYTES,
  )
  return {
    view,
    text: (unsubscribe, download) => mailText(view, unsubscribe, download),
    html: (unsubscribe, download) => mailHtml(view, unsubscribe, download),
  }
}

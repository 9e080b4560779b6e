/** The content of a weekly mail, small enough for every program that shows mail. Pure. */
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

/** Gmail cuts a page of more than 102 KB, and with its end the way to unsubscribe (facts of mail programs, measured by many senders). */
const MAX_BYTES = 80_000

/** How many entries a list shows; the first that fits. With none at all the counts are left, and where the rest stands. */
const STEPS = [20, 15, 10, 7, 5, 3, 2, 1, 0] as const

/** Longer links are none that we make. */
const MAX_LINK_LENGTH = 'https://'.padEnd(2000, 'x')

/** Makes a mail of less than 80 KB: lists are cut where they are too long, and say so. */
export function mailContent(input: MailInput): MailContent {
  let view = mailView(input, STEPS[0])
  for (const most of STEPS) {
    view = mailView(input, most)
    if (Buffer.byteLength(mailHtml(view, MAX_LINK_LENGTH, MAX_LINK_LENGTH)) < MAX_BYTES) break
  }
  return {
    view,
    text: (unsubscribe, download) => mailText(view, unsubscribe, download),
    html: (unsubscribe, download) => mailHtml(view, unsubscribe, download),
  }
}

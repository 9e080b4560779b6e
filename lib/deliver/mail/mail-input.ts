import type { Summary } from '../../report/summary/summary.ts'
import type { Channel } from '../channel/channel.ts'
import type { EmptyCluster } from './part.ts'
import type { SuppressedCounts } from '../channel/suppressions.ts'
import type { ReportOffer } from './report-offer.ts'

/** What a mail is made from. */
export type MailInput = {
  readonly summary: Summary
  readonly channel: Channel
  /** Ids of clusters that the channel names and that are not registered, in text order. */
  readonly unregistered: readonly string[]
  readonly empty: readonly EmptyCluster[]
  /** How many recipients of the channel get no mail any more. */
  readonly suppressed: SuppressedCounts
  /** What expires soon or is late when the mail is made; in printable lines. */
  readonly beside: {
    /** How many there are of each kind; empty for none. */
    readonly words: string
    readonly conditions: readonly { readonly line: string }[]
    /** Ids of clusters of which it is not known whether certificates or trust anchors are about to end. */
    readonly untold: readonly string[]
    /** RFC 3339. */
    readonly at: string
  }
  readonly links: MailLinks
  /** Null where the report does not leave with mails of the channel. */
  readonly report: ReportOffer | null
}

/** Absolute addresses; null where there is no page that could be named. */
export type MailLinks = {
  /** Where the report of the week is looked at. */
  readonly page: string | null
}

import type { NameView } from '../../report/table-cells.ts'

/** What to do, in two lines. */
export type MailAction = {
  /** `Add statefulset/inventory in warehouse to the mesh` */
  readonly title: string
  /** How many paths it ends, who answers for it, since when and how much went in the clear. */
  readonly facts: string
}

/** A path in the list of a mail. */
export type MailFinding = {
  readonly shape: string
  readonly state: string
  readonly fill: string
  readonly source: NameView
  readonly destination: NameView
  /** What became of it, since when, where and by whom accepted. */
  readonly words: string
}

/** Lines or entries under a title. */
export type MailList<T> = {
  readonly title: string
  /** The first of them. */
  readonly items: readonly T[]
  /** How many are not shown, and where they are; empty if all are shown. */
  readonly more: string
}

/** All words of a weekly mail, in their order. */
export type MailView = {
  readonly language: string
  readonly subject: string
  /** The period and what the channel is about; then whether it is a replay. */
  readonly about: readonly string[]
  /** What must be known before the verdict is believed, the worst first. */
  readonly warnings: readonly string[]
  /** The verdict in a sentence. */
  readonly verdict: string
  /** What stands beside the verdict: other paths, how much was monitored, and blind spots. */
  readonly notes: readonly string[]
  /** Null if nothing is to be done. */
  readonly actions: MailList<MailAction> | null
  /** What expires soon, or is late; null for nothing. */
  readonly soon: MailList<string> | null
  /** Null if no path was unencrypted. */
  readonly findings: MailList<MailFinding> | null
  /** Coverage and trend, a line each. */
  readonly numbers: readonly { readonly title: string; readonly text: string }[]
  readonly page: string | null
  /** Of the report that is linked or attached, or why it is not; empty where the channel wants neither. */
  readonly report: readonly string[]
  /** How to read the mail, why it comes, and the command for the report if there is no page. */
  readonly footer: readonly string[]
}

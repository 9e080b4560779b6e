import type { NameView } from '../../report/table-cells.ts'

/** A path in a list of a mail. */
export type MailEntryView = {
  readonly shape: string
  readonly state: string
  readonly fill: string
  readonly source: NameView
  readonly destination: NameView
  /** Sentences: where, since when, why, by whom accepted. */
  readonly lines: readonly string[]
  /** What would fix it, to be pasted; empty where that is not told. */
  readonly fix: readonly string[]
}

/** What else is so, in a sentence. */
export type FactView = {
  readonly line: string
  /** What would mend it, in lines. */
  readonly details: readonly string[]
}

/** A part of a mail under one title. */
export type MailSection = {
  readonly id: string
  readonly title: string
  readonly entries: readonly MailEntryView[]
  /** What is of no path. */
  readonly facts: readonly FactView[]
  /** Says that the list is cut, how many there are and where the rest stands; empty where it is whole. */
  readonly more: string
}

/** A table of numbers; the first cell heads its row. */
export type MailTable = {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly {
    readonly head: string
    readonly cells: readonly {
      readonly text: string
      /** Percent of the widest bar of the table; null for no bar. */ readonly bar: number | null
    }[]
  }[]
  readonly more: string
}

/** All words of a weekly mail, in their order. */
export type MailView = {
  readonly language: string
  readonly subject: string
  readonly title: string
  /** What the channel is about, in a sentence. */
  readonly about: string
  /** What must be known before the verdict is believed, the worst first. */
  readonly warnings: readonly string[]
  readonly verdict: string
  readonly notes: readonly string[]
  readonly coverage: MailTable
  readonly sections: readonly MailSection[]
  readonly waivers: readonly string[]
  readonly trend: MailTable
  readonly page: string | null
  /** Of the report that is linked or attached, or why it is not; empty where the channel wants neither. */
  readonly report: readonly string[]
  /** Where the whole stands, where there is no page. */
  readonly footer: readonly string[]
}

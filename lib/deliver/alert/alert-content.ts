/** Alerts as text: for mail, webhooks and topics. */
import { datesOf } from '../../time/dates.ts'
import { cutLine, printable } from '../../text/printable.ts'
import { pageTemplate } from '../../report/page-template.ts'
import { countWords } from '../../report/words/vocabulary.ts'
import type { ConditionEnding } from './endings.ts'
import type { Notice } from './due-alerts.ts'
import type { Channel } from '../channel/channel.ts'
import { fittingView } from '../mail/fitting-view.ts'
import type { Condition } from './condition-kinds.ts'
import { countWordsOf } from './condition-kinds.ts'

const place = pageTemplate(new URL('templates/alert.hbs', import.meta.url))

/** The content of an alert, the same in every form, with control characters escaped. */
export type AlertView = {
  readonly language: string
  readonly subject: string
  /** Channel, time of the decision, and time zone of the alert's times. */
  readonly about: string
  readonly sections: readonly {
    readonly title: string
    readonly entries: readonly {
      readonly line: string
      readonly notes: readonly string[]
      /** The fix: a sentence, then lines that can be pasted. */
      readonly fix: readonly string[]
    }[]
    /** Number of entries that are not shown; empty if all are. */
    readonly more: string
  }[]
  /** URL of the pages; null: none. */
  readonly page: string | null
  readonly footer: readonly string[]
}

/** The parts of an alert that are sent. */
export type AlertContent = {
  readonly view: AlertView
  readonly subject: string
  /** With the recipient's own link to unsubscribe; null for none. */
  readonly text: (unsubscribe: string | null) => string
  readonly html: (unsubscribe: string | null) => string
  /** As JSON, for programs. */
  readonly json: string
}

/** Numbers of shown entries of a list; the first with which the page fits is used. */
const STEPS = [50, 25, 12, 6, 3, 1] as const

const MAX_SUBJECT_LENGTH = 180

/** Limit of each list: SNS accepts 256 KB in all. */
const MAX_JSON_BYTES = 100_000

/** Endings, weakest evidence first, so that truncation never leaves good news alone: only the last group is good news. */
const ENDED_GROUPS: readonly {
  readonly title: string
  readonly word: string
  readonly endings: readonly ConditionEnding[]
}[] = [
  { title: 'No longer watched, current state unknown', word: 'no longer watched', endings: ['not-watched'] },
  { title: 'No longer seen, not known to be fixed', word: 'no longer seen', endings: ['gone', 'quiet'] },
  { title: 'Not encrypted, and accepted by a waiver', word: 'accepted', endings: ['waived'] },
  { title: 'Over', word: 'over', endings: ['fixed', 'refused', 'over'] },
]

/** Renders a notice. */
export function alertContent(notice: Notice, channel: Channel, page: string | null): AlertContent {
  const view = fittingView(STEPS, (most) => alertView(notice, channel, page, most), alertHtml)
  return {
    view,
    subject: view.subject,
    text: (unsubscribe) => alertText(view, unsubscribe),
    html: (unsubscribe) => alertHtml(view, unsubscribe),
    json: alertJson(notice, channel, view.subject),
  }
}

function alertHtml(view: AlertView, unsubscribe: string | null): string {
  return place({ view, unsubscribe })
}

function alertView(notice: Notice, channel: Channel, page: string | null, most: number): AlertView {
  const { began, ended, at } = notice
  const dates = datesOf({ from: at, to: at, timeZone: channel.timeZone })
  const groups = [
    { title: 'Began', conditions: began },
    ...ENDED_GROUPS.map(({ title, endings }) => ({
      title,
      conditions: ended.filter(({ ending }) => endings.includes(ending)),
    })),
  ]
  return {
    language: channel.language,
    subject: subjectOf(notice, channel),
    about: `Alert of channel ${channel.id}, ${dates.full(at)}. Times are in ${dates.zone}.`,
    sections: groups
      .filter(({ conditions }) => conditions.length > 0)
      .map(({ title, conditions }) => ({
        title: `${title} (${countWords(conditions.length)})`,
        entries: conditions.slice(0, most).map(({ line, details }) => {
          const fix = details.findIndex((detail) => detail.startsWith('fix: '))
          return fix < 0
            ? { line, notes: details, fix: [] }
            : { line, notes: details.slice(0, fix), fix: details.slice(fix) }
        }),
        more: conditions.length <= most ? '' : `${countWords(conditions.length - most)} more are not shown here.`,
      })),
    page,
    footer: [
      'Each of these is reported once when it begins and once when it ends. A trust anchor is reported again a week and a day before it expires, and when it expires. What comes back within six hours of its last report is reported after these six hours, if it is still true then. The mail on Monday counts every path.',
      `You are a recipient of channel ${channel.id}, which has alerts. To end them: ciphertrail channel add ${channel.id} --alerts off`,
    ],
  }
}

function alertText({ subject, about, sections, page, footer }: AlertView, unsubscribe: string | null): string {
  const blocks = [
    [subject, about],
    ...sections.map(({ title, entries, more }) => [
      title,
      '-'.repeat(title.length),
      ...entries.flatMap(({ line, notes, fix }) => [
        `- ${line}`,
        ...[...notes, ...fix].map((detail) => `    ${detail}`),
      ]),
      ...(more === '' ? [] : [more]),
    ]),
    ...(page === null ? [] : [['How to see every path, as it is now:', page]]),
    ...footer.map((line) => [line]),
    ...(unsubscribe === null ? [] : [['Unsubscribe from this channel:', unsubscribe]]),
  ]
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function alertJson({ id, at, began, ended }: Notice, channel: Channel, subject: string): string {
  return JSON.stringify({
    format: 'ciphertrail/alert/1',
    id,
    channel: channel.id,
    at,
    subject,
    counts: { began: began.length, ended: ended.length },
    began: fitting(began),
    ended: fitting(ended),
  })
}

/** The first entries that fit into a message. */
function fitting<T extends Condition>(conditions: readonly T[]): readonly T[] {
  let bytes = 0
  const first = conditions.findIndex((condition) => {
    bytes += Buffer.byteLength(JSON.stringify(condition))
    return bytes > MAX_JSON_BYTES
  })
  return first === -1 ? conditions : conditions.slice(0, first)
}

/** `over` counts only observed endings: waived and unwatched conditions are counted as such. */
function subjectOf({ began, ended }: Notice, channel: Channel): string {
  const news = [
    countWordsOf(began),
    ...ENDED_GROUPS.map(({ word, endings }) => {
      const words = countWordsOf(ended.filter(({ ending }) => endings.includes(ending)))
      return words === '' ? '' : `${word}: ${words}`
    }),
  ].filter((words) => words !== '')
  const [cluster, ...others] = new Set([...began, ...ended].map((condition) => condition.cluster))
  const where = cluster === undefined || cluster === null || others.length > 0 ? '' : ` (cluster ${cluster})`
  return cutLine(printable(`[${channel.team ?? channel.id}] ${news.join('; ')}${where}`), MAX_SUBJECT_LENGTH)
}

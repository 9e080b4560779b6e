/** An alert in words: as a mail, as what is posted and published. */
import { readFileSync } from 'node:fs'
import Handlebars from 'handlebars'
import { printable } from '../report/printable.ts'
import { countWords, plural } from '../report/words.ts'
import type { Condition, ConditionKind, Notice } from './alerts.ts'
import type { Channel } from './channel.ts'

const place = Handlebars.create().compile(readFileSync(new URL('templates/alert.hbs', import.meta.url), 'utf8'), {
  strict: true,
  knownHelpersOnly: true,
})

/** What is said of an alert. */
export type AlertContent = {
  readonly subject: string
  readonly text: (unsubscribe: string | null) => string
  readonly html: (unsubscribe: string | null) => string
  /** As JSON, for programs. */
  readonly json: string
}

const MOST_LINES = 50
const LONGEST_SUBJECT = 180

const KIND_WORDS: Readonly<Record<ConditionKind, readonly [one: string, several: string]>> = {
  path: ['path not encrypted', 'paths not encrypted'],
  coverage: ['cluster not observed', 'clusters not observed'],
  certificate: ['certificate not renewed', 'certificates not renewed'],
  'trust-anchor': ['trust anchor about to end', 'trust anchors about to end'],
  seal: ['seal behind', 'seals behind'],
  unreadable: ['history unreadable', 'histories unreadable'],
}

/** Words a notice. */
export function alertContent(notice: Notice, channel: Channel, page: string | null): AlertContent {
  const { began, ended } = notice
  const subject = subjectOf(notice, channel)
  const sections = [
    { title: `Began (${countWords(began.length)})`, ...cut(began) },
    { title: `Ended (${countWords(ended.length)})`, ...cut(ended) },
  ].filter(({ lines }) => lines.length > 0)
  const footer = [
    'Each of these is told once when it begins and once when it ends; what comes and goes is told at most once in six hours. The mail on Monday has everything.',
    `You get this mail since you are a recipient of channel ${channel.id}, which has alerts (ciphertrail channel add ${channel.id} --alerts off ends them).`,
  ]
  return {
    subject,
    text: (unsubscribe) =>
      `${[
        ...sections.map(({ title, lines, more }) =>
          [title, '-'.repeat(title.length), ...lines.map((line) => `- ${line}`), ...(more === '' ? [] : [more])].join(
            '\n',
          ),
        ),
        ...(page === null ? [] : [page]),
        ...footer,
        ...(unsubscribe === null ? [] : [`Unsubscribe from this channel:\n${unsubscribe}`]),
      ].join('\n\n')}\n`,
    html: (unsubscribe) =>
      place({ language: channel.language, subject, sections, page, footer, unsubscribe }).trimStart(),
    json: JSON.stringify({
      format: 'ciphertrail/alert/1',
      id: notice.id,
      channel: channel.id,
      at: notice.at,
      subject,
      began: began.map(forPrograms),
      ended: ended.map(forPrograms),
    }),
  }
}

const forPrograms = ({ key, kind, cluster, since, line }: Condition) => ({ key, kind, cluster, since, line })

function cut(conditions: readonly Condition[]): { readonly lines: readonly string[]; readonly more: string } {
  const lines = conditions.slice(0, MOST_LINES).map(({ line }) => line)
  const left = conditions.length - lines.length
  return { lines, more: left === 0 ? '' : `${countWords(left)} more are not shown here.` }
}

function subjectOf({ began, ended }: Notice, channel: Channel): string {
  const counted = (conditions: readonly Condition[]): readonly string[] =>
    (Object.keys(KIND_WORDS) as ConditionKind[]).flatMap((kind) => {
      const count = conditions.filter((condition) => condition.kind === kind).length
      return count === 0 ? [] : [plural(count, ...KIND_WORDS[kind])]
    })
  const news = [
    ...counted(began),
    ...(ended.length === 0 ? [] : [`${began.length === 0 ? 'over: ' : 'and over: '}${counted(ended).join(', ')}`]),
  ]
  return printable(`[${channel.team ?? channel.id}] ${news.join(', ')}`).slice(0, LONGEST_SUBJECT)
}

/**
 * A weekly mail in words: every text, number and date as it is printed. The part in HTML and the part in plain text are made from it, so both say
 * the same; neither makes a sum, a date or a decision. All that comes from clusters has gone through `printable`.
 */
import { printable } from '../../text/printable.ts'
import { notesOf, verdictOf } from '../../report/sections/opening.ts'
import { LOOKS } from '../../report/drawing/state-looks.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { countWords, knownShareWords, plural } from '../../report/words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import { datesOf } from '../../time/dates.ts'
import type { Dates } from '../../time/dates.ts'
import type { Channel } from '../channel/channel.ts'
import { mailEntry } from './entries.ts'
import { subjectOf } from './subject.ts'
import { type News, type NewsItem, type NewsKind, sortNews } from './news.ts'
import { reportLines } from './report-offer.ts'
import { countSuppressed, type SuppressedCounts, suppressedWords } from '../channel/suppressions.ts'
import type { MailInput } from './mail-input.ts'
import type { MailSection, MailTable, MailView } from './view-parts.ts'

const TITLES: Readonly<Record<NewsKind, string>> = {
  new: 'New',
  reopened: 'Back again',
  open: 'Still open',
  fixed: 'Fixed',
  refused: 'Refused by policy now',
  gone: 'Gone with an end of the path',
  quiet: 'Quiet for seven days, not known to be fixed',
  ended: 'Seen without encryption, and no end of it is known',
}

/** The order of the lists: what else is so stands between them, before what is well. */
const NOT_WELL: readonly NewsKind[] = ['new', 'reopened', 'open', 'ended']
const LESS_BAD: readonly NewsKind[] = ['fixed', 'refused', 'gone', 'quiet']

/**
 * Words a mail.
 *
 * @param most how many entries a list shows, and names a sentence; more are counted
 */
export function mailView(
  { summary, channel, unregistered, empty, suppressed, beside, links, report }: MailInput,
  most: number,
): MailView {
  const { period } = summary
  const dates = datesOf(period)
  const news = sortNews(summary)
  return {
    language: channel.language,
    subject: subjectOf({ summary, channel, unregistered, news, beside }),
    title: `${printable(period.label)}: ${dates.range(period.from, period.to)}`,
    about: aboutWords(channel, summary, dates, most),
    warnings: warningsOf({ summary, unregistered, empty, beside, news, dates }, most),
    verdict: verdictOf(summary),
    notes: notesOf(summary),
    coverage: coverageTable(summary, most),
    sections: [
      ...NOT_WELL.flatMap((kind) => sectionOf(kind, news, { summary, dates, most })),
      ...besideSection(beside, dates, most),
      ...LESS_BAD.flatMap((kind) => sectionOf(kind, news, { summary, dates, most })),
    ],
    waivers: waiverLines(news, dates, most),
    trend: trendTable(summary, channel, dates),
    page: links.page,
    report: report === null ? [] : reportLines(report, period.timeZone, dates),
    footer: [
      'A path counts as not encrypted where the mesh did not encrypt it; what was not observed is not known to be encrypted.',
      `You get this mail since you are a recipient of channel ${channel.id}. Times are in ${printable(period.timeZone)}. Made by ciphertrail ${printable(summary.version)}.`,
      ...silentWords(channel, suppressed),
      ...(links.page === null ? [`The whole report of the week: ciphertrail report ${reportOptions(summary)}`] : []),
    ],
  }
}

function silentWords({ id, recipients }: Channel, suppressed: SuppressedCounts): readonly string[] {
  const count = countSuppressed(suppressed)
  if (count === 0) return []
  return [
    `${countWords(count)} of ${plural(recipients.length, 'recipient')} of this channel ${count === 1 ? 'gets' : 'get'} no mail: ${suppressedWords(suppressed)} (ciphertrail channel check ${id}).`,
  ]
}

function reportOptions({ period }: Summary): string {
  const week = /^Week (\d{4}-W\d\d)$/.exec(period.label)?.[1]
  return week === undefined
    ? `--from ${period.from} --to ${period.to} --time-zone ${printable(period.timeZone)}`
    : `--week ${week} --time-zone ${printable(period.timeZone)}`
}

function aboutWords({ team, namespaces }: Channel, { clusters }: Summary, { zone }: Dates, most: number): string {
  const about = [
    clusters.length === 0
      ? 'no cluster'
      : `${clusterWord(clusters.length)} ${namesWords(
          clusters.map(({ id }) => id),
          most,
        )}`,
    namespaces.length === 0
      ? 'every namespace'
      : `paths with an end in ${namespaces.length === 1 ? 'namespace' : 'namespaces'} ${namesWords(namespaces, most)}`,
    `weeks and times in ${zone}`,
  ]
  return `${team === null ? '' : `For ${printable(team)}. `}About ${about.join('; ')}.`
}

const clusterWord = (count: number): string => (count === 1 ? 'cluster' : 'clusters')

/** `a, b and 5 more` */
function namesWords(names: readonly string[], most: number): string {
  const shown = Math.max(1, most)
  const words = names.slice(0, shown).map(printable).join(', ')
  return names.length <= shown ? words : `${words} and ${countWords(names.length - shown)} more`
}

function warningsOf(
  {
    summary,
    unregistered,
    empty,
    beside,
    news,
    dates,
  }: Pick<MailInput, 'summary' | 'unregistered' | 'empty' | 'beside'> & { readonly news: News; readonly dates: Dates },
  most: number,
): readonly string[] {
  const { clusters } = summary
  const warnings: string[] = []
  if (unregistered.length > 0)
    warnings.push(
      `Not registered, so nothing is known of ${unregistered.length === 1 ? 'it' : 'them'}: ${clusterWord(unregistered.length)} ${namesWords(unregistered, most)}.`,
    )
  const lost = clusters.filter(({ collected }) => collected === 0).map(({ id }) => id)
  if (lost.length > 0)
    warnings.push(
      `Nothing was collected this week from ${clusterWord(lost.length)} ${namesWords(lost, most)}: whether paths there were encrypted is not known, and what was open counts as still open.`,
    )
  const unseen = news.dark.filter((id) => !lost.includes(id))
  if (unseen.length > 0)
    warnings.push(
      `Nothing that counts was observed on ${clusterWord(unseen.length)} ${namesWords(unseen, most)}, although windows were collected there.`,
    )
  const stale = clusters.flatMap(({ id, windows }) => {
    const collected = windows.findLast((window) => window.collected)
    return collected === undefined || collected === windows.at(-1) ? [] : [{ id, end: collected.end }]
  })
  if (stale.length > 0)
    warnings.push(
      `No data after ${stale
        .slice(0, Math.max(1, most))
        .map(({ id, end }) => `${dates.moment(end)} from cluster ${printable(id)}`)
        .join(
          ', ',
        )}${stale.length > Math.max(1, most) ? ` and from ${countWords(stale.length - Math.max(1, most))} more` : ''}: what is open there was last seen then.`,
    )
  if (news.notCompared.length > 0)
    warnings.push(
      `What is new is not known on ${clusterWord(news.notCompared.length)} ${namesWords(news.notCompared, most)}: nothing was collected there in the week before.`,
    )
  const { untold } = beside
  if (untold.length > 0)
    warnings.push(
      `Whether certificates or trust anchors are about to end is not known on ${clusterWord(untold.length)} ${namesWords(untold, most)}: nothing was collected there lately.`,
    )
  if (empty.length > 0)
    warnings.push(
      `No workload of these namespaces is known on ${empty
        .slice(0, Math.max(1, most))
        .map(
          ({ id, collected, expected }) =>
            `cluster ${printable(id)} (${countWords(collected)} of ${plural(expected, 'window')} collected)`,
        )
        .join(
          ', ',
        )}${empty.length > Math.max(1, most) ? ` and ${countWords(empty.length - Math.max(1, most))} more` : ''}.`,
    )
  return warnings
}

function coverageTable({ clusters }: Summary, most: number): MailTable {
  // Those of which least is known first, so that a cut hides the best.
  const worst = clusters.toSorted((a, b) => (a.share ?? -1) - (b.share ?? -1))
  const shown = worst.slice(0, Math.max(1, most))
  return {
    title: 'What was seen',
    columns: ['Cluster', 'Observed', 'Windows collected'],
    rows: shown.map(({ id, share, collected, expected }) => ({
      head: printable(id),
      cells: [
        { text: share === null ? 'not known' : shareWords(share), bar: null },
        { text: expected === 0 ? 'none expected' : `${countWords(collected)} of ${countWords(expected)}`, bar: null },
      ],
    })),
    more:
      worst.length === 0
        ? 'Nothing, since no cluster was asked. Add one with "ciphertrail cluster add ID".'
        : shown.length === worst.length
          ? ''
          : cutWords(shown.length, worst.length, 'clusters, those of which least is known first', REPORT),
  }
}

/** Where the rest of a list stands: the page that a mail links to tells only how to get it. */
const REPORT = 'the report of the week'

function cutWords(shown: number, all: number, what: string, where: string): string {
  return `${countWords(shown)} of ${countWords(all)} ${what}; ${countWords(all - shown)} more stand in ${where}.`
}

type Around = {
  readonly summary: Summary
  readonly dates: Dates
  readonly most: number
}

/** "Still" needs a week before. */
function titleOf(kind: NewsKind, notCompared: readonly string[]): string {
  return kind === 'open' && notCompared.length > 0 ? 'Not encrypted' : TITLES[kind]
}

function sectionOf(kind: NewsKind, { items, notCompared }: News, around: Around): readonly MailSection[] {
  const all = items[kind]
  if (all.length === 0) return []
  const shown = all.slice(0, around.most)
  return [
    {
      id: kind,
      title: `${titleOf(kind, notCompared)} (${countWords(all.length)})`,
      entries: shown.map((item: NewsItem) =>
        mailEntry(item, { ...around, isFirstTold: notCompared.includes(item.cluster) }),
      ),
      facts: [],
      more: shown.length === all.length ? '' : cutWords(shown.length, all.length, 'paths', REPORT),
    },
  ]
}

function besideSection({ conditions, at }: MailInput['beside'], dates: Dates, most: number): readonly MailSection[] {
  if (conditions.length === 0) return []
  const shown = conditions.slice(0, Math.max(1, most))
  return [
    {
      id: 'beside',
      title: `About to end, or behind, at ${dates.moment(at)} (${countWords(conditions.length)})`,
      entries: [],
      facts: shown,
      more: shown.length === conditions.length ? '' : cutWords(shown.length, conditions.length, 'of these', REPORT),
    },
  ]
}

function waiverLines({ endingWaivers }: News, dates: Dates, most: number): readonly string[] {
  const shown = endingWaivers.slice(0, most)
  return [
    ...shown.map(
      ({ waiver, findings }) =>
        `${printable(waiver.id)} ends ${dates.full(waiver.expires)}; it accepts ${plural(findings, 'failure')}, owner ${printable(waiver.owner)}`,
    ),
    ...(shown.length === endingWaivers.length
      ? []
      : [cutWords(shown.length, endingWaivers.length, 'waivers', 'the register (ciphertrail waiver list)')]),
  ]
}

/** Numbers in cells, so that every program that shows mail can show them; a bar beside a number only repeats it. */
function trendTable({ trend }: Summary, channel: Channel, dates: Dates): MailTable {
  const widest = Math.max(1, ...trend.flatMap(({ paths }) => (paths === null ? [] : [paths.atSomeTime])))
  // Of earlier weeks the observed share is known for whole clusters only.
  const hasShare = channel.namespaces.length === 0
  return {
    title: `Trend of ${plural(trend.length, 'week')}`,
    columns: ['Week from', 'Windows collected', ...(hasShare ? ['Observed'] : []), 'Not encrypted'],
    rows: trend.map(({ from, expectedWindows, collectedWindows, share, unknownClusters, paths }) => ({
      head: dates.short(from),
      cells: [
        {
          text:
            expectedWindows === 0
              ? 'none expected'
              : `${countWords(collectedWindows)} of ${countWords(expectedWindows)}`,
          bar: null,
        },
        ...(hasShare ? [{ text: knownShareWords({ share, unknownClusters }), bar: null }] : []),
        paths === null
          ? { text: 'no data', bar: null }
          : {
              text: `${countWords(paths.atSomeTime)} of ${countWords(paths.known)}`,
              bar: Math.round((paths.atSomeTime / widest) * 100),
            },
      ],
    })),
    more: 'A smaller number beside fewer collected windows is no improvement.',
  }
}

/** The colour of a bar. */
export const BAR_FILL = LOOKS.plaintext.fill

/**
 * A weekly mail in words: every text, number and date as it is printed. The part in HTML and the part in plain text are made from it, so both say
 * the same; neither makes a sum, a date or a decision. All that comes from clusters has gone through `printable`.
 */
import { printable } from '../../text/printable.ts'
import { judgedPathsWords, monitoredWords, openPathsWords, verdictOf } from '../../report/sections/opening.ts'
import type { Action } from '../../report/summary/actions.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { actionEnds, actionTitle } from '../../report/words/action-titles.ts'
import { CLASS_WORDS, byteWords, capital, countWords, plural, unmeshedWords } from '../../report/words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import { datesOf } from '../../time/dates.ts'
import type { Dates } from '../../time/dates.ts'
import type { Channel } from '../channel/channel.ts'
import { clusterParts, mailFinding, exposedSinceWords } from './entries.ts'
import { subjectOf } from './subject.ts'
import { NEWS_KINDS, OPEN_KINDS, type News, type NewsItem, type NewsKind, sortNews } from './news.ts'
import { reportLines } from './report-offer.ts'
import { countSuppressed, type SuppressedCounts, suppressedWords } from '../channel/suppressions.ts'
import type { MailInput } from './mail-input.ts'
import type { MailAction, MailFinding, MailList, MailView } from './view-parts.ts'

const MAX_ACTIONS = 3

/** What the lists of a mail are worded by. */
type Around = {
  readonly summary: Summary
  readonly dates: Dates
  /** So many entries are shown at most. */
  readonly most: number
}

/**
 * Words a mail.
 *
 * @param most how many entries a list shows, and names a sentence; more are counted
 */
export function mailView(
  { summary, channel, unregistered, empty, suppressed, beside, links, report }: MailInput,
  most: number,
): MailView {
  const { period, collectedWindows } = summary
  const dates = datesOf(period)
  const news = sortNews(summary)
  const around = { summary, dates, most }
  return {
    language: channel.language,
    subject: subjectOf({ summary, channel, unregistered, news, beside }),
    about: [aboutWords(channel, around), ...(summary.replay === null ? [] : [printable(summary.replay)])],
    warnings: warningsOf(unregistered, news, around),
    verdict: collectedWindows === 0 ? verdictOf(summary) : openPathsWords(summary),
    notes: notesOf(empty, unregistered, around),
    actions: actionList(around),
    soon: soonList(beside, news, around),
    findings: findingList(news, around),
    numbers: [
      { title: 'Coverage', text: coverageLine(around) },
      { title: 'Trend', text: trendLine(news, around) },
    ],
    page: links.page,
    report: report === null ? [] : reportLines(report, period.timeZone, dates),
    footer: [
      'Unencrypted: the mesh did not encrypt it; with no-mesh-tls the application may have. What was not observed is not known to be encrypted.',
      ...sealedWords(summary),
      `You are a recipient of channel ${channel.id}. Times are in ${dates.zone}. Made by ciphertrail ${printable(summary.version)}.`,
      ...silentWords(channel, suppressed),
      ...(links.page === null ? [`The report of the week: ciphertrail report ${reportOptions(summary)}`] : []),
    ],
  }
}

/** Whether the evidence of the week can be verified; nothing without a log. */
function sealedWords({ checkpoint }: Summary): readonly string[] {
  if (checkpoint === null) return []
  const { origin, unsealed } = checkpoint
  const left = unsealed === 0 ? '' : `, but for ${plural(unsealed, 'attempt')}`
  return [`Sealed in log ${printable(origin)}${left}: the report says how to verify it.`]
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

function aboutWords({ team, namespaces }: Channel, { summary, dates, most }: Around): string {
  const { period, clusters } = summary
  return [
    ...(team === null ? [] : [`For ${printable(team)}`]),
    `${printable(period.label)}, ${dates.range(period.from, period.to)}`,
    clusters.length === 0
      ? 'no cluster'
      : clustersWords(
          clusters.map(({ id }) => id),
          most,
        ),
    ...(namespaces.length === 0
      ? []
      : [
          `paths with an end in ${namespaces.length === 1 ? 'namespace' : 'namespaces'} ${namesWords(namespaces, most)}`,
        ]),
  ].join(' · ')
}

const clustersWords = (ids: readonly string[], most: number): string =>
  `${ids.length === 1 ? 'cluster' : 'clusters'} ${namesWords(ids, most)}`

/** `a, b and 5 more` */
function namesWords(names: readonly string[], most: number): string {
  const words = names.slice(0, most).map(printable).join(', ')
  return names.length <= most ? words : `${words} and ${countWords(names.length - most)} more`
}

function warningsOf(
  unregistered: readonly string[],
  { dark }: News,
  { summary, dates, most }: Around,
): readonly string[] {
  const { clusters, collectedWindows } = summary
  const warnings: string[] = []
  if (unregistered.length > 0)
    warnings.push(
      `Not registered, so nothing is known of ${unregistered.length === 1 ? 'it' : 'them'}: ${clustersWords(unregistered, most)}.`,
    )
  // Without any window the verdict says it.
  if (dark.length > 0 && collectedWindows > 0)
    warnings.push(
      `Nothing was observed on ${countWords(dark.length)} of ${plural(clusters.length, 'cluster')}: ${namesWords(dark, most)}. What was open there is not known to have ended. To see why, run: ciphertrail cluster check ${printable(dark[0] ?? '')}`,
    )
  const stale = clusters.flatMap(({ id, windows }) => {
    const collected = windows.findLast((window) => window.collected)
    return collected === undefined || collected === windows.at(-1)
      ? []
      : [`${dates.moment(collected.end)} on cluster ${printable(id)}`]
  })
  if (stale.length > 0)
    warnings.push(`No data after ${namesWords(stale, most)}: what is open there was last seen then.`)
  return warnings
}

function notesOf(
  empty: MailInput['empty'],
  unregistered: readonly string[],
  { summary, most }: Around,
): readonly string[] {
  const { clusters, collectedWindows, unmeshed, workloads, removed, others } = summary
  const leftOut = removed.filter((id) => !unregistered.includes(id))
  const unmeasured = clusters.reduce((total, cluster) => total + cluster.unmeasured, 0)
  return [
    ...(collectedWindows === 0
      ? []
      : [[judgedPathsWords(summary), monitoredWords(summary)].filter((words) => words !== '').join(' ')]),
    ...(others.length === 0
      ? []
      : [
          `Not judged: ${others.map(({ class: of, paths, figures }) => `${plural(paths.length, 'path')} of ${CLASS_WORDS[of]} (${countWords(figures.openNow)} unencrypted)`).join(', ')}.`,
        ]),
    ...(unmeshed.length === 0
      ? []
      : [`${unmeshedWords(unmeshed, workloads)}. Traffic between two workloads without a proxy is not seen.`]),
    ...(unmeasured === 0
      ? []
      : [
          `In ${plural(unmeasured, 'collected window')} no meshed pod was listed, so it is unknown how much there was to see.`,
        ]),
    ...(empty.length === 0
      ? []
      : [
          `No workload of these namespaces is known on ${namesWords(
            empty.map(
              ({ id, collected, expected }) =>
                `cluster ${id} (${countWords(collected)} of ${plural(expected, 'window')} collected)`,
            ),
            most,
          )}.`,
        ]),
    ...(removed.length === 0 ? [] : [`Not in this mail, since no longer registered: ${clustersWords(leftOut, most)}.`]),
  ]
}

/** Where the rest of a list is: the page that a mail links to says how to get it. */
const REPORT = 'in the report of the week'

/** The first of a list, and how many are left. */
function listOf<T>(title: string, all: readonly T[], most: number, what: string): MailList<T> {
  return {
    title,
    items: all.slice(0, most),
    more: all.length <= most ? '' : `${countWords(all.length - most)} more ${what} ${REPORT}.`,
  }
}

function actionList({ summary, dates, most }: Around): MailList<MailAction> | null {
  const { actions } = summary
  if (actions.length === 0) return null
  const list = listOf('Do first', actions, Math.min(MAX_ACTIONS, most), 'actions')
  return { ...list, items: list.items.map((action) => mailAction(action, summary, dates)) }
}

function mailAction(action: Action, summary: Summary, dates: Dates): MailAction {
  const { cluster, owner, clearBytes } = action
  return {
    title: actionTitle(action),
    facts: [
      actionEnds(action),
      `owner ${printable(owner)}`,
      `open ${exposedSinceWords(action, summary, dates)}`,
      ...(clearBytes > 0 ? [`${byteWords(clearBytes)} unencrypted`] : []),
      ...clusterParts(cluster, summary),
    ].join(' · '),
  }
}

/** What expires soon or is late, as it is when the mail is made. */
function soonList(
  { conditions, untold, at }: MailInput['beside'],
  { endingWaivers }: News,
  { dates, most }: Around,
): MailList<string> | null {
  const lines = [
    ...(untold.length === 0
      ? []
      : [
          `Unknown on ${clustersWords(untold, most)} whether certificates or trust anchors expire soon: nothing was collected there lately.`,
        ]),
    ...conditions.map(({ line }) => capital(line)),
    ...endingWaivers.map(
      ({ waiver, findings }) =>
        `Waiver ${printable(waiver.id)} ends ${dates.full(waiver.expires)}; it accepts ${plural(findings, 'failure')}, owner ${printable(waiver.owner)}`,
    ),
  ]
  return lines.length === 0
    ? null
    : listOf(`Expires soon, or is late (${dates.moment(at)})`, lines, most, 'of these are')
}

/** How many paths are of a kind, in words. */
const KIND_WORDS: Readonly<Record<NewsKind, string>> = {
  new: 'new',
  reopened: 'back again',
  open: 'still open',
  ended: 'with an unknown end',
  fixed: 'fixed',
  refused: 'now refused by policy',
  gone: 'gone with an end of the path',
  quiet: 'quiet for seven days',
}

function findingList(news: News, { summary, dates, most }: Around): MailList<MailFinding> | null {
  const { items, notCompared } = news
  const all = NEWS_KINDS.flatMap((kind) => items[kind])
  if (all.length === 0) return null
  const isCompared = ({ cluster }: { readonly cluster: string }): boolean => !notCompared.includes(cluster)
  const counts = NEWS_KINDS.flatMap((kind) => {
    const own = items[kind]
    if (own.length === 0) return []
    const words = kind === 'open' && !own.every(isCompared) ? 'open' : KIND_WORDS[kind]
    return [`${countWords(own.length)} ${words}`]
  })
  const list = listOf(`Unencrypted paths: ${counts.join(', ')}`, all, most, 'paths')
  return {
    ...list,
    more: moreWords(all.slice(most)),
    items: list.items.map((item) => mailFinding(item, { summary, dates, isCompared: isCompared(item) })),
  }
}

/** So that the entries add up with the headline, which counts those that are open. */
function moreWords(left: readonly NewsItem[]): string {
  if (left.length === 0) return ''
  const open = left.filter(({ kind }) => OPEN_KINDS.includes(kind)).length
  const ended = left.length - open
  const parts = [
    ...(open === 0 ? [] : [`${countWords(open)} open`]),
    ...(ended === 0 ? [] : [`${countWords(ended)} ended`]),
  ]
  return `${plural(left.length, 'more path')} (${parts.join(', ')}) ${REPORT}.`
}

/** The clusters of which the least was seen come first. */
function coverageLine({ summary: { clusters }, most }: Around): string {
  if (clusters.length === 0) return 'no cluster is registered; add one with "ciphertrail cluster add ID".'
  const worst = clusters.toSorted((a, b) => (a.share ?? -1) - (b.share ?? -1))
  const words = worst.slice(0, most).map(({ id, share, collected, expected }) => {
    const windows =
      expected === 0 ? 'no window expected' : `${countWords(collected)} of ${plural(expected, 'expected window')}`
    const observed =
      clusters.length === 1 ? '' : `, ${share === null ? 'share observed unknown' : `${shareWords(share)} observed`}`
    return `${printable(id)} ${windows}${observed}`
  })
  return `${[...words, ...(worst.length > most ? [`${plural(worst.length - most, 'more cluster')} ${REPORT}`] : [])].join('; ')}.`
}

/** A week without a collected window is a gap, and one that was collected in part says so: fewer windows show fewer paths. */
function trendLine({ notCompared }: News, { summary: { trend, clusters }, dates, most }: Around): string {
  const isNoneCompared = notCompared.length === clusters.length
  const first = trend.findIndex(({ paths }) => paths !== null)
  const known = first === -1 ? [] : trend.slice(first)
  if (isNoneCompared && known.filter(({ paths }) => paths !== null).length < 2)
    return 'no earlier week to compare with, so what is new is unknown.'
  const weeks = known.map(({ paths, expectedWindows, collectedWindows }) =>
    paths === null
      ? 'no data'
      : `${countWords(paths.atSomeTime)} of ${countWords(paths.known)}${collectedWindows < expectedWindows ? ` (${shareWords(collectedWindows / expectedWindows)} of windows)` : ''}`,
  )
  return [
    `paths unencrypted at some time, weeks from ${dates.short(known[0]?.from ?? '')}: ${inRuns(weeks).join(', then ')}.`,
    ...(notCompared.length === 0
      ? []
      : [
          `What is new ${isNoneCompared ? '' : `on ${clustersWords(notCompared, most)} `}is unknown: nothing was collected ${isNoneCompared ? '' : 'there '}in the week before.`,
        ]),
  ].join(' ')
}

/** Weeks that say the same, one after the other, are said once. */
function inRuns(words: readonly string[]): readonly string[] {
  const runs: { word: string; count: number }[] = []
  for (const word of words) {
    const last = runs.at(-1)
    if (last?.word === word) last.count += 1
    else runs.push({ word, count: 1 })
  }
  return runs.map(({ word, count }) => (count === 1 ? word : `${word} for ${countWords(count)} weeks`))
}

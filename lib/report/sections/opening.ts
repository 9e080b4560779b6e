/** The first lines of the report: the verdict in a sentence, and what must be known beside it. */
import { printable } from '../../text/printable.ts'
import type { Figures } from '../summary/figures.ts'
import type { Standing } from '../summary/standing.ts'
import type { Summary } from '../summary/summary.ts'
import { CLASS_WORDS, capital, countWords, periodWord, plural } from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import { datesOf, durationWords } from '../../time/dates.ts'

/** The label of a period that ends with the present. */
export const NOW = 'now'

/** What the headline is made from. */
export type Headline = Pick<
  Standing,
  'period' | 'settings' | 'clusters' | 'expectedWindows' | 'collectedWindows' | 'figures'
>

/** The sentences on top: what is open, what lacks evidence, and how much was looked at. A cluster of which nothing is known comes first. */
export function verdictOf(summary: Summary): string {
  const { expectedWindows, collectedWindows } = summary
  if (expectedWindows === 0) return headlineWords(summary)
  if (collectedWindows === 0) return `${headlineWords(summary)} Which paths were encrypted is unknown.`
  return [headlineWords(summary), judgedPathsWords(summary), monitoredWords(summary)]
    .filter((words) => words !== '')
    .join(' ')
}

/** The verdict in a sentence. A cluster of which nothing is known has one of its own before it. */
export function headlineWords(summary: Headline): string {
  const { clusters, expectedWindows, collectedWindows } = summary
  if (clusters.length === 0) return 'Nothing was collected in this period: no cluster was asked.'
  const onClusters = `on ${plural(clusters.length, 'cluster')}`
  if (expectedWindows === 0) return `Nothing was collected in this period: no window was expected ${onClusters}.`
  if (collectedWindows === 0)
    return `Nothing was collected in this period: 0 of ${plural(expectedWindows, 'expected window')} ${onClusters}.`
  const dark = darkClusters(summary)
  return [
    ...(dark.length === 0
      ? []
      : [
          `Nothing was observed on ${countWords(dark.length)} of ${plural(clusters.length, 'cluster')}: ${dark.map(({ id }) => printable(id)).join(', ')}.`,
        ]),
    ...staleWords(summary),
    openPathsWords(summary),
  ].join(' ')
}

/** Clusters of which nothing was observed. */
export function darkClusters({ clusters }: Pick<Headline, 'clusters'>): Headline['clusters'] {
  return clusters.filter(({ collected, share }) => collected === 0 || share === null || share === 0)
}

/** Clusters that were collected, and not in the last windows that were expected: what is there now is unknown. */
export function staleClusters({ clusters, period }: Pick<Headline, 'clusters' | 'period'>): Headline['clusters'] {
  // The window that ended a moment ago may be collected in a moment; alerts wait for a second one, too.
  const recent = period.label === NOW ? 2 : 1
  return clusters.filter(
    ({ collected, windows }) => collected > 0 && windows.slice(-recent).every((window) => !window.collected),
  )
}

function staleWords(summary: Headline): readonly string[] {
  const stale = staleClusters(summary)
  if (stale.length === 0) return []
  const { moment } = datesOf(summary.period)
  const each = stale.slice(0, 3).map(({ id, collectedUntil }) => `${moment(collectedUntil ?? '')} on ${printable(id)}`)
  const more = stale.length > 3 ? ` and ${countWords(stale.length - 3)} more clusters` : ''
  return [`Nothing was collected after ${each.join(', ')}${more}.`]
}

/**
 * `5 application paths are unencrypted at the end of the week, 2 fewer than the week before.` Of clusters whose history cannot be read it says that they may
 * have more.
 */
export function openPathsWords(summary: Headline): string {
  const { openUnknownOn = [] } = summary.figures
  if (openUnknownOn.length === 0) return knownOpenWords(summary)
  const named = `${openUnknownOn.length === 1 ? 'cluster' : 'clusters'} ${openUnknownOn.map(printable).join(', ')}`
  return `${knownOpenWords(summary)} How many are on ${named} is unknown: ${openUnknownOn.length === 1 ? 'its history' : 'their histories'} cannot be read.`
}

function knownOpenWords(summary: Headline): string {
  const { figures, settings } = summary
  const { openNow, openBefore, atSomeTime, judged } = figures
  const path = `${settings.judgedClasses.join(', ')} path`
  const period = periodWord(summary)
  const isNow = summary.period.label === NOW
  const isStale = staleClusters(summary).length > 0
  const when = isStale ? 'when last seen' : isNow ? 'now' : `at the end of ${period}`
  const are = isStale ? ['was', 'were'] : ['is', 'are']
  const change = openBefore === null || isNow ? '' : changeWords(openNow, openBefore, period)
  const waived = openNow > 0 ? figures.waivedNow : figures.waived
  const accepted = waived === 0 ? [] : [`${countWords(waived)} accepted by a waiver`]
  if (openNow > 0)
    return `${capital(`${figures.openUnknownOn === undefined ? '' : 'at least '}${plural(openNow, path)}`)} ${openNow === 1 ? are[0] : are[1]} unencrypted ${when} (${[openSplit(figures), ...accepted].join('; ')})${change}.`
  if (atSomeTime > 0)
    return `No ${path} ${are[0]} unencrypted ${when}${change}; ${countWords(atSomeTime)} of ${countWords(judged)} ${atSomeTime === 1 ? 'was' : 'were'} at some time in it${accepted.map((words) => ` (${words})`).join('')}.`
  return judged === 0 ? `No ${path} had traffic to judge.` : `No ${path} was seen unencrypted in ${period}${change}.`
}

/** `5 plaintext, 2 without mesh TLS`: open paths by the worst that was seen of each in the period. */
function openSplit({
  openNow,
  openPlaintext,
  openNoMeshTls,
}: Pick<Figures, 'openNow' | 'openPlaintext' | 'openNoMeshTls'>): string {
  const kinds = (
    [
      [openPlaintext, 'plaintext'],
      [openNoMeshTls, 'without mesh TLS'],
      [openNow - openPlaintext - openNoMeshTls, 'open before and not seen since'],
    ] as const
  ).filter(([count]) => count > 0)
  if (kinds.length === 1) return kinds.map(([count, words]) => (count === 1 ? words : `all ${words}`)).join('')
  return kinds.map(([count, words]) => `${countWords(count)} ${words}`).join(', ')
}

function changeWords(openNow: number, openBefore: number, period: string): string {
  const change = openNow - openBefore
  if (change === 0 && openNow === 0) return ''
  if (change === 0) return `, as many as ${period} before`
  return `, ${countWords(Math.abs(change))} ${change > 0 ? 'more' : 'fewer'} than ${period} before`
}

/** How the other judged paths stand: `389 of 412 judged paths were encrypted whenever seen; 9 need more evidence.` */
export function judgedPathsWords({ figures, expectedWindows, collectedWindows }: Headline): string {
  const { judged, encrypted, notEnoughEvidence } = figures
  if (expectedWindows > 0 && collectedWindows === 0) return 'Which paths were encrypted is unknown.'
  const parts = [
    ...(encrypted === 0
      ? []
      : [
          `${countWords(encrypted)} of ${plural(judged, 'judged path')} ${encrypted === 1 ? 'was' : 'were'} encrypted whenever seen`,
        ]),
    ...(notEnoughEvidence === 0
      ? []
      : [
          `${encrypted === 0 ? `${countWords(notEnoughEvidence)} of ${plural(judged, 'judged path')}` : countWords(notEnoughEvidence)} ${notEnoughEvidence === 1 ? 'needs' : 'need'} more evidence`,
        ]),
  ]
  return parts.length === 0 ? '' : `${parts.join('; ')}.`
}

/** `Monitored 35 min of 7 d (0.3 % of the week); 83.9 % of pod time observed.` */
export function monitoredWords(summary: Summary): string {
  const { monitored, clusters, share, expectedWindows } = summary
  if (monitored.share === null || expectedWindows === 0) return ''
  const each = clusters.length === 1 ? '' : ' on average per cluster'
  const seconds = monitored.seconds / Math.max(1, clusters.length)
  const whole = monitored.periodSeconds / Math.max(1, clusters.length)
  const ofPods = share === null ? '' : `; ${shareWords(share)} of pod time in it observed`
  return `Monitored ${durationWords(seconds)} of ${durationWords(whole)}${each} (${shareWords(monitored.share)} of ${periodWord(summary)})${ofPods}.`
}

/** What a reader of the first page must know beside the verdict. */
export function notesOf(summary: Summary): readonly string[] {
  const { unmeshed, workloads, refused, unseen, removed } = summary
  const notes: string[] = []
  if (removed.length > 0)
    notes.push(
      `Not in this report: ${removed.map((id) => `cluster ${printable(id)}`).join(', ')}, which ${removed.length === 1 ? 'was' : 'were'} taken out of the registry.`,
    )
  const unmeasured = unmeasuredOf(summary)
  if (unmeasured > 0)
    notes.push(
      `In ${plural(unmeasured, 'collected window')} it is not known how much there was to see: no meshed pod was listed.`,
    )
  if (unmeshed.length > 0)
    notes.push(
      `${countWords(unmeshed.length)} of ${plural(workloads, 'workload')} ${unmeshed.length === 1 ? 'is' : 'are'} not, not wholly or not surely in the mesh. Traffic between two workloads without a proxy is seen by nobody.`,
    )
  if (unseen.length > 0)
    notes.push(
      `${plural(unseen.length, 'known path')} carried no traffic that was seen in this period: not counted among the judged ones.`,
    )
  if (refused.length > 0)
    notes.push(
      `${plural(refused.length, 'path')} without mesh TLS ${refused.length === 1 ? 'was' : 'were'} tried and refused by policy.`,
    )
  for (const { class: of, paths, figures } of summary.others)
    notes.push(
      `Not judged: ${plural(paths.length, 'path')} of ${CLASS_WORDS[of]}, of which ${countWords(figures.openNow)} ${figures.openNow === 1 ? 'is' : 'are'} unencrypted at the end.`,
    )
  return notes
}

/** Collected windows of which it is not known how much should have been seen in them. */
function unmeasuredOf({ clusters }: Summary): number {
  return clusters.reduce((total, { unmeasured }) => total + unmeasured, 0)
}

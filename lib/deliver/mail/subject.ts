/** The subject of a weekly mail: one number and its change; what is dark or missing comes before it. */
import { cutLine, printable } from '../../text/printable.ts'
import { monitoredOf } from '../../report/summary/figures.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { countWords, plural } from '../../report/words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import type { Channel } from '../channel/channel.ts'
import type { News } from './news.ts'
import type { MailInput } from './mail-input.ts'

/** Most programs cut a subject long before; the news comes first. */
const LONGEST = 180
/** So that the number stands in the longest one. */
const MAX_NAME_LENGTH = 60

/**
 * Words the subject, such as `5 unencrypted paths, 2 fewer (prod, week 48)`. One printable line. If it is too long, whole parts are left out from the end:
 * half of one, such as a number without its unit, would say more than is known.
 */
export function subjectOf({
  summary,
  channel,
  unregistered,
  news,
  beside,
}: {
  readonly summary: Summary
  readonly channel: Channel
  readonly unregistered: readonly string[]
  readonly news: News
  /** What else is so, as `MailInput` has it. */
  readonly beside: MailInput['beside']
}): string {
  const week = /^Week \d{4}-W(\d\d)$/.exec(summary.period.label)?.[1]
  const period = week === undefined ? summary.period.label : `week ${Number(week)}`
  const name = cutLine(printable(channel.team ?? channel.id), MAX_NAME_LENGTH)
  const parts = subjectParts(summary, unregistered, news, beside.words)
  const lineOf = (count: number): string => {
    const words = [...parts.slice(0, count), ...(count < parts.length ? ['…'] : [])].join(', ')
    return `${words} (${name}, ${printable(period)})`
  }
  let count = parts.length
  while (count > 1 && lineOf(count).length > LONGEST) count -= 1
  return lineOf(count)
}

/** @param beside what else is so: named only if nothing is worse, before what is well */
function subjectParts(summary: Summary, unregistered: readonly string[], news: News, beside: string): string[] {
  const { clusters, collectedWindows, figures } = summary
  const { openNow, atSomeTime, notEnoughEvidence, judged, openUnknownOn } = figures
  const atLeast = openUnknownOn === undefined ? '' : 'at least '
  const all = clusters.length + unregistered.length
  if (all === 0) return ['no data: no cluster is registered']
  if (clusters.length === 0) return [`no data: ${all === 1 ? 'its cluster is' : 'its clusters are'} not registered`]
  if (collectedWindows === 0)
    return ['no data: nothing was collected', ...(openNow === 0 ? [] : [`${unencrypted(openNow)} when last seen`])]
  const missing = unregistered.length + news.dark.length
  const seen = seenShare(summary, news.dark)
  const isLittle = seen.share === null || seen.share < summary.settings.wantedShare
  const seenWords = `${seen.words}${missing > 0 ? ' elsewhere' : ''}`
  const before = [
    ...(missing > 0 ? [`${countWords(missing)} of ${plural(all, 'cluster')} not observed`] : []),
    ...(isLittle && missing < all ? [seenWords] : []),
  ]
  if (openNow > 0) return [...before, `${atLeast}${unencrypted(openNow)}`, ...changeParts(summary)]
  // No number of unencrypted paths stands without what it rests on: zero must not read as an all-clear.
  return [
    ...before,
    ...(before.length === 0 && notEnoughEvidence === 0 && beside !== '' ? [beside] : []),
    ...(judged === 0
      ? ['no path had traffic to judge']
      : [`${unencrypted(0)}${atLeast === '' ? '' : ' elsewhere'}`, ...changeParts(summary)]),
    ...(atSomeTime === 0 ? [] : [`${countWords(atSomeTime)} at some time`]),
    ...(notEnoughEvidence === 0 ? [] : [`${countWords(notEnoughEvidence)} without enough evidence`]),
    ...(isLittle ? [] : [seenWords]),
  ]
}

const unencrypted = (count: number): string => `${plural(count, 'unencrypted path')}`

/** Nothing if some cluster has no week before to compare with. */
function changeParts({ figures: { openNow, openBefore } }: Summary): string[] {
  if (openBefore === null) return []
  const change = openNow - openBefore
  if (change === 0) return openNow === 0 ? [] : ['as many as the week before']
  return [`${countWords(Math.abs(change))} ${change > 0 ? 'more' : 'fewer'}`]
}

/** The smaller of the two shares that a mail tells: of the week that was monitored, and of pod time observed in it; without the clusters named already. */
function seenShare(
  { clusters, period, share }: Summary,
  dark: readonly string[],
): { readonly share: number | null; readonly words: string } {
  const monitored = monitoredOf(
    clusters.filter(({ id }) => !dark.includes(id)),
    period,
  ).share
  if (share === null || monitored === null) return { share: null, words: 'share observed unknown' }
  return monitored <= share
    ? { share: monitored, words: `${shareWords(monitored)} of the week monitored` }
    : { share, words: `${shareWords(share)} of pod time observed` }
}

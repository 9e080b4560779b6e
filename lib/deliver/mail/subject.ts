/** The subject of a weekly mail: the news in one line, what was not seen before what was. */
import { cutLine, printable } from '../../text/printable.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { countWords, plural } from '../../report/words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import type { Channel } from '../channel/channel.ts'
import type { News } from './news.ts'
import type { MailInput } from './mail-input.ts'

/** A subject is cut by most programs long before; the news stands in front. */
const LONGEST = 180
const MAX_NAME_LENGTH = 80

/**
 * Words the subject, such as `[payments] 2 new paths not encrypted, 31 open, 98.4 % observed (week 2026-W47)`. One line, printable. Where it is too long
 * whole parts are left out from the end, since half of one, such as a share without what it is a share of, would say more than is known.
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
  const week = summary.period.label.replace(/^Week /, 'week ')
  const name = cutLine(printable(channel.team ?? channel.id), MAX_NAME_LENGTH)
  const parts = newsParts(summary, unregistered, news, beside.words)
  const lineOf = (count: number): string => {
    const words = [...parts.slice(0, count), ...(count < parts.length ? ['…'] : [])].join(', ')
    return `[${name}] ${words} (${printable(week)})`
  }
  let count = parts.length
  while (count > 1 && lineOf(count).length > LONGEST) count -= 1
  return lineOf(count)
}

/** @param beside what else is so: told where there is no worse news, before what is well */
function newsParts(summary: Summary, unregistered: readonly string[], news: News, beside: string): readonly string[] {
  const { clusters, collectedWindows, expectedWindows, figures } = summary
  const all = clusters.length + unregistered.length
  if (all === 0) return ['no data: no cluster is registered']
  if (clusters.length === 0) return [`no data: ${all === 1 ? 'its cluster is' : 'its clusters are'} not registered`]
  if (collectedWindows === 0)
    return [`no data: nothing was collected${news.open === 0 ? '' : `, ${countWords(news.open)} open when last seen`}`]
  const missing = unregistered.length + news.dark.length
  const late = expectedWindows - collectedWindows
  const parts: string[] = []
  if (missing > 0) parts.push(`${countWords(missing)} of ${plural(all, 'cluster')} not observed`)
  else if (late > 0) parts.push(`${plural(late, 'window')} missing`)
  const added = news.items.new.length
  const back = news.items.reopened.length
  if (added > 0) parts.push(`${plural(added, 'new path')} not encrypted`)
  if (back > 0) parts.push(`${plural(back, 'path')} not encrypted again`)
  const isWorse = parts.length > 0 || news.open > 0 || figures.notEnoughEvidence > 0
  if (!isWorse && beside !== '') parts.push(beside)
  if (news.open > 0) parts.push(openWords(added + back > 0, news))
  else if (figures.judged === 0) parts.push('no path observed')
  else parts.push(figures.atSomeTime === 0 ? 'no path seen unencrypted' : 'none open at its end')
  if (figures.notEnoughEvidence > 0) parts.push(`${countWords(figures.notEnoughEvidence)} with not enough evidence`)
  parts.push(shareOf(summary, missing > 0))
  return parts
}

function openWords(hasNew: boolean, { open, notCompared }: News): string {
  if (hasNew) return `${countWords(open)} open`
  // "Still" needs a week before.
  return `${plural(open, 'path')} ${notCompared.length > 0 ? '' : 'still '}not encrypted`
}

/** The share never without what it is a share of: a part of the week, of the clusters, of the windows. */
function shareOf({ share, clusters }: Summary, isMissing: boolean): string {
  if (share === null) return 'share observed not known'
  const isPart = clusters.some(({ expected, expectedOnly }) => expected === 0 || expectedOnly !== null)
  const isUnmeasured = clusters.some(({ unmeasured }) => unmeasured > 0)
  return `${shareWords(share)}${isPart ? ' of the expected time' : ''} observed${isMissing ? ' elsewhere' : ''}${isUnmeasured ? ' where it is known' : ''}`
}

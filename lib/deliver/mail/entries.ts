/** One path in a list of a mail: how it stands, since when, why, and what would fix it. */
import type { Dates } from '../../time/dates.ts'
import { durationWords } from '../../time/dates.ts'
import { openWords } from '../../report/words/format-episode.ts'
import { printable } from '../../text/printable.ts'
import { endingWords } from '../../report/sections/not-encrypted.ts'
import { LOOKS } from '../../report/drawing/state-looks.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { destinationName, endpointName } from '../../report/table-cells.ts'
import { CAUSE_WORDS, reasonWords } from '../../report/words/vocabulary.ts'
import { clusterNote } from '../../report/words/report-context.ts'
import type { NewsItem, NewsKind } from './news.ts'
import type { MailEntryView } from './view-parts.ts'

/** Lists in which what would fix a path is told; of what is still open it was told before, and of the others there is nothing left to fix. */
const FIXABLE: readonly NewsKind[] = ['new', 'reopened']

/**
 * Words a path.
 *
 * @param around `isFirstTold`: nothing was collected in the week before, so that no mail has told of what is open
 */
export function mailEntry(
  item: NewsItem,
  { summary, dates, isFirstTold }: { readonly summary: Summary; readonly dates: Dates; readonly isFirstTold: boolean },
): MailEntryView {
  const { exposure } = item
  const mark = exposure?.mark ?? 'not-observed'
  const told = exposure?.reasons.at(-1)
  const cluster = clusterNote(summary, item.cluster)
  return {
    shape: LOOKS[mark].shape,
    state: mark,
    fill: LOOKS[mark].fill,
    source: endpointName(item.source),
    destination: destinationName(item),
    lines: [
      ...(cluster === null ? [] : [cluster]),
      whenWords(item, summary, dates),
      ...(exposure === null
        ? ['not observed this week; it counts as open until it is seen encrypted']
        : told === undefined
          ? []
          : [`why: ${whyWords(told)}`]),
      ...waiverLine(item, summary, dates),
    ],
    fix:
      FIXABLE.includes(item.kind) || (isFirstTold && item.kind === 'open')
        ? (told?.fix ?? '')
            .split('\n')
            .filter((line) => line !== '')
            .map(printable)
        : [],
  }
}

/** Why a path is not encrypted: its cause, or, where that is not known, the reason that was told. */
export function whyWords({
  reason,
  cause,
}: {
  readonly reason: string
  readonly cause: keyof typeof CAUSE_WORDS | null
}): string {
  return cause === null || cause === 'unknown' ? printable(reasonWords(reason)) : CAUSE_WORDS[cause]
}

function whenWords({ cluster, episode, exposure, source }: NewsItem, summary: Summary, dates: Dates): string {
  const lasted = (from: string, to: string): string => durationWords((Date.parse(to) - Date.parse(from)) / 1000)
  if (episode === null)
    return exposure === null
      ? 'since when is not known'
      : `not encrypted in windows from ${dates.moment(exposure.first)} to ${dates.moment(exposure.last)}; since when is not known`
  const { openedAt, endedAt, ending, sinceUnknown } = episode
  if (endedAt === null) return openWords(cluster, episode, summary, dates)
  const from = sinceUnknown ? `an unknown time before ${dates.moment(openedAt)}` : dates.moment(openedAt)
  const how = ending === null ? 'no end of it is known' : endingWords(ending, { source })
  return `not encrypted from ${from} to ${dates.moment(endedAt)} (${sinceUnknown ? 'at least ' : ''}${lasted(openedAt, endedAt)}); ${how}`
}

/** A waived path is told like every other one, with who accepted it and until when. */
function waiverLine({ exposure, isWaived }: NewsItem, { judgement }: Summary, dates: Dates): readonly string[] {
  if (!isWaived || exposure === null) return []
  const accepted = new Set(
    exposure.failures.flatMap(({ rule, waiver }) => (rule === 'path-is-encrypted' && waiver !== null ? [waiver] : [])),
  )
  return judgement.waivers
    .filter(({ waiver }) => accepted.has(waiver.id))
    .map(
      ({ waiver }) =>
        `accepted by waiver ${printable(waiver.id)} until ${dates.full(waiver.expires)}, owner ${printable(waiver.owner)}`,
    )
}

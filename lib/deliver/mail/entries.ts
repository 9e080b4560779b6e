/** One path in the list of a mail: what became of it, and since when. */
import type { Dates } from '../../time/dates.ts'
import { durationWords } from '../../time/dates.ts'
import { beganOf, beganWords, openFor } from '../../report/words/format-episode.ts'
import { printable } from '../../text/printable.ts'
import { endingWords } from '../../report/sections/not-encrypted.ts'
import { LOOKS } from '../../report/drawing/state-looks.ts'
import type { Exposure } from '../../report/summary/path-summary.ts'
import type { Summary } from '../../report/summary/summary.ts'
import type { Endpoint } from '../../model/path.ts'
import type { NameView } from '../../report/table-cells.ts'
import { destinationName, endpointName } from '../../report/table-cells.ts'
import { CAUSE_WORDS, reasonWords } from '../../report/words/vocabulary.ts'
import { OPEN_KINDS, type NewsItem } from './news.ts'
import type { MailFinding } from './view-parts.ts'

/** Beside what is over: the colour of a state is for what is so. */
const OVER_FILL = '#8b929b'

/**
 * Words a path.
 *
 * @param around `isCompared`: something was collected in the week before, so that what is open is known to be still open
 */
export function mailFinding(
  item: NewsItem,
  { summary, dates, isCompared }: { readonly summary: Summary; readonly dates: Dates; readonly isCompared: boolean },
): MailFinding {
  const mark = item.exposure?.mark ?? 'not-observed'
  const isOpen = OPEN_KINDS.includes(item.kind)
  return {
    shape: LOOKS[mark].shape,
    state: isOpen ? mark : `was ${mark}`,
    fill: isOpen || item.kind === 'ended' ? LOOKS[mark].fill : OVER_FILL,
    source: shortName(endpointName(item.source), item.source),
    destination:
      item.destination.cluster === null ? shortName(destinationName(item), item.destination) : destinationName(item),
    words: [
      ...(isOpen ? openParts(item, summary, dates, isCompared) : [endedWords(item, dates)]),
      ...(isOpen && item.action !== null ? [`action ${item.action}`] : []),
      ...waiverParts(item, summary, dates),
      ...clusterParts(item.cluster, summary),
    ].join(', '),
  }
}

/** Without its kind, which the report has: the namespace says what it is. */
const shortName = (name: NameView, { namespace }: Endpoint): NameView =>
  namespace === '' ? name : { ...name, kind: '' }

/** Names the cluster if there is more than one. */
export const clusterParts = (id: string, { clusters }: Pick<Summary, 'clusters'>): readonly string[] =>
  clusters.length > 1 ? [`on ${printable(id)}`] : []

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

const OPEN_WORDS: Readonly<Record<string, string>> = { new: 'new', reopened: 'back again' }

function openParts(
  { kind, cluster, episode, exposure }: NewsItem,
  summary: Summary,
  dates: Dates,
  isCompared: boolean,
): readonly string[] {
  const since = episode?.openedAt ?? exposure?.since ?? null
  return [
    OPEN_WORDS[kind] ?? (isCompared ? 'still open' : 'open'),
    since === null
      ? 'start unknown'
      : exposedSinceWords(
          {
            cluster,
            since,
            isSinceUnknown: episode?.sinceUnknown ?? true,
            mayBeEarlier: episode?.mayBeEarlier ?? exposure?.mayBeEarlier ?? false,
          },
          summary,
          dates,
        ),
    ...(exposure === null ? ['not observed this week'] : []),
  ]
}

/** `since Tue 4 Nov 09:00 (6 d 2 h)`, up to the last window that was collected. */
export function exposedSinceWords(
  exposure: Pick<Exposure, 'cluster' | 'since' | 'isSinceUnknown' | 'mayBeEarlier'>,
  summary: Summary,
  dates: Dates,
): string {
  const lasted = openFor(exposure.cluster, exposure.since, summary)
  const isAtLeast = exposure.isSinceUnknown || exposure.mayBeEarlier
  const length = lasted === null ? '' : ` (${isAtLeast ? 'at least ' : ''}${lasted.words})`
  return `since ${beganWords(beganOf(exposure), dates)}${length}`
}

function endedWords({ episode, exposure, source }: NewsItem, dates: Dates): string {
  if (episode === null || episode.endedAt === null || episode.ending === null)
    return `unencrypted ${exposure === null ? 'at some time' : dates.range(exposure.first, exposure.last)}, end unknown`
  const { openedAt, endedAt, ending, sinceUnknown, mayBeEarlier } = episode
  const lasted = durationWords((Date.parse(endedAt) - Date.parse(openedAt)) / 1000)
  return `${endingWords(ending, { source })}, ${dates.moment(endedAt)} after ${sinceUnknown || mayBeEarlier ? 'at least ' : ''}${lasted}`
}

/** A waived path is listed like every other one, with who accepted it and until when. */
function waiverParts({ exposure, isWaived }: NewsItem, { judgement }: Summary, dates: Dates): readonly string[] {
  if (!isWaived || exposure === null) return []
  const accepted = new Set(
    exposure.failures.flatMap(({ rule, waiver }) => (rule === 'path-is-encrypted' && waiver !== null ? [waiver] : [])),
  )
  return judgement.waivers
    .filter(({ waiver }) => accepted.has(waiver.id))
    .map(({ waiver }) => `accepted until ${dates.full(waiver.expires)} (waiver ${printable(waiver.id)})`)
}

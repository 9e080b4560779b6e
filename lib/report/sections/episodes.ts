/** Every run of windows in which a path was not encrypted, how it ended, and how long fixing took. */
import { ageWords } from '../../time/dates.ts'
import { beganWords, openFor } from '../words/format-episode.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Episodes, EpisodeSummary } from '../summary/episode-summary.ts'
import { destinationName, endpointName, lines, nameCell, number, table, textCell } from '../table-cells.ts'
import { capital, countWords, plural } from '../words/vocabulary.ts'
import { firstLines } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'
import { endingWords } from './not-encrypted.ts'

/** A table shows as many rows; all of them stand in the CSV. */
const MAX_ROWS = 80

/** Every time in which a path was not encrypted. */
export function episodesSection(wording: Wording): SectionView {
  const { episodes, collectedWindows } = wording.summary
  const { shown, note } = firstLines(episodes.all, MAX_ROWS, 'episodes.csv')
  return section('episodes', 'Episodes', {
    paragraphs:
      episodes.all.length === 0
        ? [
            collectedWindows === 0
              ? 'Nothing was collected, so no episode could begin or end.'
              : 'No episode was seen in this period. This says nothing about what was not seen.',
          ]
        : [
            countsOf(episodes),
            fixWords(episodes),
            'An episode begins and ends with a window. A fixed one ends at the start of the first window that shows the fix; of a path whose client has a name, a part of that window is enough.',
          ],
    tables:
      shown.length === 0
        ? []
        : [
            table(
              `Episodes of the period, open ones first. A gap ends no episode. Quiet means no traffic for seven days, not fixed.${note}`,
              [
                ['Source', 22],
                ['Destination', 24],
                ['Began', 17],
                ['Ended', 24],
                ['Lasted', 13, 'numbers'],
              ],
              shown.map((one) => [
                nameCell(endpointName(one.source)),
                nameCell(destinationName(one)),
                textCell(beganWords(one.episode, wording.dates)),
                lines(endWords(wording, one)),
                number(lastedWords(wording, one)),
              ]),
            ),
          ],
  })
}

function countsOf({ all, open, endings }: Episodes): string {
  const parts = [
    `${countWords(open)} open at its end`,
    `${countWords(endings.fixed)} fixed`,
    `${countWords(endings.refused)} refused by policy now`,
    `${countWords(endings.gone)} gone`,
    `${countWords(endings.quiet)} quiet`,
  ]
  const began = countWords(all.filter(({ isNew }) => isNew).length)
  const unknown = countWords(all.filter(({ episode }) => episode.sinceUnknown).length)
  return `${plural(all.length, 'episode')} in the period: ${parts.join(', ')}. ${began} began in the period; ${unknown} began before the path was first seen, at an unknown time.`
}

/** Only fixed and refused ones count; what cannot be measured is said. */
function fixWords({ timeToFix: { episodes, sinceUnknown, median, longest, isAtLeast } }: Episodes): string {
  const unmeasured =
    sinceUnknown === 0
      ? ''
      : ` ${capital(plural(sinceUnknown, 'other'))} began at an unknown time and ${sinceUnknown === 1 ? 'is' : 'are'} not counted.`
  if (median === null || longest === null)
    return `Time to fix: unknown. No episode with a known start was fixed or refused in the period.${unmeasured}`
  return `Time to fix, over ${plural(episodes, 'episode')} that ${episodes === 1 ? 'was' : 'were'} fixed or refused: median ${ageWords(median, isAtLeast)}, longest ${ageWords(longest, isAtLeast)}.${unmeasured}`
}

/** When and how an episode ended, a line each. */
export function endWords({ dates }: Wording, one: EpisodeSummary): readonly string[] {
  const { endedAt, ending } = one.episode
  if (endedAt === null) return ['still open']
  return [dates.moment(endedAt), ...(ending === null ? [] : [endingWords(ending, one)])]
}

/** How long an episode was seen to last. */
export function lastedWords(
  { summary }: Wording,
  { cluster, episode: { openedAt, endedAt, sinceUnknown, mayBeEarlier } }: EpisodeSummary,
): string {
  const isAtLeast = sinceUnknown || mayBeEarlier
  if (endedAt === null) {
    const open = openFor(cluster, openedAt, summary)
    if (open === null) return 'unknown'
    return isAtLeast || !open.isUpToDate ? `at least ${open.words}` : open.words
  }
  return ageWords((Date.parse(endedAt) - Date.parse(openedAt)) / 1000, isAtLeast)
}

/** What changed since the period before. */
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { PATH_CHANGE_KINDS } from '../summary/change-summary.ts'
import type { PathChange, PathChangeKind, Changes } from '../summary/change-summary.ts'
import { destinationName, endpointName, nameCell, table, textCell } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { countWords, periodWord, plural } from '../words/vocabulary.ts'
import { firstLines } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'
import { endingWords } from './not-encrypted.ts'

/** A table shows as many rows; all of them stand in the CSV. */
const MAX_ROWS = 80

const KIND_WORDS: Readonly<Record<PathChangeKind, string>> = {
  new: 'new',
  reopened: 'reopened',
  'still-open': 'still open',
  fixed: 'fixed',
  gone: 'gone',
  quiet: 'quiet',
  identity: 'changed identity',
}

/** What changed since the period before. */
export function changesSection(wording: Wording): SectionView {
  const { summary } = wording
  const { changes } = summary
  return section('changes', 'What changed', {
    paragraphs: [...basisWords(wording), ...countWordsOf(changes)],
    tables: changeTable(wording, changes),
  })
}

/** What it is compared with: without an earlier period there is no change, and no “no change” either. */
function basisWords({ dates, summary }: Wording): readonly string[] {
  const { before, comparisons } = summary.changes
  const none = comparisons.filter(({ basis }) => basis === 'none')
  const lost = comparisons.filter(({ basis }) => basis === 'not-collected')
  const partly = comparisons.filter(({ basis }) => basis === 'partly')
  const names = (list: typeof comparisons): string => list.map(({ cluster }) => printable(cluster)).join(', ')
  if (comparisons.length === 0) return ['No cluster was asked, so nothing can be compared.']
  if (before === null || none.length === comparisons.length)
    return [
      `There is no earlier period to compare with: nothing was expected in the time before ${periodWord(summary)}. What is new in it is not known.`,
    ]
  return [
    `Compared with the period before, ${dates.range(before.from, before.to)}.`,
    ...(none.length === 0
      ? []
      : [
          `Not compared, since no window of the period before was expected there: ${names(none)}. What is new there is not known.`,
        ]),
    ...(lost.length === 0
      ? []
      : [
          `Not compared, since nothing was collected there in the period before: ${names(lost)}. What is new there is not known.`,
        ]),
    ...(partly.length === 0
      ? []
      : [
          `Of the period before, not every window was collected on ${names(partly)}: what is called new may have been there unseen.`,
        ]),
    ...(summary.collectedWindows === 0
      ? ['Nothing was collected in this period: what was open before counts as still open.']
      : []),
  ]
}

function countWordsOf({ comparisons, counts, firstSeen, noLonger }: Changes): readonly string[] {
  if (!comparisons.some(({ basis }) => basis === 'whole' || basis === 'partly')) return []
  return [
    `Not encrypted: ${PATH_CHANGE_KINDS.filter((kind) => kind !== 'identity')
      .map((kind) => `${countWords(counts[kind])} ${KIND_WORDS[kind]}`)
      .join(
        ', ',
      )}. ${counts.identity === 0 ? 'No end was seen to change its identity.' : `${plural(counts.identity, 'end')} changed identity.`}`,
    `${plural(firstSeen, 'path')} ${firstSeen === 1 ? 'was' : 'were'} not known in the period before, whatever the state; ${countWords(noLonger)} of then ${noLonger === 1 ? 'is' : 'are'} not known any more.`,
  ]
}

function changeTable(wording: Wording, { all }: Changes): readonly TableView[] {
  if (all.length === 0) return []
  const { shown, note } = firstLines(all, MAX_ROWS, 'changes.csv')
  return [
    table(
      `Paths whose standing changed, or that stayed open.${note}`,
      [
        ['Change', 15],
        ['Source', 23],
        ['Destination', 25],
        ['When', 37],
      ],
      shown.map((change) => [
        textCell(KIND_WORDS[change.kind]),
        nameCell(endpointName(change.source)),
        nameCell(destinationName(change)),
        textCell(whenWords(wording, change)),
      ]),
    ),
  ]
}

function whenWords({ dates }: Wording, change: PathChange): string {
  if (change.identity !== null)
    return `the ServiceAccount of the ${change.identity.end} was ${printable(change.identity.before)} and is ${printable(change.identity.after)}`
  if (change.episode === null) return 'not known'
  const { openedAt, endedAt, ending, sinceUnknown } = change.episode
  const begun = sinceUnknown ? `since before ${dates.moment(openedAt)}` : `since ${dates.moment(openedAt)}`
  if (endedAt === null) return begun
  return `${begun}, until ${dates.moment(endedAt)}${ending === null ? '' : `; ${endingWords(ending, change)}`}`
}

/** What is unencrypted at the end of the period on one page: one row a path, in the order of the actions that end them. */
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { isWaived } from '../summary/figures.ts'
import { pathKey } from '../summary/path-summary.ts'
import type { Exposure } from '../summary/path-summary.ts'
import {
  destinationName,
  endpointName,
  nameCell,
  plain,
  stateCell,
  stateView,
  table,
  textCell,
} from '../table-cells.ts'
import type { CellView } from '../table-cells.ts'
import { actionTitle } from '../words/action-titles.ts'
import { sinceWords } from '../words/format-episode.ts'
import { clusterNote, firstLines } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'
import { countWords } from '../words/vocabulary.ts'

/** So many paths have a row: what fits on a page. */
const MAX_ROWS = 20

/** A row, before its words. `state` is null where nobody saw the path in the period. */
type Row = {
  readonly number: string
  readonly path: Pick<Exposure, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'>
  readonly state: Exposure['mark'] | null
  readonly openedAt: string
  readonly sinceUnknown: boolean
  readonly whatToDo: string
}

/** The judged paths that are open, without their details; null where none is. */
export function openNowSection(wording: Wording): SectionView | null {
  const open = openRows(wording)
  if (open.length === 0) return null
  const { shown, note } = firstLines(open, MAX_ROWS, 'paths.csv')
  return section('open-now', 'Unencrypted at the end of the period', {
    tables: [
      table(
        `In the order of the actions that end them.${note}`,
        [
          ['No.', 4],
          ['Source', 17],
          ['Destination', 19],
          ['State', 12],
          ['Owner', 11],
          ['Unencrypted', 14],
          ['What to do', 23],
        ],
        shown.map((row) => cellsOf(wording, row)),
      ),
    ],
  })
}

/** Those that an action ends, those that a waiver accepts, and those that nobody saw in the period. */
function openRows({ summary }: Wording): readonly Row[] {
  const { actions, notEncrypted, episodes } = summary
  const seen = notEncrypted.filter(({ isOpen }) => isOpen)
  const rowOf = (path: Exposure, number: string, whatToDo: string): Row => ({
    number,
    path,
    state: path.mark,
    openedAt: path.since,
    sinceUnknown: path.isSinceUnknown,
    whatToDo,
  })
  const seenKeys = new Set(seen.map(pathKey))
  return [
    ...actions.flatMap((action) =>
      action.paths.map((path) => rowOf(path, countWords(action.number), actionTitle(action))),
    ),
    ...seen.filter(isWaived).map((path) => rowOf(path, '', 'accepted by a waiver')),
    ...episodes.all
      .filter((path) => path.episode.endedAt === null && !seenKeys.has(pathKey(path)))
      .map((path) => ({ ...path.episode, number: '', path, state: null, whatToDo: 'not seen in the period' })),
  ]
}

function cellsOf({ summary, dates }: Wording, { path, number, state, whatToDo, ...since }: Row): readonly CellView[] {
  const note = clusterNote(summary, path.cluster)
  return [
    textCell(number),
    { ...nameCell(endpointName(path.source)), notes: note === null ? [] : [note] },
    nameCell(destinationName(path)),
    state === null ? textCell('not seen now') : stateCell(stateView(state)),
    plain(summary.owners.get(pathKey(path)) ?? ''),
    textCell(sinceWords(path.cluster, since, summary, dates)),
    plain(whatToDo),
  ]
}

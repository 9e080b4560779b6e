/** What is unencrypted at the end of the period on one page: one row a path, in the order of the actions that end them. */
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { openUnseen } from '../summary/episode-summary.ts'
import { isWaived } from '../summary/figures.ts'
import { pathKey } from '../summary/path-summary.ts'
import type { Exposure, PathSummary } from '../summary/path-summary.ts'
import {
  destinationName,
  endpointName,
  nameCell,
  number,
  plain,
  stateCell,
  stateView,
  table,
  textCell,
} from '../table-cells.ts'
import type { CellView } from '../table-cells.ts'
import { actionTitle } from '../words/action-titles.ts'
import { beganOf, sinceWords } from '../words/format-episode.ts'
import { clusterNote, firstLines, firstRows } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'
import { countWords, plural, reasonWords, seenShareNote, seenShareWords } from '../words/vocabulary.ts'

/** So many paths have a row: what fits on a page. */
const MAX_ROWS = 20

/** A row, before its words. `state` is null where nobody saw the path in the period. */
type Row = {
  readonly number: string
  readonly path: Pick<Exposure, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'>
  readonly state: Exposure['mark'] | null
  readonly openedAt: string
  readonly sinceUnknown: boolean
  readonly mayBeEarlier: boolean
  readonly whatToDo: string
}

/** The judged paths that are open, without their details; null where none is. */
export function openNowSection(wording: Wording): SectionView | null {
  const open = openRows(wording)
  if (open.length === 0) return null
  const { shown, note } = firstLines(open, MAX_ROWS, 'paths.csv')
  return section('open-now', 'Unencrypted at the end of the period', {
    paragraphs: [
      `(unmeshed) is a client without a mesh identity: it has no proxy, or bypasses it. No mesh TLS: the mesh did not encrypt; the application may have. Owner: the label ${printable(wording.summary.settings.ownerLabel)} of the workload, else its namespace.`,
    ],
    tables: [
      table(
        `One row per path, in the order of the actions that fix them; “No.” is the number of the action.${note}`,
        [
          ['No.', 4],
          ['Source', 17],
          ['Destination', 19],
          ['Worst state', 14],
          ['Owner', 10],
          ['Unencrypted', 14],
          ['What to do', 22],
        ],
        shown.map((row) => cellsOf(wording, row)),
      ),
    ],
  })
}

/** What the list of judged paths without enough evidence is called. */
export const LACKING_TITLE = 'Judged paths without enough evidence'

/** The judged paths that are no pass for want of evidence, without their details; null where none is. */
export function lackingSection({ summary }: Wording): SectionView | null {
  const { notEnoughEvidence, figures } = summary
  if (notEnoughEvidence.length === 0) return null
  const { shown, note } = firstRows(
    lackingGroups(notEnoughEvidence),
    MAX_ROWS,
    'paths.csv',
    'path',
    ({ length }) => length,
  )
  return section('lacking-evidence', LACKING_TITLE, {
    tables: [
      table(
        `${countWords(notEnoughEvidence.length)} of ${plural(figures.judged, 'judged path')}. Nothing was seen unencrypted on them, but too little was seen to say that they were encrypted.${shown.some(({ length }) => length > 1) ? ' Paths with one reason share a row; paths.csv has each.' : ''}${seenShareNote(notEnoughEvidence)}${note}`,
        [
          ['Source', 20],
          ['Destination', 21],
          ['Owner', 11],
          ['Seen', 8, 'numbers'],
          ['Why', 40],
        ],
        shown.map(([path, ...others]) => {
          const cluster = clusterNote(summary, path.cluster)
          return [
            {
              ...nameCell(endpointName(path.source)),
              notes: [
                ...(others.length === 0 ? [] : [`and ${plural(others.length, 'more path')}`]),
                ...(cluster === null ? [] : [cluster]),
              ],
            },
            nameCell(destinationName(path)),
            others.length === 0 ? plain(summary.owners.get(pathKey(path)) ?? '') : textCell('several'),
            number(seenShareWords(path.seen?.share ?? null)),
            textCell(printable(others.length === 0 ? inWords(path) : whyOf(path))),
          ]
        }),
      ),
    ],
  })
}

type Group = readonly [PathSummary, ...PathSummary[]]

/** A row for each path; one for all that share a reason and a share seen if not all paths fit: one outage is one reason. */
function lackingGroups(paths: readonly PathSummary[]): readonly Group[] {
  if (paths.length <= MAX_ROWS) return paths.map((path): Group => [path])
  const groups = new Map<string, [PathSummary, ...PathSummary[]]>()
  for (const path of paths) {
    const key = JSON.stringify([path.cluster, path.seen?.share ?? null, whyOf(path)])
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [path])
    else known.push(path)
  }
  return [...groups.values()].toSorted((a, b) => b.length - a.length)
}

/** Why evidence lacks, with a reason in words beside its raw value. */
function inWords({ detail, reasons }: PathSummary): string {
  const named = reasons.find(({ reason }) => reason !== '' && detail.includes(` (${reason})`))
  return named === undefined ? detail : detail.replace(` (${named.reason})`, () => `: ${reasonWords(named.reason)}`)
}

/** Why evidence lacks, without what was observed all the same. */
const whyOf = ({ detail }: Pick<PathSummary, 'detail'>): string => detail.replace(/; observed: .*$/su, '')

/** Those that an action ends, those that a waiver accepts, and those that nobody saw in the period. */
function openRows({ summary }: Wording): readonly Row[] {
  const { actions, notEncrypted, episodes } = summary
  const seen = notEncrypted.filter(({ isOpen }) => isOpen)
  const rowOf = (path: Exposure, number: string, whatToDo: string): Row => ({
    number,
    path,
    state: path.mark,
    ...beganOf(path),
    whatToDo,
  })
  return [
    ...actions.flatMap((action) =>
      action.paths.map((path) => rowOf(path, countWords(action.number), actionTitle(action))),
    ),
    ...seen.filter(isWaived).map((path) => rowOf(path, '–', 'accepted by a waiver')),
    ...openUnseen(episodes.all, notEncrypted).map((path) => ({
      ...path.episode,
      number: '–',
      path,
      state: null,
      whatToDo: 'not seen in the period',
    })),
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
    textCell(whatToDo),
  ]
}

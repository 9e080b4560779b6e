/** Paths as a table, each once, what asks for attention first. */
import type { Episode } from '../lib/model/history.ts'
import { endName } from '../lib/assess/judge/waived.ts'
import type { State } from '../lib/model/path.ts'
import { LOOKS } from '../lib/report/drawing/state-looks.ts'
import type { Mark } from '../lib/report/drawing/state-looks.ts'
import type { Exposure, PathSummary } from '../lib/report/summary/path-summary.ts'
import { byName, isClear, pathKey } from '../lib/report/summary/path-summary.ts'
import { openEpisodes } from '../lib/report/summary/episode-summary.ts'
import type { Summary } from '../lib/report/summary/summary.ts'
import { CLASS_WORDS, countWords, plural } from '../lib/report/words/vocabulary.ts'
import { shareWords } from '../lib/text/share-words.ts'
import { datesOf } from '../lib/time/dates.ts'
import type { Console } from './console.ts'
import { type TerminalColumn, tableLines, tableWidth } from './terminal-table.ts'

/** Which paths are wanted; absent: all. */
export type PathFilter = {
  readonly namespace?: string | undefined
  readonly state?: State | 'not-encrypted' | undefined
}

/** How many of the latest windows a strip shows. */
const STRIP_CELLS = 16

/** A path with what is known of its episodes. */
type Row = {
  readonly path: PathSummary
  readonly exposure: Exposure | undefined
  /** Open at the end, also where nobody saw the path in the period. */
  readonly open: Episode | undefined
  readonly action: number | null
}

/** Lines of a table for each class, applications first. */
export function pathLines(summary: Summary, wanted: PathFilter, console: Pick<Console, 'colors' | 'width'>): string[] {
  const width = tableWidth(console)
  const exposures = new Map(
    [...summary.notEncrypted, ...summary.others.flatMap(({ notEncrypted }) => notEncrypted)].map((path) => [
      pathKey(path),
      path,
    ]),
  )
  const actions = new Map(
    summary.actions.flatMap(({ number, paths }) => paths.map((path) => [pathKey(path), number] as const)),
  )
  const open = openEpisodes([summary.episodes.all, ...summary.others.map(({ episodes }) => episodes)].flat())
  const rowOf = (path: PathSummary): Row => ({
    path,
    exposure: exposures.get(pathKey(path)),
    open: open.get(pathKey(path)),
    action: actions.get(pathKey(path)) ?? null,
  })
  const rowsOf = (paths: readonly PathSummary[]): readonly Row[] =>
    paths
      .map(rowOf)
      .filter((row) => isWanted(row, wanted))
      .toSorted(byAttention)
  const tableOf = (rows: readonly Row[]): readonly string[] =>
    rows.length === 0 ? [] : tableLines(rows, columns(summary, console.colors), width)
  const { judgedClasses } = summary.settings
  const judged = tableOf(rowsOf(summary.paths.filter(({ class: of }) => judgedClasses.includes(of))))
  return [
    ...judged,
    ...summary.others.flatMap(({ class: of, paths }) => {
      const rows = rowsOf(paths)
      if (rows.length === 0) return []
      const part = rows.length === paths.length ? '' : `${countWords(rows.length)} of `
      const heading = `${part}${plural(paths.length, 'path')} of ${CLASS_WORDS[of]}, not judged:`
      return [...(judged.length === 0 ? [] : ['']), heading, ...tableOf(rows)]
    }),
  ]
}

function isWanted(row: Row, { namespace, state }: PathFilter): boolean {
  const { path, exposure, open } = row
  if (namespace !== undefined && ![path.source, path.destination].some((end) => end.namespace === namespace))
    return false
  if (state === undefined) return true
  return state === 'not-encrypted' ? exposure !== undefined || open !== undefined : stateNow(row) === state
}

/** What a path is at the end: open episodes first, else what was seen last. */
function stateNow({ path, exposure }: Pick<Row, 'path' | 'exposure'>): Mark {
  if (exposure?.isOpen === true) return exposure.mark
  const last = path.cells.findLast((cell) => cell !== null && cell !== 'not-observed' && cell !== 'not-collected')
  return last ?? path.mark
}

/** The number of the action, then what was not encrypted, then what lacks evidence, then by name. */
function byAttention(a: Row, b: Row): number {
  const rank = ({ path, exposure, open, action }: Row) =>
    exposure?.isOpen === true || open !== undefined
      ? action === null
        ? 1
        : 0
      : exposure !== undefined
        ? 2
        : path.verdict === 'not-enough-evidence'
          ? 3
          : 4
  return rank(a) - rank(b) || (a.action ?? 0) - (b.action ?? 0) || byName(a.path, b.path)
}

function columns(summary: Summary, colors: Console['colors']): TerminalColumn<Row>[] {
  const dates = datesOf(summary.period)
  return [
    ...(summary.clusters.length > 1
      ? [{ heading: 'CLUSTER', isMain: true as const, text: ({ path }: Row) => path.cluster }]
      : []),
    {
      heading: 'STATE NOW',
      isMain: true,
      text: (row) => `${LOOKS[stateNow(row)].shape} ${stateNow(row)}`,
      color: (text, row) =>
        isClear(stateNow(row)) ? colors.red(text) : stateNow(row) === 'unknown' ? colors.yellow(text) : text,
    },
    { heading: 'SOURCE', isMain: true, text: ({ path }) => endName(path.source) },
    {
      heading: 'DESTINATION',
      isMain: true,
      text: ({ path }) => `${endName(path.destination)}:${path.port}`,
    },
    { heading: 'NOT ENCRYPTED', text: (row) => sinceText(row, dates.moment) },
    {
      heading: 'SEEN',
      text: ({ path: { seen } }) => (seen === null || seen.share === null ? '-' : shareWords(seen.share)),
      color: (text, { path }) => (path.verdict === 'not-enough-evidence' ? colors.yellow(text) : text),
    },
    {
      heading: 'WINDOWS',
      text: ({ path }) =>
        path.cells
          .slice(-STRIP_CELLS)
          .map((cell) => (cell === null ? ' ' : LOOKS[cell].shape))
          .join(''),
    },
    { heading: 'ACTION', text: ({ path, action }) => (action === null ? waiverText(path) : String(action)) },
  ]
}

/** What a waiver accepts needs no action, and says why. */
function waiverText({ failures }: PathSummary): string {
  const { waiver } = failures.find(({ rule, waiver }) => rule === 'path-is-encrypted' && waiver !== null) ?? {}
  return waiver === undefined || waiver === null ? '-' : `waiver ${waiver}`
}

function sinceText({ exposure, open }: Row, moment: (time: string) => string): string {
  if (exposure === undefined && open !== undefined)
    return `since ${open.sinceUnknown ? 'before ' : ''}${moment(open.openedAt)} (not seen now)`
  if (exposure === undefined) return '-'
  if (exposure.isOpen)
    return `since ${exposure.isSinceUnknown ? 'before ' : ''}${moment(exposure.since)}${exposure.mayBeEarlier ? ' or earlier' : ''}`
  return `until ${moment(exposure.episodes.at(-1)?.endedAt ?? exposure.last)}`
}

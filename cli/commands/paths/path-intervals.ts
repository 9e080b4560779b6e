/** One row for each interval of equal state: `paths --history` and `paths --json`. */
import { beganWords } from '../../../lib/report/words/format-episode.ts'
import { fixOf } from '../../../lib/assess/fixes/fix-text.ts'
import { isNotEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import { endName, waivedRows } from '../../../lib/assess/judge/waived.ts'
import type { History } from '../../../lib/history/cluster-state.ts'
import { historyProblem } from '../../../lib/history/history-problem.ts'
import { readPresent } from '../../../lib/history/period.ts'
import {
  type HistoryQuery,
  type QueriedPeriod,
  type StripCell,
  rows,
  stripsOf,
  within,
} from '../../../lib/history/rows/path-history.ts'
import type { PathRow, TimelineMonth } from '../../../lib/model/history.ts'
import type { ReportSettings, Waiver } from '../../../lib/model/judgement.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { LOOKS } from '../../../lib/report/drawing/state-looks.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { pathJson } from '../../../lib/text/format-json.ts'
import { type Dates, datesOf } from '../../../lib/time/dates.ts'
import { timeOf } from '../../../lib/time/windows.ts'
import type { Console } from '../../console.ts'
import { printJson } from '../../print-json.ts'
import { toldWindows } from '../../../lib/history/rows/told-windows.ts'
import { tablesByClass } from '../../tables-by-class.ts'
import { type TerminalColumn, tableLines } from '../../terminal-table.ts'
import { missingLine, namespaceHint, namespacesOf } from './missing-paths.ts'

/** How many of the latest windows the strip of a row shows. */
const STRIP_CELLS = 24

/**
 * Prints the rows of one cluster after another, each cluster in a table of its own: all rows of a fleet do not fit into memory. Returns false if something is
 * missing.
 */
export async function printIntervals(
  {
    clusters,
    now,
    wanted,
    isJson,
  }: {
    readonly clusters: readonly Cluster[]
    readonly now: Date
    readonly wanted: HistoryQuery
    readonly isJson: boolean
  },
  { settings, waivers }: { readonly settings: ReportSettings; readonly waivers: readonly Waiver[] },
  { objects, console }: { readonly objects: Objects; readonly console: Console },
): Promise<boolean> {
  const { from, to } = wanted
  // Other months tell nothing of it. Rows end where what is read ends: later months would come without those before them.
  const span = from === undefined ? undefined : { from, to: to ?? timeOf(now) }
  const asked = { ...wanted, to: span?.to ?? to }
  const last = asked.to ?? timeOf(now)
  const dates = datesOf({ from: last, to: last, timeZone: 'UTC' })
  const known = new Set<string>()
  let [count, isComplete] = [0, true]
  for (const cluster of clusters) {
    const problem = await historyProblem(cluster, objects)
    if (problem !== undefined) {
      isComplete = false
      console.err(problem)
      continue
    }
    // What was read is not in memory any more while the rows are written.
    const { answer, namespaces, strips, ...collected } = toldOf(
      await readPresent(cluster, now, objects, span),
      asked,
      { ...settings, hasStrips: !isJson },
      { now, isEnded: cluster.replay !== undefined },
    )
    for (const namespace of namespaces) known.add(namespace)
    const waived = waivedRows(answer, waivers, to ?? timeOf(now))
    if (isJson) await printJson(waived, pathJson, console)
    else if (waived.length > 0) {
      if (count > 0) console.out('')
      const shown = { hasClusters: clusters.length > 1, hasWaivers: waived.some(({ waiver }) => waiver !== null) }
      const own = columns(shown, strips, dates, console)
      for (const line of tablesByClass(waived, settings, 'interval', (part) => tableLines(part, own, console.width)))
        console.out(line)
    }
    count += answer.length
    const missing = missingLine({ cluster: cluster.id, rows: answer.length, ...collected }, wanted)
    if (missing === null) continue
    if (missing.isLacking) isComplete = false
    console.err(missing.line)
  }
  if (isComplete && count === 0 && !isJson) console.err(`No paths found.${namespaceHint(wanted.namespace, known)}`)
  return isComplete
}

/** What the history of a cluster tells of a question. */
function toldOf(
  { months, episodes }: Pick<History, 'months' | 'episodes'>,
  wanted: HistoryQuery,
  { platformNamespaces, hasStrips }: Pick<ReportSettings, 'platformNamespaces'> & { readonly hasStrips: boolean },
  by: { readonly now: Date; readonly isEnded: boolean },
) {
  const windows = months.flatMap((month) => month.windows)
  return {
    answer: rows(months, episodes, wanted, { fixOf, platformNamespaces }),
    namespaces: namespacesOf(months.flatMap(({ intervals }) => intervals)),
    isEmpty: windows.every(({ evidence }) => evidence === null),
    ...toldWindows(windows.filter(within(wanted)), windows, wanted.to, by),
    strips: hasStrips ? latestStrips(months, wanted) : new Map<string, readonly StripCell[]>(),
  }
}

/** The strips of the last windows of a period, which are all that a row shows. */
function latestStrips(
  months: readonly TimelineMonth[],
  period: QueriedPeriod,
): ReadonlyMap<string, readonly StripCell[]> {
  const windows = months.flatMap((month) => month.windows).filter(within(period))
  const first = windows.at(-STRIP_CELLS)
  return stripsOf(months, first === undefined ? period : { ...period, from: first.start })
}

function columns(
  { hasClusters, hasWaivers }: { readonly hasClusters: boolean; readonly hasWaivers: boolean },
  strips: ReadonlyMap<string, readonly StripCell[]>,
  dates: Dates,
  { colors }: Console,
): TerminalColumn<PathRow>[] {
  const lookOf = ({ state, outcome }: Pick<StripCell, 'outcome'> & { state: PathRow['state'] }) =>
    LOOKS[outcome === 'refused' ? 'refused' : state]
  const strip = ({ pathId }: PathRow) =>
    (strips.get(pathId) ?? [])
      .slice(-STRIP_CELLS)
      .map(({ state, outcome }) => (state === null ? ' ' : lookOf({ state, outcome }).shape))
      .join('')
  return [
    ...(hasClusters ? [{ heading: 'CLUSTER', isMain: true as const, text: ({ cluster }: PathRow) => cluster }] : []),
    {
      heading: 'STATE',
      isMain: true,
      text: (row) => `${lookOf(row).shape} ${row.outcome === 'refused' ? `refused (${row.state})` : row.state}`,
      color: (text, row) =>
        isNotEncrypted(row) ? colors.red(text) : row.state === 'unknown' ? colors.yellow(text) : text,
    },
    { heading: 'SOURCE', isMain: true, text: ({ source }) => endName(source) },
    { heading: 'DESTINATION', isMain: true, text: ({ destination, port }) => `${endName(destination)}:${port}` },
    { heading: 'FROM (UTC)', text: ({ from }) => dates.moment(from) },
    { heading: 'TO (UTC)', text: ({ to }) => dates.moment(to) },
    {
      heading: 'SINCE',
      isMain: true,
      text: ({ episode }) =>
        episode === null
          ? '-'
          : `${beganWords(episode, dates)}${episode.ending === null ? '' : ` (${episode.ending})`}`,
    },
    { heading: 'OPENS', text: ({ opens }) => (opens === null ? '-' : String(opens)) },
    { heading: 'REASON', text: ({ reason }) => reason || '-' },
    { heading: 'CAUSE', text: ({ cause }) => cause ?? '-' },
    ...(hasWaivers ? [{ heading: 'WAIVER', text: ({ waiver }: PathRow) => waiver ?? '-' }] : []),
    { heading: 'WINDOWS', text: strip },
  ]
}

import type { Command } from 'commander'
import { type ReportInstructions, readReportInput } from '../../lib/jobs/read-report-input.ts'
import { statusPeriod } from '../../lib/jobs/read-status.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import type { ReportPeriod } from '../../lib/report/report-input.ts'
import { type Summary, summarise } from '../../lib/report/summary/summary.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { declaredSettings } from '../../lib/store/registry/declarations.ts'
import { fixOf } from '../../lib/assess/window/causes-and-fixes.ts'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { endName, waivedRows } from '../../lib/assess/judge/waived.ts'
import { timeOf, toSeconds, toTime } from '../../lib/time/windows.ts'
import type { PathRow, TimelineMonth } from '../../lib/model/history.ts'
import { printable } from '../../lib/text/printable.ts'
import { LOOKS } from '../../lib/report/drawing/state-looks.ts'
import { declaredWaivers } from '../../lib/store/registry/declarations.ts'
import {
  type HistoryQuery,
  type QueriedPeriod,
  type StripCell,
  collectedIn,
  rows,
  stripsOf,
  within,
} from '../../lib/history/rows/path-history.ts'
import type { History } from '../../lib/history/cluster-state.ts'
import { readPresent } from '../../lib/history/period.ts'
import { historyProblem } from '../../lib/history/history-problem.ts'
import { type Console, FailedError } from '../console.ts'
import { pathJson } from '../../lib/text/format-json.ts'
import { chosenClusters, openStore, printReplays } from '../open-store.ts'
import { type TerminalColumn, tableLines } from '../terminal-table.ts'
import { collectValues, parseState, readTime } from '../option-values.ts'
import { pathLines } from '../path-table.ts'
import { printJson } from '../print-json.ts'
import { PERIOD_HELP, readSpanOptions } from '../period-options.ts'

/** The options of `paths`. */
type PathsOptions = {
  readonly cluster?: string[]
  readonly namespace?: string
  readonly state?: string
  readonly period?: string
  readonly from?: string
  readonly to?: string
  readonly now?: string
  readonly history?: boolean
  readonly json?: boolean
  readonly store?: string
}

/** Without a begin, a period is as long. */
const SPAN_SECONDS = 7 * 24 * 3600

/** How many of the latest windows the strip of a row shows. */
const STRIP_CELLS = 24

/** Adds `ciphertrail paths`. */
export function addPaths(program: Command, console: Console): void {
  program
    .command('paths')
    .summary('each path: what it is now, since when, and which action ends what is not encrypted')
    .description(
      'Shows each path once, what asks for attention first: its state at the end, since when it is not encrypted, its latest windows, and the number of the action that ends it (ciphertrail status, report). Without a period that is the last seven days. With --history it shows one row for each interval of equal state, reason, cause and enforcement; --json gives those, too.',
    )
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('-n, --namespace <ns>', 'namespace of either end')
    .option('--state <state>', 'only this state, or not-encrypted (plaintext and no-mesh-tls that were allowed)')
    .option('--period <period>', PERIOD_HELP)
    .option('--from <time>', 'only windows that end after this time')
    .option('--to <time>', 'only windows that end at this time or before')
    .option('--history', 'one row for each interval, over all that is kept')
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail paths\n  ciphertrail paths --state not-encrypted --history\n  ciphertrail paths --state not-encrypted --period 2026-Q4 --history\n  ciphertrail paths -n shop --from 2026-11-01T00:00:00Z --json',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<PathsOptions>()
      const state = options.state === undefined ? undefined : parseState(options.state)
      const { from, to } = readSpanOptions(options, 'show paths')
      const now = options.now === undefined ? console.now() : new Date(readTime('--now', options.now))
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      printReplays(clusters, console.err)
      const { platformNamespaces } = await declaredSettings(objects)
      const { declared: waivers } = await declaredWaivers(objects)
      const isTable = options.json !== true && options.history === true
      const isShort = !isTable && options.json !== true
      const period = isShort ? await shownPeriod({ clusters, now, from, to }, objects) : undefined
      // Other months tell nothing of it. Rows end where what is read ends: later months would come without those before them.
      const span = period ?? (from === undefined ? undefined : { from, to: to ?? timeOf(now) })
      const asked = { from: span?.from ?? from, to: span?.to ?? to }
      const readable: Cluster[] = []
      /** Of all clusters, for the table alone: a fleet has more rows than fit into memory. */
      const found: PathRow[] = []
      let count = 0
      const strips = new Map<string, readonly StripCell[]>()
      const known = new Set<string>()
      let missing = 0
      for (const cluster of clusters) {
        const problem = await historyProblem(cluster, objects)
        if (problem !== undefined) {
          missing++
          console.err(problem)
          continue
        }
        readable.push(cluster)
        // A path that was open when it was last seen has no such row in the period, and is in the summary.
        const isAnyState = period !== undefined
        const wanted = { ...asked, namespace: options.namespace, ...(isAnyState ? {} : { state }) }
        // What was read is not in memory any more while the rows are written.
        const { answer, namespaces, isEmpty, windows, notCollected, cells } = toldOf(
          await readPresent(cluster, now, objects, span),
          wanted,
          { platformNamespaces, hasStrips: isTable },
        )
        for (const namespace of namespaces) known.add(namespace)
        count += answer.length
        const waived = waivedRows(answer, waivers, to ?? timeOf(now))
        if (options.json === true) await printJson(waived, pathJson, console)
        if (isTable) for (const row of waived) found.push(row)
        if (isEmpty || windows === notCollected) {
          // Rows that say not-collected are an answer; no rows would read as if there were nothing to tell, and so would few where a state is asked for.
          if (answer.length === 0 || state !== undefined) missing++
          console.err(
            isEmpty
              ? `Not collected: nothing is kept of cluster "${cluster.id}" yet; run "ciphertrail collect --cluster ${cluster.id}"`
              : `Not collected: no path of cluster "${cluster.id}" can be told in any window of the period`,
          )
        } else if (answer.length === 0 && notCollected > 0) {
          // Who filters for what is wrong must not take silence for good news.
          missing++
          console.err(
            `Not collected: ${notCollected} of ${windows} windows of cluster "${cluster.id}" in the period; what was in them is not known`,
          )
        }
        for (const [pathId, own] of cells) strips.set(pathId, own)
      }
      if (count > 0 && period !== undefined) {
        const summary = await summaryOf({ clusters: readable, now, version: console.version, period }, objects, console)
        const wanted = { namespace: options.namespace, state }
        const lines = pathLines(summary, wanted, console)
        for (const line of lines) console.out(line)
        // Who filters for what is wrong must not take silence for good news.
        const dark =
          lines.length === 0 ? summary.clusters.filter(({ collected, expected }) => collected < expected) : []
        missing += dark.length
        for (const { id, collected, expected } of dark)
          console.err(
            `Not collected: ${expected - collected} of ${expected} windows of cluster "${id}" from ${period.from} to ${period.to}; what was in them is not known`,
          )
        if (lines.length === 0) console.err(noneIn(period))
      } else if (found.length > 0) {
        const shown = { hasClusters: clusters.length > 1, hasWaivers: found.some(({ waiver }) => waiver !== null) }
        for (const line of tableLines(found, columns(shown, strips, console), console.width)) console.out(line)
      } else if (missing === 0 && count === 0 && options.json !== true) {
        const hint = namespaceHint(options.namespace, known)
        console.err(period === undefined ? `No paths found.${hint}` : `${noneIn(period)}${hint}`)
      }
      if (missing > 0) throw new FailedError()
    })
}

/** What the history of a cluster tells of a question. */
function toldOf(
  { months, episodes }: Pick<History, 'months' | 'episodes'>,
  wanted: HistoryQuery,
  { platformNamespaces, hasStrips }: { readonly platformNamespaces: readonly string[]; readonly hasStrips: boolean },
) {
  const namespaces = new Set<string>()
  for (const { intervals } of months)
    for (const { source, destination } of intervals)
      for (const { namespace } of [source, destination]) if (namespace !== '') namespaces.add(namespace)
  return {
    answer: rows(months, episodes, wanted, { fixOf, platformNamespaces }),
    namespaces,
    isEmpty: months.every((month) => month.windows.every(({ evidence }) => evidence === null)),
    ...collectedIn(months, wanted),
    cells: hasStrips ? latestStrips(months, wanted) : new Map<string, readonly StripCell[]>(),
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

/** The period that is asked for, or the last seven days. */
async function shownPeriod(
  {
    clusters,
    now,
    from,
    to,
  }: {
    readonly clusters: readonly Cluster[]
    readonly now: Date
    readonly from: string | undefined
    readonly to: string | undefined
  },
  objects: Objects,
): Promise<ReportPeriod> {
  const status = await statusPeriod(clusters, now, { objects })
  const begin = from ?? (to === undefined ? status.from : toTime(toSeconds(to) - SPAN_SECONDS))
  return { ...status, from: begin, to: to ?? status.to }
}

function noneIn({ from, to }: Pick<ReportPeriod, 'from' | 'to'>): string {
  return `No paths found from ${from} to ${to}; --history shows all that is kept.`
}

async function summaryOf(
  instructions: ReportInstructions,
  objects: Objects,
  { progress, progressEnd, err }: Console,
): Promise<Summary> {
  const input = await readReportInput(instructions, { objects, progress, warn: err })
  progressEnd()
  return summarise(input)
}

/** A namespace that no path has is more likely a typing error than good news. Others may have had paths in months that were not read. */
function namespaceHint(namespace: string | undefined, known: ReadonlySet<string>): string {
  if (namespace === undefined || known.has(namespace) || known.size === 0) return ''
  return ` Not "${printable(namespace)}", but these namespaces have paths in that time: ${[...known].sort().join(', ')}`
}

function columns(
  { hasClusters, hasWaivers }: { readonly hasClusters: boolean; readonly hasWaivers: boolean },
  strips: ReadonlyMap<string, readonly StripCell[]>,
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
    { heading: 'FROM', text: ({ from }) => from },
    { heading: 'TO', text: ({ to }) => to },
    {
      heading: 'SINCE',
      isMain: true,
      text: ({ episode }) =>
        episode === null
          ? '-'
          : `${episode.sinceUnknown ? 'before ' : ''}${episode.openedAt}${episode.ending === null ? '' : ` (${episode.ending})`}`,
    },
    { heading: 'OPENS', text: ({ opens }) => (opens === null ? '-' : String(opens)) },
    { heading: 'REASON', text: ({ reason }) => reason || '-' },
    { heading: 'CAUSE', text: ({ cause }) => cause ?? '-' },
    ...(hasWaivers ? [{ heading: 'WAIVER', text: ({ waiver }: PathRow) => waiver ?? '-' }] : []),
    { heading: 'WINDOWS', text: strip },
  ]
}

import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { type VizEdge, VizEdgesError, parseVizEdges } from '../../lib/observed/viz-edges.ts'
import { type StoredVizEdges, storedVizEdges } from '../../lib/history/stored-viz-edges.ts'
import { edgesDifferences, securedText } from '../../lib/report/terminal/edges-difference.ts'
import { type EdgeRow, edgeJson, edgeRows, linkerdPairs } from '../../lib/report/terminal/edge-rows.ts'
import { printable } from '../../lib/text/printable.ts'
import { LOOKS } from '../../lib/report/drawing/state-looks.ts'
import { utcRange } from '../../lib/time/dates.ts'
import { collectedWindow } from '../../lib/history/window-at.ts'
import { historyProblem } from '../../lib/history/history-problem.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { KINDS } from '../../lib/assess/ends/workload-kinds.ts'
import { chosenClusters, openStore, printReplays } from '../open-store.ts'
import { type TerminalColumn, tableLines, tableWidth } from '../terminal-table.ts'
import { collectValues, readTime } from '../option-values.ts'

/** The options of `edges`. */
type EdgesOptions = {
  readonly namespace?: string
  readonly allNamespaces?: boolean
  readonly cluster?: string[]
  readonly at?: string
  readonly output: 'table' | 'wide' | 'json' | 'linkerd'
  readonly json?: boolean
  readonly against?: string
  readonly store?: string
}

/** Adds `ciphertrail edges`. */
export function addEdges(program: Command, console: Console): void {
  program
    .command('edges')
    .summary('who talked to whom in a window, and how it was encrypted')
    .description(
      'Shows the paths of one window, one row per source, destination and port, sorted by source. A row joins the reports of the proxies at both ends, and shows the worst of them.',
    )
    .argument(
      '[kind]',
      'kind of either end: deployment, statefulset, daemonset, cronjob, job, pod, external, unmeshed, ... or all',
      'all',
    )
    .option('-n, --namespace <ns>', 'namespace of either end')
    .option('-A, --all-namespaces', 'all namespaces (the default)')
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--at <time>', 'the window that holds this time; default the latest collected')
    .addOption(
      new Option('-o, --output <format>', 'format').choices(['table', 'wide', 'json', 'linkerd']).default('table'),
    )
    .option('--json', 'one JSON object a line; with -o linkerd, the JSON of linkerd viz edges')
    .option(
      '--against <file>',
      'only where linkerd viz edges says otherwise: its -o json, or the dashboard’s /api/edges; "-" for standard input; "stored" for what it answered in that window, as evidence has it',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail edges deployment\n  ciphertrail edges --at 2026-11-24T12:30:00Z\n  ciphertrail edges all -n shop -o wide --at 2026-11-24T12:30:00Z\n  ciphertrail edges deploy -o linkerd --json\n  linkerd viz edges deploy -A -o json | ciphertrail edges deploy --against -\n  ciphertrail edges deploy --at 2026-11-24T12:30:00Z --against stored',
    )
    .action(async (kindText: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<EdgesOptions>()
      const kind = kindText === 'all' ? undefined : KINDS[kindText.toLowerCase()]
      if (kind === undefined && kindText !== 'all')
        throw new UsageError(
          `Cannot show edges of "${printable(kindText)}": wanted all or one of ${[...new Set(Object.values(KINDS))].sort().join(', ')}`,
        )
      if (options.namespace !== undefined && options.allNamespaces === true)
        throw new UsageError('Cannot use -n together with -A: give one of them')
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      printReplays(clusters, console.err)
      const at = options.at === undefined ? undefined : readTime('--at', options.at)
      const against = options.against === undefined ? undefined : comparedBy(options.against, kind, clusters)
      const given =
        against === undefined || against.file === STORED ? undefined : await readAgainst(against.file, against.kind)
      const exempt =
        against !== undefined || options.output === 'linkerd'
          ? 'admin-ports'
          : options.output === 'wide'
            ? 'all'
            : 'none'
      const rows: EdgeRow[] = []
      const windows: ShownWindow[] = []
      let theirs: ComparedEdges | undefined = given
      let missing = 0
      for (const cluster of clusters) {
        const result = (await historyProblem(cluster, objects)) ?? (await collectedWindow(cluster, { at }, objects))
        if (typeof result === 'string') {
          missing++
          console.err(result)
          continue
        }
        windows.push({ id: cluster.id, range: utcRange(result.window) })
        rows.push(...edgeRows(result, { kind, namespace: options.namespace, exempt }))
        if (against?.file !== STORED) continue
        const stored = await storedVizEdges(cluster, result.window, against.kind, { objects })
        if (typeof stored !== 'string') theirs = stored
        else {
          missing++
          console.err(stored)
        }
      }
      if (against !== undefined) {
        if (missing > 0 || theirs === undefined) throw new FailedError()
        printDifferences(theirs, rows, against.kind, options, console)
        return
      }
      // Where nothing was collected, an empty list or "No edges found." would say that there is nothing.
      if (rows.length > 0 || missing === 0) print(rows, { windows, hasClusters: clusters.length > 1 }, options, console)
      if (missing > 0) throw new FailedError()
    })
}

/** What `linkerd viz edges` said; the time is null where it was given as a file, which does not tell it. */
type ComparedEdges = StoredVizEdges | (Pick<StoredVizEdges, 'edges'> & { readonly takenAt: null })

/** The value of `--against` for what viz answered when the window was there; a file of that name is `./stored`. */
const STORED = 'stored'

/** Of one kind in one cluster, as `linkerd viz edges` is. Throws UsageError. */
function comparedBy(
  file: string,
  kind: string | undefined,
  clusters: readonly Cluster[],
): { readonly file: string; readonly kind: string } {
  if (kind === undefined || kind === 'pod')
    throw new UsageError(
      `Cannot compare edges of ${kind ?? 'all'} kinds: wanted one kind of workload, as linkerd viz edges was asked for`,
    )
  if (clusters.length !== 1)
    throw new UsageError(
      `Cannot compare edges without --cluster: registered are ${clusters.map(({ id }) => id).join(', ')}`,
    )
  return { file, kind }
}

/** What `linkerd viz edges` said, of one kind, when somebody typed it. */
async function readAgainst(file: string, kind: string): Promise<ComparedEdges> {
  const named = file === '-' ? 'standard input' : `"${printable(file)}"`
  try {
    const edges = parseVizEdges(file === '-' ? await text(process.stdin) : await readFile(file, 'utf8'))
    return { takenAt: null, edges: edges.filter((edge) => edge.kind === null || edge.kind === kind) }
  } catch (error) {
    if (error instanceof VizEdgesError)
      throw new Error(`Cannot read edges from ${named}: ${error.message}`, { cause: error })
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === '') throw error
    const state = { ENOENT: 'it does not exist', EACCES: 'it may not be read', EISDIR: 'it is a folder' }[code]
    throw new Error(`Cannot read edges from ${named}: ${state ?? `it cannot be opened (${code})`}`, { cause: error })
  }
}

function printDifferences(
  theirs: ComparedEdges,
  rows: readonly EdgeRow[],
  kind: string,
  { json, output, namespace }: EdgesOptions,
  console: Console,
): void {
  const isInside = ({ src_namespace: source, dst_namespace: destination }: VizEdge) =>
    namespace === undefined || [source, destination].includes(namespace)
  const wanted = theirs.edges.filter(isInside)
  const differences = edgesDifferences(wanted, linkerdPairs(rows), kind)
  if (json === true || output === 'json') {
    for (const difference of differences) console.out(toJson(difference))
    return
  }
  const same = wanted.length - differences.length
  const asked = theirs.takenAt === null ? '' : `, as it answered at ${theirs.takenAt},`
  console.err(`${same} of ${wanted.length} edges of linkerd viz edges${asked} are shown alike.`)
  if (differences.length === 0) return
  for (const line of tableLines(
    differences,
    [
      { heading: 'SRC', text: ({ src }) => src },
      { heading: 'DST', text: ({ dst, port }) => (port === null ? dst : `${dst}:${port}`) },
      { heading: 'SRC_NS', text: ({ srcNamespace }) => srcNamespace },
      { heading: 'DST_NS', text: ({ dstNamespace }) => dstNamespace },
      { heading: 'LINKERD', text: (difference) => difference.theirs },
      { heading: 'CIPHERTRAIL', text: ({ ours }) => ours ?? 'no such edge in the window' },
    ],
    console.width,
  ))
    console.out(line)
}

/** The window of a cluster that a table shows, in words. */
type ShownWindow = { readonly id: string; readonly range: string }

/** `Window Tue 24 Nov 2026 13:30 to 13:35 (UTC)`, with the clusters of each if their latest windows differ. */
function windowWords(windows: readonly ShownWindow[]): string {
  const ranges = [...Map.groupBy(windows, ({ range }) => range)]
  return ranges
    .map(
      ([range, own]) =>
        `Window${ranges.length === 1 ? '' : ` of ${own.map(({ id }) => id).join(', ')}`} ${range} (UTC)`,
    )
    .join('; ')
}

function print(
  rows: readonly EdgeRow[],
  { windows, hasClusters }: { readonly windows: readonly ShownWindow[]; readonly hasClusters: boolean },
  options: EdgesOptions,
  console: Console,
): void {
  const isJson = options.json === true || options.output === 'json'
  if (options.output === 'linkerd') {
    const edges = linkerdPairs(rows).map(({ edge }) => edge)
    if (isJson) console.out(toJson(edges))
    else if (edges.length === 0) console.err('No edges found.')
    else {
      for (const line of tableLines(edges, [
        { heading: 'SRC', text: ({ src }) => src },
        { heading: 'DST', text: ({ dst }) => dst },
        { heading: 'SRC_NS', text: ({ src_namespace: namespace }) => namespace },
        { heading: 'DST_NS', text: ({ dst_namespace: namespace }) => namespace },
        { heading: 'SECURED', text: ({ no_tls_reason: reason }) => securedText(reason) },
      ]))
        console.out(line)
    }
    return
  }
  if (isJson) {
    for (const row of rows) console.out(toJson(edgeJson(row)))
    return
  }
  if (rows.length === 0) {
    console.err(`No edges found. ${windowWords(windows)}`)
    return
  }
  console.out(windowWords(windows))
  const { colors } = console
  const columns: TerminalColumn<EdgeRow>[] = [
    ...(hasClusters ? [{ heading: 'CLUSTER', isMain: true as const, text: ({ cluster }: EdgeRow) => cluster }] : []),
    {
      heading: 'STATE',
      isMain: true,
      text: ({ path }) =>
        path.outcome === 'refused'
          ? `${LOOKS.refused.shape} refused (${path.state})`
          : `${LOOKS[path.state].shape} ${path.state}`,
      color: (text, { path }) =>
        isNotEncrypted(path) ? colors.red(text) : path.state === 'unknown' ? colors.yellow(text) : text,
    },
    { heading: 'SRC', isMain: true, text: ({ src }) => src },
    { heading: 'DST', isMain: true, text: ({ dst }) => dst },
    { heading: 'SRC_NS', isMain: true, text: ({ srcNamespace }) => srcNamespace || '-' },
    { heading: 'DST_NS', isMain: true, text: ({ dstNamespace }) => dstNamespace || '-' },
    { heading: 'CLIENT', text: ({ client }) => client },
    { heading: 'SERVER', text: ({ server }) => server },
    { heading: 'MSG', isMain: true, text: ({ msg }) => msg },
    ...(options.output === 'wide'
      ? [
          { heading: 'SRC_KIND', text: ({ path }: EdgeRow) => path.source.kind },
          { heading: 'DST_KIND', text: ({ path }: EdgeRow) => path.destination.kind },
          { heading: 'OPENS', text: ({ path }: EdgeRow) => String(path.opens) },
          { heading: 'OPEN', text: ({ path }: EdgeRow) => String(path.openAtScrape) },
          { heading: 'BYTES', text: ({ path }: EdgeRow) => String(path.bytes) },
          { heading: 'SEEN_BY_BOTH', text: ({ path }: EdgeRow) => path.corroborated },
          { heading: 'ENFORCEMENT', text: ({ path }: EdgeRow) => path.enforcement },
        ]
      : []),
  ]
  for (const line of tableLines(rows, columns, tableWidth(console))) console.out(line)
}

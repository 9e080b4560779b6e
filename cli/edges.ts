import { type Command, Option } from 'commander'
import { isNotEncrypted } from '../lib/assess/episodes.ts'
import { windowOf, toSeconds } from '../lib/collect/windows.ts'
import type { Cluster, WindowResult } from '../lib/model.ts'
import { type EdgeRow, edgeRows, linkerdEdges } from '../lib/report/edges.ts'
import { printable } from '../lib/report/printable.ts'
import { LOOKS } from '../lib/report/states.ts'
import type { Objects } from '../lib/store/objects.ts'
import { readLatest, readWindow } from '../lib/store/state.ts'
import { type Console, FailedError, UsageError } from './console.ts'
import { endJson, toJson } from './json.ts'
import { chosenClusters, historyProblem, openStore } from './store.ts'
import { type Column, tableLines } from './table.ts'
import { collectValues, readTime } from './values.ts'

/** Kinds and their usual short forms. */
const KINDS: Readonly<Record<string, string>> = {
  cronjob: 'cronjob',
  cronjobs: 'cronjob',
  cj: 'cronjob',
  daemonset: 'daemonset',
  daemonsets: 'daemonset',
  ds: 'daemonset',
  deployment: 'deployment',
  deployments: 'deployment',
  deploy: 'deployment',
  job: 'job',
  jobs: 'job',
  pod: 'pod',
  pods: 'pod',
  po: 'pod',
  replicaset: 'replicaset',
  replicasets: 'replicaset',
  rs: 'replicaset',
  replicationcontroller: 'replicationcontroller',
  replicationcontrollers: 'replicationcontroller',
  rc: 'replicationcontroller',
  statefulset: 'statefulset',
  statefulsets: 'statefulset',
  sts: 'statefulset',
  service: 'service',
  services: 'service',
  svc: 'service',
  serviceaccount: 'serviceaccount',
  serviceaccounts: 'serviceaccount',
  sa: 'serviceaccount',
  externalworkload: 'externalworkload',
  external: 'external',
  unmeshed: 'unmeshed',
  probe: 'probe',
}

/** The options of `edges`. */
type EdgesOptions = {
  readonly namespace?: string
  readonly allNamespaces?: boolean
  readonly cluster?: string[]
  readonly at?: string
  readonly output: 'table' | 'wide' | 'json' | 'linkerd'
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail edges`. */
export function addEdges(program: Command, console: Console): void {
  program
    .command('edges')
    .summary('who talked to whom in a window, and how it was encrypted')
    .description(
      'Shows the paths of one window, one row per source, destination and port, worst reading first to none: a row is what both sides saw.',
    )
    .argument(
      '<kind>',
      'kind of either end: deployment, statefulset, daemonset, cronjob, job, pod, external, unmeshed, ... or all',
    )
    .option('-n, --namespace <ns>', 'namespace of either end')
    .option('-A, --all-namespaces', 'all namespaces (the default)')
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--at <time>', 'the window that holds this time; default the latest collected')
    .addOption(
      new Option('-o, --output <format>', 'format').choices(['table', 'wide', 'json', 'linkerd']).default('table'),
    )
    .option('--json', 'one JSON object a line; with -o linkerd, the JSON of linkerd viz edges')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail edges deployment\n  ciphertrail edges all -n shop -o wide --at 2026-11-24T12:30:00Z\n  ciphertrail edges deploy -o linkerd --json',
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
      const at = options.at === undefined ? undefined : readTime('--at', options.at)
      const rows: EdgeRow[] = []
      let missing = 0
      for (const cluster of clusters) {
        const result = (await historyProblem(cluster, objects)) ?? (await resultAt(cluster, at, objects))
        if (typeof result === 'string') {
          missing++
          console.err(result)
        } else rows.push(...edgeRows(result, { kind, namespace: options.namespace, isWide: options.output === 'wide' }))
      }
      // Where nothing was collected, an empty list or "No edges found." would say that there is nothing.
      if (rows.length > 0 || missing === 0) print(rows, clusters.length > 1, options, console)
      if (missing > 0) throw new FailedError()
    })
}

/** The result of the window that holds a time, or of the latest collected one; a line that says why where there is none. */
async function resultAt(cluster: Cluster, at: string | undefined, objects: Objects): Promise<WindowResult | string> {
  const named = `cluster "${cluster.id}"`
  if (at !== undefined) {
    const window = windowOf(cluster.windows, toSeconds(at))
    const result = await readWindow(cluster.id, window.start, objects)
    if (result === undefined)
      return `Not collected: ${named} has no attempt for the window ${window.start} to ${window.end}; try "ciphertrail collect --cluster ${cluster.id} --at ${at}" while Prometheus still has it`
    return result.collected
      ? result
      : `Not collected: no path of ${named} can be told in the window ${window.start} to ${window.end}: ${result.errors[0] ?? 'nothing was read'}`
  }
  const latest = await readLatest(cluster.id, ({ collected }) => collected, objects)
  if (latest !== undefined) return latest
  return `Not collected: no window of ${named} was collected yet; run "ciphertrail collect --cluster ${cluster.id}"`
}

function print(rows: readonly EdgeRow[], hasClusters: boolean, options: EdgesOptions, console: Console): void {
  const isJson = options.json === true || options.output === 'json'
  if (options.output === 'linkerd') {
    const edges = linkerdEdges(rows)
    if (isJson) console.out(toJson(edges))
    else if (edges.length === 0) console.err('No edges found.')
    else {
      const secured = (reason: string) => (reason === '' ? '√' : reason)
      for (const line of tableLines(edges, [
        { heading: 'SRC', text: ({ src }) => src },
        { heading: 'DST', text: ({ dst }) => dst },
        { heading: 'SRC_NS', text: ({ src_namespace: namespace }) => namespace },
        { heading: 'DST_NS', text: ({ dst_namespace: namespace }) => namespace },
        { heading: 'SECURED', text: ({ no_tls_reason: reason }) => secured(reason) },
      ]))
        console.out(line)
    }
    return
  }
  if (isJson) {
    for (const { cluster, path, msg } of rows)
      console.out(
        toJson({
          cluster,
          ...path,
          source: endJson(path.source),
          destination: endJson(path.destination),
          message: msg,
        }),
      )
    return
  }
  if (rows.length === 0) {
    console.err('No edges found.')
    return
  }
  const { colors } = console
  const columns: Column<EdgeRow>[] = [
    ...(hasClusters ? [{ heading: 'CLUSTER', text: ({ cluster }: EdgeRow) => cluster }] : []),
    { heading: 'SRC', text: ({ src }) => src },
    { heading: 'DST', text: ({ dst }) => dst },
    { heading: 'SRC_NS', text: ({ srcNamespace }) => srcNamespace || '-' },
    { heading: 'DST_NS', text: ({ dstNamespace }) => dstNamespace || '-' },
    { heading: 'CLIENT', text: ({ client }) => client },
    { heading: 'SERVER', text: ({ server }) => server },
    {
      heading: 'MSG',
      text: ({ msg }) => msg,
      color: (text, { path }) =>
        path.outcome === 'refused'
          ? text
          : isNotEncrypted(path)
            ? colors.red(text)
            : path.state === 'unknown'
              ? colors.yellow(text)
              : text,
    },
    ...(options.output === 'wide'
      ? [
          { heading: 'SRC_KIND', text: ({ path }: EdgeRow) => path.source.kind },
          { heading: 'DST_KIND', text: ({ path }: EdgeRow) => path.destination.kind },
          {
            heading: 'STATE',
            text: ({ path }: EdgeRow) =>
              `${LOOKS[path.outcome === 'refused' ? 'refused' : path.state].shape} ${path.state}`,
          },
          { heading: 'OPENS', text: ({ path }: EdgeRow) => String(path.opens) },
          { heading: 'OPEN', text: ({ path }: EdgeRow) => String(path.openAtScrape) },
          { heading: 'BYTES', text: ({ path }: EdgeRow) => String(path.bytes) },
          { heading: 'SEEN_BY_BOTH', text: ({ path }: EdgeRow) => path.corroborated },
          { heading: 'ENFORCEMENT', text: ({ path }: EdgeRow) => path.enforcement },
        ]
      : []),
  ]
  for (const line of tableLines(rows, columns)) console.out(line)
}

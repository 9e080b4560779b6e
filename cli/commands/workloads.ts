import type { Command } from 'commander'
import { toSeconds } from '../../lib/time/windows.ts'
import type { BlindSpot, Workload, WindowResult } from '../../lib/model/window.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { readLatest, readWindowAt } from '../../lib/history/cluster-state.ts'
import { historyProblem } from '../../lib/history/history-problem.ts'
import { type Console, FailedError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { byteWords } from '../../lib/report/words/vocabulary.ts'
import { chosenClusters, openStore, printReplays } from '../open-store.ts'
import { type TerminalColumn, tableLines, tableWidth } from '../terminal-table.ts'
import { collectValues, readTime } from '../option-values.ts'

/** The options of `workloads`. */
type WorkloadsOptions = {
  readonly cluster?: string[]
  readonly at?: string
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail workloads`. */
export function addWorkloads(program: Command, console: Console): void {
  program
    .command('workloads')
    .summary('who is meshed, who is not and why, and each blind spot')
    .description(
      'Shows every workload of a window: meshed or not and why, its policy, and what no proxy can see of it.',
    )
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--at <time>', 'the window that holds this time; default the latest with Kubernetes lists')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail workloads\n  ciphertrail workloads --cluster prod --at 2026-11-24T12:30:00Z --json',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<WorkloadsOptions>()
      const at = options.at === undefined ? undefined : readTime('--at', options.at)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      printReplays(clusters, console.err)
      const found: Workload[] = []
      let missing = 0
      for (const cluster of clusters) {
        const problem = await historyProblem(cluster, objects)
        const result = problem === undefined ? await listedAt(cluster, at, objects) : undefined
        if (result === undefined) {
          missing++
          console.err(
            problem ??
              `Not collected: the Kubernetes lists of cluster "${cluster.id}" were not read ${at === undefined ? 'yet' : `for the window that holds ${at}`}; run "ciphertrail collect --cluster ${cluster.id}"`,
          )
          continue
        }
        found.push(...result.workloads)
        const isUnsettled = result.inputs.before === null && result.workloads.some(({ meshed }) => meshed === 'unknown')
        if (isUnsettled && options.json !== true)
          console.err(
            `Unknown in the first window of cluster "${cluster.id}": there is no Kubernetes list from before it, and cAdvisor does not tell who else ran`,
          )
      }
      if (options.json === true) for (const workload of found) console.out(toJson(workload))
      else if (found.length > 0)
        for (const line of tableLines(found, columns(clusters.length > 1, console), tableWidth(console)))
          console.out(line)
      if (missing > 0) throw new FailedError()
    })
}

async function listedAt(cluster: Cluster, at: string | undefined, objects: Objects): Promise<WindowResult | undefined> {
  const hasLists = ({ workloads }: WindowResult) => workloads.length > 0
  if (at === undefined) return readLatest(cluster.id, hasLists, objects)
  const result = await readWindowAt(cluster.id, toSeconds(at), objects)
  return result !== undefined && hasLists(result) ? result : undefined
}

function columns(hasClusters: boolean, { colors }: Console): TerminalColumn<Workload>[] {
  return [
    ...(hasClusters ? [{ heading: 'CLUSTER', isMain: true as const, text: ({ cluster }: Workload) => cluster }] : []),
    { heading: 'KIND', isMain: true, text: ({ kind }) => kind },
    { heading: 'NAMESPACE', isMain: true, text: ({ namespace }) => namespace },
    { heading: 'NAME', isMain: true, text: ({ name }) => name },
    {
      heading: 'MESHED',
      isMain: true,
      text: ({ meshed }) => meshed,
      color: (text, { meshed }) =>
        meshed === 'no' || meshed === 'partly' ? colors.red(text) : meshed === 'unknown' ? colors.yellow(text) : text,
    },
    { heading: 'PODS', text: ({ pods }) => String(pods) },
    { heading: 'REASON', text: ({ reason }) => reason ?? '-' },
    { heading: 'SERVICEACCOUNT', text: ({ serviceAccount }) => serviceAccount ?? '-' },
    { heading: 'POLICY', text: ({ defaultPolicy }) => defaultPolicy ?? '-' },
    {
      heading: 'BLIND SPOTS',
      text: (workload) => [...new Set(workload.blindSpots.map((spot) => spotText(spot, workload)))].join(', ') || '-',
    },
  ]
}

/** A blind spot with its port, and the bytes that no proxy saw where they are known. */
function spotText({ kind, port }: BlindSpot, { withoutProxy }: Workload): string {
  if (port !== null) return `${kind} ${port}`
  return kind === 'unmeshed' && withoutProxy !== undefined
    ? `${kind} (sent ${byteWords(withoutProxy.sentBytes)})`
    : kind
}

import type { Command } from 'commander'
import { judge } from '../../lib/assess/judge/judge.ts'
import { DEFAULT_SETTINGS } from '../../lib/assess/judge/stored-scope.ts'
import { type WaiverStatus, waiverStatus } from '../../lib/assess/judge/waived.ts'
import { parseWaivers } from '../../lib/assess/judge/parse-waivers.ts'
import { timeOf, toSeconds, toTime } from '../../lib/time/windows.ts'
import type { ClusterPeriod } from '../../lib/model/period.ts'
import type { Waiver } from '../../lib/model/judgement.ts'
import { declareWaivers, declaredSettings, declaredWaivers } from '../../lib/store/registry/declarations.ts'
import { readPeriod } from '../../lib/history/period.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { historyProblem } from '../../lib/history/history-problem.ts'
import { readChecked } from '../checked-file.ts'
import type { Console } from '../console.ts'
import { declaredBy, printDeclared } from '../print-declared.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { openStore } from '../open-store.ts'
import { tableLines } from '../terminal-table.ts'
import { readNow } from '../option-values.ts'

/** How far back a waiver must have accepted something to be in use. */
const PERIOD_SECONDS = 28 * 24 * 60 * 60

/** Adds `ciphertrail waiver check|set|list`. */
export function addWaiverCommands(program: Command, console: Console): void {
  const waiver = program
    .command('waiver')
    .summary('exceptions that were accepted')
    .description(
      'Works on waivers.yaml, the register of accepted exceptions: what is accepted, who answers for it, why, what is done instead, and until when. A waived failure stays a failure, and is shown as waived. Reports use the register that was set last; each one that was set is kept, with who set it and when.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail waiver check waivers.yaml\n  ciphertrail waiver set waivers.yaml\n  ciphertrail waiver list',
    )

  waiver
    .command('check')
    .summary('check the text of a waivers.yaml')
    .description(
      'Checks a waivers.yaml and says how each waiver stands: expired, expiring within 14 days, too broad (it names neither a namespace nor a name at either end, or holds for more than a year). Where a store with a history is at hand, also which ones accepted nothing in the last four weeks.',
    )
    .argument('<file>', 'such as waivers.yaml')
    .option('--now <time>', 'judge as of this time (default now)')
    .option('--json', 'one JSON object for each waiver, or for each thing that is wrong')
    .addHelpText(
      'after',
      '\nExample:\n  ciphertrail waiver check waivers.yaml\n\nA waivers.yaml:\n  ledger-export:\n    cluster: prod\n    rules: [path-is-encrypted, path-is-mutual]\n    source: (unmeshed)\n    destination: statefulset/bank/ledger-db\n    port: 5432\n    owner: bank\n    reason: The exporter cannot speak TLS\n    compensatingControl: Both run on one node\n    expires: 2027-01-31T00:00:00Z\n\nExit code 2 where something is wrong: one line for each thing, as\nfile:line:column. How a waiver stands never changes the exit code.',
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<StandingOptions>()
      const { json = false } = options
      const waivers = await readChecked(file, parseWaivers, json, console)
      await printStanding(waivers, options, console)
    })

  waiver
    .command('set')
    .summary('put a waivers.yaml in force')
    .description(
      'Checks a waivers.yaml and puts it in force in the store, in place of what was set before. That is recorded once, with who and when, and sealed.',
    )
    .argument('<file>', 'such as waivers.yaml')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  ciphertrail waiver set waivers.yaml')
    .action(async (file: string, _: unknown, command: Command) => {
      const { json = false, store } = command.optsWithGlobals<StandingOptions>()
      const waivers = await readChecked(file, parseWaivers, json, console)
      const objects = openStore({ store }, console)
      const isChanged = await declareWaivers(waivers, { now: console.now(), by: console.user }, objects)
      printDeclared('waivers', waivers.length, isChanged, json, console)
    })

  waiver
    .command('list')
    .summary('the waivers in force, and how each one stands')
    .description('Lists the register of the store, each waiver with how it stands, as "waiver check" says it.')
    .option('--now <time>', 'judge as of this time (default now)')
    .option('--json', 'one JSON object for each waiver')
    .addHelpText('after', '\nExample:\n  ciphertrail waiver list --json')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<StandingOptions>()
      const { declared, change } = await declaredWaivers(openStore(options, console))
      await printStanding(declared, options, console)
      if (change !== null && options.json !== true) console.err(declaredBy(change))
    })
}

type StandingOptions = { readonly json?: boolean; readonly store?: string; readonly now?: string }

async function printStanding(waivers: readonly Waiver[], options: StandingOptions, console: Console): Promise<void> {
  const at = timeOf(readNow(options, console))
  const periods = waivers.length === 0 ? null : await readPeriods(at, options, console)
  const checked = standing(waivers, periods, at)
  if (options.json === true) for (const one of checked) console.out(toJson({ ok: true, ...one }))
  else if (checked.length === 0) console.out('No waivers.')
  else
    for (const line of tableLines(checked, [
      { heading: 'ID', text: ({ waiver: { id } }) => id },
      { heading: 'STATUS', text: ({ status, isTooBroad }) => `${status}${isTooBroad ? ', too broad' : ''}` },
      { heading: 'FAILURES', text: ({ findings }) => (findings === null ? '-' : String(findings)) },
      { heading: 'EXPIRES', text: ({ waiver: { expires } }) => expires },
      { heading: 'ABOUT', text: ({ waiver: one }) => aboutText(one) },
      { heading: 'OWNER', text: ({ waiver: { owner } }) => owner },
    ]))
      console.out(line)
}

/** The last four weeks of every registered cluster; null where some of them tell nothing, as then nothing says what is unused. */
async function readPeriods(
  at: string,
  options: { readonly store?: string },
  console: Console,
): Promise<readonly ClusterPeriod[] | null> {
  const objects = openStore(options, console)
  const clusters = await readClusters({ objects })
  const periods: ClusterPeriod[] = []
  const { platformNamespaces } = await declaredSettings(objects)
  for (const cluster of clusters) {
    const problem = await historyProblem(cluster, objects)
    if (problem !== undefined) {
      console.err(problem)
      continue
    }
    console.progress(`Reading four weeks of ${cluster.id}`)
    const from = toTime(toSeconds(at) - PERIOD_SECONDS)
    const period = await readPeriod(cluster, { from, to: at }, { now: new Date(at), platformNamespaces }, objects)
    if (period.windows.some(({ collected }) => collected)) periods.push(period)
  }
  console.progressEnd()
  if (clusters.length > 0 && periods.length === clusters.length) return periods
  console.err(
    clusters.length === 0
      ? 'Which waivers are unused is not told: no cluster is registered in this store'
      : 'Which waivers are unused is not told: not every cluster has a collected window in the last four weeks',
  )
  return null
}

function standing(
  waivers: readonly Waiver[],
  periods: readonly ClusterPeriod[] | null,
  at: string,
): readonly WaiverStatus[] {
  if (periods !== null) {
    const period = { from: toTime(toSeconds(at) - PERIOD_SECONDS), to: at }
    return judge({ clusters: periods, scopes: [], waivers, settings: DEFAULT_SETTINGS, period, at }).waivers
  }
  return waivers.map((waiver) => waiverStatus(waiver, at))
}

/** What a waiver is about, in one line. */
function aboutText({ cluster = '*', source = '*', destination = '*', port, rules }: Waiver): string {
  const ends = `${source} to ${destination}${port === undefined ? '' : `:${port}`}`
  return `${cluster === '*' ? '' : `${cluster}: `}${ends}${rules === undefined ? '' : ` (${rules.join(', ')})`}`
}

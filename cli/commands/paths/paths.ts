import type { Command } from 'commander'
import { declaredSettings, declaredWaivers } from '../../../lib/store/registry/declarations.ts'
import { type Console, FailedError } from '../../console.ts'
import { chosenClusters, openStore, printReplays } from '../../open-store.ts'
import { collectValues, parseState, readNow } from '../../option-values.ts'
import { PERIOD_HELP, readSpanOptions } from '../../period-options.ts'
import { printIntervals } from './path-intervals.ts'
import { printPathsNow } from './paths-now.ts'

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

/** Adds `ciphertrail paths`. */
export function addPaths(program: Command, console: Console): void {
  program
    .command('paths')
    .summary('each path: what was seen of it last, since when, and which action ends what is not encrypted')
    .description(
      'Shows each path once, what asks for attention first: what was seen of it last, since when it is not encrypted, how much of its time was seen (SEEN), its latest windows, and the number of the action that ends it (ciphertrail status, report). Without a period that is the last seven days. With --history it shows one row for each interval of equal state, reason, cause and enforcement; --json gives those, too.',
    )
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('-n, --namespace <ns>', 'namespace of either end')
    .option(
      '--state <state>',
      'only this state, or not-encrypted (plaintext and no-mesh-tls that were allowed), or refused (by policy)',
    )
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
      const span = readSpanOptions(options, 'show paths')
      const now = readNow(options, console)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      printReplays(clusters, console.err)
      const wanted = { ...span, namespace: options.namespace, state }
      const isJson = options.json === true
      const isComplete =
        isJson || options.history === true
          ? await printIntervals(
              { clusters, now, wanted, isJson },
              {
                settings: await declaredSettings(objects),
                waivers: (await declaredWaivers(objects)).declared,
              },
              { objects, console },
            )
          : await printPathsNow({ clusters, now, wanted }, { objects, console })
      if (!isComplete) throw new FailedError()
    })
}

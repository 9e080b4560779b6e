import type { Command } from 'commander'
import { endName } from '../../lib/assess/judge/waived.ts'
import { type EpisodeRow, byNewest, episodeJson, readEpisodes } from '../../lib/query/episodes.ts'
import { type PackedRows, joinRows, packRows } from '../../lib/history/rows/packed-rows.ts'
import { settledBefore } from '../../lib/query/parameters.ts'
import { notKnown } from '../../lib/query/routes/cluster-history.ts'
import { beganWords } from '../../lib/report/words/format-episode.ts'
import { declaredSettings, declaredWaivers } from '../../lib/store/registry/declarations.ts'
import { type Dates, datesOf, ageWords } from '../../lib/time/dates.ts'
import { toSeconds } from '../../lib/time/windows.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { chosenClusters, openStore, printReplays } from '../open-store.ts'
import { collectValues, readNow } from '../option-values.ts'
import { PERIOD_HELP, readSpanOptions } from '../period-options.ts'
import { printJson } from '../print-json.ts'
import { tablesByClass } from '../tables-by-class.ts'
import { type TerminalColumn, tableLines, tableWidth } from '../terminal-table.ts'

type EpisodesOptions = {
  readonly cluster?: string[]
  readonly namespace?: string
  readonly open?: boolean
  readonly period?: string
  readonly from?: string
  readonly to?: string
  readonly now?: string
  readonly json?: boolean
  readonly store?: string
}

/** Before anything was collected. */
const EVER = '1970-01-01T00:00:00Z'

/** Adds `ciphertrail episodes`. */
export function addEpisodes(program: Command, console: Console): void {
  program
    .command('episodes')
    .summary('every time in which a path was not encrypted: since when, until when, and how it ended')
    .description(
      'Shows each run of windows in which a path was not encrypted, the latest first: when it began and ended, how it ended (fixed, refused, gone, quiet), how long it lasted, and why. A gap ends no episode, and quiet means no traffic for seven days, not fixed.',
    )
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('-n, --namespace <ns>', 'namespace of either end')
    .option('--open', 'only those that are open')
    .option('--period <period>', PERIOD_HELP)
    .option('--from <time>', 'only those that were open after this time')
    .option('--to <time>', '... and that began before this one, as they stood then')
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail episodes\n  ciphertrail episodes --open -n shop\n  ciphertrail episodes --period 2026-Q4\n  ciphertrail episodes --from 2026-11-01 --to 2026-12-01 --json',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<EpisodesOptions>()
      const now = readNow(options, console)
      const given = readSpanOptions(options, 'show episodes')
      const { from = EVER, to = settledBefore(now) } = given
      if (toSeconds(from) >= toSeconds(to))
        throw new UsageError(`Cannot show episodes from ${from} to ${to}: wanted --from before --to`)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      printReplays(clusters, console.err)
      const settings = await declaredSettings(objects)
      const { declared: waivers } = await declaredWaivers(objects)
      const wanted = { from, to, namespace: options.namespace, open: options.open }
      /** Of each cluster: a fleet has more rows than fit into memory. */
      const found: PackedRows<EpisodeRow>[] = []
      let count = 0
      let missing = 0
      for (const cluster of clusters) {
        const { cluster: answer, rows } = await readEpisodes(cluster, wanted, {
          objects,
          now,
          platformNamespaces: settings.platformNamespaces,
          waivers,
        })
        found.push(packRows(rows))
        count += rows.length
        // Before the first window nothing was expected; what is asked for begins with that where nobody says otherwise, and ends with the last one.
        const lack = notKnown(answer, {
          from: given.from ?? answer.expectedFrom ?? EVER,
          to: given.to === undefined ? (answer.collectedUntil ?? to) : to,
        })
        if (lack === null) continue
        console.err(
          answer.problem ??
            `Not collected: cluster "${cluster.id}": ${lack}; what was not seen opens and ends no episode`,
        )
        if (answer.problem !== null || rows.length === 0) missing++
      }
      const joined = joinRows(found, byNewest)
      if (options.json === true) await printJson(joined, episodeJson, console)
      else if (count > 0) {
        const shown = columns(datesOf({ from, to, timeZone: 'UTC' }), clusters.length > 1, console.colors)
        for (const line of tablesByClass([...joined], settings, 'episode', (rows) =>
          tableLines(rows, shown, tableWidth(console)),
        ))
          console.out(line)
      } else if (missing === 0) console.err('No episodes found.')
      if (missing > 0) throw new FailedError()
    })
}

function columns(dates: Dates, hasClusters: boolean, colors: Console['colors']): TerminalColumn<EpisodeRow>[] {
  return [
    ...(hasClusters ? [{ heading: 'CLUSTER', isMain: true as const, text: ({ cluster }: EpisodeRow) => cluster }] : []),
    { heading: 'SOURCE', isMain: true, text: ({ source }) => endName(source) },
    { heading: 'DESTINATION', isMain: true, text: ({ destination, port }) => `${endName(destination)}:${port}` },
    {
      heading: 'BEGAN (UTC)',
      text: ({ episode }) => beganWords(episode, dates),
    },
    {
      heading: 'ENDED (UTC)',
      text: ({ episode: { endedAt, ending } }) =>
        endedAt === null ? 'open' : `${dates.moment(endedAt)}${ending === null ? '' : ` (${ending})`}`,
      color: (text, { episode: { endedAt } }) => (endedAt === null ? colors.red(text) : text),
    },
    {
      heading: 'LASTED',
      text: ({ seconds, episode: { sinceUnknown, mayBeEarlier } }) => ageWords(seconds, sinceUnknown || mayBeEarlier),
    },
    { heading: 'STATE', text: ({ last }) => last?.state ?? '-' },
    { heading: 'CAUSE', text: ({ last }) => last?.cause ?? '-' },
    { heading: 'WAIVER', text: ({ last }) => last?.waiver ?? '-' },
  ]
}

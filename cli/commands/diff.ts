import type { Command } from 'commander'
import { type Diff, changeJson, lacksOf, readDiff } from '../../lib/query/diff.ts'
import { settledBefore } from '../../lib/query/parameters.ts'
import { CHANGE_WORDS, changeWords, openForWords, whenWords } from '../../lib/report/sections/changes.ts'
import { isBasisKnown, PATH_CHANGE_KINDS, type PathChange } from '../../lib/report/summary/change-summary.ts'
import { endName } from '../../lib/assess/judge/waived.ts'
import { plural } from '../../lib/report/words/vocabulary.ts'
import { printable } from '../../lib/text/printable.ts'
import { type Dates, ageWords, datesOf } from '../../lib/time/dates.ts'
import { PERIOD_FORMS } from '../../lib/time/period-forms.ts'
import { parsePeriod } from '../../lib/time/period-text.ts'
import type { WeekPeriod } from '../../lib/time/week.ts'
import { checkedZone } from '../../lib/time/checked-zone.ts'
import { toSeconds } from '../../lib/time/windows.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { chosenClusters, openStore, printReplays } from '../open-store.ts'
import { collectValues, readNow } from '../option-values.ts'
import { printJson } from '../print-json.ts'
import { type TerminalColumn, tableLines, tableWidth, wrapped } from '../terminal-table.ts'

type DiffOptions = {
  readonly cluster?: string[]
  readonly timeZone: string
  readonly now?: string
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail diff`. */
export function addDiff(program: Command, console: Console): void {
  program
    .command('diff')
    .summary('what changed from one period to a later one')
    .description(
      `Compares two periods: which paths are unencrypted that were not, which were fixed, refused, gone or quiet, which reopened, which have another identity or another policy, and what stays open for how long. It tells what happened after the end of the first period, up to the end of the second. A period is ${PERIOD_FORMS}. The report says the same of its period and the one before.`,
    )
    .argument('<before>', 'the earlier period')
    .argument('<after>', 'the later period')
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--time-zone <zone>', 'IANA time zone of weeks, months, days and of the times that are shown', 'UTC')
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object a line: each change, and each path that stays open')
    .addHelpText(
      'after',
      '\nExit code 1 if a cluster cannot be compared.\n\nExamples:\n  ciphertrail diff 2026-W46 2026-W47\n  ciphertrail diff 2026-10 2026-11 --time-zone Europe/Berlin --json\n  ciphertrail diff 2026-Q3 2026-Q4\n  ciphertrail diff 2026-11-23 2026-11-24 --cluster prod',
    )
    .action(async (beforeText: string, afterText: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<DiffOptions>()
      const now = readNow(options, console)
      const { timeZone, ...periods } = readPeriods(beforeText, afterText, options.timeZone, now)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      printReplays(clusters, console.err)
      const diff = await readDiff(clusters, periods, { objects, now })
      const dates = datesOf({ ...diff.period, timeZone })
      if (options.json === true) await printJson(diff.changes.all, changeJson, console)
      else for (const line of diffLines(diff, dates, clusters.length > 1, console)) console.out(line)
      const lacking = diff.clusters.flatMap((cluster) =>
        lacksOf(cluster, periods, { named: `cluster "${cluster.id}"`, moment: dates.moment }),
      )
      for (const { words } of lacking) console.err(words)
      if (lacking.some(({ isFatal }) => isFatal)) throw new FailedError()
    })
}

/** No period ends later than the latest window that can be collected: what is to come is not compared. */
function readPeriods(
  beforeText: string,
  afterText: string,
  zone: string,
  now: Date,
): { readonly before: WeekPeriod; readonly period: WeekPeriod; readonly timeZone: string } {
  try {
    const timeZone = checkedZone(zone)
    const [before, whole] = [parsePeriod(beforeText, timeZone), parsePeriod(afterText, timeZone)]
    if (toSeconds(before.to) > toSeconds(whole.to))
      throw new UsageError(`Cannot compare ${beforeText} with ${afterText}: wanted the earlier period first`)
    const latest = settledBefore(now)
    const period = toSeconds(whole.to) > toSeconds(latest) ? { from: whole.from, to: latest } : whole
    if (toSeconds(period.from) >= toSeconds(period.to) || toSeconds(before.to) > toSeconds(period.to))
      throw new UsageError(`Cannot compare ${beforeText} with ${afterText}: wanted periods that have begun by now`)
    return { before, period, timeZone }
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(printable(error.message)) : error
  }
}

function diffLines(
  { before, period, clusters, changes, timeToFix, open }: Diff,
  dates: Dates,
  hasClusters: boolean,
  { colors, width }: Pick<Console, 'colors' | 'width'>,
): string[] {
  const most = tableWidth({ width })
  const folded = (line: string) => (most === null ? [line] : wrapped(line, most))
  const kinds = PATH_CHANGE_KINDS.filter((kind) => changes.counts[kind] > 0)
  const counted = kinds.map((kind) => `${changes.counts[kind]} ${CHANGE_WORDS[kind]}`).join(', ')
  const isCompared = clusters.some(isBasisKnown)
  const nothing = isCompared ? 'No change in what was collected.' : 'Nothing can be compared.'
  return [
    ...folded(
      `${dates.range(period.from, period.to)}, compared with ${dates.range(before.from, before.to)} (${dates.zone}).`,
    ),
    ...folded(kinds.length === 0 ? nothing : `${counted}.`),
    ...(timeToFix.median === null
      ? []
      : folded(
          `Time to fix, over ${plural(timeToFix.episodes, 'episode')}: median ${ageWords(timeToFix.median, timeToFix.isAtLeast)}, longest ${ageWords(timeToFix.longest ?? 0, timeToFix.isAtLeast)}.`,
        )),
    ...(open.paths === 0
      ? []
      : folded(
          `Open at the end: ${plural(open.paths, 'path')}${open.medianSeconds === null ? '' : `, median age ${ageWords(open.medianSeconds, open.isAtLeast)}, longest ${ageWords(open.longestSeconds ?? 0, open.isAtLeast)}`}.`,
        )),
    ...(changes.all.length === 0 ? [] : ['', ...tableLines(changes.all, columns(dates, hasClusters, colors), most)]),
  ]
}

function columns(dates: Dates, hasClusters: boolean, colors: Console['colors']): TerminalColumn<PathChange>[] {
  return [
    ...(hasClusters ? [{ heading: 'CLUSTER', isMain: true as const, text: ({ cluster }: PathChange) => cluster }] : []),
    {
      heading: 'CHANGE',
      isMain: true,
      text: changeWords,
      color: (text, { kind }) => (kind === 'new' || kind === 'reopened' ? colors.red(text) : text),
    },
    { heading: 'SOURCE', isMain: true, text: ({ source }) => endName(source) },
    { heading: 'DESTINATION', isMain: true, text: ({ destination, port }) => `${endName(destination)}:${port}` },
    {
      heading: 'OPEN FOR',
      text: (change) => (change.openSeconds === null ? '-' : openForWords(change)),
    },
    {
      heading: 'WHEN',
      text: (change) => whenWords({ dates }, change),
    },
  ]
}

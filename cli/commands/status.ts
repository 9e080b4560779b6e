import type { Command } from 'commander'
import { readFleetStatus } from '../../lib/jobs/read-status.ts'
import { removedClusters } from '../../lib/jobs/read-report-input.ts'
import type { FleetStatus, StatusCluster } from '../../lib/report/summary/status.ts'
import { judgedPathsWords, headlineWords } from '../../lib/report/sections/opening.ts'
import { actionTitle } from '../../lib/report/words/action-titles.ts'
import { CLASS_WORDS, countWords, plural } from '../../lib/report/words/vocabulary.ts'
import { compareText } from '../../lib/text/order.ts'
import { printable } from '../../lib/text/printable.ts'
import { shareWords } from '../../lib/text/share-words.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { datesOf, durationWords } from '../../lib/time/dates.ts'
import { actionLines } from '../action-lines.ts'
import type { Console } from '../console.ts'
import { chosenClusters, openStore } from '../open-store.ts'
import { collectValues, readNow } from '../option-values.ts'
import { type TerminalColumn, tableLines, tableWidth, wrapped } from '../terminal-table.ts'

type StatusOptions = {
  readonly cluster?: string[]
  readonly now?: string
  readonly json?: boolean
  readonly store?: string
}

/** So many clusters are shown, so that a screen holds all of it. */
const FEW_CLUSTERS = 8

/** Adds `ciphertrail status`. */
export function addStatus(program: Command, console: Console): void {
  program
    .command('status')
    .summary('how things stand: open paths, what to do first, what is not seen')
    .description(
      'Shows on one screen which paths are not encrypted now and what to do first, how much of each cluster was seen in the last day and the last seven days, what is not sealed and when the next mail is due. It reads the store alone and asks no cluster. The exit code is 0 whatever it says.',
    )
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--now <time>', 'take this for the present')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExamples:\n  ciphertrail status\n  ciphertrail status --cluster prod --json')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<StatusOptions>()
      const now = readNow(options, console)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      const removed = options.cluster === undefined ? await removedClusters(clusters, objects) : []
      const status = await readFleetStatus(
        { clusters, now, version: console.version, removed },
        { objects, progress: console.progress, warn: console.err },
      )
      console.progressEnd()
      if (options.json === true) console.out(toJson(statusJson(status)))
      else for (const line of statusLines(status, console)) console.out(line)
    })
}

/** The same as an object: numbers and lists, no words but those that clusters wrote. */
function statusJson({ standing, clusters, mail }: FleetStatus) {
  const { period, replay, figures, others, actions, checkpoint, removed, wantedShare } = standing
  return {
    ...period,
    replay,
    wantedShare,
    paths: figures,
    others: others.map(({ class: of, known, figures: own }) => ({ class: of, known, ...own })),
    actions: actions.map((action) => ({
      ...action,
      title: actionTitle(action),
      paths: action.paths.map(({ pathId }) => pathId),
    })),
    clusters,
    removed,
    log:
      checkpoint === null
        ? null
        : { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root, unsealed: checkpoint.unsealed },
    mail,
  }
}

function statusLines(status: FleetStatus, { colors, width }: Pick<Console, 'colors' | 'width'>): string[] {
  const { standing, clusters } = status
  const { period, replay } = standing
  const dates = datesOf({ ...period, timeZone: 'UTC' })
  const most = tableWidth({ width })
  const folded = (lines: readonly string[]) => (most === null ? lines : lines.flatMap((line) => wrapped(line, most)))
  const headline = folded([headlineWords(standing)])
  const shown = clusters.toSorted(leastSeenFirst).slice(0, FEW_CLUSTERS)
  const left = clusters.length - shown.length
  return [
    ...(replay === null ? [] : folded([printable(replay), ''])),
    ...(standing.figures.openNow > 0 ? headline.map((line) => colors.red(line)) : headline),
    ...folded([judgedPathsWords(standing)].filter((words) => words !== '')),
    `Seen: ${dates.range(period.from, period.to)} (UTC), ${durationWords((Date.parse(period.to) - Date.parse(period.from)) / 1000)}.`,
    '',
    ...tableLines(shown, clusterColumns(dates.moment, status, colors), most),
    ...(left === 0 ? [] : [`And ${plural(left, 'more cluster')}; --json has all.`]),
    ...folded(['', ...othersLine(status), ...actionLines(standing, dates.moment), '']),
    ...folded(standingLines(status, dates.moment)),
  ]
}

/** What is behind first, then what was seen least. */
function leastSeenFirst(a: StatusCluster, b: StatusCluster): number {
  return (
    Number(a.isUpToDate) - Number(b.isUpToDate) || (a.seenInSpan ?? 0) - (b.seenInSpan ?? 0) || compareText(a.id, b.id)
  )
}

function clusterColumns(
  moment: (time: string) => string,
  { standing: { period } }: FleetStatus,
  colors: Console['colors'],
): TerminalColumn<StatusCluster>[] {
  const share = (value: number | null) => (value === null ? 'not known' : shareWords(value))
  const days = Math.round((Date.parse(period.to) - Date.parse(period.from)) / 86_400_000)
  return [
    { heading: 'CLUSTER', isMain: true, text: ({ id }) => id },
    {
      heading: 'LAST WINDOW',
      isMain: true,
      text: ({ lastWindow }) => (lastWindow === null ? 'none' : moment(lastWindow)),
      color: (text, { isUpToDate }) => (isUpToDate ? text : colors.yellow(text)),
    },
    ...(days > 1 ? [{ heading: 'SEEN IN 24 H', text: ({ seenInDay }: StatusCluster) => share(seenInDay) }] : []),
    { heading: days > 1 ? `SEEN IN ${days} D` : 'SEEN IN ALL', text: ({ seenInSpan }) => share(seenInSpan) },
    {
      heading: 'NOT COLLECTED',
      text: ({ missingWindows, missingSeconds }) =>
        missingWindows === 0 ? '-' : `${plural(missingWindows, 'window')}, ${durationWords(missingSeconds)}`,
    },
  ]
}

function othersLine({ standing: { others } }: FleetStatus): string[] {
  if (others.length === 0) return []
  return [
    ...others.map(
      ({ class: of, known, figures }) =>
        `Not judged: ${plural(known, 'path')} of ${CLASS_WORDS[of]}, ${countWords(figures.openNow)} open.`,
    ),
    '',
  ]
}

/** The log, the next mail, and clusters that are not registered any more. */
function standingLines(
  { standing: { checkpoint, removed }, mail }: FleetStatus,
  moment: (time: string) => string,
): string[] {
  const log =
    checkpoint === null
      ? 'Log: nothing is sealed yet; see ciphertrail seal --help'
      : `Log: ${printable(checkpoint.origin)}, ${plural(checkpoint.size, 'leaf', 'leaves')}${checkpoint.unsealed === 0 ? ', all that is shown here is sealed' : `; ${plural(checkpoint.unsealed, 'attempt')} of this span not sealed yet`}`
  return [
    log,
    mail === null
      ? 'Mail: no channel is set up; see ciphertrail channel add --help'
      : `Mail: next ${moment(mail.at)} to channel ${mail.channel}`,
    ...(removed.length === 0
      ? []
      : [`Not registered any more, and not in this: ${removed.map((id) => printable(id)).join(', ')}`]),
  ]
}

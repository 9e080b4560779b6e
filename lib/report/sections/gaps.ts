/** What was not seen, one by one: missing windows, gaps, errors, paths without traffic, and blind spots. */
import type { BlindSpot, Workload } from '../../model/window.ts'
import { durationWords } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { sum } from '../summary/sums.ts'
import type { ClusterSummary } from '../summary/coverage-summary.ts'
import { EMPTY_CELL, endpointName, nameCell, number, plain, table, textCell } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { BLIND_SPOT_WORDS, byteWords, countWords, GAP_WORDS, plural } from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import { dataFile, firstLines, firstRows } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'
import { pathTables } from './other-paths.ts'

/** Error lines longer than this are cut, and say so. */
const MAX_LINE_LENGTH = 400

/** A table shows as many rows; all of them stand in the CSV. */
const MAX_ROWS = 100
/** A row names as many workloads. */
const MAX_NAMES = 4

/** Every time in which something was not observed. */
export function gapsSection(wording: Wording): SectionView {
  const { summary } = wording
  const tables = [
    ...missingTable(wording),
    ...summary.clusters.flatMap((cluster) => [...gapTable(wording, cluster), ...errorTable(wording, cluster)]),
    ...pathTables(wording, summary.unseen, 'Known paths without traffic'),
    ...blindSpotTables(wording),
  ]
  return section('gaps', 'Gaps, one by one', {
    paragraphs:
      tables.length > 0
        ? []
        : [
            summary.expectedWindows === 0
              ? 'No window was expected, so the whole period is unknown.'
              : 'No missing window, no gap inside a window, no error and no blind spot was found in the expected windows.',
          ],
    tables,
  })
}

function missingTable(wording: Wording): readonly TableView[] {
  const { summary, dates } = wording
  const missing = summary.clusters.flatMap(({ missingRuns }) => missingRuns)
  if (missing.length === 0) return []
  const { shown, note } = firstLines(missing, MAX_ROWS, dataFile(wording, 'windows.csv'))
  return [
    table(
      `Windows that were not collected; consecutive ones share a row.${note}`,
      [
        ['Cluster', 15],
        ['When', 35],
        ['Windows', 10, 'numbers'],
        ['Why', 40],
      ],
      shown.map(({ cluster, from, to, windows, isAttempted }) => [
        plain(cluster),
        textCell(dates.range(from, to)),
        number(countWords(windows)),
        textCell(isAttempted ? 'the metrics could not be read' : 'no attempt is stored'),
      ]),
    ),
  ]
}

function gapTable(wording: Wording, cluster: ClusterSummary): readonly TableView[] {
  if (cluster.gaps.length === 0) return []
  const { dates } = wording
  const file = dataFile(wording, 'coverage.csv')
  const { shown, note } = firstRows(gapGroups(cluster.gaps), MAX_ROWS, file, 'gap', ({ gaps }) => gaps.length)
  return [
    table(
      `Gaps in collected windows of cluster ${printable(cluster.id)}, the most pod time first.${shown.some(({ gaps }) => gaps.length > 1) ? ` Many workloads with one reason share a row; ${file} has each.` : ''}${note}`,
      [
        ['Workload', 30],
        ['Why not seen', 20],
        ['Pod time lost', 11, 'numbers'],
        ['Gaps', 7, 'numbers'],
        ['First to last', 20],
        ['Observed', 12, 'numbers'],
      ],
      shown.map(({ gaps, reason, podSeconds }) => [
        {
          ...EMPTY_CELL,
          names: gaps.slice(0, MAX_NAMES).map(({ workload }) => endpointName(workload)),
          notes: gaps.length > MAX_NAMES ? [`and ${countWords(gaps.length - MAX_NAMES)} more`] : [],
        },
        textCell(GAP_WORDS[reason]),
        number(durationWords(podSeconds)),
        number(countWords(sum(gaps, ({ stretches }) => stretches))),
        textCell(
          dates.range(
            gaps.map(({ from }) => from).reduce((a, b) => (Date.parse(b) < Date.parse(a) ? b : a)),
            gaps.map(({ to }) => to).reduce((a, b) => (Date.parse(b) > Date.parse(a) ? b : a)),
          ),
        ),
        number(ratioWords(gaps.map(({ ratio }) => ratio))),
      ]),
    ),
  ]
}

type Gap = ClusterSummary['gaps'][number]

/** A row for each workload; one for all that share a reason if they are many: one outage is one gap to a reader. */
function gapGroups(
  gaps: readonly Gap[],
): readonly { readonly reason: Gap['reason']; readonly gaps: readonly Gap[]; readonly podSeconds: number }[] {
  return [...Map.groupBy(gaps, ({ reason }) => reason)]
    .flatMap(([reason, own]) =>
      (own.length > MAX_NAMES ? [own] : own.map((gap) => [gap])).map((all) => ({ reason, gaps: all })),
    )
    .map(({ reason, gaps: own }) => ({ reason, gaps: own, podSeconds: sum(own, ({ podSeconds }) => podSeconds) }))
    .toSorted((a, b) => b.podSeconds - a.podSeconds)
}

/** `83.9 %`, or from the least to the most; where one is unknown, that is said. */
function ratioWords(ratios: readonly (number | null)[]): string {
  const known = ratios.filter((ratio) => ratio !== null)
  if (known.length < ratios.length) return known.length === 0 ? 'unknown' : 'partly unknown'
  const [least, most] = [Math.min(...known), Math.max(...known)].map(shareWords)
  return least === most ? `${least}` : `${least} to ${most}`
}

function errorTable(wording: Wording, cluster: ClusterSummary): readonly TableView[] {
  if (cluster.errors.length === 0) return []
  const { dates } = wording
  const { shown, note } = firstLines(cluster.errors, MAX_ROWS, dataFile(wording, 'summary.json'))
  return [
    table(
      `Errors on cluster ${printable(cluster.id)}.${note}`,
      [
        ['Error', 66],
        ['Windows', 8, 'numbers'],
        ['In windows that end', 26],
      ],
      shown.map(({ line, windows, first, last }) => [
        textCell(errorLine(line)),
        number(countWords(windows)),
        textCell(first === last ? dates.moment(first) : `${dates.moment(first)} to ${dates.moment(last)}`),
      ]),
    ),
  ]
}

function blindSpotTables(wording: Wording): readonly TableView[] {
  const { blind } = wording.summary
  // One row for each way in which a workload is not seen, whatever the number of its ports.
  const spots = blind.flatMap((workload) =>
    [...Map.groupBy(workload.blindSpots, ({ kind }) => kind)]
      .filter(([kind]) => kind !== 'unmeshed')
      .map(([kind, own]) => ({ workload, kind, where: `${spotPlaces(own)}${aroundWords(kind, workload)}` })),
  )
  if (spots.length === 0) return []
  const { shown, note } = firstLines(spots, MAX_ROWS, dataFile(wording, 'workloads.csv'))
  return [
    table(
      `Other blind spots: ${plural(spots.length, 'setting')} on ${plural(blind.length, 'workload')} that hide traffic, or the names of its ends.${note}`,
      [
        ['Workload', 30],
        ['Cluster', 15],
        ['Not seen', 35],
        ['Where', 20],
      ],
      shown.map(({ workload, kind, where }) => [
        nameCell(endpointName(workload)),
        plain(workload.cluster),
        textCell(BLIND_SPOT_WORDS[kind]),
        textCell(where),
      ]),
    ),
  ]
}

const AROUND: ReadonlySet<BlindSpot['kind']> = new Set(['skip-inbound', 'skip-outbound', 'skip-subnet', 'udp', 'ipv6'])

/** How much of a workload's traffic may have gone around its proxies: an upper bound, and no verdict. */
function aroundWords(kind: BlindSpot['kind'], { aroundProxy }: Workload): string {
  return aroundProxy === undefined || !AROUND.has(kind)
    ? ''
    : `; at most ${byteWords(aroundProxy.maxBytes)} went around its proxies`
}

/** The ports of a blind spot; where it has none, what it says of itself. */
function spotPlaces(spots: readonly BlindSpot[]): string {
  const ports = [...new Set(spots.flatMap(({ port }) => port ?? []))]
  if (ports.length > 0) return printable(`${ports.length === 1 ? 'port' : 'ports'} ${ports.join(', ')}`)
  return printable([...new Set(spots.map(({ detail }) => detail))].filter(Boolean).join('; ')) || 'everywhere'
}

function errorLine(line: string): string {
  const shown = printable(line)
  return shown.length <= MAX_LINE_LENGTH
    ? shown
    : `${shown.slice(0, MAX_LINE_LENGTH)}… (${countWords(shown.length - MAX_LINE_LENGTH)} more characters)`
}

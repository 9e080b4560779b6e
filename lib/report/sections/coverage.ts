/** How much of what was expected was seen at all, cluster by cluster. */
import { durationWords } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { cellWords, coverageStrip } from '../drawing/strip-drawing.ts'
import type { Summary } from '../summary/summary.ts'
import { number, plain, table } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { countWords, plural, unmeshedWords } from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import type { Wording } from '../words/report-context.ts'

/** How much was looked at, before the single gaps. */
export function coverageSection(wording: Wording): SectionView {
  const { summary, dates } = wording
  const { clusters } = summary
  const isGapless = clusters.every(
    ({ gaps, share, missingRuns }) => gaps.length + missingRuns.length === 0 && share !== null,
  )
  return section('coverage', 'Coverage', {
    paragraphs: [
      clusters.length === 0
        ? 'No cluster was asked, so nothing was seen.'
        : `${countWords(summary.collectedWindows)} of ${plural(summary.expectedWindows, 'expected window')} were collected. ${
            summary.share === null
              ? 'The observed share of pod time is unknown.'
              : `${shareWords(summary.share)} of the known time of meshed pods was observed. A window that was not collected counts as not observed. “Collected” counts windows for which the cluster answered; “observed” counts the time of pods whose proxies were read in them.`
          }`,
      ...(isGapless && clusters.length > 0 && summary.expectedWindows > 0
        ? ['No gap was found in the expected windows.']
        : []),
      ...clusters.flatMap(({ id, expectedOnly }) =>
        expectedOnly === null
          ? []
          : [
              `Cluster ${printable(id)} was monitored only from ${dates.range(expectedOnly.from, expectedOnly.to)}. The rest of the period is unknown.`,
            ],
      ),
      ...staleWords(wording),
      ...blindWords(summary),
    ],
    tables: coverageTable(wording),
  })
}

/** Clusters that nothing is known of at the end of the period. */
function staleWords({ summary, dates }: Wording): readonly string[] {
  return summary.clusters.flatMap(({ id, windows }) => {
    const last = windows.at(-1)
    const collected = windows.findLast((window) => window.collected)
    if (last === undefined || collected === undefined || collected === last) return []
    return [
      `Nothing was collected on cluster ${printable(id)} after ${dates.moment(collected.end)}, ${durationWords((Date.parse(last.end) - Date.parse(collected.end)) / 1000)} before the last expected window ended. Open paths there were last seen then.`,
    ]
  })
}

function coverageTable(wording: Wording): readonly TableView[] {
  const { clusters } = wording.summary
  if (clusters.length === 0) return []
  return [
    table(
      `Coverage of each cluster. The height of a bar is the share of pod time observed (a thin line: almost none); crossed: not collected; dotted: unknown. Vertical lines mark ${wording.unit}; ${cellWords(wording)}.`,
      [
        ['Cluster', 25],
        ['Observed', 15, 'numbers'],
        ['Collected', 15, 'numbers'],
        ['Missing', 15, 'numbers'],
        ['Unreadable', 15, 'numbers'],
        ['Not measured', 15, 'numbers'],
      ],
      clusters.map((cluster) => ({
        id: '',
        cells: [
          plain(cluster.id),
          number(cluster.share === null ? 'unknown' : shareWords(cluster.share)),
          number(`${countWords(cluster.collected)} of ${countWords(cluster.expected)}`),
          number(countWords(cluster.missing)),
          number(countWords(cluster.failed)),
          number(countWords(cluster.unmeasured)),
        ],
        detail: { strip: coverageStrip(wording, cluster, true), lines: [], fix: [] },
      })),
    ),
  ]
}

function blindWords({ unmeshed, workloads, clusters, collectedWindows }: Summary): readonly string[] {
  if (clusters.length === 0) return []
  if (workloads === 0)
    return [
      collectedWindows === 0
        ? 'No list of workloads could be read, so blind spots are unknown.'
        : 'No workload is known from the Kubernetes API, so blind spots are unknown.',
    ]
  if (unmeshed.length === 0) return []
  return [
    `Inherent blind spots: ${unmeshedWords(unmeshed, workloads)}. Traffic of a pod without a proxy is seen only if the other end has one.`,
  ]
}

/** Page one, first half: how much of what was expected was seen at all. */
import { durationWords } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { binWords, coverageStrip } from '../drawing/strip-view.ts'
import type { Summary } from '../summary/summary.ts'
import { EMPTY_CELL, number, plain, table } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { countWords, plural } from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import type { Wording } from '../words/report-context.ts'

/** What was not seen, before the details. */
export function notSeenSection(wording: Wording): SectionView {
  const { summary, dates } = wording
  const { clusters } = summary
  const isGapless = clusters.every(
    ({ gaps, share, missingRuns }) => gaps.length + missingRuns.length === 0 && share !== null,
  )
  return section('not-seen', 'What was not seen', {
    paragraphs: [
      clusters.length === 0
        ? 'No cluster was asked, so there is nothing to tell.'
        : `${countWords(summary.collectedWindows)} of ${plural(summary.expectedWindows, 'expected window')} were collected. ${
            summary.share === null
              ? 'How much of the pods’ time was observed is not known.'
              : `Where it is known, ${shareWords(summary.share)} of the time of meshed pods was observed; windows that were not collected count as not observed.`
          }`,
      ...(isGapless && clusters.length > 0 && summary.expectedWindows > 0
        ? ['No gap was found in what was expected.']
        : []),
      ...clusters.flatMap(({ id, expectedOnly }) =>
        expectedOnly === null
          ? []
          : [
              `On cluster ${printable(id)} windows were expected only from ${dates.range(expectedOnly.from, expectedOnly.to)}; of the rest of the period nothing is known.`,
            ],
      ),
      ...staleWords(wording),
      ...unmeshedWords(summary),
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
      `On cluster ${printable(id)} nothing was collected after ${dates.moment(collected.end)}, ${durationWords((Date.parse(last.end) - Date.parse(collected.end)) / 1000)} before the last expected window ended: what is said to be open was last seen then.`,
    ]
  })
}

function coverageTable(wording: Wording): readonly TableView[] {
  const { clusters } = wording.summary
  if (clusters.length === 0) return []
  return [
    table(
      `Coverage of each cluster. In the strip a bar’s height is the part of pod time that was observed; crossed: not collected; dotted: not known. Lines mark ${wording.unit}.${binWords(wording)}`,
      [
        ['Cluster', 15],
        ['Observed', 10, 'numbers'],
        ['Collected', 12, 'numbers'],
        ['Missing', 8, 'numbers'],
        ['Unreadable', 10, 'numbers'],
        ['Not measured', 11, 'numbers'],
        ['Coverage', 34],
      ],
      clusters.map((cluster) => [
        plain(cluster.id),
        number(cluster.share === null ? 'not known' : shareWords(cluster.share)),
        number(`${countWords(cluster.collected)} of ${countWords(cluster.expected)}`),
        number(countWords(cluster.missing)),
        number(countWords(cluster.failed)),
        number(countWords(cluster.unmeasured)),
        { ...EMPTY_CELL, strip: coverageStrip(wording, cluster) },
      ]),
    ),
  ]
}

const BLIND_WORDS = {
  no: 'without a proxy',
  partly: 'with some pods without one',
  unknown: 'for which it is not known',
}

function unmeshedWords({ unmeshed, workloads, clusters, collectedWindows }: Summary): readonly string[] {
  if (clusters.length === 0) return []
  if (workloads === 0)
    return [
      collectedWindows === 0
        ? 'No list of workloads could be read, so blind spots are not known.'
        : 'No workload is known from the Kubernetes API, so blind spots are not known.',
    ]
  if (unmeshed.length === 0) return []
  const parts = (['no', 'partly', 'unknown'] as const).flatMap((meshed) => {
    const count = unmeshed.filter((workload) => workload.meshed === meshed).length
    return count === 0 ? [] : [`${countWords(count)} ${BLIND_WORDS[meshed]}`]
  })
  return [
    `Blind spots by nature: of ${plural(workloads, 'workload')}, ${parts.join(', ')}. Their traffic is seen only where the other end has a proxy.`,
  ]
}

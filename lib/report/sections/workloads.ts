/** The workloads that are not in the mesh, and why. */
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'
import { endpointName, nameCell, number, plain, table, textCell } from '../table-cells.ts'
import { byteWords, countWords, MESHED_WORDS, plural, UNMESHED_WORDS } from '../words/vocabulary.ts'
import { firstLines } from '../words/report-context.ts'

/** A table shows as many rows. */
const MAX_ROWS = 100

/** Each workload that is not in the mesh, or not known to be. */
export function workloadsSection({ unmeshed, workloads, collectedWindows }: Summary): SectionView {
  const { shown, note } = firstLines(unmeshed, MAX_ROWS, 'workloads.csv')
  return section('workloads', 'Workloads that are not in the mesh', {
    paragraphs:
      workloads === 0
        ? [
            collectedWindows === 0
              ? 'Nothing was collected, so no workload is known.'
              : 'No list of workloads could be read, so none is known.',
          ]
        : unmeshed.length === 0
          ? [`All ${plural(workloads, 'listed workload')} had a proxy in the latest window in which they were listed.`]
          : [
              `${countWords(unmeshed.length)} of ${plural(workloads, 'workload')}, as the Kubernetes API described them for the latest window in which it could be read.`,
            ],
    tables:
      unmeshed.length === 0
        ? []
        : [
            table(
              `Workloads that are not, not wholly or not surely in the mesh.${note}`,
              [
                ['Workload', 26],
                ['Cluster', 13],
                ['In the mesh', 13],
                ['Why', 20],
                ['Pods', 5, 'numbers'],
                ['ServiceAccount', 15],
                ['Sent without a proxy', 8, 'numbers'],
              ],
              shown.map((workload) => [
                nameCell(endpointName(workload)),
                plain(workload.cluster),
                textCell(MESHED_WORDS[workload.meshed]),
                textCell(workload.reason === null ? 'not known' : UNMESHED_WORDS[workload.reason]),
                number(countWords(workload.pods)),
                workload.serviceAccount === null ? textCell('not known') : plain(workload.serviceAccount),
                number(workload.withoutProxy === undefined ? 'not known' : byteWords(workload.withoutProxy.sentBytes)),
              ]),
            ),
          ],
  })
}

/** The workloads that are not in the mesh, and why. */
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'
import { endpointName, nameCell, number, plain, table, textCell } from '../table-cells.ts'
import { byteWords, countWords, MESHED_WORDS, plural, UNMESHED_WORDS, unmeshedWords } from '../words/vocabulary.ts'
import { firstLines } from '../words/report-context.ts'

/** A table shows as many rows. */
const MAX_ROWS = 100

/** Each workload that is not in the mesh, or not known to be. */
export function workloadsSection({ unmeshed, workloads, collectedWindows }: Summary): SectionView {
  const { shown, note } = firstLines(unmeshed, MAX_ROWS, 'workloads.csv')
  return section('workloads', 'Workloads', {
    paragraphs:
      workloads === 0
        ? [
            collectedWindows === 0
              ? 'Nothing was collected, so no workload is known.'
              : 'No Kubernetes snapshot could be read, so no workload is known.',
          ]
        : unmeshed.length === 0
          ? [`All ${plural(workloads, 'listed workload')} had a proxy in the latest Kubernetes snapshot.`]
          : [`In the latest Kubernetes snapshot, ${unmeshedWords(unmeshed, workloads)}.`],
    tables:
      unmeshed.length === 0
        ? []
        : [
            table(
              `One row per workload without a proxy in each of its pods.${note}`,
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
                textCell(workload.reason === null ? 'unknown' : UNMESHED_WORDS[workload.reason]),
                number(countWords(workload.pods)),
                workload.serviceAccount === null ? textCell('unknown') : plain(workload.serviceAccount),
                number(
                  workload.withoutProxy === undefined ? 'not measured' : byteWords(workload.withoutProxy.sentBytes),
                ),
              ]),
            ),
          ],
  })
}

/** Each path once, what asks for attention first: `paths`. */
import { historyProblem, isEmptyHistory } from '../../../lib/history/history-problem.ts'
import type { HistoryQuery } from '../../../lib/history/rows/path-history.ts'
import { readEachCluster } from '../../../lib/jobs/read-report-input.ts'
import { statusPeriod } from '../../../lib/jobs/read-status.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { ReportPeriod } from '../../../lib/report/report-input.ts'
import { joinStandings, standingOf } from '../../../lib/report/summary/standing.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { datesOf } from '../../../lib/time/dates.ts'
import { toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { Console } from '../../console.ts'
import { isWantedPath, pathLines, pathsNow } from '../../path-table.ts'
import { toldWindows } from '../../../lib/history/rows/told-windows.ts'
import { missingLine, namespaceHint, namespacesOf } from './missing-paths.ts'

/** Without a begin, a period is as long. */
const SPAN_SECONDS = 7 * 24 * 3600

type Asked = { readonly clusters: readonly Cluster[]; readonly now: Date; readonly wanted: HistoryQuery }

/** Prints the table. Returns false if something is missing. */
export async function printPathsNow(
  { clusters, now, wanted }: Asked,
  { objects, console }: { readonly objects: Objects; readonly console: Console },
): Promise<boolean> {
  const period = await shownPeriod({ clusters, now, wanted }, objects)
  const readable: Cluster[] = []
  for (const cluster of clusters) {
    const problem = await historyProblem(cluster, objects)
    if (problem === undefined) readable.push(cluster)
    else console.err(problem)
  }
  if (readable.length === 0) return false
  const replays = new Set(clusters.flatMap(({ id, replay }) => (replay === undefined ? [] : [id])))
  const { made, checkpoint } = await readEachCluster(
    { clusters: readable, period, now, version: console.version },
    { objects, progress: console.progress, warn: console.err },
    (input) => {
      const summary = summarise(input)
      const paths = pathsNow(summary)
      return {
        standing: standingOf(summary),
        rows: paths.filter((path) => isWantedPath(path, wanted)),
        namespaces: namespacesOf(paths),
        collected: input.clusters.map(({ id, windows }) => ({
          cluster: id,
          hasEvidence: windows.some(({ evidence }) => evidence !== null),
          ...toldWindows(windows, windows, period.to, { now, isEnded: replays.has(id) }),
          // Of whatever state: a path that was open when it was last seen has another one in the period.
          rows: paths.filter((path) => isWantedPath(path, { namespace: wanted.namespace })).length,
        })),
      }
    },
  )
  console.progressEnd()
  const rows = made.flatMap((one) => one.rows)
  const lacking = new Set<string>()
  let isAllEmpty = true
  for (const { hasEvidence, ...known } of made.flatMap(({ collected }) => collected)) {
    const isEmpty = !hasEvidence && (await isEmptyHistory(known.cluster, objects))
    if (!isEmpty) isAllEmpty = false
    // Who filters for what is wrong must not take silence for good news.
    const missing = missingLine({ ...known, isEmpty, rows: rows.length === 0 ? 0 : known.rows }, wanted)
    if (missing === null) continue
    if (missing.isLacking) lacking.add(known.cluster)
    console.err(missing.line)
  }
  const standing = joinStandings(
    made.map((one) => one.standing),
    checkpoint,
  )
  for (const line of pathLines(rows, standing, console)) console.out(line)
  if (rows.length === 0 && !isAllEmpty) {
    const hint = namespaceHint(wanted.namespace, new Set(made.flatMap(({ namespaces }) => [...namespaces])))
    const { fullRange } = datesOf(period)
    console.err(
      `No paths found from ${fullRange(period.from, period.to)} (UTC); --history shows all that is kept.${hint}`,
    )
  }
  return readable.length === clusters.length && lacking.size === 0
}

/** The period that is asked for, or the last seven days. It ends with the last window that is over, unless it begins after that. */
async function shownPeriod({ clusters, now, wanted: { from, to } }: Asked, objects: Objects): Promise<ReportPeriod> {
  const status = await statusPeriod(clusters, now, { objects })
  const begin = from ?? (to === undefined ? status.from : toTime(toSeconds(to) - SPAN_SECONDS))
  if (toSeconds(begin) >= toSeconds(status.to))
    return { ...status, from: begin, to: to ?? toTime(toSeconds(begin) + SPAN_SECONDS) }
  const end = to === undefined || toSeconds(to) > toSeconds(status.to) ? status.to : to
  return { ...status, from: begin, to: end }
}

/** What is kept of a cluster over two periods that are compared, read from months alone: no window result is a request of its own. */
import { pathClass } from '../assess/ends/path-class.ts'
import { fixOf } from '../assess/window/causes-and-fixes.ts'
import type { ReportSettings } from '../model/judgement.ts'
import type { ComparedCluster } from '../model/period.ts'
import type { Cluster } from '../model/registry.ts'
import type { Objects } from '../store/objects/objects.ts'
import { toSeconds } from '../time/windows.ts'
import type { History } from './cluster-state.ts'
import { classesIn, rows, within } from './path-history.ts'
import { episodesOf, readPresent } from './period.ts'

/** A period `(from, to]`, RFC 3339. */
type Span = { readonly from: string; readonly to: string }

/** How two periods are read. */
export type CompareAs = Pick<ReportSettings, 'judgedClasses' | 'platformNamespaces'> & {
  /** Windows that should have been collected by then and are not stored are told as missing. */
  readonly now: Date
}

/** Two periods, of which the earlier one ends first. */
export type ComparedSpans = { readonly before: Span; readonly period: Span }

/** Reads two periods of a cluster, the paths of the judged classes alone, as a report compares them. Throws `DamagedError`. */
export async function readCompared(
  cluster: Cluster,
  spans: ComparedSpans,
  { now, ...settings }: CompareAs,
  objects: Objects,
): Promise<ComparedCluster> {
  return comparedOf(cluster.id, await readPresent(cluster, now, objects, spanOf(spans)), spans, settings)
}

/** What is known of two periods, of a history that holds at least both of them. */
export function comparedOf(
  id: string,
  { months, episodes }: Pick<History, 'months' | 'episodes'>,
  spans: ComparedSpans,
  { judgedClasses, platformNamespaces }: Omit<CompareAs, 'now'>,
): ComparedCluster {
  const { before, period } = spans
  const isJudged = (row: { readonly class: (typeof judgedClasses)[number] }) => judgedClasses.includes(row.class)
  const rowsIn = (one: Span) => rows(months, episodes, one, { fixOf, platformNamespaces }).filter(isJudged)
  const windows = months.flatMap((month) => month.windows)
  const classes = classesIn(months, period, platformNamespaces)
  const all = episodesOf(
    months.flatMap(({ intervals }) => intervals),
    episodes,
    spanOf(spans),
  )
  return {
    id,
    before: { windows: windows.filter(within(before)), rows: rowsIn(before) },
    windows: windows.filter(within(period)),
    rows: rowsIn(period),
    episodes: all.filter((path) => judgedClasses.includes(pathClass(path, classes))),
  }
}

/** From the earlier beginning to the end of the later period. */
function spanOf({ before, period }: ComparedSpans): Span {
  return { from: toSeconds(before.from) < toSeconds(period.from) ? before.from : period.from, to: period.to }
}

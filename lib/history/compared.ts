/** Reads a cluster's paths over two compared periods, only from months, to save a request for each window result. */
import { pathClass } from '../assess/ends/path-class.ts'
import { fixOf } from '../assess/fixes/fix-text.ts'
import type { ReportSettings } from '../model/judgement.ts'
import type { ComparedCluster } from '../model/period.ts'
import type { Cluster } from '../model/registry.ts'
import type { Objects } from '../store/objects/objects.ts'
import { toSeconds } from '../time/windows.ts'
import type { History } from './cluster-state.ts'
import { classesIn, rows, within } from './rows/path-history.ts'
import { episodesOf, readPresent } from './period.ts'

/** A period `(from, to]`, RFC 3339. */
type Span = { readonly from: string; readonly to: string }

/** Options for reading two periods. */
export type CompareAs = Pick<ReportSettings, 'judgedClasses' | 'platformNamespaces'> & {
  /** Windows that should have been collected by then and are not stored are missing. */
  readonly now: Date
}

/** Two periods; `before` ends first. */
export type ComparedSpans = { readonly before: Span; readonly period: Span }

/** Reads two periods of a cluster for a report's comparison, only paths of judged classes. Throws `DamagedError`. */
export async function readCompared(
  cluster: Cluster,
  spans: ComparedSpans,
  { now, ...settings }: CompareAs,
  objects: Objects,
): Promise<ComparedCluster> {
  return comparedOf(cluster.id, await readPresent(cluster, now, objects, spanOf(spans)), spans, settings)
}

/** Compares two periods of a history that contains at least both. */
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
  const isOverlapping = toSeconds(before.to) > toSeconds(period.from)
  return {
    id,
    before: { windows: windows.filter(within(before)), rows: rowsIn(before) },
    between: windows.filter(within({ from: before.to, to: period.from })),
    windows: windows.filter(within(period)),
    rows: rowsIn(isOverlapping ? { from: before.to, to: period.to } : period),
    episodes: all.filter((path) => judgedClasses.includes(pathClass(path, classes))),
  }
}

/** Returns the span from the earlier start to the end of the later period. */
function spanOf({ before, period }: ComparedSpans): Span {
  return { from: toSeconds(before.from) < toSeconds(period.from) ? before.from : period.from, to: period.to }
}

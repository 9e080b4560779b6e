/** What was seen of paths up to two times, compared: the same for the page of data flow and the API. */
import { fixOf } from '../assess/fixes/fix-text.ts'
import { settingsOf } from '../assess/judge/stored-scope.ts'
import { concurrently } from '../concurrently.ts'
import { readOrProblem } from '../history/history-problem.ts'
import { readPresent } from '../history/period.ts'
import { classesIn, rows, within } from '../history/rows/path-history.ts'
import { presentEnd } from '../history/rows/period-rows.ts'
import type { ClassNamespaces, PathClass } from '../model/path.ts'
import type { Cluster } from '../model/registry.ts'
import { basisOf } from '../report/summary/change-summary.ts'
import { type FlowChange, type FlowSpan, byFlowChange, flowChanges } from '../report/summary/flow-changes.ts'
import type { Objects } from '../store/objects/objects.ts'
import { declaredScope } from '../store/registry/declarations.ts'
import { endJson } from '../text/format-json.ts'
import { toSeconds, toTime } from '../time/windows.ts'
import { type ComparedTimes, type DiffCluster, comparedCollected, collectedExtent } from './diff.ts'
import { settledBefore } from './parameters.ts'
import { CLUSTERS_AT_ONCE } from './routes/cluster-history.ts'

/** A path is as it was seen last in so many days up to a time: as long as `status` and the drawing of data flow look back. */
const DAYS = 7

const DAY_SECONDS = 24 * 60 * 60

/** A span `(from, to]`, RFC 3339. */
type Span = { readonly from: string; readonly to: string }

/** How far the paths of a cluster can be compared. Nothing is told of one whose basis is `none` or `not-collected`. */
export type FlowCluster = Omit<DiffCluster, 'between'> & {
  /** By which the ends of paths have their class; null where nothing can be read. */
  readonly classes: ClassNamespaces | null
}

/** How what was seen up to a later time differs from what was seen up to an earlier one. */
export type FlowDifference = ComparedTimes & {
  readonly clusters: readonly FlowCluster[]
  readonly judgedClasses: readonly PathClass[]
  /** By kind, worst state, then name. */
  readonly paths: readonly FlowChange[]
}

/** Two times: up to each of them is looked. */
export type FlowTimes = {
  readonly before: string
  /** Null for the end of what can be collected by now; of replays, of what was recorded. */
  readonly at: string | null
}

/** The later time, where nobody says it. */
export async function flowEnd(clusters: readonly Cluster[], now: Date, objects: Objects): Promise<string> {
  const ends = await concurrently(clusters, CLUSTERS_AT_ONCE, (cluster) => presentEnd(cluster, now, objects))
  const known = ends.flatMap((end) => (end === undefined ? [] : [toSeconds(end)]))
  return known.length === 0 ? settledBefore(now) : toTime(Math.max(...known))
}

/** Reads what the paths of clusters were up to two times, and compares. */
export async function readFlow(
  clusters: readonly Cluster[],
  { before, at }: FlowTimes,
  { objects, now }: { readonly objects: Objects; readonly now: Date },
): Promise<FlowDifference> {
  const { declared: scope } = await declaredScope(objects)
  const { judgedClasses, platformNamespaces } = settingsOf(scope.report)
  const spans = [before, at ?? (await flowEnd(clusters, now, objects))].map((to) => ({
    from: toTime(toSeconds(to) - DAYS * DAY_SECONDS),
    to,
  })) as [Span, Span]
  const read = await concurrently(clusters, CLUSTERS_AT_ONCE, async (cluster) => {
    const found = await readOrProblem(cluster, objects, () =>
      Promise.all(spans.map((span) => readSpan(cluster, span, { now, platformNamespaces }, objects))),
    )
    if (typeof found === 'string') return told(cluster, [NOTHING, NOTHING], { spans, now, problem: found })
    const [earlier = NOTHING, later = NOTHING] = found
    return told(cluster, [earlier, later], { spans, now, problem: null })
  })
  const known = read.map(({ cluster }) => cluster)
  return {
    before: spans[0],
    period: spans[1],
    collected: comparedCollected(known, { before: spans[0], period: spans[1] }),
    clusters: known,
    judgedClasses,
    paths: read.flatMap(({ paths }) => paths).sort(byFlowChange),
  }
}

type ReadSpan = FlowSpan & { readonly classes: ClassNamespaces | null }

const NOTHING: ReadSpan = { windows: [], rows: [], classes: null }

async function readSpan(
  cluster: Cluster,
  span: Span,
  { now, platformNamespaces }: { readonly now: Date; readonly platformNamespaces: readonly string[] },
  objects: Objects,
): Promise<ReadSpan> {
  const { months, episodes } = await readPresent(cluster, now, objects, span)
  return {
    windows: months.flatMap(({ windows }) => windows).filter(within(span)),
    rows: rows(months, episodes, span, { fixOf, platformNamespaces }),
    classes: classesIn(months, span, platformNamespaces),
  }
}

function told(
  { id, replay }: Cluster,
  [earlier, later]: readonly [ReadSpan, ReadSpan],
  {
    spans,
    now,
    problem,
  }: { readonly spans: readonly [Span, Span]; readonly now: Date; readonly problem: string | null },
): { readonly cluster: FlowCluster; readonly paths: readonly FlowChange[] } {
  const by = { now, isEnded: replay !== undefined }
  return {
    cluster: {
      id,
      basis: basisOf(earlier.windows).basis,
      periodBasis: basisOf(later.windows).basis,
      before: collectedExtent(earlier.windows, spans[0].to, by),
      period: collectedExtent(later.windows, spans[1].to, by),
      replay: replay ?? null,
      problem,
      classes: later.classes,
    },
    paths: flowChanges(id, earlier, later),
  }
}

/** A path as JSON: an item of the API. */
export function flowJson({ cluster, kind, ...path }: FlowChange): Readonly<Record<string, unknown>> {
  return {
    cluster,
    change: kind,
    ...path,
    source: endJson(path.source),
    destination: endJson(path.destination),
    candidates: path.candidates.map(endJson),
  }
}

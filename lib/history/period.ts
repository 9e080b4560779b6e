import { fixOf } from '../assess/fixes/fix-text.ts'
import { endNamer } from '../assess/packets/flow-ends.ts'
import { comparePackets } from '../assess/packets/packet-difference.ts'
import { periodFacts } from '../assess/judge/period-facts.ts'
import { type VizComparison, compareViz, isComparable, sumOf } from '../assess/window/viz-reading.ts'
import { toSeconds, toTime } from '../time/windows.ts'
import { WINDOW_MINUTES } from '../model/time.ts'
import type { Cluster } from '../model/registry.ts'
import type { ClusterPast, ClusterPeriod, PastPeriod, PathEpisode, PeriodFacts } from '../model/period.ts'
import type { Coverage, WindowResult } from '../model/window.ts'
import type { Interval } from '../model/history.ts'
import { type FoldedWindow, readWindowsOf } from './archive.ts'
import { type KeptCapture, readCaptures } from '../store/evidence/captures.ts'
import { whileItChanges } from '../store/objects/derived-object.ts'
import { type RowSources, classesIn, rows, stateStripsOf, within } from './rows/path-history.ts'
import { listsAround } from './lists-around.ts'
import type { Objects } from '../store/objects/objects.ts'
import { type RowCounter, rowCounter } from './rows/row-counter.ts'
import { missingWindows, withMissing } from './missing-windows.ts'
import { type History, readExpected, readHistory, readState, type ClusterState } from './cluster-state.ts'
import { compareText } from '../text/order.ts'

/** A period `(from, to]`, RFC 3339. */
export type Span = { readonly from: string; readonly to: string }

/** Options for reading a period. */
type ReadAs = {
  /** Windows that should have been collected by then and are not stored are missing. */
  readonly now: Date
  /** Patterns of platform namespaces besides kube-system. */
  readonly platformNamespaces: readonly string[]
}

/**
 * Reads the history of a cluster up to now, including missing windows.
 *
 * @param span the wanted part; all if absent. Other months may be left out
 */
export async function readPresent(
  cluster: Cluster,
  now: Date,
  objects: Objects,
  span?: Span,
): Promise<Pick<History, 'months' | 'episodes'>> {
  const isWanted = span === undefined ? undefined : monthsOf(span)
  const history = (await readHistory(cluster.id, objects, isWanted)) ?? NOTHING
  return withMissing(cluster.id, history, missingWindows(cluster, history, now))
}

/** The history of a cluster of which nothing was derived. */
export const NOTHING: History = { months: [], episodes: [], since: null, watermark: null }

/** Returns a predicate: whether windows of a month may end in a span. A window belongs to the month in which it begins. */
export function monthsOf({ from, to }: Span): (month: string) => boolean {
  const longest = Math.max(...WINDOW_MINUTES) * 60
  const first = toTime(toSeconds(from) - longest).slice(0, 7)
  const last = toTime(toSeconds(to)).slice(0, 7)
  return (month) => month >= first && month <= last
}

/** Reads a cluster's history over the windows that end in `(from, to]`, including missing windows. */
export async function readPeriod(
  cluster: Cluster,
  period: Span,
  readAs: ReadAs,
  objects: Objects,
): Promise<ClusterPeriod> {
  const { current } = await readPeriodAndPast(cluster, period, [], readAs, objects)
  return current
}

/**
 * Reads a period as {@link readPeriod} does, and earlier periods. For the past only months are read, since each window result is a separate request.
 *
 * @param earlier periods before this one, oldest first
 */
export async function readPeriodAndPast(
  cluster: Cluster,
  period: Span,
  earlier: readonly Span[],
  { now, platformNamespaces }: ReadAs,
  objects: Objects,
): Promise<{ current: ClusterPeriod; past: ClusterPast }> {
  const clusterId = cluster.id
  const history = await readPresent(cluster, now, objects, { from: earlier[0]?.from ?? period.from, to: period.to })
  const { months, episodes } = history
  const { state, windows } = await whileItChanges(async () => {
    const { state: read } = await readState(clusterId, objects)
    return { state: read, windows: read === undefined ? [] : await readWindowsOf(read, period, objects) }
  })
  const captures = await namedCaptures(cluster, period, objects)
  const { windows: expected, rows: told } = periodIn(history, period, { fixOf, platformNamespaces })
  const counter = rowCounter(told)
  const { results, viz, packets } = await readResults(state, { windows, period, captures, counter }, objects)
  const current: ClusterPeriod = {
    id: clusterId,
    classes: classesIn(months, period, platformNamespaces),
    windows: expected,
    rows: counter.rows(),
    strips: stateStripsOf(months, period),
    coverage: results.flatMap(({ coverage }) => coverage),
    workloads: results.findLast(({ workloads }) => workloads.length > 0)?.workloads ?? [],
    crypto: results.findLast(({ collected }) => collected)?.crypto ?? null,
    errors: results.flatMap(({ window, errors }) => errors.map((line) => ({ window: window.end, line }))),
    facts: {
      ...periodFacts(results),
      ...(viz === undefined ? {} : { viz }),
      ...(packets === undefined ? {} : { packets }),
    },
  }
  return {
    current,
    past: {
      id: clusterId,
      periods: earlier.map((span) => ({
        ...span,
        ...periodIn(history, span, { fixOf: withoutFix, platformNamespaces }),
      })),
      episodes: episodesOf(
        months.flatMap(({ intervals }) => intervals),
        episodes,
        { from: earlier[0]?.from ?? period.from, to: period.to },
      ),
    },
  }
}

/**
 * Returns a placeholder for a period that cannot be read: no collected window, and one line that says why. Nothing in it passes, and other clusters are
 * unaffected.
 */
export function unreadPeriod(
  cluster: Cluster,
  period: Span,
  earlier: readonly Span[],
  { now, platformNamespaces }: ReadAs,
  line: string,
): { current: ClusterPeriod; past: ClusterPast } {
  const { id } = cluster
  const history = withMissing(id, NOTHING, missingWindows(cluster, NOTHING, now))
  return {
    current: {
      id,
      classes: classesIn(history.months, period, platformNamespaces),
      windows: periodIn(history, period, { fixOf, platformNamespaces }).windows,
      // Without a readable window there are no paths.
      rows: [],
      strips: {},
      coverage: [],
      workloads: [],
      crypto: null,
      errors: [{ window: period.to, line }],
      facts: periodFacts([]),
      isUnread: true,
    },
    past: {
      id,
      periods: earlier.map((span) => ({
        ...span,
        ...periodIn(history, span, { fixOf: withoutFix, platformNamespaces }),
      })),
      episodes: [],
    },
  }
}

/**
 * Reads window results one by one and keeps what a period needs. Equal values are kept once: a month of hourly windows has a million readings of a few
 * thousand paths.
 */
async function readResults(
  state: Pick<ClusterState, 'cluster' | 'replacing'> | undefined,
  {
    windows,
    period,
    captures,
    counter,
  }: {
    /** Windows of the period, and the one before. */
    readonly windows: readonly FoldedWindow[]
    readonly period: Span
    readonly captures: readonly NamedCapture[]
    /** Receives each result of the period. */
    readonly counter: RowCounter
  },
  objects: Objects,
): Promise<{ results: readonly WindowResult[]; viz: PeriodFacts['viz']; packets: PeriodFacts['packets'] }> {
  const kept = new Map<string, unknown>()
  const once = <T>(value: T, key: string): T => {
    const known = kept.get(key)
    if (known === undefined) kept.set(key, value)
    return (known ?? value) as T
  }
  const results: WindowResult[] = []
  const named = { cluster: state?.cluster ?? '', replacing: state?.replacing ?? [] }
  // The viz answer of the first window is in the evidence of the window before it.
  const before = windows.findLast(({ end }) => end <= period.from)
  const first = before === undefined ? [] : await readExpected(named, [before], objects)
  const readings = first.flatMap(({ result }) => result?.viz ?? [])
  const compared: VizComparison[] = []
  const ofPackets: NonNullable<PeriodFacts['packets']>[] = []
  for (const window of windows.filter(within(period))) {
    const [expected] = await readExpected(named, [window], objects)
    if (expected === undefined || expected.result === null) continue
    const { result } = expected
    counter.add(result)
    compared.push(...readings.filter((reading) => isComparable(reading, result)).map((one) => compareViz(one, result)))
    if (result.viz !== undefined) readings.push(result.viz)
    ofPackets.push(...captures.map(({ flows, nameOf }) => comparePackets(flows, result, nameOf)))
    results.push({
      ...result,
      edges: [],
      // Only the paths' identities on the wire are needed; the months have their states.
      paths: result.paths
        .filter(({ state }) => state === 'mtls')
        .map((path) =>
          once(
            path,
            JSON.stringify([
              path.pathId,
              path.clientId,
              path.serverId,
              path.source.serviceAccount,
              path.destination.serviceAccount,
              path.corroborated,
            ]),
          ),
        ),
      workloads: result.workloads.map((workload) => once(workload, JSON.stringify(workload))),
      coverage: result.coverage.map((row) => ({
        ...row,
        window: result.window,
        workload: once(row.workload, JSON.stringify(row.workload)),
        pods: once(row.pods, JSON.stringify(row.pods)),
        gaps: row.gaps.length === 0 ? NO_GAPS : row.gaps,
      })),
    })
  }
  return {
    results,
    viz: compared.length === 0 ? undefined : sumOf(compared),
    packets:
      captures.length === 0
        ? undefined
        : {
            compared: ofPackets.reduce((sum, one) => sum + one.compared, 0),
            differences: ofPackets.flatMap(({ differences }) => differences),
          },
  }
}

/** A stored capture, and a lookup of who had an address at its time. */
type NamedCapture = Pick<KeptCapture, 'flows'> & { readonly nameOf: ReturnType<typeof endNamer> }

async function namedCaptures(cluster: Cluster, period: Span, objects: Objects): Promise<NamedCapture[]> {
  const named: NamedCapture[] = []
  for (const { flows, from, to } of await readCaptures(cluster.id, period, objects)) {
    const time = { start: toSeconds(from), end: toSeconds(to) }
    const lists = await listsAround(cluster.id, time.start, objects)
    named.push({ flows, nameOf: endNamer(lists, time, cluster.linkerdNamespace) })
  }
  return named
}

const NO_GAPS: Coverage['gaps'] = []

/** What is over is not to be fixed, and each text is as long as all else of a row. */
const withoutFix = () => null

function periodIn(
  { months, episodes }: Pick<History, 'months' | 'episodes'>,
  period: Span,
  sources: RowSources,
): Pick<PastPeriod, 'windows' | 'rows'> {
  return {
    windows: months.flatMap(({ windows }) => windows).filter(within(period)),
    rows: rows(months, episodes, period, sources),
  }
}

/** Returns the episodes open at some time in a span, and earlier ones of the same paths, each with its path, sorted by id. */
export function episodesOf(
  intervals: readonly Interval[],
  episodes: History['episodes'],
  { from, to }: Span,
): readonly PathEpisode[] {
  const paths = new Map(
    intervals.flatMap((interval) => (interval.episode === null ? [] : [[interval.episode.id, interval] as const])),
  )
  const open = episodes
    .filter(
      ({ openedAt, endedAt }) =>
        toSeconds(openedAt) <= toSeconds(to) && (endedAt === null || toSeconds(endedAt) > toSeconds(from)),
    )
    .flatMap((episode) => paths.get(episode.id) ?? [])
  const latest = new Map(open.map((interval) => [interval.pathId, interval]))
  return episodes
    .flatMap((episode) => {
      // An earlier episode may be in a month that was not read, but its id starts with its path's id.
      const path = paths.get(episode.id) ?? latest.get(episode.id.slice(0, episode.id.lastIndexOf('-')))
      if (path === undefined || !latest.has(path.pathId) || toSeconds(episode.openedAt) > toSeconds(to)) return []
      const { pathId, source, destination, port } = path
      return [{ pathId, source, destination, port, episode }]
    })
    .toSorted((a, b) => compareText(a.episode.id, b.episode.id))
}

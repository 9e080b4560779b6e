/**
 * What a report says, as plain numbers and lists: nothing here is worded, rounded or dated for a reader. Every document of a
 * period is made from this one summary, so that all of them agree.
 */
import type {
  ClusterPeriod,
  Corroborated,
  Cause,
  Coverage,
  Crypto,
  Endpoint,
  Enforcement,
  Episode,
  GapReason,
  PathRow,
  Source,
  TimelineMonth,
  Workload,
} from '../model.ts'
import type { Mark } from './states.ts'
import type { Cell } from './strip.ts'
import { compareText } from '../text-order.ts'

/** A period `(from, to]`: it holds the windows that end in it. */
type Period = {
  readonly from: string
  readonly to: string
  /** `Week 2026-W47`, or a range. */
  readonly label: string
  /** IANA name of the zone in which times are shown. */
  readonly timeZone: string
}

/** What a report is made from. */
export type ReportInput = {
  readonly period: Period
  /** Version of ciphertrail. */
  readonly version: string
  /** Every cluster that was asked, also if nothing came of it. */
  readonly clusters: readonly ClusterPeriod[]
  /** A sentence that is shown on top where the data is a replay. */
  readonly replay?: string
}

/** A path over the whole period. */
export type PathSummary = {
  readonly cluster: string
  readonly pathId: string
  readonly source: Source
  readonly destination: PathRow['destination']
  readonly port: number
  /** The worst of the period: what the path is counted as. */
  readonly mark: Mark
  /** One cell per window of its cluster. */
  readonly cells: readonly Cell[]
  /** Windows by mark. Windows before the path was first seen are in none. */
  readonly windows: Readonly<Record<Mark, number>>
  /** Windows in which traffic was seen, whatever its state. */
  readonly observedWindows: number
  readonly opens: number
  readonly bytes: number
  /** Distinct reasons behind `mark`, with cause and fix, in the order in which they came up. */
  readonly reasons: readonly Reason[]
  /** Of the latest row with `mark`. */
  readonly corroborated: Corroborated
  readonly enforcement: Enforcement
  readonly candidates: readonly Source[]
}

type Reason = { readonly reason: string; readonly cause: Cause | null; readonly fix: string | null }

/** A path that was not encrypted by the mesh in at least one window of the period. */
export type Exposure = PathSummary & {
  /** Oldest first; an end after the period is no end yet. */
  readonly episodes: readonly Episode[]
  /** Some episode is open at the end of the period. */
  readonly isOpen: boolean
  /** When the latest episode began, or the first window seen where there is no episode. */
  readonly since: string
  readonly isSinceUnknown: boolean
  /** Start of the first and end of the last window of the period in which it was not encrypted. */
  readonly first: string
  readonly last: string
  readonly exposedWindows: number
  /** Part of the bytes of the period that the mesh did not encrypt; null where no bytes were counted. */
  readonly clearShare: number | null
}

/** Windows in a row that were not collected. */
type MissingRun = {
  readonly cluster: string
  readonly from: string
  readonly to: string
  readonly windows: number
  /** An attempt stands, but metrics could not be read in it. */
  readonly isAttempted: boolean
}

/** Time of a workload's pods that was not seen, summed by reason. */
type GapSummary = {
  readonly cluster: string
  readonly workload: Endpoint
  readonly reason: GapReason
  readonly stretches: number
  readonly podSeconds: number
  readonly from: string
  readonly to: string
  /** Of the workload over all collected windows; null if nothing was expected. */
  readonly ratio: number | null
}

type ErrorSummary = {
  readonly cluster: string
  readonly line: string
  readonly windows: number
  /** Ends of the first and last window. */
  readonly first: string
  readonly last: string
}

export type ClusterSummary = {
  readonly id: string
  readonly windows: TimelineMonth['windows']
  readonly expected: number
  readonly collected: number
  /** Start of the first and end of the last expected window, where they leave a part of the period out; else null. */
  readonly expectedOnly: { readonly from: string; readonly to: string } | null
  /** No attempt stands. */
  readonly missing: number
  /** An attempt stands, but metrics could not be read. */
  readonly failed: number
  /** Collected, but how much should have been seen is not known, or no meshed pod lived. */
  readonly unmeasured: number
  /** Pod seconds. A window that was not collected counts as expected like the average of the others, and as not observed. */
  readonly expectedSeconds: number
  readonly observedSeconds: number
  /** Null where nothing can be said: stronger than a good number elsewhere. */
  readonly share: number | null
  readonly missingRuns: readonly MissingRun[]
  readonly gaps: readonly GapSummary[]
  readonly errors: readonly ErrorSummary[]
  readonly workloads: readonly Workload[]
  readonly crypto: Crypto | null
}

export type Summary = {
  readonly period: Period
  readonly version: string
  readonly replay: string | null
  readonly clusters: readonly ClusterSummary[]
  readonly expectedWindows: number
  readonly collectedWindows: number
  /** Over the clusters whose share is known; null where that is none. */
  readonly share: number | null
  /** Paths by the mark they are counted as. */
  readonly counts: Readonly<Record<Mark, number>>
  readonly knownPaths: number
  /** Paths with judged traffic in the period: the denominator. Refused and exempt ones, and those without traffic, are not in it. */
  readonly observedPaths: number
  /** Still open first, then worst first, then oldest. */
  readonly notEncrypted: readonly Exposure[]
  readonly unknown: readonly PathSummary[]
  readonly refused: readonly PathSummary[]
  readonly exempt: readonly PathSummary[]
  readonly encrypted: readonly PathSummary[]
  /** Known, but without traffic, or without a collected window. */
  readonly unseen: readonly PathSummary[]
  /** Workloads that are not, not wholly, or not surely in the mesh. */
  readonly unmeshed: readonly Workload[]
  /** Workloads whose blind spots are more than not being in the mesh. */
  readonly blind: readonly Workload[]
  readonly workloads: number
}

/** Judged traffic, worst first. */
const JUDGED: readonly Mark[] = ['plaintext', 'no-mesh-tls', 'unknown', 'tls-anonymous', 'app-tls', 'mtls']

/** What a path counts as: the worst judged state; else what else was seen of it; else why nothing was. */
const COUNTS_AS: readonly Mark[] = [...JUDGED, 'refused', 'exempt', 'not-observed', 'not-collected']

const isClear = (state: string): boolean => state === 'plaintext' || state === 'no-mesh-tls'

/** A row's state; what policy refused is not delivered plain text. */
function markOf(row: Pick<PathRow, 'state' | 'outcome'>): Mark {
  return row.outcome === 'refused' && isClear(row.state) ? 'refused' : row.state
}

/** Adds up a period. Throws an Error if a path has no strip, or one that does not fit the windows. */
export function summarise(input: ReportInput): Summary {
  const clusters = input.clusters.map((cluster) => summariseCluster(cluster, input.period))
  const paths = input.clusters.flatMap((cluster) => pathsOf(cluster)).sort(byName)
  const withMark = (...marks: readonly Mark[]): PathSummary[] => paths.filter(({ mark }) => marks.includes(mark))
  const exposed = withMark('plaintext', 'no-mesh-tls')
  const rows = rowsByPath(input.clusters)
  const windowsOf = new Map(input.clusters.map(({ id, windows }) => [id, windows]))
  const workloads = input.clusters.flatMap((cluster) => cluster.workloads).sort(byWorkload)
  const measured = clusters.filter(({ share }) => share !== null)

  return {
    period: input.period,
    version: input.version,
    replay: input.replay ?? null,
    clusters,
    expectedWindows: sum(clusters, ({ expected }) => expected),
    collectedWindows: sum(clusters, ({ collected }) => collected),
    share: ratio(
      sum(measured, ({ observedSeconds }) => observedSeconds),
      sum(measured, ({ expectedSeconds }) => expectedSeconds),
    ),
    counts: countMarks(paths.map(({ mark }) => mark)),
    knownPaths: paths.length,
    observedPaths: withMark(...JUDGED).length,
    notEncrypted: exposed
      .map((path) => exposureOf(path, rows.get(keyOf(path)) ?? [], windowsOf.get(path.cluster) ?? [], input.period))
      .sort(byUrgency),
    unknown: withMark('unknown'),
    refused: withMark('refused'),
    exempt: withMark('exempt'),
    encrypted: withMark('tls-anonymous', 'app-tls', 'mtls'),
    unseen: withMark('not-observed', 'not-collected'),
    unmeshed: workloads.filter(({ meshed }) => meshed !== 'yes'),
    blind: workloads.filter(({ blindSpots }) => blindSpots.some(({ kind }) => kind !== 'unmeshed')),
    workloads: workloads.length,
  }
}

// ---------------------------------------------------------------- clusters

function summariseCluster(cluster: ClusterPeriod, period: Period): ClusterSummary {
  const { id, windows } = cluster
  const seconds = new Map<string, { expected: number; observed: number }>()
  for (const { window, expectedSeconds, observedSeconds } of cluster.coverage) {
    const known = seconds.get(window.end) ?? { expected: 0, observed: 0 }
    seconds.set(window.end, {
      expected: known.expected + expectedSeconds,
      observed: known.observed + observedSeconds,
    })
  }

  const collected = windows.filter((window) => window.collected)
  const measured = collected.flatMap((window) => {
    const pods = seconds.get(window.end)
    return pods === undefined || pods.expected === 0 ? [] : [{ ...pods, length: lengthOf(window) }]
  })
  const usual = ratio(
    sum(measured, ({ expected }) => expected),
    sum(measured, ({ length }) => length),
  )
  const lost = windows
    .filter((window) => !window.collected)
    .map((window) => seconds.get(window.end)?.expected || lengthOf(window) * (usual ?? 0))
  const observedSeconds = sum(measured, ({ observed }) => observed)
  const expectedSeconds = sum(measured, ({ expected }) => expected) + sum(lost, (expected) => expected)

  return {
    id,
    windows,
    expected: windows.length,
    collected: collected.length,
    expectedOnly: expectedOnly(windows, period),
    missing: windows.filter(({ evidence }) => evidence === null).length,
    failed: windows.filter((window) => window.evidence !== null && !window.collected).length,
    unmeasured: collected.length - measured.length,
    expectedSeconds,
    observedSeconds,
    share: ratio(observedSeconds, expectedSeconds),
    missingRuns: missingRunsOf(id, windows),
    gaps: gapsOf(cluster),
    errors: errorsOf(cluster),
    workloads: cluster.workloads,
    crypto: cluster.crypto,
  }
}

function expectedOnly(windows: TimelineMonth['windows'], { from, to }: Period): ClusterSummary['expectedOnly'] {
  const first = windows[0]
  const last = windows.at(-1)
  if (first === undefined || last === undefined || !(isBefore(from, first.start) || isBefore(last.end, to))) return null
  return { from: first.start, to: last.end }
}

function missingRunsOf(cluster: string, windows: TimelineMonth['windows']): readonly MissingRun[] {
  const runs: MissingRun[] = []
  for (const { start, end, evidence, collected } of windows) {
    if (collected) continue
    const before = runs.at(-1)
    const isAttempted = evidence !== null
    if (before !== undefined && before.to === start && before.isAttempted === isAttempted)
      runs[runs.length - 1] = { ...before, to: end, windows: before.windows + 1 }
    else runs.push({ cluster, from: start, to: end, windows: 1, isAttempted })
  }
  return runs
}

/** Gaps in collected windows, the most time first. Windows that are missing altogether stand in the missing runs. */
function gapsOf(cluster: ClusterPeriod): readonly GapSummary[] {
  const collected = new Set(cluster.windows.filter((window) => window.collected).map(({ end }) => end))
  const workloads = new Map<string, Coverage[]>()
  for (const row of cluster.coverage) {
    if (!collected.has(row.window.end)) continue
    const key = endpointKey(row.workload)
    const rows = workloads.get(key)
    if (rows === undefined) workloads.set(key, [row])
    else rows.push(row)
  }
  const gaps: GapSummary[] = []
  for (const rows of workloads.values()) {
    const byReason = new Map<GapReason, GapSummary>()
    const share = ratio(
      sum(rows, ({ observedSeconds }) => observedSeconds),
      sum(rows, ({ expectedSeconds }) => expectedSeconds),
    )
    for (const { workload, gaps: stretches } of rows)
      for (const { reason, pods, from, to } of stretches) {
        const known = byReason.get(reason)
        byReason.set(reason, {
          cluster: cluster.id,
          workload,
          reason,
          stretches: (known?.stretches ?? 0) + 1,
          podSeconds: (known?.podSeconds ?? 0) + pods * lengthOf({ start: from, end: to }),
          from: known === undefined || from < known.from ? from : known.from,
          to: known === undefined || to > known.to ? to : known.to,
          ratio: share,
        })
      }
    gaps.push(...byReason.values())
  }
  return gaps.sort(
    (a, b) =>
      b.podSeconds - a.podSeconds ||
      compareText(endpointKey(a.workload), endpointKey(b.workload)) ||
      compareText(a.reason, b.reason),
  )
}

function errorsOf({ id, errors }: ClusterPeriod): readonly ErrorSummary[] {
  const lines = new Map<string, ErrorSummary>()
  for (const { window, line } of errors) {
    const known = lines.get(line)
    lines.set(line, {
      cluster: id,
      line,
      windows: (known?.windows ?? 0) + 1,
      first: known === undefined || window < known.first ? window : known.first,
      last: known === undefined || window > known.last ? window : known.last,
    })
  }
  return [...lines.values()].sort((a, b) => compareText(a.first, b.first) || compareText(a.line, b.line))
}

// ---------------------------------------------------------------- paths

function pathsOf(cluster: ClusterPeriod): readonly PathSummary[] {
  return [...rowsByPath([cluster]).values()].flatMap((rows) => {
    const latest = rows.at(-1)
    return latest === undefined ? [] : [summarisePath(cluster, rows, latest)]
  })
}

function summarisePath(cluster: ClusterPeriod, rows: readonly PathRow[], latest: PathRow): PathSummary {
  const cells = cellsOf(cluster, rows, latest.pathId)
  const marks = new Set<Cell>([...rows.map((row) => markOf(row)), ...cells])
  const mark = COUNTS_AS.find((candidate) => marks.has(candidate)) ?? 'unknown'
  const decisive = rows.filter((row) => markOf(row) === mark || (isClear(mark) && isClear(markOf(row))))
  const spoken = decisive.at(-1) ?? latest
  const windows = countMarks(cells)
  return {
    cluster: cluster.id,
    pathId: latest.pathId,
    source: latest.source,
    destination: latest.destination,
    port: latest.port,
    mark,
    cells,
    windows,
    observedWindows: sum([...JUDGED, 'refused', 'exempt'] as const, (seen) => windows[seen]),
    opens: sum(rows, ({ opens }) => opens),
    bytes: sum(rows, ({ bytes }) => bytes),
    reasons: told(decisive.map(({ reason, cause, fix }) => ({ reason, cause, fix }))),
    corroborated: spoken.corroborated,
    enforcement: spoken.enforcement,
    candidates: distinct(
      decisive.flatMap(({ candidates }) => candidates),
      (candidate) => endpointKey(candidate),
    ),
  }
}

/** Each reason once; where some windows tell its cause, those that do not tell it add nothing. */
function told(reasons: readonly Reason[]): readonly Reason[] {
  const once = distinct(reasons, ({ reason, cause, fix }) => JSON.stringify([reason, cause, fix]))
  const isTold = (reason: string) => once.some((other) => other.reason === reason && other.cause !== 'unknown')
  return once.filter(({ reason, cause }) => cause !== 'unknown' || !isTold(reason))
}

/** The strip of a path, with plain text that policy refused marked as such. */
function cellsOf(cluster: ClusterPeriod, rows: readonly PathRow[], pathId: string): readonly Cell[] {
  const strip = Object.hasOwn(cluster.strips, pathId) ? cluster.strips[pathId] : undefined
  if (strip?.length !== cluster.windows.length)
    throw new Error(
      `Cannot summarise path "${pathId}": its strip has ${strip?.length ?? 0} cells, ${cluster.windows.length} windows were expected`,
    )
  const refusals = rows.filter((row) => markOf(row) === 'refused')
  if (refusals.length === 0) return strip
  return strip.map((state, index) => {
    const window = cluster.windows[index]
    const isRefused =
      state !== null &&
      window !== undefined &&
      isClear(state) &&
      refusals.some(({ from, to }) => isBefore(from, window.end) && isBefore(window.start, to))
    return isRefused ? 'refused' : state
  })
}

function exposureOf(
  path: PathSummary,
  rows: readonly PathRow[],
  windows: TimelineMonth['windows'],
  period: Period,
): Exposure {
  const clear = rows.filter((row) => isClear(markOf(row)))
  const episodes = distinct(
    clear.flatMap(({ episode }) => (episode === null ? [] : [episodeAsOf(episode, period.to)])),
    ({ id }) => id,
  ).sort((a, b) => compareText(a.openedAt, b.openedAt))
  const exposed = windows.filter((_, index) => isClear(path.cells[index] ?? ''))
  const first = exposed[0]?.start ?? clear[0]?.from ?? period.from
  const last = exposed.at(-1)?.end ?? clear.at(-1)?.to ?? period.to
  const current = episodes.at(-1)
  const counted = rows.filter((row) => row.clearShare !== null && markOf(row) !== 'refused')
  return {
    ...path,
    episodes,
    isOpen: episodes.some(({ endedAt }) => endedAt === null),
    since: current?.openedAt ?? first,
    isSinceUnknown: current?.sinceUnknown ?? true,
    first,
    last,
    exposedWindows: exposed.length,
    clearShare: ratio(
      sum(counted, ({ clearShare, bytes }) => (clearShare ?? 0) * bytes),
      sum(counted, ({ bytes }) => bytes),
    ),
  }
}

/** A past period keeps saying what was true at its end, also if the episode ended since. */
function episodeAsOf(episode: Episode, end: string): Episode {
  return episode.endedAt !== null && isBefore(end, episode.endedAt)
    ? { ...episode, endedAt: null, ending: null }
    : episode
}

function rowsByPath(clusters: readonly ClusterPeriod[]): ReadonlyMap<string, readonly PathRow[]> {
  const paths = new Map<string, PathRow[]>()
  for (const { id, rows } of clusters)
    for (const row of rows) {
      const key = keyOf({ cluster: id, pathId: row.pathId })
      const known = paths.get(key)
      if (known === undefined) paths.set(key, [row])
      else known.push(row)
    }
  for (const rows of paths.values()) rows.sort((a, b) => Date.parse(a.from) - Date.parse(b.from))
  return paths
}

// ---------------------------------------------------------------- order and sums

const keyOf = ({ cluster, pathId }: { readonly cluster: string; readonly pathId: string }): string =>
  JSON.stringify([cluster, pathId])
const endpointKey = ({ namespace, kind, name }: Endpoint): string => JSON.stringify([namespace, name, kind])

function byName(a: PathSummary, b: PathSummary): number {
  return (
    compareText(a.cluster, b.cluster) ||
    compareText(endpointKey(a.destination), endpointKey(b.destination)) ||
    a.port - b.port ||
    compareText(endpointKey(a.source), endpointKey(b.source)) ||
    compareText(a.pathId, b.pathId)
  )
}

function byUrgency(a: Exposure, b: Exposure): number {
  return (
    Number(b.isOpen) - Number(a.isOpen) ||
    JUDGED.indexOf(a.mark) - JUDGED.indexOf(b.mark) ||
    Date.parse(a.since) - Date.parse(b.since) ||
    byName(a, b)
  )
}

function byWorkload(a: Workload, b: Workload): number {
  return compareText(a.cluster, b.cluster) || compareText(endpointKey(a), endpointKey(b))
}

const isBefore = (a: string, b: string): boolean => Date.parse(a) < Date.parse(b)

function lengthOf({ start, end }: { readonly start: string; readonly end: string }): number {
  return (Date.parse(end) - Date.parse(start)) / 1000
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0)
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null
}

function distinct<T>(items: readonly T[], keyOfItem: (item: T) => string): T[] {
  return [...new Map(items.toReversed().map((item) => [keyOfItem(item), item])).values()].toReversed()
}

function countMarks(cells: readonly Cell[]): Readonly<Record<Mark, number>> {
  const counts: Record<Mark, number> = {
    plaintext: 0,
    'no-mesh-tls': 0,
    unknown: 0,
    'not-collected': 0,
    'tls-anonymous': 0,
    'app-tls': 0,
    mtls: 0,
    refused: 0,
    exempt: 0,
    'not-observed': 0,
  }
  for (const cell of cells) if (cell !== null) counts[cell] += 1
  return counts
}

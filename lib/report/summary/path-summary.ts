/** What each path came to over a period: what it counts as, why, and since when it was not encrypted. */
import type { Cause, Corroborated, Endpoint, Enforcement, PathClass, PathEnds, Source } from '../../model/path.ts'
import { UNENCRYPTED_STATES } from '../../model/path.ts'
import type { ClusterPeriod } from '../../model/period.ts'
import type { CountedRow, Episode, PathRow, TimelineMonth } from '../../model/history.ts'
import type { Finding, Seen, Verdict } from '../../model/judgement.ts'
import { isTold, noneSeen, seenAs } from '../../assess/judge/seen-as.ts'
import { compareText } from '../../text/order.ts'
import type { ReportPeriod } from '../report-input.ts'
import type { Mark } from '../drawing/state-looks.ts'
import type { Cell } from '../drawing/strip-layout.ts'
import { distinct, isBefore, ratio, sum } from './sums.ts'

/** A path over the whole period. */
export type PathSummary = PathEnds & {
  readonly cluster: string
  readonly class: PathClass
  /** What the rule `path-is-encrypted` says of it, how much of its life that rests on, and in words. */
  readonly verdict: Verdict
  readonly seen: Seen | null
  readonly detail: string
  /** What the path is drawn and listed as: `unknown` where there is not enough evidence, else the worst that was seen. */
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
  /** Rules that the path fails, by id, with the waiver that accepts the failure; null for none. */
  readonly failures: readonly { readonly rule: string; readonly waiver: string | null }[]
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
  /** The path was not read wholly in the window before `since`. */
  readonly mayBeEarlier: boolean
  /** Start of the first and end of the last window of the period in which it was not encrypted. */
  readonly first: string
  readonly last: string
  readonly exposedWindows: number
  /** Part of the bytes of the period that the mesh did not encrypt; null where no bytes were counted. */
  readonly clearShare: number | null
}

/** Judged traffic, worst first. */
export const JUDGED: readonly Mark[] = ['plaintext', 'no-mesh-tls', 'unknown', 'tls-anonymous', 'app-tls', 'mtls']

/** What a path counts as: the worst judged state; else what else was seen of it; else why nothing was. */
const COUNTS_AS: readonly Mark[] = [...JUDGED, 'refused', 'exempt', 'not-observed', 'not-collected']

/** Whether a state is of traffic that the mesh did not encrypt. */
export const isClear = (state: string): boolean => (UNENCRYPTED_STATES as ReadonlySet<string>).has(state)

/** What was seen of a path last, however long ago; undefined where no window of the period tells anything. */
export function lastSeen({ cells }: Pick<PathSummary, 'cells'>): Mark | undefined {
  return cells.findLast((cell) => cell !== null && cell !== 'not-observed' && cell !== 'not-collected') ?? undefined
}

/** What a path with these marks counts as. */
export function countedAs(marks: Iterable<Mark | null>): Mark {
  const seen = new Set(marks)
  return COUNTS_AS.find((candidate) => seen.has(candidate)) ?? 'unknown'
}

/**
 * The worst that was seen of a path, whatever its verdict: a path that was encrypted whenever it was seen is encrypted, however little was seen. One window
 * of unknown state makes it unknown.
 */
export function worstSeen({ mark, windows }: Pick<PathSummary, 'mark' | 'windows'>): Mark {
  return mark === 'unknown' ? (COUNTS_AS.find((candidate) => windows[candidate] > 0) ?? 'unknown') : mark
}

/** The paths of all clusters, by name. Throws an Error if one has no strip, or one that does not fit the windows. */
export function summarisePaths(clusters: readonly ClusterPeriod[], findings: readonly Finding[]): PathSummary[] {
  const failures = failuresByPath(findings)
  const verdicts = new Map(
    findings.flatMap((finding) =>
      finding.rule === 'path-is-encrypted' && finding.subject.kind === 'path'
        ? [[pathKey(finding.subject), finding] as const]
        : [],
    ),
  )
  return clusters
    .flatMap((cluster) =>
      [...rowsByPath([cluster]).values()].map((rows) => summarisePath(cluster, rows, { failures, verdicts })),
    )
    .sort(byName)
}

/** Those of them that were not encrypted in at least one window, the most urgent first. */
export function exposuresOf(
  paths: readonly PathSummary[],
  clusters: readonly ClusterPeriod[],
  period: ReportPeriod,
): Exposure[] {
  const rows = rowsByPath(clusters)
  const windowsOf = new Map(clusters.map(({ id, windows }) => [id, windows]))
  const exposures = paths
    .filter(({ mark }) => isClear(mark))
    .map((path) => exposureOf(path, rows.get(pathKey(path)) ?? [], windowsOf.get(path.cluster) ?? [], period))
  return exposures.sort(byUrgency)
}

function failuresByPath(findings: readonly Finding[]): ReadonlyMap<string, PathSummary['failures']> {
  const failures = new Map<string, { rule: string; waiver: string | null }[]>()
  for (const { rule, subject, verdict, waiver } of findings) {
    if (subject.kind !== 'path' || verdict !== 'fail') continue
    const known = failures.get(pathKey(subject))
    if (known === undefined) failures.set(pathKey(subject), [{ rule, waiver }])
    else known.push({ rule, waiver })
  }
  return failures
}

function summarisePath(
  cluster: ClusterPeriod,
  rows: readonly [CountedRow, ...CountedRow[]],
  {
    failures,
    verdicts,
  }: { readonly failures: ReturnType<typeof failuresByPath>; readonly verdicts: ReadonlyMap<string, Finding> },
): PathSummary {
  const latest = rows.at(-1) ?? rows[0]
  const cells = cellsOf(cluster, rows, latest.pathId)
  const finding = verdicts.get(pathKey({ cluster: cluster.id, pathId: latest.pathId }))
  // Without a verdict nothing passes.
  const verdict = finding?.verdict ?? 'not-enough-evidence'
  const windows = countMarks(cells)
  // Cells by their counts: there are thousands for each of thousands of paths.
  const seenMarks = [...rows.map(seenAs), ...COUNTS_AS.filter((one) => windows[one] > 0)]
  const mark = verdict === 'not-enough-evidence' ? 'unknown' : countedAs(seenMarks.filter((seen) => seen !== 'unknown'))
  const decisive = rows.filter((row) => seenAs(row) === mark || (isClear(mark) && isClear(seenAs(row))))
  const spoken = decisive.at(-1) ?? latest
  return {
    cluster: cluster.id,
    class: latest.class,
    verdict,
    seen: finding?.seen ?? null,
    detail: finding?.detail ?? 'It was not judged',
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
    failures: failures.get(pathKey({ cluster: cluster.id, pathId: latest.pathId })) ?? [],
  }
}

/**
 * Each reason and cause once, with the latest fix; where some windows tell the cause of a reason, those that do not tell it, or less exactly, add
 * nothing.
 */
function told(reasons: readonly Reason[]): readonly Reason[] {
  const keyOf = ({ reason, cause }: Reason) => JSON.stringify([reason, cause])
  const latest = new Map(reasons.map((one) => [keyOf(one), one]))
  const once = distinct(reasons, keyOf).map((one) => latest.get(keyOf(one)) ?? one)
  const isBetter = (reason: string, isLess: (cause: Cause | null) => boolean) =>
    once.some((other) => other.reason === reason && !isLess(other.cause))
  const isUnknown = (cause: Cause | null) => cause === 'unknown'
  const isVague = (cause: Cause | null) => cause === 'unknown' || cause === 'source-not-proxied'
  return once.filter(
    ({ reason, cause }) =>
      !(isUnknown(cause) && isBetter(reason, isUnknown)) &&
      !(cause === 'source-not-proxied' && isBetter(reason, isVague)),
  )
}

/** The strip of a path, with what policy refused marked as such. */
function cellsOf(cluster: ClusterPeriod, rows: readonly PathRow[], pathId: string): readonly Cell[] {
  const strip = Object.hasOwn(cluster.strips, pathId) ? cluster.strips[pathId] : undefined
  if (strip?.length !== cluster.windows.length)
    throw new Error(
      `Cannot summarise path "${pathId}": its strip has ${strip?.length ?? 0} cells, ${cluster.windows.length} windows were expected`,
    )
  const refusals = rows.filter((row) => seenAs(row) === 'refused')
  if (refusals.length === 0) return strip
  return strip.map((state, index) => {
    const window = cluster.windows[index]
    const isRefused =
      state !== null &&
      window !== undefined &&
      isTold(state) &&
      refusals.some(({ from, to }) => isBefore(from, window.end) && isBefore(window.start, to))
    return isRefused ? 'refused' : state
  })
}

function exposureOf(
  path: PathSummary,
  rows: readonly CountedRow[],
  windows: TimelineMonth['windows'],
  period: ReportPeriod,
): Exposure {
  const clear = rows.filter((row) => isClear(seenAs(row)))
  const episodes = distinct(
    clear.flatMap(({ episode }) => (episode === null ? [] : [episodeAsOf(episode, period.to)])),
    ({ id }) => id,
  ).sort((a, b) => compareText(a.openedAt, b.openedAt))
  const exposed = windows.filter((_, index) => isClear(path.cells[index] ?? ''))
  const first = exposed[0]?.start ?? clear[0]?.from ?? period.from
  const last = exposed.at(-1)?.end ?? clear.at(-1)?.to ?? period.to
  const current = episodes.at(-1)
  const counted = rows.filter((row) => row.clearShare !== null && seenAs(row) !== 'refused')
  return {
    ...path,
    episodes,
    isOpen: episodes.some(({ endedAt }) => endedAt === null),
    since: current?.openedAt ?? first,
    isSinceUnknown: current?.sinceUnknown ?? true,
    mayBeEarlier: current?.mayBeEarlier ?? false,
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
export function episodeAsOf(episode: Episode, end: string): Episode {
  return episode.endedAt !== null && isBefore(end, episode.endedAt)
    ? { ...episode, endedAt: null, ending: null }
    : episode
}

/** The rows of each path, oldest first. */
export function rowsByPath<Row extends PathRow>(
  clusters: readonly { readonly id: string; readonly rows: readonly Row[] }[],
): ReadonlyMap<string, readonly [Row, ...Row[]]> {
  const paths = new Map<string, [Row, ...Row[]]>()
  for (const { id, rows } of clusters)
    for (const row of rows) {
      const key = pathKey({ cluster: id, pathId: row.pathId })
      const known = paths.get(key)
      if (known === undefined) paths.set(key, [row])
      else known.push(row)
    }
  for (const rows of paths.values()) rows.sort((a, b) => Date.parse(a.from) - Date.parse(b.from))
  return paths
}

/** A key of a path among all clusters. */
export const pathKey = ({ cluster, pathId }: { readonly cluster: string; readonly pathId: string }): string =>
  JSON.stringify([cluster, pathId])

/** A key of an end, in the order of namespace, name and kind. */
export const endpointKey = ({ namespace, kind, name }: Endpoint): string => JSON.stringify([namespace, name, kind])

/** A path as people look for it. */
export type Named = Pick<PathSummary, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'>

/** Only these of what is known of a path. */
export const namedOf = (cluster: string, { pathId, source, destination, port }: PathEnds): Named => ({
  cluster,
  pathId,
  source,
  destination,
  port,
})

/** The order of paths: by cluster, destination, port, then source. */
export function byName(a: Named, b: Named): number {
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

/** How many cells have each mark. */
export function countMarks(cells: readonly Cell[]): Readonly<Record<Mark, number>> {
  const counts = noneSeen()
  for (const cell of cells) if (cell !== null) counts[cell] += 1
  return counts
}

/** What the pages show, read once for each state of the store: how things stand, and what the paths were over a longer time. */
import { createHash } from 'node:crypto'
import { judge } from '../../assess/judge/judge.ts'
import { settingsOf } from '../../assess/judge/stored-scope.ts'
import { concurrently } from '../../concurrently.ts'
import { type KnownState, unreadHistories } from '../../history/history-problem.ts'
import type { ComparedSpans } from '../../history/compared.ts'
import { presentEnd, readPeriodRows } from '../../history/rows/period-rows.ts'
import type { PathRow } from '../../model/history.ts'
import type { Cluster } from '../../model/registry.ts'
import type { Status } from '../../report/summary/status.ts'
import { type Summary, summarise } from '../../report/summary/summary.ts'
import { NOW } from '../../report/sections/opening.ts'
import { replayNote } from '../../report/words/replay-note.ts'
import { packetsOf, stateKey } from '../../store/keys.ts'
import { checkpointKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { declaredScope, declaredWaivers } from '../../store/registry/declarations.ts'
import { readLatestChange } from '../../store/registry/changes.ts'
import { readClusters, readRecorded } from '../../store/registry/registry.ts'
import { readReviews } from '../../store/registry/reviews.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import { type Grant, maySee } from '../access/access.ts'
import { type Diff, readDiff } from '../diff.ts'
import { type FlowDifference, flowEnd, readFlow } from '../flow.ts'
import { settledBefore } from '../parameters.ts'
import { ProblemError, quoted } from '../problem.ts'
import { createReadLimit } from './read-limit.ts'
import { isWaiverFor } from '../routes/waivers-route.ts'

/** So many clusters are read at once. */
const CLUSTERS_AT_ONCE = 4

/** About so many bytes of answers are kept, and so many answers: the last one always. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024
const MAX_KEPT = 8

/** So many answers are read at once, each up to what a page is made of, and so many more wait. */
const READS_AT_ONCE = 1
const MAX_WAITING = 8

/** As many as one answer of the API is about: their states alone would take longer to read than anybody waits for a page. */
const MAX_CLUSTERS = 100

/**
 * A page of several clusters is made of so many paths at most, and of so many states of paths in windows: more neither fit into memory nor come in the time that
 * anybody waits. One cluster is shown whatever its size.
 */
const LIMITS = { paths: 5000, cells: 4_500_000 }

/** How long `status` looks back, for the sum of cells. */
const STATUS_DAYS = 7

/** About how many bytes what is kept takes: of a path, of each of its windows, of a row, a finding and a change. */
const BYTES = { path: 2000, cell: 8, row: 1500, finding: 500, change: 1000 } as const

const DAY_SECONDS = 24 * 60 * 60

/** What reads how things stand, as `ciphertrail status` does: the pages show its numbers, and count none themselves. */
export type ReadStatus = (asked: {
  readonly clusters: readonly Cluster[]
  readonly now: Date
  /** Ids of clusters that are not registered any more. */
  readonly removed: readonly string[]
}) => Promise<Status>

/** Which clusters a page is about, and up to when. */
export type Looked = { readonly grant: Grant; readonly cluster: string | null; readonly at: Date }

/** More may be seen than a page is made of: whoever asks has to choose a cluster. */
export class ManyClustersError extends Error {
  override readonly name = 'ManyClustersError'
  /** By id, each with what its state tells; without that where there are too many to read their states. */
  readonly clusters: readonly { readonly id: string; readonly known: KnownState | undefined }[]
  constructor(
    what: string,
    { clusters, known }: { readonly clusters: readonly Cluster[]; readonly known?: ReadonlyMap<string, KnownState> },
  ) {
    super(`Cannot show ${what}`)
    this.clusters = clusters.map(({ id }) => ({ id, known: known?.get(id) }))
  }
}

/**
 * Reads what pages show. Throws a `ProblemError` for a cluster that may not be seen or cannot be read, a {@link ManyClustersError} for more clusters than a page
 * is made of, and a `BusyError` where too much is read already.
 */
export type HistoryReader = {
  /** The clusters that may be seen; those that are asked for. */
  readonly clusters: (looked: Omit<Looked, 'at'>) => Promise<readonly Cluster[]>
  /** How things stand, as `ciphertrail status` has it. */
  readonly status: (looked: Looked) => Promise<Status>
  /** What the paths were over so many days. Nothing in it passes, since no share that was seen is told: what was not encrypted is as in `status`. */
  readonly overTime: (looked: Looked & { readonly days: number }) => Promise<OverTime>
  /** What changed from one period to a later one, as `/v1/diff` has it. */
  readonly diff: (looked: Looked & ComparedSpans) => Promise<Diff>
  /** How what was seen differs from what was seen up to an earlier time, as `/v1/flow` has it. */
  readonly flow: (looked: Looked & { readonly before: string }) => Promise<FlowDifference>
}

/** Longer than what is judged: a summary, of which what paths moved is not to be shown, and the rows behind it. */
export type OverTime = { readonly summary: Summary; readonly rows: readonly PathRow[] }

/** What is read with. */
export type HistoryReaderDeps = {
  readonly objects: Objects
  readonly version: string
  readonly readStatus: ReadStatus
  /** How much a page of several clusters is made of. */
  readonly limits?: typeof LIMITS
}

/** Reads from a store, and keeps the last few answers as long as nothing they were made from changes. */
export function createHistoryReader({
  objects,
  version,
  readStatus,
  limits = LIMITS,
}: HistoryReaderDeps): HistoryReader {
  // In the order in which they were asked for.
  const kept = new Map<string, Promise<unknown>>()
  const bytesOf = new Map<string, number>()
  const underWay = new Set<string>()
  const limited = createReadLimit(READS_AT_ONCE, MAX_WAITING)

  async function once<T>(
    question: unknown,
    clusters: readonly Cluster[],
    read: () => Promise<T>,
    weigh: (answer: T) => number,
  ): Promise<T> {
    const key = JSON.stringify([question, await markOf(clusters, objects)])
    const known = kept.get(key) as Promise<T> | undefined
    if (known !== undefined) {
      kept.delete(key)
      kept.set(key, known)
      return known
    }
    const answer = limited(read)
    kept.set(key, answer)
    underWay.add(key)
    try {
      const made = await answer
      bytesOf.set(key, weigh(made))
      return made
    } catch (error) {
      kept.delete(key)
      throw error
    } finally {
      underWay.delete(key)
      forgetOldest()
    }
  }

  /** What is under way stays: forgotten, it would be read twice at once. */
  function forgetOldest(): void {
    const made = [...kept.keys()].filter((key) => !underWay.has(key))
    let [count, bytes] = [0, 0]
    for (const key of made.toReversed()) {
      count += 1
      bytes += bytesOf.get(key) ?? 0
      if (count === 1 || (count <= MAX_KEPT && bytes <= MAX_KEPT_BYTES)) continue
      kept.delete(key)
      bytesOf.delete(key)
    }
  }

  async function clustersOf({ grant, cluster }: Omit<Looked, 'at'>): Promise<readonly Cluster[]> {
    const seen = (await readClusters({ objects })).filter(({ id }) => maySee(grant, id))
    if (cluster === null) return seen
    const asked = seen.filter(({ id }) => id === cluster)
    // No difference is made between one that is not there and one that may not be seen.
    if (asked.length === 0)
      throw new ProblemError('not-found', `Cannot find cluster ${quoted(cluster)}: no such cluster may be seen here`)
    return asked
  }

  /** The register is one for all clusters: of its waivers, those are told that the API tells. What is kept is the same for all. */
  async function granted(summary: Summary, grant: Grant): Promise<Summary> {
    const isTold = isWaiverFor(grant, await clustersOf({ grant, cluster: null }))
    const waivers = summary.judgement.waivers.filter(({ waiver }) => isTold(waiver))
    return { ...summary, judgement: { ...summary.judgement, waivers } }
  }

  return {
    clusters: clustersOf,
    async status({ at, ...looked }) {
      const clusters = await readable(await clustersOf(looked), { at, days: STATUS_DAYS, limits }, objects)
      // Decided before what is kept is looked at: others may ask about the same clusters, and be told of other removed ones.
      const removed = looked.cluster === null ? await removedFor(looked.grant, objects) : []
      const status = await once(
        ['status', settledBefore(at), removed],
        clusters,
        () => readStatus({ clusters, now: at, removed }),
        ({ summary }) => bytesOfSummary(summary),
      )
      return { ...status, summary: await granted(status.summary, looked.grant) }
    },
    async overTime({ at, days, ...looked }) {
      const clusters = await readable(await clustersOf(looked), { at, days, limits }, objects)
      const overTime = await once(
        ['paths', settledBefore(at), days],
        clusters,
        () => readOverTime(clusters, { at, days, version }, objects),
        ({ summary, rows }) => bytesOfSummary(summary) + BYTES.row * rows.length,
      )
      return { ...overTime, summary: await granted(overTime.summary, looked.grant) }
    },
    async diff({ at, before, period, ...looked }) {
      const clusters = await readable(await clustersOf(looked), { at, days: STATUS_DAYS, limits }, objects)
      return once(
        ['diff', settledBefore(at), before, period],
        clusters,
        () => readDiff(clusters, { before, period }, { objects, now: at }),
        ({ changes }) => BYTES.change * changes.all.length,
      )
    },
    async flow({ at, before, ...looked }) {
      const clusters = await readable(await clustersOf(looked), { at, days: STATUS_DAYS, limits }, objects)
      return once(
        ['flow', settledBefore(at), before],
        clusters,
        async () => {
          // As the drawing of one time: where windows end, whatever the minute.
          const until = await flowEnd(clusters, at, objects)
          return readFlow(clusters, { before, at: until }, { objects, now: at })
        },
        ({ paths }) => BYTES.change * paths.length,
      )
    },
  }
}

/** The clusters, if a page of so many days is made of them. */
async function readable(
  clusters: readonly Cluster[],
  { at, days, limits }: { readonly at: Date; readonly days: number; readonly limits: typeof LIMITS },
  objects: Objects,
): Promise<readonly Cluster[]> {
  const named = `${clusters.length} clusters`
  if (clusters.length > MAX_CLUSTERS)
    throw new ManyClustersError(`${named} on one page: wanted at most ${MAX_CLUSTERS}`, { clusters })
  const { problem, known } = await unreadHistories(clusters, objects)
  if (problem !== undefined) throw new ProblemError('unreadable', problem)
  let [paths, cells] = [0, 0]
  for (const { id, windows } of clusters) {
    const { paths: own, since } = known.get(id) ?? { paths: 0, since: null }
    const age = since === null ? 0 : Math.max(0, at.getTime() / 1000 - toSeconds(since))
    paths += own
    cells += (own * Math.min(age, days * DAY_SECONDS)) / (60 * Math.min(...windows.map(({ minutes }) => minutes)))
  }
  if (clusters.length > 1 && (paths > limits.paths || cells > limits.cells))
    throw new ManyClustersError(`${paths} paths of ${named} over ${days} days on one page`, { clusters, known })
  return clusters
}

function bytesOfSummary({ paths, judgement }: Summary): number {
  const cells = paths.reduce((sum, path) => sum + path.cells.length, 0)
  return BYTES.path * paths.length + BYTES.cell * cells + BYTES.finding * judgement.findings.length
}

/** The removed clusters of which somebody may be told. */
async function removedFor(grant: Grant, objects: Objects): Promise<readonly string[]> {
  const [registered, recorded] = await Promise.all([readClusters({ objects }), readRecorded({ objects })])
  const known = new Set(registered.map(({ id }) => id))
  return recorded.clusters.map(({ id }) => id).filter((id) => !known.has(id) && maySee(grant, id))
}

/** Changes with anything that an answer is made from. */
async function markOf(clusters: readonly Cluster[], objects: Objects): Promise<string> {
  const etags = await concurrently(
    [...clusters.map(({ id }) => stateKey(id)), checkpointKey],
    CLUSTERS_AT_ONCE,
    async (key) => (await objects.get(key))?.etag ?? null,
  )
  const declared = await Promise.all([
    declaredScope(objects),
    declaredWaivers(objects),
    readReviews(objects),
    readLatestChange('channels', objects),
  ])
  const captures = await concurrently(clusters, CLUSTERS_AT_ONCE, async ({ id }) => {
    // A capture is written once, under a name that its content decides.
    const keys: string[] = []
    for await (const key of objects.list(packetsOf(id))) keys.push(key)
    return keys
  })
  return createHash('sha256')
    .update(JSON.stringify([clusters, etags, declared, captures]))
    .digest('base64url')
}

async function readOverTime(
  clusters: readonly Cluster[],
  { at, days, version }: { readonly at: Date; readonly days: number; readonly version: string },
  objects: Objects,
): Promise<OverTime> {
  const [{ declared: scope }, { declared: waivers }] = await Promise.all([
    declaredScope(objects),
    declaredWaivers(objects),
  ])
  const settings = settingsOf(scope.report)
  const ends = (await concurrently(clusters, CLUSTERS_AT_ONCE, (cluster) => presentEnd(cluster, at, objects))).flatMap(
    (end) => end ?? [],
  )
  const to = ends.length === 0 ? settledBefore(at) : toTime(Math.max(...ends.map(toSeconds)))
  const span = { from: toTime(toSeconds(to) - days * DAY_SECONDS), to }
  const readAs = { now: at, platformNamespaces: settings.platformNamespaces }
  const read = await concurrently(clusters, CLUSTERS_AT_ONCE, (cluster) =>
    readPeriodRows(cluster, span, readAs, objects),
  )
  const first = read.flatMap(({ current }) => current.windows.slice(0, 1).map(({ start }) => toSeconds(start)))
  // What lies before the first window would only make the strips narrow.
  const from = toTime(Math.max(toSeconds(span.from), Math.min(toSeconds(to), ...first)))
  const kept = read.map(({ current }) => current)
  const replay = replayNote(clusters)
  const summary = summarise({
    period: { from, to, label: NOW, timeZone: 'UTC' },
    version,
    clusters: kept,
    past: read.map(({ past }) => past),
    settings,
    judgement: judge({ clusters: kept, scopes: scope.scopes, waivers, settings, period: { from, to }, at: to }),
    checkpoint: null,
    ...(replay === null ? {} : { replay }),
  })
  return { summary, rows: read.flatMap((one) => one.rows) }
}

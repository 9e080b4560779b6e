import type * as z from 'zod'
import type { StateFilter } from '../model/path.ts'
import type { PathChangeKind } from '../report/summary/change-summary.ts'
import type { FlowChangeKind } from '../report/summary/flow-changes.ts'
import type { WeekPeriod } from '../time/week.ts'
import { checkedZone } from '../time/checked-zone.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from '../time/windows.ts'
import * as fields from './fields.ts'
import type { Field, Fields } from './fields.ts'
import { type Cursor, USUAL_ITEMS, decodeCursor } from './page.ts'
import { ProblemError, badParameter, quoted } from './problem.ts'

/** The longest period of one question: thirteen months and a few days. */
const MAX_DAYS = 400

/** The longest time from the begin of one period to the end of another that is compared with it: two years and a few days. */
const MAX_COMPARED_DAYS = 800

/** The period where nobody says when it begins. */
const USUAL_DAYS = 31

const DAY_SECONDS = 24 * 60 * 60

/** The smallest window: all windows end at a multiple of it. */
const TILE_SECONDS = 5 * 60

const { limit, cursor, from, to, namespace, workload } = fields
const PAGE = { limit, cursor }

/** What each place takes: read here, and told by the OpenAPI document. */
export const QUERIES = {
  none: {},
  page: PAGE,
  paths: { cluster: fields.clusters, namespace, workload, state: fields.state, from, to, ...PAGE },
  episodes: { cluster: fields.clusters, namespace, workload, open: fields.open, from, to, ...PAGE },
  diff: {
    from: fields.before,
    to: fields.after,
    timeZone: fields.timeZone,
    cluster: fields.clusters,
    change: fields.change,
    ...PAGE,
  },
  edges: { cluster: fields.clusters, kind: fields.kind, namespace, at: fields.at, ...PAGE },
  flow: { before: fields.earlier, at: fields.later, cluster: fields.clusters, change: fields.flowChange, ...PAGE },
  coverage: { from, to, ...PAGE },
  crypto: { at: fields.at },
  waivers: { at: fields.asOf, ...PAGE },
} as const satisfies Readonly<Record<string, Fields>>

/** What decides one page. */
export type PageParameters = { readonly limit: number; readonly cursor: Cursor | undefined }

/** What `/v1/paths` is asked. */
export type PathsQuery = PageParameters & {
  /** Ids, each once and sorted; absent: all that may be seen. */
  readonly clusters: readonly string[] | undefined
  readonly namespace: string | undefined
  readonly workload: { readonly kind?: string; readonly name: string } | undefined
  readonly state: StateFilter | undefined
  /** The windows whose end lies in `(from, to]`, RFC 3339. */
  readonly from: string
  readonly to: string
}

/**
 * Reads the parameters of `/v1/paths`. No period ends later than the latest window that can be collected, as it stood with the first page: what is to come
 * must not count as collected. Throws a `ProblemError` that names the parameter.
 */
export function readPathsQuery(search: URLSearchParams, now: Date): PathsQuery {
  const { cluster, state, namespace: inNamespace, workload: of, ...given } = read(search, QUERIES.paths)
  const page = pageParameters(given)
  const filters = { clusters: sortedIds(cluster), namespace: inNamespace, workload: of, state }
  return { ...filters, ...boundedPeriod(given, page.cursor, now), ...page }
}

/** What `/v1/episodes` is asked. */
export type EpisodesQuery = Omit<PathsQuery, 'state'> & { readonly open: boolean | undefined }

/** Reads the parameters of `/v1/episodes`, as {@link readPathsQuery} reads its own. Throws a `ProblemError` that names the parameter. */
export function readEpisodesQuery(search: URLSearchParams, now: Date): EpisodesQuery {
  const { cluster, open, namespace: inNamespace, workload: of, ...given } = read(search, QUERIES.episodes)
  const page = pageParameters(given)
  const filters = { clusters: sortedIds(cluster), namespace: inNamespace, workload: of, open }
  return { ...filters, ...boundedPeriod(given, page.cursor, now), ...page }
}

/** What `/v1/diff` is asked. */
export type DiffQuery = PageParameters & {
  /** Ids, each once and sorted; absent: all that may be seen. */
  readonly clusters: readonly string[] | undefined
  readonly change: PathChangeKind | undefined
  readonly before: WeekPeriod
  readonly period: WeekPeriod
  /** Where the later period is not over: up to when was looked. RFC 3339. */
  readonly until: string
}

/** Reads the parameters of `/v1/diff`. Throws a `ProblemError` that names the parameter. */
export async function readDiffQuery(search: URLSearchParams, now: Date): Promise<DiffQuery> {
  const { cluster, change, timeZone = 'UTC', from: earlier, to: later, ...given } = read(search, QUERIES.diff)
  const page = pageParameters(given)
  const zone = rangeOr('timeZone', timeZone, fields.timeZone, () => checkedZone(timeZone))
  const until = page.cursor?.u ?? settledBefore(now)
  const periods = await comparedPeriods({ from: earlier ?? '', to: later ?? '' }, zone, until)
  return { clusters: sortedIds(cluster), change, ...periods, until, ...page }
}

/**
 * Reads two periods to compare, as people write them; the later one ends where collecting ends. Throws a `ProblemError` that names the parameter.
 *
 * @param until the latest time that is looked at
 */
export async function comparedPeriods(
  { from: earlier, to: later }: { readonly from: string; readonly to: string },
  zone: string,
  until: string,
): Promise<{ readonly before: WeekPeriod; readonly period: WeekPeriod }> {
  // A calendar takes longer to load than all other parameters.
  const { parsePeriod } = await import('../time/period-text.ts')
  const before = rangeOr('from', earlier, fields.before, () => parsePeriod(earlier, zone))
  const whole = rangeOr('to', later, fields.after, () => parsePeriod(later, zone))
  const period = { from: whole.from, to: earlierOf(whole.to, until) }
  if (toSeconds(before.to) > toSeconds(whole.to)) throw badParameter('from', earlier, 'the earlier period first')
  if (toSeconds(period.from) >= toSeconds(period.to) || toSeconds(before.to) > toSeconds(period.to))
    throw badParameter('to', later, `a period that has begun by ${until}`)
  const first = earlierOf(before.from, period.from)
  if (toSeconds(period.to) - toSeconds(first) > MAX_COMPARED_DAYS * DAY_SECONDS)
    throw badParameter('from', earlier, `at most ${MAX_COMPARED_DAYS} days from the first begin to the last end`)
  return { before, period }
}

/** What `/v1/edges` is asked. */
export type EdgesQuery = PageParameters & {
  /** Ids, each once and sorted; absent: all that may be seen. */
  readonly clusters: readonly string[] | undefined
  readonly kind: string | undefined
  readonly namespace: string | undefined
  /** RFC 3339: the window that holds this time; absent: the latest one that was collected. */
  readonly at: string | undefined
  /** No later window is looked at: RFC 3339. */
  readonly until: string
}

/** Reads the parameters of `/v1/edges`. Throws a `ProblemError` that names the parameter. */
export function readEdgesQuery(search: URLSearchParams, now: Date): EdgesQuery {
  const { cluster, kind, namespace: inNamespace, at, ...given } = read(search, QUERIES.edges)
  const page = pageParameters(given)
  const until = page.cursor?.u ?? settledBefore(now)
  return { clusters: sortedIds(cluster), kind, namespace: inNamespace, at, until, ...page }
}

/** What `/v1/flow` is asked. */
export type FlowQuery = PageParameters & {
  /** Ids, each once and sorted; absent: all that may be seen. */
  readonly clusters: readonly string[] | undefined
  readonly change: FlowChangeKind | undefined
  /** RFC 3339; `at` is null for the end of what can be collected. */
  readonly before: string
  readonly at: string | null
  /** As it was asked; of a later page, `at` is that of the first one. */
  readonly askedAt: string | null
}

/** Reads the parameters of `/v1/flow`. Throws a `ProblemError` that names the parameter. */
export function readFlowQuery(search: URLSearchParams, now: Date): FlowQuery {
  const { cluster, change, before = '', at, ...given } = read(search, QUERIES.flow)
  const page = pageParameters(given)
  const times = flowTimes({ before, at: page.cursor?.u ?? at ?? null }, now)
  return { clusters: sortedIds(cluster), change, ...times, askedAt: at ?? null, ...page }
}

/** Two times to look at, the later one not after what can be collected by now. Throws a `ProblemError` that names the parameter. */
export function flowTimes(
  { before, at }: { readonly before: string; readonly at: string | null },
  now: Date,
): { readonly before: string; readonly at: string | null } {
  const until = at === null ? null : earlierOf(at, settledBefore(now))
  if (toSeconds(before) >= toSeconds(until ?? settledBefore(now)))
    throw badParameter('before', before, `a time before ${until ?? settledBefore(now)}`)
  return { before, at: until }
}

/** What is asked of the windows of one cluster. */
export type CoverageQuery = PageParameters & { readonly from: string; readonly to: string }

/** Reads the parameters of `/v1/clusters/{id}/coverage`. Throws a `ProblemError` that names the parameter. */
export function readCoverageQuery(search: URLSearchParams, now: Date): CoverageQuery {
  const given = read(search, QUERIES.coverage)
  const page = pageParameters(given)
  return { ...boundedPeriod(given, page.cursor, now), ...page }
}

/** Reads the parameters of `/v1/clusters/{id}/crypto`: the window that holds a time; undefined for the latest one. Throws a `ProblemError`. */
export function readCryptoQuery(search: URLSearchParams): string | undefined {
  return read(search, QUERIES.crypto).at
}

/** Reads the parameters of `/v1/waivers`: the time as of which they are told is that of the first page. Throws a `ProblemError`. */
export function readWaiversQuery(search: URLSearchParams, now: Date): PageParameters & { readonly at: string } {
  const { at, ...given } = read(search, QUERIES.waivers)
  const page = pageParameters(given)
  return { at: at ?? page.cursor?.u ?? settledBefore(now), ...page }
}

/** What `/v1/clusters` is asked: what is known of them is told of the latest {@link USUAL_DAYS}. */
export type ClustersQuery = PageParameters & { readonly from: string; readonly to: string }

/** Reads the parameters of `/v1/clusters`. Throws a `ProblemError` that names the parameter. */
export function readClustersQuery(search: URLSearchParams, now: Date): ClustersQuery {
  const page = readPageQuery(search)
  return { ...page, ...periodOf({}, page.cursor, now) }
}

/** The asked period. Throws a `ProblemError` for one that is none, or too long. */
function boundedPeriod(
  asked: { readonly from?: string; readonly to?: string },
  page: Cursor | undefined,
  now: Date,
): { readonly from: string; readonly to: string } {
  const period = periodOf(asked, page, now)
  if (toSeconds(period.from) >= toSeconds(period.to))
    throw badParameter('from', period.from, `a time before ${period.to}`)
  if (toSeconds(period.to) - toSeconds(period.from) > MAX_DAYS * DAY_SECONDS)
    throw badParameter('from', period.from, `a period of at most ${MAX_DAYS} days, up to ${period.to}`)
  return period
}

/** The asked period, up to the latest window that can be collected or could be with the first page. */
function periodOf(
  asked: { readonly from?: string; readonly to?: string },
  page: Cursor | undefined,
  now: Date,
): { readonly from: string; readonly to: string } {
  const ceiling = page?.u ?? settledBefore(now)
  const end = asked.to === undefined ? ceiling : earlierOf(asked.to, ceiling)
  return { from: asked.from ?? toTime(toSeconds(end) - USUAL_DAYS * DAY_SECONDS), to: end }
}

/** Reads the parameters of a list that has pages and no filter. Throws a `ProblemError` that names the parameter. */
export function readPageQuery(search: URLSearchParams): PageParameters {
  return pageParameters(read(search, QUERIES.page))
}

function pageParameters(given: { readonly limit?: number; readonly cursor?: string }): PageParameters {
  const { limit: items = USUAL_ITEMS, cursor: text } = given
  return { limit: items, cursor: text === undefined ? undefined : decodeCursor(text) }
}

/** Reads a question that takes no parameters. Throws a `ProblemError` that names one. */
export function readNoQuery(search: URLSearchParams): void {
  read(search, QUERIES.none)
}

/** The end of the latest windows, whatever their size, that can be collected by now. */
export function settledBefore(now: Date): string {
  const seconds = now.getTime() / 1000 - SETTLE_SECONDS
  return toTime(Math.floor(seconds / TILE_SECONDS) * TILE_SECONDS)
}

function sortedIds(ids: readonly string[] | undefined): readonly string[] | undefined {
  return ids === undefined ? undefined : [...new Set(ids)].sort()
}

const earlierOf = (a: string, b: string): string => (toSeconds(a) < toSeconds(b) ? a : b)

function rangeOr<T>(parameter: string, text: string, { wanted }: Field, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw error instanceof RangeError ? badParameter(parameter, text, wanted) : error
  }
}

type Values<F extends Fields> = { -readonly [Name in keyof F]?: z.output<F[Name]['schema']> }

/** Reads parameters by their fields. Throws a `ProblemError` that names the first one that cannot be used. */
function read<F extends Fields>(search: URLSearchParams, known: F): Values<F> {
  for (const parameter of new Set(search.keys())) {
    const field = Object.hasOwn(known, parameter) ? known[parameter] : undefined
    if (field === undefined) {
      const names = Object.keys(known)
      throw new ProblemError(
        'bad-parameter',
        `Cannot use parameter ${quoted(parameter)}: ${names.length === 0 ? 'there is none here' : `known are ${names.join(', ')}`}`,
        parameter,
      )
    }
    if (field.isRepeated !== true && search.getAll(parameter).length > 1)
      throw new ProblemError('bad-parameter', `Cannot use parameter "${parameter}" twice: wanted it once`, parameter)
  }
  const values: Record<string, unknown> = {}
  for (const [parameter, field] of Object.entries(known)) {
    const texts = search.getAll(parameter)
    const [first] = texts
    if (first === undefined) {
      if (field.isRequired !== true) continue
      throw new ProblemError(
        'bad-parameter',
        `Cannot answer without parameter "${parameter}": wanted ${field.wanted}`,
        parameter,
      )
    }
    const parsed = field.schema.safeParse(field.isRepeated === true ? texts : first)
    if (!parsed.success) {
      const at = Number(parsed.error.issues[0]?.path[0] ?? 0)
      throw badParameter(parameter, texts[at] ?? first, field.wanted)
    }
    values[parameter] = parsed.data
  }
  // Each value is what the schema of its field made.
  return values as Values<F>
}

import type { Cluster, MetricsAnswer, Snapshot, Window } from '../model.ts'
import type { ClusterAccess } from './cluster.ts'
import { type FailureKind, SourceError } from './http.ts'
import { listAll } from './kubernetes.ts'
import { queryInstant } from './prometheus.ts'
import { readProxies } from './proxies.ts'
import { type Query, earlierScrapesQuery, queriesOf } from './queries.ts'
import { sampleTap, tapTargets, tooLateToTap } from './tap-sample.ts'
import { collectViz, isJustOver } from './viz.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from './windows.ts'

/** How far Prometheus' clock and ours may be apart before a window's edges are in doubt. */
export const SKEW_SECONDS = 30

/** Queries that run at once: Prometheus evaluates each on one core, and viz's has little. */
const CONCURRENCY = 4

export type CollectDeps = {
  readonly access: ClusterAccess
  /** Our clock, or the replay's. */
  readonly now: () => Date
  /** Called after each answer, with how many of all have come. */
  readonly progress?: (done: number, all: number) => void
}

export type CollectOptions = {
  readonly collector: Snapshot['collector']
  /** A replay of an old window (`--now`): clock skew and retention are then not judged. */
  readonly isReplay: boolean
}

/**
 * Collects one window of one cluster: everything that Prometheus and the Kubernetes API answer, as received, and what viz shows beside. Never
 * throws for what a source does: a source that fails is part of the attempt, with one line that says why.
 */
export async function collectWindow(
  cluster: Cluster,
  window: Window,
  { collector, isReplay }: CollectOptions,
  deps: CollectDeps,
): Promise<Snapshot> {
  const startedAt = deps.now().toISOString()
  const asked = askMetrics(cluster, window, isReplay, deps)
  const listed = listAll(deps.access.kubernetes, cluster, { now: deps.now })
  const [metrics, kubernetes, proxies] = await Promise.all([
    asked,
    listed,
    collectProxies(cluster, window, { asked, listed }, deps),
  ])
  const [viz, tap] = await Promise.all([vizOf(cluster, window, metrics, deps), tapOf(cluster, window, metrics, deps)])
  return {
    format: 'ciphertrail/snapshot/1',
    cluster: cluster.id,
    window,
    linkerdNamespace: cluster.linkerdNamespace,
    vizNamespace: cluster.vizNamespace,
    collector,
    startedAt,
    endedAt: deps.now().toISOString(),
    complete:
      metrics.status === 'complete' &&
      kubernetes.status === 'complete' &&
      !(cluster.noPrometheus === true && (proxies === undefined || proxies.status === 'failed')),
    metrics,
    kubernetes,
    ...(viz === undefined ? {} : { viz }),
    ...(tap === undefined ? {} : { tap }),
    ...(proxies === undefined ? {} : { proxies }),
  }
}

/** What Prometheus answers for a window, as {@link collectWindow} has it. */
export async function askMetrics(
  cluster: Cluster,
  window: Window,
  isReplay: boolean,
  deps: CollectDeps,
): Promise<Snapshot['metrics']> {
  return cluster.noPrometheus === true ? NO_PROMETHEUS : collectMetrics(cluster, window, isReplay, deps)
}

/**
 * The attempt of a window that was asked again and answered differently: what Prometheus said, and the lists of now. What can be asked only as a window ends
 * (pages of proxies, tap, viz) is not in it.
 *
 * @param startedAt when Prometheus was asked
 */
export async function collectAgain(
  cluster: Cluster,
  window: Window,
  { collector, metrics, startedAt }: Pick<Snapshot, 'collector' | 'metrics' | 'startedAt'>,
  { access, now }: CollectDeps,
): Promise<Snapshot> {
  const kubernetes = await listAll(access.kubernetes, cluster, { now })
  return {
    format: 'ciphertrail/snapshot/1',
    cluster: cluster.id,
    window,
    linkerdNamespace: cluster.linkerdNamespace,
    vizNamespace: cluster.vizNamespace,
    collector,
    startedAt,
    endedAt: now().toISOString(),
    complete: metrics.status === 'complete' && kubernetes.status === 'complete',
    metrics,
    kubernetes,
  }
}

/** Who sends what is in the clear is asked now, so of the window that was just over alone. */
async function tapOf(
  cluster: Cluster,
  window: Window,
  { answers }: Snapshot['metrics'],
  { access, now }: CollectDeps,
): Promise<Snapshot['tap']> {
  if (cluster.tapSeconds === undefined) return undefined
  const wanted = tapTargets(answers, cluster, window)
  if (wanted.targets.length === 0) return undefined
  if (!isJustOver(window, now())) return tooLateToTap(cluster, cluster.tapSeconds, wanted, now())
  return sampleTap(cluster, cluster.tapSeconds, wanted, { api: access.kubernetes, now })
}

/** Where Prometheus could not be reached, viz cannot be either, by the same way. */
async function vizOf(
  cluster: Cluster,
  window: Window,
  { answers }: Snapshot['metrics'],
  { access, now }: CollectDeps,
): Promise<Snapshot['viz']> {
  const at = now()
  if (access.viz === null || answers.length === 0 || !isJustOver(window, at)) return undefined
  return collectViz(access.viz, cluster, at)
}

/** Nothing was to be asked, and nothing failed. */
const NO_PROMETHEUS: Promise<Snapshot['metrics']> = Promise.resolve({
  status: 'complete',
  errors: [],
  prometheusTime: null,
  answers: [],
})

/** The pages of proxies; undefined where none is to be read. */
async function collectProxies(
  cluster: Cluster,
  window: Window,
  { asked, listed }: { readonly asked: Promise<Snapshot['metrics']>; readonly listed: Promise<Snapshot['kubernetes']> },
  { access, now }: CollectDeps,
): Promise<Snapshot['proxies']> {
  const isOnly = cluster.noPrometheus === true
  if (cluster.proxies === undefined && !isOnly) return undefined
  const { lists } = await listed
  // Which proxies Prometheus does not read is known only once it has answered.
  const answers = isOnly ? null : cluster.proxies === 'all' ? [] : (await asked).answers
  return readProxies(cluster, window, { lists, answers }, { proxyPage: access.proxyPage, now })
}

async function collectMetrics(
  cluster: Cluster,
  window: Window,
  isReplay: boolean,
  deps: CollectDeps,
): Promise<Snapshot['metrics']> {
  const { prometheus } = deps.access
  const of = `of cluster "${cluster.id}"`
  const prometheusTime = await readTime(deps, of)
  // A Prometheus that does not tell the time answers nothing else either.
  if (typeof prometheusTime === 'string')
    return { status: 'failed', errors: [prometheusTime], prometheusTime: null, answers: [] }

  const asked = prometheus.servers()
  const server = asked.at(-1)
  const queries = queriesOf(window)
  const answered: (MetricsAnswer & { readonly series: number })[] = []
  const failed: { readonly name: Query['name']; readonly line: string; readonly kind: FailureKind }[] = []
  let done = 0
  const queue = queries.entries()
  const ask = async () => {
    for (const [index, { name, query, time }] of queue) {
      const at = String(time)
      try {
        const { body, series } = await queryInstant(prometheus, { what: `query ${name} ${of}`, query, time: at })
        answered[index] = { name, query, time: at, body, series: series.length }
      } catch (error) {
        if (!(error instanceof SourceError)) throw error
        failed.push({ name, line: error.message, kind: error.kind })
        // Each worker has waited a whole deadline for nothing: every further query would.
        if (answered.length === 0 && failed.filter(({ kind }) => kind === 'timeout').length >= CONCURRENCY) return
      }
      deps.progress?.(++done, queries.length)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, ask))

  const errors = failureLines(failed)
  if (!isReplay) errors.push(...skewErrors(prometheusTime, deps.now(), window, of))
  const replaced = prometheus.servers().slice(asked.length)
  if (replaced.length > 0) errors.push(replacedError(server, replaced, of))
  const scraped = answered.some((answer) => answer?.name === 'scrapes' && answer.series > 0)
  if (!isReplay && failed.length === 0 && !scraped) errors.push(...(await missingErrors(window, deps, of)))
  const answers = answered
    .filter((answer) => answer !== undefined)
    .map(({ series, ...answer }): MetricsAnswer => answer)
  const isBlind =
    replaced.length > 0 ||
    failed.some(({ name }) => name === 'scrapes' || name === 'process-starts') ||
    (errors.length > 0 && !scraped)
  return {
    status: errors.length === 0 ? 'complete' : isBlind ? 'failed' : 'partial',
    errors,
    prometheusTime: toTime(prometheusTime),
    ...(server === undefined ? {} : { server }),
    answers,
  }
}

/** One line for each way to fail, with the queries that failed so. */
function failureLines(failed: readonly { readonly name: Query['name']; readonly line: string }[]): string[] {
  const byProblem = Map.groupBy(failed, ({ name, line }) => line.slice(`Cannot query ${name} `.length))
  return [...byProblem]
    .map(([problem, group]) => {
      const names = [...new Set(group.map(({ name }) => name))].sort()
      const shown = names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ')
      return `Cannot query ${shown} ${problem}`
    })
    .sort()
}

/** Prometheus' own `time()`, in seconds, or why it cannot be read. */
async function readTime({ access }: CollectDeps, of: string): Promise<number | string> {
  try {
    const { series } = await queryInstant(access.prometheus, {
      what: `query the time ${of}`,
      query: 'time()',
      time: undefined,
    })
    return series[0]?.samples[0]?.value ?? `Cannot query the time ${of}: Prometheus gave none, is it one?`
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return error.message
  }
}

function skewErrors(prometheusTime: number, now: Date, window: Window, of: string): string[] {
  const skew = Math.round(prometheusTime - now.getTime() / 1000)
  const isSettled = prometheusTime >= toSeconds(window.end) + SETTLE_SECONDS / 2
  if (Math.abs(skew) <= SKEW_SECONDS && isSettled) return []
  const direction = skew < 0 ? 'behind' : 'ahead of'
  return [
    `Cannot trust the times of Prometheus ${of}: its clock is ${Math.abs(skew)} s ${direction} ours, wanted at most ${SKEW_SECONDS} s; set both by NTP, then collect the window again`,
  ]
}

/** A pod that takes another's place has other data: coverage from one and connections from the other would be an all-clear that nobody saw. */
function replacedError(first: string | undefined, others: readonly string[], of: string): string {
  return `Cannot trust the answers of Prometheus ${of}: they came from ${[first, ...others].join(', then ')}, wanted one Prometheus for a whole window; collect it again`
}

/** Why there is no scrape in a window: a Prometheus that was away leaves a gap for good, one that never had proxies is the wrong one. */
async function missingErrors(window: Window, { access }: CollectDeps, of: string): Promise<string[]> {
  const { query, time } = earlierScrapesQuery(window)
  try {
    const { series } = await queryInstant(access.prometheus, {
      what: `query earlier scrapes ${of}`,
      query,
      time: String(time),
    })
    if (series.length > 0) return []
    return [
      `Cannot read window ${window.start} to ${window.end} ${of}: Prometheus has no sample of up{job="linkerd-proxy"} in it or in the day before, wanted the Prometheus of linkerd-viz (or one with its scrape job) while it still has the window`,
    ]
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return [error.message]
  }
}

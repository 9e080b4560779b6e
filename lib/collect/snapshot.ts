import type { Cluster } from '../model/registry.ts'
import type { MetricsAnswer, Snapshot } from '../model/snapshot.ts'
import type { Seconds, Window } from '../model/time.ts'
import { type BudgetName, budget, exceeds } from '../observed/budget.ts'
import { cadvisorQueriesOf } from '../observed/cadvisor-queries.ts'
import { listAll } from './kubernetes/list-objects.ts'
import { queryInstant } from './prometheus/ask-prometheus.ts'
import { readProxies } from './proxies/read-proxies.ts'
import { STATED_MOMENTS, earlierScrapesQuery, queriesOf } from '../observed/prometheus-queries.ts'
import { sampleTap, tapTargets, tooLateToTap } from './tap/tap-sample.ts'
import { collectViz, isJustOver } from './viz/ask-viz.ts'
import { SETTLE_SECONDS, isMoment, toSeconds, toTime } from '../time/windows.ts'
import type { ClusterAccess } from './cluster/cluster-access.ts'
import type { FailureKind } from '../net/errors.ts'
import { SourceError } from '../net/errors.ts'
import { withinBudget } from './within-budget.ts'

/** Largest difference between Prometheus' clock and ours before a window's edges are in doubt. */
export const SKEW_SECONDS = 30

/** Queries that run at once: Prometheus evaluates each on one core, and viz's has little CPU. */
const CONCURRENCY = 4

/** What collecting a window needs. */
export type CollectDeps = {
  readonly access: ClusterAccess
  /** Our clock, or the replay's. */
  readonly now: () => Date
  /** Called after each answer, with the number of answers and of queries. */
  readonly progress?: (done: number, all: number) => void
}

/** The collector, and its options. */
export type CollectOptions = {
  readonly collector: Snapshot['collector']
  /** A replay of an old window (`--now`): clock skew and retention are then not judged. */
  readonly isReplay: boolean
}

/**
 * Collects one window of one cluster: all answers of Prometheus and the Kubernetes API, as received, and those of viz. Never throws for failures of a source: a
 * failed source is part of the attempt, with one line that says why.
 */
export async function collectWindow(
  cluster: Cluster,
  window: Window,
  { collector, isReplay }: CollectOptions,
  deps: CollectDeps,
): Promise<Snapshot> {
  const startedAt = deps.now().toISOString()
  const fromPrometheus = askPrometheus(cluster, window, isReplay, deps)
  const asked = fromPrometheus.then(({ metrics }) => metrics)
  const listed = listAll(deps.access.kubernetes, cluster, { now: deps.now })
  const [{ metrics, cadvisor }, kubernetes, proxies] = await Promise.all([
    fromPrometheus,
    listed,
    collectProxies(cluster, window, { asked, listed }, deps),
  ])
  const [viz, tap] = await Promise.all([vizOf(cluster, window, metrics, deps), tapOf(cluster, window, metrics, deps)])
  return withinBudget({
    ...headOf(cluster, window, { collector, startedAt, endedAt: deps.now().toISOString() }),
    complete:
      metrics.status === 'complete' &&
      kubernetes.status === 'complete' &&
      !(cluster.noPrometheus === true && (proxies === undefined || proxies.status === 'failed')),
    metrics,
    kubernetes,
    ...(cadvisor === undefined ? {} : { cadvisor }),
    ...(viz === undefined ? {} : { viz }),
    ...(tap === undefined ? {} : { tap }),
    ...(proxies === undefined ? {} : { proxies }),
  })
}

/** The answers of Prometheus for a window, as {@link collectWindow} has them. */
export async function askPrometheus(
  cluster: Cluster,
  window: Window,
  isReplay: boolean,
  deps: CollectDeps,
): Promise<FromPrometheus> {
  return cluster.noPrometheus === true ? NO_PROMETHEUS : collectFromPrometheus(cluster, window, isReplay, deps)
}

/**
 * The attempt for a window that was queried again with different answers: those of Prometheus, and the current lists. It omits what can be read only as a
 * window ends (pages of proxies, tap, viz).
 *
 * @param startedAt when Prometheus was queried
 */
export async function collectAgain(
  cluster: Cluster,
  window: Window,
  { collector, metrics, cadvisor, startedAt }: Pick<Snapshot, 'collector' | 'metrics' | 'cadvisor' | 'startedAt'>,
  { access, now }: CollectDeps,
): Promise<Snapshot> {
  const kubernetes = await listAll(access.kubernetes, cluster, { now })
  return withinBudget({
    ...headOf(cluster, window, { collector, startedAt, endedAt: now().toISOString() }),
    complete: metrics.status === 'complete' && kubernetes.status === 'complete',
    metrics,
    kubernetes,
    ...(cadvisor === undefined ? {} : { cadvisor }),
  })
}

/** The header of an attempt: sources, time and collector. */
function headOf(
  { id, linkerdNamespace, vizNamespace }: Cluster,
  window: Window,
  made: Pick<Snapshot, 'collector' | 'startedAt' | 'endedAt'>,
) {
  return { format: 'ciphertrail/snapshot/1', cluster: id, window, linkerdNamespace, vizNamespace, ...made } as const
}

/** Tap shows current traffic, so it is used only for the window that just ended. */
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

/** If Prometheus could not be reached, viz cannot be either, by the same transport. */
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

/** There was nothing to query, and nothing failed. */
const NO_PROMETHEUS: FromPrometheus = {
  metrics: { status: 'complete', errors: [], prometheusTime: null, answers: [] },
}

/** The pages of proxies; undefined if none is to be read. */
async function collectProxies(
  cluster: Cluster,
  window: Window,
  { asked, listed }: { readonly asked: Promise<Snapshot['metrics']>; readonly listed: Promise<Snapshot['kubernetes']> },
  { access, now }: CollectDeps,
): Promise<Snapshot['proxies']> {
  const isOnly = cluster.noPrometheus === true
  if (cluster.proxies === undefined && !isOnly) return undefined
  const { lists } = await listed
  // Which proxies Prometheus does not scrape is known only from its answers.
  const answers = isOnly ? null : cluster.proxies === 'all' ? [] : (await asked).answers
  return readProxies(cluster, window, { lists, answers }, { proxyPage: access.proxyPage, now })
}

/** The two sources behind one Prometheus. */
type FromPrometheus = Pick<Snapshot, 'metrics' | 'cadvisor'>

async function collectFromPrometheus(
  cluster: Cluster,
  window: Window,
  isReplay: boolean,
  deps: CollectDeps,
): Promise<FromPrometheus> {
  const { prometheus } = deps.access
  const of = `of cluster "${cluster.id}"`
  const prometheusTime = await readTime(deps, of)
  // A Prometheus that does not answer the time query answers no other either.
  if (typeof prometheusTime === 'string')
    return { metrics: { status: 'failed', errors: [prometheusTime], prometheusTime: null, answers: [] } }

  const asked = prometheus.servers()
  const server = asked.at(-1)
  const queries = queriesOf(window)
  const ofCadvisor = cadvisorQueriesOf(window)
  const all = queries.length + ofCadvisor.length
  const taken: Taken = { source: 0, 'window-values': 0 }
  const { answered, failed } = await askAll(queries, of, taken, deps, (done) => deps.progress?.(done, all))
  const errors = failureLines(failed)
  if (!isReplay) errors.push(...skewErrors(prometheusTime, deps.now(), window, of))
  // After the planned queries, without which it would be useless, and before the check that one Prometheus answered them all.
  const cadvisor =
    answered.length === 0
      ? undefined
      : await collectCadvisor(ofCadvisor, of, taken, deps, (done) => deps.progress?.(queries.length + done, all))
  const replaced = prometheus.servers().slice(asked.length)
  if (replaced.length > 0) errors.push(replacedError(server, replaced, of))
  const scraped = answered.some((answer) => answer.name === 'scrapes' && answer.series > 0)
  if (!isReplay && failed.length === 0 && !scraped) errors.push(...(await missingErrors(window, deps, of)))
  const answers = answered.map(({ series, ...answer }): MetricsAnswer => answer)
  const isBlind =
    replaced.length > 0 ||
    failed.some(({ name }) => name === 'scrapes' || name === 'process-starts') ||
    (errors.length > 0 && !scraped)
  return {
    metrics: {
      status: errors.length === 0 ? 'complete' : isBlind ? 'failed' : 'partial',
      errors,
      prometheusTime: toTime(prometheusTime),
      ...(server === undefined ? {} : { server }),
      answers,
    },
    ...(cadvisor === undefined ? {} : { cadvisor }),
  }
}

/** Queries cAdvisor. A Prometheus without it has still answered for the proxies, so its failure is kept apart. */
async function collectCadvisor(
  queries: readonly AskedQuery[],
  of: string,
  taken: Taken,
  deps: CollectDeps,
  progress: (done: number) => void,
): Promise<Snapshot['cadvisor']> {
  const { answered, failed } = await askAll(queries, of, taken, deps, progress)
  return {
    status: failed.length === 0 ? 'complete' : answered.length === 0 ? 'failed' : 'partial',
    errors: failureLines(failed),
    answers: answered.map(({ series, ...answer }): MetricsAnswer => answer),
  }
}

/** A query of a plan. */
type AskedQuery = { readonly name: string; readonly query: string; readonly time: Seconds }

/** The part of a window's budget that one Prometheus' answers have used. */
type Taken = Record<Extract<BudgetName, 'source' | 'window-values'>, number>

/** A failed query. */
type FailedQuery = { readonly name: string; readonly line: string; readonly kind: FailureKind }

/** Runs several queries at once. Answers are in the order of their queries. */
async function askAll(
  queries: readonly AskedQuery[],
  of: string,
  taken: Taken,
  { access: { prometheus } }: CollectDeps,
  progress: (done: number) => void,
): Promise<{
  readonly answered: readonly (MetricsAnswer & { readonly series: number })[]
  readonly failed: readonly FailedQuery[]
}> {
  const answered: ((MetricsAnswer & { readonly series: number }) | undefined)[] = []
  const failed: FailedQuery[] = []
  let done = 0
  const queue = queries.entries()
  const ask = async () => {
    for (const [index, { name, query, time }] of queue) {
      const at = String(time)
      try {
        const what = `query ${name} ${of}`
        if (overOf(taken) !== undefined) throw overBudget(taken, what, 'it was not asked, those before it')
        const isStated = STATED_MOMENTS.has(name)
        const { body, series, values } = await queryInstant(prometheus, { what, query, time: at, isStated })
        take(taken, { source: body.length, 'window-values': values }, what)
        answered[index] = { name, query, time: at, body, series: series.length }
      } catch (error) {
        if (!(error instanceof SourceError)) throw error
        failed.push({ name, line: error.message, kind: error.kind })
        // Each worker has waited for a whole deadline in vain: every further query would, too.
        if (answered.length === 0 && failed.filter(({ kind }) => kind === 'timeout').length >= CONCURRENCY) return
      }
      progress(++done)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, ask))
  return { answered: answered.filter((answer) => answer !== undefined), failed }
}

/** Adds an answer to the used budget. Throws SourceError if it is exceeded. */
function take(taken: Taken, answer: Taken, what: string): void {
  for (const name of TAKEN) taken[name] += answer[name]
  if (overOf(taken) !== undefined) throw overBudget(taken, what, 'the answers of Prometheus to this and other queries')
}

const TAKEN = ['source', 'window-values'] as const

function overOf(taken: Taken): keyof Taken | undefined {
  return TAKEN.find((name) => taken[name] > budget()[name])
}

function overBudget(taken: Taken, what: string, who: string): SourceError {
  const name = overOf(taken) ?? 'source'
  const problem = `${who} have ${exceeds(name, { atLeast: taken[name] })}`
  return new SourceError({ source: 'metrics', what }, 'too-large', problem)
}

/** One line for each kind of failure, with its queries. */
function failureLines(failed: readonly FailedQuery[]): string[] {
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
    const time = series[0]?.samples[0]?.value
    return time !== undefined && isMoment(time) ? time : `Cannot query the time ${of}: Prometheus gave none, is it one?`
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

/** A replacement pod has other data: coverage from one and connections from the other would be a false all-clear. */
function replacedError(first: string | undefined, others: readonly string[], of: string): string {
  return `Cannot trust the answers of Prometheus ${of}: they came from ${[first, ...others].join(', then ')}, wanted one Prometheus for a whole window; collect it again`
}

/** Why a window has no scrape: an unavailable Prometheus leaves a permanent gap, one that never had proxies is the wrong one. */
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

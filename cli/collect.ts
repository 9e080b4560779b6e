import type { Command } from 'commander'
import { isNotEncrypted } from '../lib/assess/episodes.ts'
import { type ClusterAccess, openCluster } from '../lib/collect/cluster.ts'
import { collectWindow } from '../lib/collect/collect.ts'
import { oldestSample } from '../lib/collect/oldest.ts'
import { planOf } from '../lib/collect/plan.ts'
import { SETTLE_SECONDS, toSeconds, toTime, windowOf, windowsBetween } from '../lib/collect/windows.ts'
import type { Cluster, Seconds, Snapshot, Window } from '../lib/model.ts'
import { derive } from '../lib/store/derive.ts'
import { writeAttempt } from '../lib/store/evidence.ts'
import type { Objects } from '../lib/store/objects.ts'
import { standingAttempt } from '../lib/store/standing.ts'
import { readState, readWindow } from '../lib/store/state.ts'
import { type Console, FailedError, UsageError } from './console.ts'
import { toJson } from '../lib/report/json.ts'
import { chosenClusters, deriveDeps, openStore } from './store.ts'
import { TIMEOUT_HELP, collectValues, readTime, readTimeout } from './values.ts'

/** The options of `collect`. */
type CollectOptions = {
  readonly cluster?: string[]
  readonly from?: string
  readonly to?: string
  readonly at?: string
  readonly now?: string
  readonly timeout?: string
  readonly json?: boolean
  readonly store?: string
}

/** More than any Prometheus keeps of five-minute windows by default: a mistyped year must not ask for a hundred thousand. */
const MOST_WINDOWS = 5_000

/** What became of one window. */
type Attempted = {
  readonly window: Window
  readonly key: string
  readonly snapshot: Pick<Snapshot, 'complete' | 'metrics' | 'kubernetes'>
}

/** Adds `ciphertrail collect`. */
export function addCollect(program: Command, console: Console): void {
  program
    .command('collect')
    .summary('collect one or many windows from the registered clusters')
    .description(
      'Collects what Prometheus and the Kubernetes API say, and stores it as evidence. Without times: every expected window that has no complete attempt yet, from registration (on a first run: from the oldest sample) to now.',
    )
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--from <time>', 'fill missing windows whose end lies after this time', undefined)
    .option('--to <time>', '... and not after this one')
    .option('--at <time>', 'the one window that holds this time, again if it was collected before')
    .option('--now <time>', 'take this for the present: for replays; clock skew and retention are then not judged')
    .option('--timeout <seconds>', TIMEOUT_HELP)
    .option('--json', 'one JSON object for each window')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail collect\n  ciphertrail collect --cluster prod --at 2026-11-24T12:30:00Z\n  ciphertrail collect --from 2026-11-24T06:00:00Z --to 2026-11-24T12:00:00Z\n\nExit code 1 if any window that was asked for has no complete attempt; what was found never changes it.',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<CollectOptions>()
      const asked = readAsked(options)
      const deadlines = readTimeout(options.timeout)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      let isComplete = true
      for (const cluster of clusters) {
        const access = openCluster(cluster, { environment: console.config, ...deadlines })
        try {
          isComplete =
            (await collectCluster(cluster, asked, { objects, access, console, isJson: options.json === true })) &&
            isComplete
        } catch (error) {
          // One cluster that cannot be kept or derived must not keep the others from being collected.
          if (!(error instanceof Error) || error instanceof UsageError) throw error
          isComplete = false
          console.err(error.message)
        } finally {
          await access.close()
        }
      }
      if (!isComplete) throw new FailedError()
    })
}

/** Which windows were asked for; `at` and `period` exclude each other. */
type Asked = {
  readonly at?: string | undefined
  readonly period?: { readonly from: string; readonly to: string } | undefined
  readonly now?: string | undefined
}

function readAsked(options: CollectOptions): Asked {
  const now = options.now === undefined ? undefined : readTime('--now', options.now)
  if (options.at !== undefined) {
    if (options.from !== undefined || options.to !== undefined)
      throw new UsageError('Cannot use --at together with --from or --to: give one window or a period')
    return { at: readTime('--at', options.at), now }
  }
  if (options.from === undefined && options.to === undefined) return { now }
  if (options.from === undefined || options.to === undefined)
    throw new UsageError('Cannot collect an open period: give both --from and --to')
  const period = { from: readTime('--from', options.from), to: readTime('--to', options.to) }
  if (toSeconds(period.from) >= toSeconds(period.to))
    throw new UsageError(`Cannot collect from ${period.from} to ${period.to}: wanted --from before --to`)
  return { period, now }
}

type CollectClusterDeps = {
  readonly objects: Objects
  readonly access: ClusterAccess
  readonly console: Console
  readonly isJson: boolean
}

/** Collects a cluster's windows and derives. False if any asked window has no complete attempt. */
async function collectCluster(cluster: Cluster, asked: Asked, deps: CollectClusterDeps): Promise<boolean> {
  const { objects, console, access } = deps
  const { now: replayed } = asked
  const now = replayed === undefined ? console.now : () => new Date(replayed)
  const { due, notes, isWhole } = await dueWindows(cluster, asked, now, deps)
  for (const note of notes) console.err(note)

  const attempted: Attempted[] = []
  let unreachable = 0
  for (const [index, window] of due.entries()) {
    const title = `${cluster.id} ${window.start} to ${window.end} (${index + 1} of ${due.length})`
    const snapshot = await collectWindow(
      cluster,
      window,
      { collector: { name: 'ciphertrail', version: console.version }, isReplay: replayed !== undefined },
      {
        access,
        now,
        progress: (done, all) => console.progress(`Collecting ${title}: ${done} of ${all} queries`),
      },
    )
    const key = await writeAttempt(snapshot, { objects })
    const { complete, metrics, kubernetes } = snapshot
    attempted.push({
      window,
      key,
      snapshot: { complete, metrics: { ...metrics, answers: [] }, kubernetes: { ...kubernetes, lists: [] } },
    })
    // Nobody answers: the other windows of this cluster would only wait for the same.
    if (metrics.status === 'failed' && metrics.answers.length === 0 && kubernetes.status === 'failed') {
      unreachable = due.length - index - 1
      break
    }
  }
  console.progress(`Deriving ${cluster.id}`)
  const derived = await derive(cluster, deriveDeps(objects))
  console.progressEnd()
  const lines = new Set(derived.errors)
  for (const line of lines) console.err(line)
  for (const one of attempted) await printAttempt(cluster, one, lines, deps)
  if (unreachable > 0)
    console.err(
      `Not tried: ${unreachable} more ${unreachable === 1 ? 'window' : 'windows'} of cluster "${cluster.id}", since neither source answered; the next collect tries again`,
    )
  if (due.length === 0 && isWhole && !deps.isJson) console.out(`${cluster.id}: nothing is due`)
  return isWhole && unreachable === 0 && attempted.every(({ snapshot }) => snapshot.complete)
}

/** The windows to collect, and what to say beside. `isWhole` is false where an asked window cannot be collected. */
async function dueWindows(
  cluster: Cluster,
  { at, period }: Asked,
  now: () => Date,
  { objects, access }: CollectClusterDeps,
): Promise<{ due: readonly Window[]; notes: readonly string[]; isWhole: boolean }> {
  const latest = now().getTime() / 1000 - SETTLE_SECONDS
  const unsettled = (window: Window) =>
    `Not collected: the window ${window.start} to ${window.end} of cluster "${cluster.id}" is not over, collect it after ${toTime(toSeconds(window.end) + SETTLE_SECONDS)}`
  if (at !== undefined) {
    const window = windowOf(cluster.windows, toSeconds(at))
    return toSeconds(window.end) <= latest
      ? { due: [window], notes: [], isWhole: true }
      : { due: [], notes: [unsettled(window)], isWhole: false }
  }
  const known = await completeWindows(cluster, objects)
  if (period !== undefined) {
    const smallest = Math.min(...cluster.windows.map(({ minutes }) => minutes)) * 60
    if ((toSeconds(period.to) - toSeconds(period.from)) / smallest > MOST_WINDOWS)
      throw new UsageError(
        `Cannot collect from ${period.from} to ${period.to} at once: wanted at most ${MOST_WINDOWS} windows of cluster "${cluster.id}", give a shorter period`,
      )
    const windows = windowsBetween(cluster.windows, toSeconds(period.from), toSeconds(period.to)).filter(
      ({ end }) => !known.complete.has(end),
    )
    const early = windows.filter(({ end }) => toSeconds(end) > latest)
    return {
      due: windows.filter((window) => !early.includes(window)),
      notes: early.slice(0, 1).map(unsettled),
      isWhole: early.length === 0,
    }
  }
  const seconds = now().getTime() / 1000
  const oldest = await oldestSample(access.prometheus, cluster, seconds)
  const plan = planOf({
    settings: cluster.windows,
    // A first run reaches back behind the registration; what it could not read there is still to be filled.
    registeredAt: Math.min(toSeconds(cluster.registeredAt), known.since ?? Infinity),
    now: seconds,
    oldestSample: oldest.at,
    complete: known.complete,
    isFirstRun: known.isFirstRun,
  })
  const [first] = plan.lost
  const last = plan.lost.at(-1)
  const lost =
    first === undefined || last === undefined
      ? []
      : [
          `Lost: ${plan.lost.length} ${plan.lost.length === 1 ? 'window' : 'windows'} of cluster "${cluster.id}" between ${first.start} and ${last.end} have no complete attempt, and Prometheus no longer has them`,
        ]
  // With nothing due, nobody else would say that Prometheus cannot be asked for older windows.
  const problem = plan.due.length === 0 && oldest.problem !== null ? [oldest.problem] : []
  return { due: plan.due, notes: [...lost, ...problem], isWhole: problem.length === 0 }
}

async function completeWindows(
  cluster: Cluster,
  objects: Objects,
): Promise<{ complete: ReadonlySet<string>; isFirstRun: boolean; since: Seconds | undefined }> {
  // Evidence that somebody else stored counts, too.
  await derive(cluster, deriveDeps(objects))
  const { state } = await readState(cluster.id, objects)
  const evidence = state?.evidence ?? []
  return {
    complete: new Set(
      evidence.filter(({ attempts }) => standingAttempt(attempts)?.complete === true).map(({ end }) => end),
    ),
    isFirstRun: evidence.length === 0,
    since: evidence[0] === undefined ? undefined : toSeconds(evidence[0].start),
  }
}

async function printAttempt(
  cluster: Cluster,
  { window, key, snapshot }: Attempted,
  said: Set<string>,
  { objects, console, isJson }: CollectClusterDeps,
): Promise<void> {
  const result = await readWindow(cluster.id, window.start, objects)
  const observed = sum(result?.coverage.map(({ observedSeconds }) => observedSeconds) ?? [])
  const expected = sum(result?.coverage.map(({ expectedSeconds }) => expectedSeconds) ?? [])
  const ratio = result === undefined || expected === 0 ? null : observed / expected
  const paths = result?.collected === true ? result.paths : null
  const counts =
    paths === null
      ? null
      : {
          paths: paths.length,
          notEncrypted: paths.filter(isNotEncrypted).length,
          unknown: paths.filter(({ state }) => state === 'unknown').length,
        }
  const errors = [...new Set([...snapshot.metrics.errors, ...snapshot.kubernetes.errors, ...(result?.errors ?? [])])]
  for (const line of errors) {
    // What fails in one window mostly fails in all of them.
    if (!said.has(line)) console.err(line)
    said.add(line)
  }
  if (isJson) {
    console.out(
      toJson({
        cluster: cluster.id,
        window,
        attempt: key,
        complete: snapshot.complete,
        collected: result?.collected ?? false,
        metrics: snapshot.metrics.status,
        kubernetes: snapshot.kubernetes.status,
        coverage: ratio,
        ...(counts ?? { paths: null, notEncrypted: null, unknown: null }),
        errors,
      }),
    )
    return
  }
  const seen =
    counts === null
      ? 'no path can be told'
      : `${counts.paths} paths, ${counts.notEncrypted} not encrypted, ${counts.unknown} unknown`
  const share =
    ratio === null ? 'coverage not known' : `${(Math.floor(ratio * 1000) / 10).toFixed(1)} % of proxy time observed`
  console.out(
    `${cluster.id} ${window.start} to ${window.end}: ${snapshot.complete ? 'complete' : 'incomplete'}, ${seen}, ${share}`,
  )
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

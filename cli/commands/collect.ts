import type { Command } from 'commander'
import { foldLines } from '../../lib/text/fold-lines.ts'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { utcRange, utcTime } from '../../lib/time/dates.ts'
import { toSeconds } from '../../lib/time/windows.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { type Attempted, collectWindows } from '../../lib/jobs/attempt-windows.ts'
import { type WindowSelection, selectWindows } from '../../lib/jobs/select-windows.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { readWindow } from '../../lib/history/cluster-state.ts'
import { updateNotEncrypted } from '../../lib/history/not-encrypted.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { chosenClusters, openStore } from '../open-store.ts'
import { openRegistered } from '../operator-trust.ts'
import { TIMEOUT_HELP, collectValues, readTime, readTimeout } from '../option-values.ts'
import type { ClusterAccess } from '../../lib/collect/cluster/cluster-access.ts'

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
const MAX_WINDOWS = 5_000

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
      '\nExamples:\n  ciphertrail collect\n  ciphertrail collect --cluster prod --at 2026-11-24T12:30:00Z\n  ciphertrail collect --from 2026-11-24T06:00:00Z --to 2026-11-24T12:00:00Z\n\nExit code 1 if any window that was asked for has no complete attempt;\nwhat was found never changes it.',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<CollectOptions>()
      const asked = readRequested(options)
      const deadlines = readTimeout(options.timeout)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      let isComplete = true
      for (const cluster of clusters) {
        let access: ClusterAccess | undefined
        if (cluster.replay !== undefined) {
          isComplete = tellReplay(cluster, asked, options.json === true, console) && isComplete
          continue
        }
        try {
          access = await openRegistered(cluster, options, console, deadlines)
          isComplete =
            (await collectCluster(cluster, asked, { objects, access, console, isJson: options.json === true })) &&
            isComplete
        } catch (error) {
          // One cluster that cannot be kept or derived must not keep the others from being collected.
          if (!(error instanceof Error) || error instanceof UsageError) throw error
          isComplete = false
          console.err(error.message)
        } finally {
          await access?.close()
        }
      }
      await updateNotEncrypted(
        (await readClusters({ objects })).map(({ id }) => id),
        objects,
      )
      if (!isComplete) throw new FailedError()
    })
}

/** Which windows were asked for, and when; `at` and `period` exclude each other. */
type AskedAt = WindowSelection & { readonly now?: string | undefined }

function readRequested(options: CollectOptions): AskedAt {
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
async function collectCluster(
  cluster: Cluster,
  { now: replayed, ...asked }: AskedAt,
  deps: CollectClusterDeps,
): Promise<boolean> {
  const { objects, console, access } = deps
  const now = replayed === undefined ? console.now : () => new Date(replayed)
  if (asked.period !== undefined) refuseLong(cluster, asked.period)
  const { due, notes, isWhole, next } = await selectWindows(cluster, asked, now(), { objects, access })
  for (const note of notes) console.err(note)

  const collected = await collectWindows(
    cluster,
    due,
    { collector: { name: 'ciphertrail', version: console.version }, now, isReplay: replayed !== undefined },
    {
      objects,
      access,
      progress: (index, done, all) => {
        const window = due[index]
        const title = `${cluster.id} ${window === undefined ? '' : utcRange(window)} (${index + 1} of ${due.length})`
        console.progress(`Collecting ${title}: ${done} of ${all} queries`)
      },
      deriving: () => console.progress(`Deriving ${cluster.id}`),
    },
  )
  console.progressEnd()
  const { attempted, again, unreachable } = collected
  const lines = new Set(collected.errors)
  for (const line of lines) console.err(line)
  for (const one of attempted) await printAttempt(cluster, one, lines, deps)
  for (const one of again) {
    if (!deps.isJson)
      console.out(`${cluster.id}: asked again, and samples had come since; of each path the worse reading stands`)
    await printAttempt(cluster, one, lines, deps)
  }
  if (unreachable > 0)
    console.err(
      `Not tried: ${unreachable} more ${unreachable === 1 ? 'window' : 'windows'} of cluster "${cluster.id}", since neither source answered; the next collect tries again`,
    )
  if (due.length === 0 && isWhole && !deps.isJson) {
    const then =
      next === undefined
        ? ''
        : `; the ${next.isFirst ? 'first' : 'next'} window ends ${utcTime(next.end)} (UTC) and can be collected a minute later, until then: ciphertrail look ${cluster.id}`
    console.out(`${cluster.id}: nothing is due${then}`)
  }
  return isWhole && unreachable === 0 && attempted.every(({ snapshot }) => snapshot.complete)
}

/** Nothing is behind a replay that could be asked. False where windows of it were asked for by name. */
function tellReplay({ id }: Cluster, { at, period }: AskedAt, isJson: boolean, { out, err }: Console): boolean {
  const isAsked = at !== undefined || period !== undefined
  if (isAsked) err(`Not collected: cluster "${id}" is a replay, from which nothing is collected`)
  else if (!isJson) out(`${id}: this is a replay, from which nothing is collected`)
  return !isAsked
}

/** Throws UsageError for a period of more windows than anybody wants at once. */
function refuseLong({ id, windows }: Cluster, { from, to }: { readonly from: string; readonly to: string }): void {
  const smallest = Math.min(...windows.map(({ minutes }) => minutes)) * 60
  if ((toSeconds(to) - toSeconds(from)) / smallest <= MAX_WINDOWS) return
  throw new UsageError(
    `Cannot collect from ${from} to ${to} at once: wanted at most ${MAX_WINDOWS} windows of cluster "${id}", give a shorter period`,
  )
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
  const errors = foldLines(
    new Set([
      ...snapshot.metrics.errors,
      ...snapshot.kubernetes.errors,
      ...(snapshot.cadvisor?.errors ?? []),
      ...(snapshot.viz?.errors ?? []),
      ...(snapshot.tap?.errors ?? []),
      ...(snapshot.proxies?.errors ?? []),
      ...(result?.errors ?? []),
    ]),
  )
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
        viz: snapshot.viz?.status ?? null,
        tap: snapshot.tap?.status ?? null,
        proxies: snapshot.proxies?.status ?? null,
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
    `${cluster.id} ${utcRange(window)} (UTC): ${snapshot.complete ? 'complete' : 'incomplete'}, ${seen}, ${share}`,
  )
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

import { assessWindow } from '../assess/window/window.ts'
import type { ClusterAccess } from '../collect/cluster/cluster-access.ts'
import { collectWindow } from '../collect/snapshot.ts'
import { readEvidenceSince } from '../history/archive.ts'
import { readState } from '../history/cluster-state.ts'
import { compactCluster, deriveCluster } from '../history/derive.ts'
import type { Cluster } from '../model/registry.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Window } from '../model/time.ts'
import { writeAttempt } from '../store/evidence/evidence.ts'
import { type EvidenceId, evidenceKey, parseEvidenceKey } from '../store/keys.ts'
import { whileItChanges } from '../store/objects/derived-object.ts'
import type { Objects } from '../store/objects/objects.ts'
import { foldLines } from '../text/fold-lines.ts'
import { type AnotherAnswer, type AskDeps, askAgain } from './late-samples.ts'

/** The collector and clock. */
export type CollectInput = {
  readonly collector: Snapshot['collector']
  /** Our clock, or the replay's. */
  readonly now: () => Date
  /** A replay of an old window: clock skew and retention are not judged. Default false. */
  readonly isReplay?: boolean
}

/** What an attempt, or deriving a stored one, left behind. */
export type AttemptOutcome = {
  readonly key: string
  /** Every source answered everything; null if the attempt was stored, and reported, before. An agent's stored attempt is reported here. */
  readonly complete: boolean | null
  /** Keys of attempts stored because earlier windows gave different answers when queried again. Absent: there are none. */
  readonly again?: readonly string[]
  /** Failures of the sources, or of the evidence that it was derived from, in a few lines. The attempt is stored anyway. */
  readonly errors: readonly string[]
}

/** Derives from the stored attempts at a window, of which `last` is the latest. Throws if the store fails. */
export async function deriveStored(
  cluster: Cluster,
  stored: readonly EvidenceId[],
  last: EvidenceId,
  now: Date,
  objects: Objects,
): Promise<AttemptOutcome> {
  const { errors } = await deriveCluster(cluster, { objects, assess: assessWindow, now }, stored)
  const key = evidenceKey(last)
  const complete = cluster.agent === true ? await wasComplete(cluster.id, key, objects) : null
  return { key, complete, errors: foldLines(errors) }
}

/**
 * Makes one attempt at a window, beside those that are stored, and derives; then queries earlier windows of the cluster again that are due for that. Throws if
 * the store fails.
 */
export async function attemptWindow(
  cluster: Cluster,
  window: Window,
  stored: readonly EvidenceId[],
  input: Required<CollectInput>,
  { objects, access }: AskDeps,
): Promise<AttemptOutcome> {
  const { collector, now, isReplay } = input
  const snapshot = await collectWindow(cluster, window, { collector, isReplay }, { access, now })
  const key = await writeAttempt(snapshot, { objects }, stored.at(-1)?.attempt ?? 0)
  const written = parseEvidenceKey(key)
  const { errors } = await deriveCluster(
    cluster,
    { objects, assess: assessWindow, now: now() },
    written === undefined ? undefined : [...stored, written],
  )
  const { complete, metrics, kubernetes, cadvisor, viz, tap, proxies } = snapshot
  const again = metrics.status === 'complete' ? await deriveAgain(cluster, input, { objects, access }) : NOTHING_AGAIN
  return {
    key,
    complete,
    ...(again.answers.length === 0 ? {} : { again: again.answers.map((answer) => answer.key) }),
    errors: foldLines(
      new Set([
        ...metrics.errors,
        ...kubernetes.errors,
        ...(cadvisor?.errors ?? []),
        ...(viz?.errors ?? []),
        ...(tap?.errors ?? []),
        ...(proxies?.errors ?? []),
        ...errors,
        ...again.errors,
      ]),
    ),
  }
}

type Again = { readonly answers: readonly AnotherAnswer[]; readonly errors: readonly string[] }

const NOTHING_AGAIN: Again = { answers: [], errors: [] }

/** Queries windows again that are due for that, and derives if an answer differs. */
async function deriveAgain(cluster: Cluster, input: Required<CollectInput>, deps: AskDeps): Promise<Again> {
  const answers = await askAgain(cluster, input, deps)
  if (answers.length === 0) return NOTHING_AGAIN
  const written = answers.flatMap(({ key }) => parseEvidenceKey(key) ?? [])
  const { errors } = await deriveCluster(
    cluster,
    { objects: deps.objects, assess: assessWindow, now: input.now() },
    written,
  )
  return { answers, errors }
}

/** Whether an attempt in derived data was complete; false if it could not be read. */
async function wasComplete(cluster: string, key: string, objects: Objects): Promise<boolean> {
  const start = parseEvidenceKey(key)?.window.start
  if (start === undefined) return false
  const evidence = await whileItChanges(async () => {
    const { state } = await readState(cluster, objects)
    return state === undefined ? [] : readEvidenceSince(state, start, objects)
  })
  return evidence.some(({ attempts }) => attempts.some((one) => one.key === key && one.complete))
}

/** The outcome of one window. */
export type Attempted = {
  readonly window: Window
  readonly key: string
  /** Without answers, lists and pages: a day of them would not fit into memory. */
  readonly snapshot: Pick<Snapshot, 'complete' | 'metrics' | 'kubernetes' | 'cadvisor' | 'viz' | 'tap' | 'proxies'>
}

/** The store, an open cluster, and a callback for progress. */
export type CollectWindowsDeps = {
  readonly objects: Objects
  readonly access: ClusterAccess
  /** Called before each window with its index, from 0, and after each answer to it. */
  readonly progress?: (index: number, done: number, all: number) => void
  /** Called after everything collected is stored. */
  readonly deriving?: () => void
}

/** The outcome of many windows of a cluster. */
export type CollectedWindows = {
  /** In the order of the request. */
  readonly attempted: readonly Attempted[]
  /** Attempts at earlier windows that gave different answers when queried again. */
  readonly again: readonly Attempted[]
  /** Number of windows not tried, since neither source answered for the one before. */
  readonly unreachable: number
  /** Stored objects that could not be derived, in a few lines. */
  readonly errors: readonly string[]
}

/**
 * Collects windows of one cluster in sequence, even if attempts are stored, and derives once; then queries earlier windows again that are due for that. Stops
 * if no source answers: the other windows would only fail in the same way. Throws if the store fails.
 */
export async function collectWindows(
  cluster: Cluster,
  windows: readonly Window[],
  { collector, now, isReplay = false }: CollectInput,
  { objects, access, progress, deriving }: CollectWindowsDeps,
): Promise<CollectedWindows> {
  const attempted: Attempted[] = []
  let unreachable = 0
  for (const [index, window] of windows.entries()) {
    const snapshot = await collectWindow(
      cluster,
      window,
      { collector, isReplay },
      { access, now, progress: (done, all) => progress?.(index, done, all) },
    )
    const key = await writeAttempt(snapshot, { objects })
    const { metrics, kubernetes } = snapshot
    attempted.push({ window, key, snapshot: withoutContent(snapshot) })
    if (metrics.status === 'failed' && metrics.answers.length === 0 && kubernetes.status === 'failed') {
      unreachable = windows.length - index - 1
      break
    }
  }
  deriving?.()
  const written = attempted.flatMap(({ key }) => parseEvidenceKey(key) ?? [])
  const { errors } = await compactCluster(cluster, { objects, assess: assessWindow, now: now() }, written)
  // If Prometheus just did not answer, the next run asks.
  const answers = attempted.every(({ snapshot }) => snapshot.metrics.status === 'complete')
    ? await deriveAgain(cluster, { collector, now, isReplay }, { objects, access })
    : NOTHING_AGAIN
  return {
    attempted,
    again: answers.answers.map(({ snapshot, ...one }) => ({ ...one, snapshot: withoutContent(snapshot) })),
    unreachable,
    errors: foldLines([...errors, ...answers.errors]),
  }
}

function withoutContent({
  complete,
  metrics,
  kubernetes,
  cadvisor,
  viz,
  tap,
  proxies,
}: Snapshot): Attempted['snapshot'] {
  return {
    complete,
    metrics: { ...metrics, answers: [] },
    kubernetes: { ...kubernetes, lists: [] },
    ...(cadvisor === undefined ? {} : { cadvisor: { ...cadvisor, answers: [] } }),
    ...(viz === undefined ? {} : { viz: { ...viz, answers: [] } }),
    ...(tap === undefined ? {} : { tap: { ...tap, sightings: [] } }),
    ...(proxies === undefined ? {} : { proxies: { ...proxies, pages: [] } }),
  }
}

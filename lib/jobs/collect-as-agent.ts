import { collectWindow } from '../collect/snapshot.ts'
import { oldestSample } from '../collect/prometheus/oldest-scrape.ts'
import { PAGE_SLACK_SECONDS } from '../observed/page-times.ts'
import { againAt, RETENTION_SECONDS, SETTLE_SECONDS, toSeconds, windowsBetween } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Seconds, Window } from '../model/time.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { EvidenceError, listAttempts, readSnapshot, writeAttempt } from '../store/evidence/evidence.ts'
import { evidenceKey } from '../store/keys.ts'
import type { EvidenceId } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { anotherAnswer, isDueAgain } from './late-samples.ts'
import { type Tried, isWindowDue } from './retry-windows.ts'
import type { ClusterAccess } from '../collect/cluster/cluster-access.ts'

/** The outcome of one window. */
export type AgentAttempt = {
  readonly window: Window
  readonly key: string
  readonly complete: boolean
  /** Failures of the sources, in lines. */
  readonly errors: readonly string[]
}

/** The collector and clock. */
export type AgentInput = {
  readonly collector: Snapshot['collector']
  readonly now: () => Date
  /** A replay of an old window: clock skew and retention are not judged. */
  readonly isReplay: boolean
}

/** How long an incomplete attempt is read back to decide whether another one is due: reading it costs as much as it is large. */
const READ_BACK_SECONDS: Seconds = 60 * 60

/**
 * Collects the due windows of one cluster and stores the attempts, the newest window first; then queries earlier ones again that have become due for that since
 * the last run. Of the store it touches only this cluster's attempts, and never replaces one: no registry, nothing derived, no log. Ends early if neither
 * source answers. Throws if the store fails.
 */
export async function* collectAsAgent(
  cluster: Cluster,
  { collector, now, isReplay }: AgentInput,
  { objects, access }: { readonly objects: Objects; readonly access: ClusterAccess },
): AsyncGenerator<AgentAttempt> {
  const at = now().getTime() / 1000
  const again = await dueAgain(cluster, at, objects)
  for (const window of await dueForAgent(cluster, at, { objects, access })) {
    const snapshot = await collectWindow(cluster, window, { collector, isReplay }, { access, now })
    const key = await writeAttempt(snapshot, { objects })
    const { complete, metrics, kubernetes, cadvisor, viz, tap, proxies } = snapshot
    const errors = [metrics, kubernetes, cadvisor, viz, tap, proxies].flatMap((source) => source?.errors ?? [])
    yield { window, key, complete, errors: [...new Set(errors)] }
    const isAway = metrics.status === 'failed' && metrics.answers.length === 0 && kubernetes.status === 'failed'
    if (isAway) return
  }
  for (const { window, standing } of again) {
    const answer = await anotherAnswer(cluster, window, standing, { collector, now, isReplay }, { objects, access })
    if (answer === 'no answer') return
    if (answer !== 'same') yield { window, key: answer.key, complete: true, errors: [] }
  }
}

/**
 * The windows to query again, oldest first. An agent remembers nothing but attempts, so it uses them: the run that collects a window first queries those that
 * became due after the end of the newest window stored before, up to the end of this one. If a run crashes in between, they are never queried.
 */
async function dueAgain(
  cluster: Cluster,
  now: Seconds,
  objects: Objects,
): Promise<readonly { readonly window: Window; readonly standing: string }[]> {
  if (cluster.noPrometheus === true) return []
  const over = windowsBetween(cluster.windows, now - RETENTION_SECONDS, now - SETTLE_SECONDS)
  const latest = over.at(-1)
  if (latest === undefined) return []
  let newest: Window | undefined
  const due: { window: Window; standing: string }[] = []
  for (const window of over.toReversed()) {
    const asked = againAt(window)
    // They became due before the run that stored the newest.
    if (newest !== undefined && asked <= toSeconds(newest.end)) break
    const attempts = await listAttempts(window, cluster.id, { objects })
    if (attempts.length === 0) continue
    newest ??= window
    if (asked <= toSeconds(newest.end) || asked > toSeconds(latest.end)) continue
    const tried: Tried[] = []
    for (const id of attempts) tried.push(await readBack(id, objects))
    const standing = tried.find(({ complete }) => complete)
    if (standing !== undefined && isDueAgain(window, tried, now))
      due.unshift({ window, standing: evidenceKey({ window, cluster: cluster.id, attempt: standing.number }) })
  }
  return due
}

/** The ended windows that Prometheus still has and that have no complete attempt; newest first. */
async function dueForAgent(
  cluster: Cluster,
  now: Seconds,
  { objects, access }: { readonly objects: Objects; readonly access: ClusterAccess },
): Promise<readonly Window[]> {
  // Proxies keep no history of windows that ended some minutes ago.
  const reach = cluster.noPrometheus === true ? PAGE_SLACK_SECONDS : RETENTION_SECONDS
  const over = windowsBetween(cluster.windows, now - reach - 1, now - SETTLE_SECONDS)
  const due: Window[] = []
  for (const window of over.toReversed()) {
    const attempts = await listAttempts(window, cluster.id, { objects })
    const last = attempts.at(-1)
    if (last === undefined) due.push(window)
    else if (toSeconds(window.end) > now - READ_BACK_SECONDS) {
      const others = attempts
        .slice(0, -1)
        .map(({ attempt }): Tried => ({ number: attempt, complete: false, startedAt: null }))
      if (isWindowDue(window, [...others, await readBack(last, objects)], now)) due.push(window)
    }
  }
  const latest = over.at(-1)
  if (cluster.noPrometheus === true || due.every((window) => window === latest)) return due
  const { at } = await oldestSample(access.prometheus, cluster, now)
  return due.filter((window) => window === latest || at === null || toSeconds(window.end) > at)
}

async function readBack(id: EvidenceId, objects: Objects): Promise<Tried> {
  try {
    const { complete, startedAt } = await readSnapshot(evidenceKey(id), objects)
    return { number: id.attempt, complete, startedAt }
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return { number: id.attempt, complete: false, startedAt: null }
  }
}

import { contentOf } from '../observed/answer-content.ts'
import { askPrometheus, collectAgain } from '../collect/snapshot.ts'
import { againAt, LOOKBACK_SECONDS, RETENTION_SECONDS, toSeconds, toTime } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Seconds, Window } from '../model/time.ts'
import { readEvidenceSince } from '../history/archive.ts'
import { readRequeried, writeRequeried } from '../store/evidence/asked.ts'
import { whileItChanges } from '../store/objects/derived-object.ts'
import { EvidenceError, listAttempts, readSnapshot, writeAttempt } from '../store/evidence/evidence.ts'
import { forgetReading } from '../store/evidence/reading.ts'
import { readSetAside } from '../store/evidence/set-aside.ts'
import { evidenceKey, windowText } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { selectedAttempt } from '../store/evidence/selected-attempt.ts'
import { readState } from '../history/cluster-state.ts'
import type { Tried } from './retry-windows.ts'
import type { ClusterAccess } from '../collect/cluster/cluster-access.ts'

/** Number of windows that are queried again at once, so that a run takes only a few times as long as one window. The next run continues. */
const MAX_AT_ONCE = 4

/** The collector and clock of repeated queries. */
export type AskInput = {
  readonly collector: Snapshot['collector']
  readonly now: () => Date
  readonly isReplay: boolean
}

/** The store, and the cluster to query. */
export type AskDeps = { readonly objects: Objects; readonly access: ClusterAccess }

/** An attempt stored because a window gave different answers when queried again. */
export type AnotherAnswer = { readonly window: Window; readonly key: string; readonly snapshot: Snapshot }

/**
 * Whether a window with a complete attempt is due to be queried again: its time has come, no complete attempt was begun since, and Prometheus still has all the
 * data of the first one, or expired data would look like a different answer.
 */
export function isDueAgain(window: Window, attempts: readonly Tried[], now: Seconds): boolean {
  const at = againAt(window)
  const complete = attempts.filter((one) => one.complete)
  if (complete.length === 0 || now < at) return false
  if (toSeconds(window.start) - LOOKBACK_SECONDS <= now - RETENTION_SECONDS) return false
  return complete.every(({ startedAt }) => startedAt === null || toSeconds(startedAt) < at)
}

/**
 * Queries those windows of a cluster again that were collected as they ended and are due for that: samples may have arrived late. Stores an attempt only if the
 * answer differs; deriving is left to the caller. Throws if the store fails.
 */
export async function askAgain(
  cluster: Cluster,
  input: AskInput,
  { objects, access }: AskDeps,
): Promise<AnotherAnswer[]> {
  // Proxies keep no history, and an agent's cluster is queried by its agent.
  if (cluster.noPrometheus === true || cluster.agent === true) return []
  const now = input.now().getTime() / 1000
  const since = now - RETENTION_SECONDS
  const evidence = await whileItChanges(async () => {
    const { state } = await readState(cluster.id, objects)
    return state === undefined ? [] : readEvidenceSince(state, toTime(Math.floor(since)), objects)
  })
  const open = evidence.filter((window) => isDueAgain(window, window.attempts, now))
  if (open.length === 0) return []
  const known = await readRequeried(cluster.id, objects)
  const due = open.filter((window) => !known.windows.has(windowText(window))).slice(0, MAX_AT_ONCE)
  const setAside = due.length === 0 ? new Map<string, string>() : await readSetAside(cluster.id, objects)
  const stored: AnotherAnswer[] = []
  const asked: Window[] = []
  for (const { start, end, attempts } of due) {
    const window = { start, end }
    const standing = selectedAttempt(attempts)?.key
    if (standing === undefined || setAside.has(standing)) continue
    const answer = await anotherAnswer(cluster, window, standing, input, { objects, access })
    // If Prometheus does not answer now, the next run asks.
    if (answer === 'no answer') break
    asked.push(window)
    if (answer !== 'same') stored.push({ window, ...answer })
  }
  if (asked.length > 0) await writeRequeried(cluster.id, known, asked, since, objects)
  return stored
}

/** Queries one window and stores the attempt if it differs from the current one. */
export async function anotherAnswer(
  cluster: Cluster,
  window: Window,
  standing: string,
  { collector, now, isReplay }: AskInput,
  { objects, access }: AskDeps,
): Promise<Omit<AnotherAnswer, 'window'> | 'same' | 'no answer'> {
  const before = contentOfSnapshot(await readOrNull(standing, objects))
  const startedAt = now().toISOString()
  forgetReading()
  const { metrics, cadvisor } = await askPrometheus(cluster, window, isReplay, { access, now })
  if (metrics.status !== 'complete') return 'no answer'
  const content = contentOf(metrics.answers, window)
  if (content === before) return 'same'
  // An earlier run may have stored this answer and crashed before it was derived.
  for (const id of await listAttempts(window, cluster.id, { objects })) {
    const key = evidenceKey(id)
    const snapshot = key === standing ? null : await readOrNull(key, objects)
    if (snapshot?.complete === true && contentOfSnapshot(snapshot) === content) return { key, snapshot }
  }
  const told = { collector, metrics, startedAt, ...(cadvisor === undefined ? {} : { cadvisor }) }
  const snapshot = await collectAgain(cluster, window, told, { access, now })
  // Only complete attempts are used in addition to the current one.
  if (!snapshot.complete) return 'no answer'
  return { key: await writeAttempt(snapshot, { objects }), snapshot }
}

/** The content of an attempt: small, so that the attempt itself need not be in memory while Prometheus answers. */
function contentOfSnapshot(snapshot: Snapshot | null): string | null {
  return snapshot === null ? null : contentOf(snapshot.metrics.answers, snapshot.window)
}

/** Null for unreadable evidence: everything differs from it. */
async function readOrNull(key: string, objects: Objects): Promise<Snapshot | null> {
  try {
    return await readSnapshot(key, objects)
  } catch (error) {
    if (error instanceof EvidenceError) return null
    throw error
  }
}

import { PAGE_SLACK_SECONDS } from '../observed/page-times.ts'
import { SETTLE_SECONDS, toSeconds, toTime, windowsBetween } from '../time/windows.ts'
import { WINDOW_MINUTES } from '../model/time.ts'
import type { Cluster } from '../model/registry.ts'
import type { Seconds, Window } from '../model/time.ts'
import { concurrently } from '../concurrently.ts'
import { RETENTION_SECONDS } from '../seal/write/seal.ts'
import { readEvidenceSince } from '../history/archive.ts'
import { whileItChanges } from '../store/objects/derived-object.ts'
import { evidenceBefore, evidencePrefix, parseEvidenceKey, windowText } from '../store/keys.ts'
import type { EvidenceId } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readClusters } from '../store/registry/registry.ts'
import type { KnownAttempt } from '../store/evidence/selected-attempt.ts'
import { readState } from '../history/cluster-state.ts'
import { compareText } from '../text/order.ts'
import { type DueWindow, firstWindow, isWindowDue } from './due-windows.ts'

/** When it is planned. */
export type PlanInput = {
  readonly now: Date
  /** How long after its end a window can still be collected; default six hours, as `seal` has it. */
  readonly retentionSeconds?: number
}

/** What a plan comes to. */
export type Planned = {
  /** What is to be collected now, windows that ended first first, then by cluster; each window at most once. */
  readonly due: readonly DueWindow[]
  /** One line for each thing that could not be read. What could be planned without it is in `due`. */
  readonly errors: readonly string[]
}

/** So many clusters are looked at at once. */
const MAX_AT_ONCE = 16

/**
 * Decides which windows of which registered clusters are to be collected now, from the registry and the stored evidence alone: no cluster is
 * asked, nothing is written. Of a window with an attempt that is not derived from yet that attempt is asked for again, so that somebody derives. A window that ended longer ago than Prometheus keeps is not asked for, since `seal` has a gap for it by then.
 *
 * Costs the registry, one list of the keys of evidence of those hours, and for each cluster with evidence in them its state. Throws where the registry cannot be read or the evidence not be listed; a cluster of which something
 * cannot be read keeps no other from being planned.
 */
export async function plan(
  { now, retentionSeconds = RETENTION_SECONDS }: PlanInput,
  { objects }: { readonly objects: Objects },
): Promise<Planned> {
  const seconds = now.getTime() / 1000
  const lostUntil = seconds - retentionSeconds
  const clusters = (await readClusters({ objects })).filter(({ replay }) => replay === undefined)
  const stored = clusters.length === 0 ? new Map<string, StoredAttempt[]>() : await attemptsSince(lostUntil, objects)
  const planned = await concurrently(clusters, MAX_AT_ONCE, async (cluster): Promise<Planned> => {
    try {
      return await planCluster(cluster, { now: seconds, lostUntil, attempts: stored.get(cluster.id) ?? [] }, objects)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return { due: [], errors: [`Cannot plan cluster "${cluster.id}": ${error.message}`] }
    }
  })
  return {
    due: planned
      .flatMap(({ due }) => due)
      .toSorted((a, b) => compareText(a.window.end, b.window.end) || compareText(a.cluster, b.cluster)),
    errors: planned.flatMap(({ errors }) => errors),
  }
}

type StoredAttempt = EvidenceId & { readonly key: string }

/** The attempts at windows that end later than a time, by cluster: in one list, whatever their number. */
async function attemptsSince(time: Seconds, objects: Objects): Promise<Map<string, StoredAttempt[]>> {
  const longest = Math.max(...WINDOW_MINUTES) * 60
  const attempts = new Map<string, StoredAttempt[]>()
  for await (const key of objects.list(evidencePrefix, evidenceBefore(toTime(Math.floor(time - longest))))) {
    const id = parseEvidenceKey(key)
    if (id === undefined) continue
    const known = attempts.get(id.cluster)
    if (known === undefined) attempts.set(id.cluster, [{ ...id, key }])
    else known.push({ ...id, key })
  }
  return attempts
}

async function planCluster(
  { id, windows, registeredAt, noPrometheus, agent }: Cluster,
  {
    now,
    lostUntil,
    attempts,
  }: { readonly now: Seconds; readonly lostUntil: Seconds; readonly attempts: readonly StoredAttempt[] },
  objects: Objects,
): Promise<Planned> {
  const byWindow = Map.groupBy(attempts, ({ window }) => windowText(window))
  // The first attempt takes the first list: at the window that was over when the cluster was registered, so that it need not wait for the end of the next.
  const first = firstWindow({ windows, registeredAt })
  const isFirst = attempts.length === 0 || byWindow.has(windowText(first))
  const since = toSeconds(isFirst ? first.start : registeredAt)
  const open = windowsBetween(windows, Math.max(since, lostUntil), now - SETTLE_SECONDS)
  const hasAttempts = open.some((window) => byWindow.has(windowText(window)))
  const { known, errors } = hasAttempts
    ? await knownAttempts(id, open[0]?.start, objects)
    : { known: new Map(), errors: [] }

  const isDerived = ({ key }: StoredAttempt): boolean => known.has(key)
  const underived = open.findLast((window) => !(byWindow.get(windowText(window)) ?? []).every(isDerived))
  const due: DueWindow[] = underived === undefined ? [] : [newestOf(id, underived, byWindow)]
  if (agent === true) return { due, errors }
  for (const window of open) {
    const stored = byWindow.get(windowText(window)) ?? []
    if (!stored.every(isDerived)) continue
    const tried = stored.flatMap(({ key }) => known.get(key) ?? [])
    const last = Math.max(0, ...tried.map(({ number }) => number))
    // Without a Prometheus, nobody can tell of a window that ended some minutes ago.
    const isOver = noPrometheus === true && toSeconds(window.end) + PAGE_SLACK_SECONDS < now
    if (!isOver && isWindowDue(window, tried, now)) due.push({ cluster: id, window, attempt: last + 1 })
  }
  return { due, errors }
}

/**
 * What asks for a window of which an attempt is stored that is not derived from yet: the newest attempt. Whoever is asked for it finds it stored, and derives
 * from all that is there. It is not read here: evidence may end whoever reads it, and who plans does so for all clusters.
 */
function newestOf(cluster: string, window: Window, byWindow: ReadonlyMap<string, readonly StoredAttempt[]>): DueWindow {
  const attempts = byWindow.get(windowText(window)) ?? []
  return { cluster, window, attempt: Math.max(...attempts.map(({ attempt }) => attempt)) }
}

/** What the state knows of attempts at windows that begin at a time or later, by key; nothing where it cannot be used, since they can be read themselves. */
async function knownAttempts(
  id: string,
  since: string | undefined,
  objects: Objects,
): Promise<{ readonly known: ReadonlyMap<string, KnownAttempt>; readonly errors: string[] }> {
  try {
    const { evidence, error } = await whileItChanges(async () => {
      const { state, error: problem } = await readState(id, objects)
      const known = state === undefined || since === undefined ? [] : await readEvidenceSince(state, since, objects)
      return { evidence: known, error: problem }
    })
    const attempts = evidence.flatMap((window) => window.attempts)
    return { known: new Map(attempts.map((attempt) => [attempt.key, attempt])), errors: error === null ? [] : [error] }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { known: new Map(), errors: [error.message] }
  }
}

import { PAGE_SLACK_SECONDS } from '../observed/page-times.ts'
import { RETENTION_SECONDS, SETTLE_SECONDS, toSeconds, toTime, windowsBetween } from '../time/windows.ts'
import { WINDOW_MINUTES } from '../model/time.ts'
import type { Cluster } from '../model/registry.ts'
import type { Seconds, Window } from '../model/time.ts'
import { concurrently } from '../concurrently.ts'
import { readEvidenceSince } from '../history/archive.ts'
import { whileItChanges } from '../store/objects/derived-object.ts'
import { attemptsPrefix, evidenceBefore, evidencePrefix, parseEvidenceKey, windowText } from '../store/keys.ts'
import type { EvidenceId } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readClusters } from '../store/registry/registry.ts'
import type { KnownAttempt } from '../store/evidence/selected-attempt.ts'
import { readState } from '../history/cluster-state.ts'
import { foldLines } from '../text/fold-lines.ts'
import { compareText } from '../text/order.ts'
import { type DueWindow, firstWindow } from './due-windows.ts'
import { isWindowDue } from './retry-windows.ts'

/** Time of planning. */
export type PlanInput = {
  readonly now: Date
  /** How long after its end a window can still be collected; default six hours, as in `seal`. */
  readonly retentionSeconds?: number
}

/** The result of planning. */
export type Planned = {
  /** Windows to collect now, by end, then by cluster; each window at most once. */
  readonly due: readonly DueWindow[]
  /** One line for each read that failed. `due` holds everything that could be planned without it. */
  readonly errors: readonly string[]
}

/** Number of clusters that are planned at once. */
const MAX_AT_ONCE = 16

/**
 * Decides which windows of which registered clusters to collect now, from the registry and the stored evidence alone: it contacts no cluster and writes
 * nothing. If a window has an attempt that is not derived yet, that attempt is requested again, which derives it. A window that ended before Prometheus'
 * retention is not requested, since `seal` has recorded a gap for it.
 *
 * A window is not requested while nothing can be stored or read in its place, such as a link instead of its folder: a line says so.
 *
 * Costs the registry, one list of the keys of evidence of those hours, and for each cluster with evidence in them its state. Throws if the registry cannot be
 * read or the evidence not be listed; a cluster that cannot be read does not hold up the planning of others.
 */
export async function plan(
  { now, retentionSeconds = RETENTION_SECONDS }: PlanInput,
  { objects }: { readonly objects: Objects },
): Promise<Planned> {
  const seconds = now.getTime() / 1000
  const lostUntil = seconds - retentionSeconds
  const clusters = (await readClusters({ objects })).filter(({ replay }) => replay === undefined)
  const { attempts, strays } = clusters.length === 0 ? NOTHING_STORED : await storedSince(lostUntil, objects)
  const planned = await concurrently(clusters, MAX_AT_ONCE, async (cluster): Promise<Planned> => {
    try {
      const own = attempts.get(cluster.id) ?? []
      return await planCluster(cluster, { now: seconds, lostUntil, attempts: own, strays }, objects)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return { due: [], errors: [`Cannot plan cluster "${cluster.id}": ${error.message}`] }
    }
  })
  return {
    due: planned
      .flatMap(({ due }) => due)
      .toSorted((a, b) => compareText(a.window.end, b.window.end) || compareText(a.cluster, b.cluster)),
    // A window's folder may be in the way of many clusters.
    errors: foldLines(new Set(planned.flatMap(({ errors }) => errors))),
  }
}

type StoredAttempt = EvidenceId & { readonly key: string }

type Stored = {
  /** Attempts by cluster. */
  readonly attempts: ReadonlyMap<string, readonly StoredAttempt[]>
  /** Names in the place of a folder of a window, or of a cluster in one. */
  readonly strays: ReadonlySet<string>
}

const NOTHING_STORED: Stored = { attempts: new Map(), strays: new Set() }

/** Most slashes in the name of a folder of attempts. */
const FOLDER_DEPTH = 2

/** What is stored of windows that end after a time: in one list, whatever its length. */
async function storedSince(time: Seconds, objects: Objects): Promise<Stored> {
  const longest = Math.max(...WINDOW_MINUTES) * 60
  const attempts = new Map<string, StoredAttempt[]>()
  const strays = new Set<string>()
  for await (const key of objects.list(evidencePrefix, evidenceBefore(toTime(Math.floor(time - longest))))) {
    const id = parseEvidenceKey(key)
    if (id === undefined) {
      if (key.split('/').length - 1 <= FOLDER_DEPTH) strays.add(key)
      continue
    }
    const known = attempts.get(id.cluster)
    if (known === undefined) attempts.set(id.cluster, [{ ...id, key }])
    else known.push({ ...id, key })
  }
  return { attempts, strays }
}

async function planCluster(
  { id, windows, registeredAt, noPrometheus, agent }: Cluster,
  {
    now,
    lostUntil,
    attempts,
    strays,
  }: Pick<Stored, 'strays'> & {
    readonly now: Seconds
    readonly lostUntil: Seconds
    readonly attempts: readonly StoredAttempt[]
  },
  objects: Objects,
): Promise<Planned> {
  const byWindow = Map.groupBy(attempts, ({ window }) => windowText(window))
  // The first attempt takes the first list: at the window that ended before the registration, so that it need not wait for the end of the next.
  const first = firstWindow({ windows, registeredAt })
  const isFirst = attempts.length === 0 || byWindow.has(windowText(first))
  const since = toSeconds(isFirst ? first.start : registeredAt)
  const all = windowsBetween(windows, Math.max(since, lostUntil), now - SETTLE_SECONDS)
  const { open, closed } = strays.size === 0 ? { open: all, closed: [] } : await openWindows(id, all, strays, objects)
  const hasAttempts = open.some((window) => byWindow.has(windowText(window)))
  const { known, errors: unread } = hasAttempts
    ? await knownAttempts(id, open[0]?.start, objects)
    : { known: new Map(), errors: [] }
  const errors = [...closed, ...unread]

  const isDerived = ({ key }: StoredAttempt): boolean => known.has(key)
  const underived = open.findLast((window) => !(byWindow.get(windowText(window)) ?? []).every(isDerived))
  const due: DueWindow[] = underived === undefined ? [] : [newestOf(id, underived, byWindow)]
  if (agent === true) return { due, errors }
  for (const window of open) {
    const stored = byWindow.get(windowText(window)) ?? []
    if (!stored.every(isDerived)) continue
    const tried = stored.flatMap(({ key }) => known.get(key) ?? [])
    const last = Math.max(0, ...tried.map(({ number }) => number))
    // Without a Prometheus, a window that ended some minutes ago can no longer be observed.
    const isOver = noPrometheus === true && toSeconds(window.end) + PAGE_SLACK_SECONDS < now
    if (!isOver && isWindowDue(window, tried, now)) due.push({ cluster: id, window, attempt: last + 1 })
  }
  return { due, errors }
}

/** The windows in whose folder attempts can be stored and read, and a line for each folder in which they cannot. */
async function openWindows(
  cluster: string,
  windows: readonly Window[],
  strays: Stored['strays'],
  objects: Objects,
): Promise<{ readonly open: readonly Window[]; readonly closed: readonly string[] }> {
  const open: Window[] = []
  const closed: string[] = []
  for (const window of windows) {
    const own = attemptsPrefix(window, cluster).slice(0, -1)
    const stray = [own, own.slice(0, own.lastIndexOf('/'))].find((name) => strays.has(name))
    const problem = stray === undefined ? null : ((await objects.unusable?.(`${stray}/_`)) ?? null)
    if (problem === null) open.push(window)
    else closed.push(`Cannot store or read attempts under "${stray}": ${problem}`)
  }
  return { open, closed }
}

/**
 * The request for a window with an attempt that is not derived yet: the newest attempt. The collector finds it stored, and derives from all evidence. It is not
 * read here: evidence may kill the process that reads it, and the planner serves all clusters.
 */
function newestOf(cluster: string, window: Window, byWindow: ReadonlyMap<string, readonly StoredAttempt[]>): DueWindow {
  const attempts = byWindow.get(windowText(window)) ?? []
  return { cluster, window, attempt: Math.max(...attempts.map(({ attempt }) => attempt)) }
}

/** The attempts in the state at windows that begin at a time or later, by key; empty if the state is unusable, since the attempts can be read themselves. */
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

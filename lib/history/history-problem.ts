import type { Cluster } from '../model/registry.ts'
import { stateKey } from '../store/keys.ts'
import { hasEvidence } from '../store/evidence/find-evidence.ts'
import { DamagedError } from '../store/objects/derived-object.ts'
import type { Objects } from '../store/objects/objects.ts'
import { sinceOf } from './archive.ts'
import { type ClusterState, type History, readHistory, readState } from './cluster-state.ts'
import { missingWindows, withMissing } from './missing-windows.ts'
import { readRecentFold } from './recent/recent-object.ts'
import { type Span, NOTHING, monthsOf } from './period.ts'

const TO_MEND = 'run "ciphertrail rebuild" to make it again from evidence'

type HistoryProblem = { readonly isDerived: boolean; readonly line: string }

/**
 * Returns why a cluster's history cannot be read although it has evidence, in one line; undefined if it can. Without this check, a damaged history would look
 * like one that was never collected. Of a cluster without a state all evidence is listed, unless the store is one of `rememberEvidence`: a command looks each
 * time, a service remembers.
 */
export async function historyProblem(cluster: Cluster, objects: Objects): Promise<string | undefined> {
  return (await lookAt(cluster, objects)).problem?.line
}

/** Whether nothing at all is kept of a cluster. Reads the state alone. */
export async function isEmptyHistory(clusterId: string, objects: Objects): Promise<boolean> {
  const { state } = await readState(clusterId, objects)
  return state === undefined || sinceOf(state) === null
}

/** What the state of a cluster tells without its months. */
export type KnownState = {
  readonly paths: number
  /** How many of its paths were not encrypted at `until`, whatever their class. */
  readonly open: number
  /** Start of the first window with evidence; null without one. */
  readonly since: string | null
  /** End of the last window in its months, which other windows may have followed; null without one. */
  readonly until: string | null
}

/**
 * Tells which clusters cannot be read, if others can. `problem`: why nothing can be told of any of them, in one line: a history is damaged, or none is derived.
 * `notDerived`: one line for each of the clusters that have evidence and no history, by id. A new cluster is so until its first windows are derived. It counts
 * as not collected, since it must not keep others from being shown. `known`: what is told of the others, by id.
 */
export async function unreadHistories(
  clusters: readonly Cluster[],
  objects: Objects,
): Promise<{
  readonly problem: string | undefined
  readonly notDerived: ReadonlyMap<string, string>
  readonly known: ReadonlyMap<string, KnownState>
}> {
  const notDerived = new Map<string, string>()
  const known = new Map<string, KnownState>()
  for (const cluster of clusters) {
    const { problem, state } = await lookAt(cluster, objects)
    if (problem?.isDerived === true) return { problem: problem.line, notDerived, known }
    if (problem !== undefined) notDerived.set(cluster.id, problem.line)
    if (state !== undefined) known.set(cluster.id, await knownState(state, objects))
  }
  const [first] = notDerived.values()
  return { problem: notDerived.size === clusters.length ? first : undefined, notDerived, known }
}

/** Of a new cluster, all windows are in no month yet. */
async function knownState(state: ClusterState, objects: Objects): Promise<KnownState> {
  const recent = state.timeline.watermark === null ? await readRecentFold(state, null, objects) : undefined
  const { paths, episodes, watermark } = recent?.known ?? state.timeline
  const open = new Set(episodes.filter(({ endedAt }) => endedAt === null).map(({ id }) => id))
  return {
    paths: paths.length,
    open: paths.filter(({ episode }) => episode !== null && open.has(episode)).length,
    since: sinceOf(state),
    until: watermark,
  }
}

async function lookAt(
  { id }: Cluster,
  objects: Objects,
): Promise<{ readonly problem?: HistoryProblem; readonly state?: ClusterState }> {
  const { state, etag, error } = await readState(id, objects)
  const problem = (state: string, isDerived = true) => ({
    problem: { isDerived, line: `Cannot use "${stateKey(id)}": ${state}, ${TO_MEND}` },
  })
  if (error !== null) return problem('it is damaged')
  if (state !== undefined) return { state }
  if (etag !== null) return problem('an earlier version of ciphertrail derived it')
  return (await hasEvidence(id, objects)) ? problem('it is missing although there is evidence', false) : {}
}

/** Reads something of a cluster's history, or why it cannot be read, in one line: as {@link historyProblem} says it, or since a derived object is damaged. */
export async function readOrProblem<T extends object>(
  cluster: Cluster,
  objects: Objects,
  read: () => Promise<T>,
): Promise<T | string> {
  return (await historyProblem(cluster, objects)) ?? readOrDamaged(read)
}

/** Reads something that is made from derived objects, or which of them is damaged, in one line. */
export async function readOrDamaged<T extends object>(read: () => Promise<T | string>): Promise<T | string> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof DamagedError) return error.message
    throw error
  }
}

/** Reads a history as `readPresent` does, or why it cannot be read, as {@link readOrProblem} says it. Reads the state once. */
export async function readPresentOrProblem(
  cluster: Cluster,
  now: Date,
  objects: Objects,
  span: Span,
): Promise<Pick<History, 'months' | 'episodes'> | string> {
  return readOrDamaged(async () => {
    const history = await readHistory(cluster.id, objects, monthsOf(span))
    const problem = history === undefined ? await historyProblem(cluster, objects) : undefined
    if (problem !== undefined) return problem
    const known = history ?? NOTHING
    return withMissing(cluster.id, known, missingWindows(cluster, known, now))
  })
}

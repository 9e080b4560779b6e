import type { Cluster } from '../model/registry.ts'
import { evidencePrefix, parseEvidenceKey, stateKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { type History, readHistory, readState } from './cluster-state.ts'
import { missingWindows, withMissing } from './missing-windows.ts'
import { type Span, NOTHING, monthsOf } from './period.ts'

/**
 * Returns why a cluster's history cannot be read although it has evidence, in one line; undefined if it can. Without this check, a damaged history would look
 * like one that was never collected.
 */
export async function historyProblem({ id }: Cluster, objects: Objects): Promise<string | undefined> {
  const { state, etag, error } = await readState(id, objects)
  const toMend = 'run "ciphertrail rebuild" to make it again from evidence'
  if (error !== null) return `Cannot use "${stateKey(id)}": it is damaged, ${toMend}`
  if (state !== undefined) return undefined
  if (etag !== null) return `Cannot use "${stateKey(id)}": an earlier version of ciphertrail derived it, ${toMend}`
  for await (const key of objects.list(evidencePrefix))
    if (parseEvidenceKey(key)?.cluster === id)
      return `Cannot use "${stateKey(id)}": it is missing although there is evidence, ${toMend}`
  return undefined
}

/** Reads a history as `readPresent` does, or why it cannot be read, as {@link historyProblem} says it. Reads the state once. */
export async function readPresentOrProblem(
  cluster: Cluster,
  now: Date,
  objects: Objects,
  span: Span,
): Promise<Pick<History, 'months' | 'episodes'> | string> {
  const history = await readHistory(cluster.id, objects, monthsOf(span))
  const problem = history === undefined ? await historyProblem(cluster, objects) : undefined
  if (problem !== undefined) return problem
  const known = history ?? NOTHING
  return withMissing(cluster.id, known, missingWindows(cluster, known, now))
}

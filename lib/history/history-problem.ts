import type { Cluster } from '../model/registry.ts'
import { evidencePrefix, parseEvidenceKey, stateKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readState } from './cluster-state.ts'

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

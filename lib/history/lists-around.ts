import type { KubernetesLists } from '../assess/pods/lists.ts'
import { toSeconds } from '../time/windows.ts'
import type { Seconds } from '../model/time.ts'
import { readListsAround } from './archive.ts'
import { whileItChanges } from '../store/objects/derived-object.ts'
import { readSnapshot } from '../store/evidence/evidence.ts'
import type { Objects } from '../store/objects/objects.ts'
import type { KnownList } from '../store/evidence/selected-attempt.ts'
import { readState } from './cluster-state.ts'

/** The Kubernetes lists of a cluster next to a time; null if the store has none on that side. */
export type ListsAround = { readonly before: KubernetesLists | null; readonly after: KubernetesLists | null }

/**
 * Reads the last complete lists taken at a time or before, and the first after it.
 *
 * @throws DamagedError if the archive differs from the state's hashes, EvidenceError if the evidence can no longer be read, ReduceError if an object in it
 * does not fit
 */
export async function listsAround(clusterId: string, time: Seconds, objects: Objects): Promise<ListsAround> {
  const { before, after } = await whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    return state === undefined ? { before: undefined, after: undefined } : readListsAround(state, time, objects)
  })
  const read = async (found: KnownList | undefined) => {
    if (found === undefined) return null
    // The schemas of lists, with a parser of YAML, are a tenth of what `query` loads, and few questions look into a list.
    const { listedOf } = await import('../assess/pods/lists.ts')
    return listedOf((await readSnapshot(found.key, objects)).kubernetes.lists, toSeconds(found.takenAt))
  }
  return { before: await read(before), after: await read(after) }
}

import { listedOf } from '../assess/lists.ts'
import type { Listed } from '../assess/lists.ts'
import { toSeconds } from '../collect/windows.ts'
import type { Seconds } from '../model.ts'
import { readSnapshot } from './evidence.ts'
import type { Objects } from './objects.ts'
import { readState } from './state.ts'

/** The Kubernetes lists of a cluster next to a time; null where the store holds none on that side. */
export type ListsAround = { readonly before: Listed | null; readonly after: Listed | null }

/**
 * Reads the last complete lists that were taken at a time or before it, and the first after it.
 *
 * @throws EvidenceError where the evidence cannot be read any more, ReduceError where an object in it does not fit
 */
export async function listsAround(clusterId: string, time: Seconds, objects: Objects): Promise<ListsAround> {
  const { state } = await readState(clusterId, objects)
  const lists = (state?.evidence ?? [])
    .flatMap(({ attempts }) => attempts)
    .flatMap(({ key, listsAt }) => (listsAt === null ? [] : [{ key, takenAt: toSeconds(listsAt) }]))
    .toSorted((a, b) => a.takenAt - b.takenAt)
  const read = async (found: { readonly key: string; readonly takenAt: Seconds } | undefined) =>
    found === undefined ? null : listedOf((await readSnapshot(found.key, objects)).kubernetes.lists, found.takenAt)
  return {
    before: await read(lists.findLast(({ takenAt }) => takenAt <= time)),
    after: await read(lists.find(({ takenAt }) => takenAt > time)),
  }
}

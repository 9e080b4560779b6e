import type { Cluster } from '../../model/registry.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { readClusters } from '../../store/registry/registry.ts'
import { type Grant, maySee } from '../access/access.ts'
import { ProblemError, quoted } from '../problem.ts'

/** More would take longer than anybody waits for one answer. */
const MAX_CLUSTERS = 100

/**
 * The clusters that are asked for, or all that may be seen. Throws a `ProblemError` for one that is not registered or must not be seen (no difference is made),
 * and for too many at once.
 */
export async function requestedClusters(
  ids: readonly string[] | undefined,
  grant: Grant,
  objects: Objects,
): Promise<readonly Cluster[]> {
  const seen = (await readClusters({ objects })).filter(({ id }) => maySee(grant, id))
  const clusters = ids?.map((id) => seenCluster(id, seen, 'cluster')) ?? seen
  if (clusters.length > MAX_CLUSTERS)
    throw new ProblemError(
      'bad-parameter',
      `Cannot read ${clusters.length} clusters at once: wanted at most ${MAX_CLUSTERS}, name them by the parameter cluster`,
      'cluster',
    )
  return clusters
}

/** The cluster that the path names. Throws a `ProblemError` as {@link requestedClusters} does. */
export async function namedCluster(id: string, grant: Grant, objects: Objects): Promise<Cluster> {
  const seen = (await readClusters({ objects })).filter((cluster) => maySee(grant, cluster.id))
  return seenCluster(id, seen, null)
}

function seenCluster(id: string, seen: readonly Cluster[], parameter: string | null): Cluster {
  const cluster = seen.find((one) => one.id === id)
  if (cluster !== undefined) return cluster
  throw new ProblemError('not-found', `Cannot find cluster ${quoted(id)}: no such cluster may be seen here`, parameter)
}

/** Throws a `ProblemError` where not one of the clusters can be read, with the first reason. */
export function throwIfUnread(problems: readonly (string | null)[]): void {
  const [first] = problems
  if (first !== undefined && first !== null && problems.every((problem) => problem !== null))
    throw new ProblemError('unreadable', first)
}

import type { ClusterAccess } from '../collect/cluster/cluster-access.ts'
import type { Cluster } from '../model/registry.ts'
import { listAttempts } from '../store/evidence/evidence.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readClusters } from '../store/registry/registry.ts'
import type { AttemptOutcome, CollectInput } from './attempt-windows.ts'
import { type DueWindow, refusalOf } from './due-windows.ts'

/** The store, and how to open a cluster. */
export type CollectDueDeps = {
  readonly objects: Objects
  /** Opens the connection to a cluster, with its credentials. */
  readonly open: (cluster: Cluster) => ClusterAccess | Promise<ClusterAccess>
}

/** The outcome of a message that asks for an attempt. */
export type CollectedDue =
  /** `stored-before`: its attempt existed already, as after a repeated message; it was only derived. */
  | ({ readonly outcome: 'collected' | 'stored-before' } & AttemptOutcome)
  /** The request is invalid, and stays so when repeated: the line says why. Nothing was stored. */
  | { readonly outcome: 'refused'; readonly error: string }

/**
 * Collects one window of one cluster, stores the attempt and derives; then queries earlier windows of the cluster again that are due for that. A failed source
 * is part of the attempt, and `plan` asks for the next one. Throws if the store fails or the cluster cannot be opened, and may then be called again with the
 * same message.
 */
export async function collectDue(
  { cluster: id, window, attempt }: DueWindow,
  { collector, now, isReplay = false }: CollectInput,
  { objects, open }: CollectDueDeps,
): Promise<CollectedDue> {
  const cluster = (await readClusters({ objects })).find((one) => one.id === id)
  if (cluster === undefined)
    return {
      outcome: 'refused',
      error: `Cannot collect from cluster ${JSON.stringify(id)}: it is not registered any more, or never was; add it with "ciphertrail cluster add"`,
    }
  const refusal = refusalOf(cluster, window, now().getTime() / 1000)
  if (refusal !== undefined) return { outcome: 'refused', error: refusal }

  const stored = await listAttempts(window, id, { objects })
  // Most of the code collects and derives, and a refused message needs none of it.
  const { attemptWindow, deriveStored } = await import('./attempt-windows.ts')
  const last = stored.at(-1)
  // The process that stored it may have crashed before deriving.
  if (last !== undefined && last.attempt >= attempt)
    return { outcome: 'stored-before', ...(await deriveStored(cluster, stored, last, now(), objects)) }
  const access = await open(cluster)
  try {
    const attempted = await attemptWindow(cluster, window, stored, { collector, now, isReplay }, { objects, access })
    return { outcome: 'collected', ...attempted }
  } finally {
    await access.close()
  }
}

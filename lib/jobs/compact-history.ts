import { assessWindow } from '../assess/window/window.ts'
import type { Cluster } from '../model/registry.ts'
import { compactCluster as compactStored, type Derived } from '../history/derive.ts'
import type { ListedEvidence } from '../history/listed-evidence.ts'
import type { Objects } from '../store/objects/objects.ts'

/**
 * Brings all derived data of a cluster up to date with its stored evidence, including that of collectors that crashed before they derived. Run it once a day.
 * Safe to run at any time and concurrently. Throws if the store fails.
 */
export async function compactHistory(
  cluster: Cluster,
  now: Date,
  {
    objects,
    listed,
  }: {
    readonly objects: Objects
    /** A recent listing of the evidence of all clusters; absent: that of this cluster is listed. */
    readonly listed?: ListedEvidence | undefined
  },
): Promise<Derived> {
  return compactStored(cluster, { objects, assess: assessWindow, now }, [], listed)
}

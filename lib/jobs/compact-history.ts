import { assessWindow } from '../assess/window/window.ts'
import type { Cluster } from '../model/registry.ts'
import { compactCluster as compactStored, type Derived } from '../history/derive.ts'
import type { ListedEvidence } from '../history/listed-evidence.ts'
import type { Objects } from '../store/objects/objects.ts'

/**
 * Brings everything that is derived of a cluster up to all evidence that is stored of it, also that of collectors that died before they derived.
 * Run it once a day. Safe to run at any time, any number at once. Throws where the store fails.
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

import { RETENTION_SECONDS, toTime } from '../../time/windows.ts'
import { evidenceBefore, evidencePrefix, packetsPrefix, parseEvidenceKey, windowPrefix } from '../keys.ts'
import type { Objects } from '../objects/objects.ts'

/** How long one look at all evidence counts. */
const WHOLE_MS = 15 * 60 * 1000

/** Evidence of windows that began this long ago, or later, is looked for with each question. Longer than a window may be collected, and than the longest window. */
const RECENT_SECONDS = RETENTION_SECONDS + 2 * 60 * 60

/** Whether a store has evidence of a cluster. Lists all evidence, unless the store is one of {@link rememberEvidence}. */
export async function hasEvidence(clusterId: string, objects: Objects): Promise<boolean> {
  return objects.hasEvidence?.(clusterId) ?? isAmong(clusterId, objects)
}

/**
 * Returns the same store, for a process that is asked again and again: one look at all evidence, which is a thousand lists for a million attempts, counts for
 * all clusters and for {@link WHOLE_MS}. A lost history still never looks like one that was never collected:
 *
 * - Each question lists the evidence of the last hours, where new evidence is stored.
 * - "No evidence" is not taken from memory for a cluster that has results of windows: it was collected, so all evidence is looked at again.
 * - The state of a cluster is read first, by whoever asks: once there is one, nothing is asked here.
 *
 * What shows late, by {@link WHOLE_MS} at most, is evidence of earlier windows that was stored after the look and not derived yet.
 */
export function rememberEvidence(objects: Objects, now: () => Date): Objects {
  let whole: { readonly at: number; readonly clusters: Promise<ReadonlySet<string>> } | undefined

  function look(): Promise<ReadonlySet<string>> {
    const clusters = clustersWithEvidence(objects)
    const looked = { at: now().getTime(), clusters }
    whole = looked
    // What failed is no answer for the next one.
    clusters.catch(() => {
      if (whole === looked) whole = undefined
    })
    return clusters
  }

  return {
    ...objects,
    async hasEvidence(clusterId) {
      const at = now().getTime()
      const since = toTime(Math.floor(at / 1000) - RECENT_SECONDS)
      if (await isAmong(clusterId, objects, evidenceBefore(since))) return true
      const isKnown = whole !== undefined && Math.abs(at - whole.at) < WHOLE_MS
      const clusters = await (isKnown ? whole?.clusters : look())
      if (clusters?.has(clusterId) === true) return true
      return isKnown && (await hasResults(clusterId, objects)) ? (await look()).has(clusterId) : false
    },
  }
}

async function isAmong(clusterId: string, objects: Objects, startAfter?: string): Promise<boolean> {
  for await (const cluster of evidenceClusters(objects, startAfter)) if (cluster === clusterId) return true
  return false
}

async function clustersWithEvidence(objects: Objects): Promise<ReadonlySet<string>> {
  const clusters = new Set<string>()
  for await (const cluster of evidenceClusters(objects)) clusters.add(cluster)
  return clusters
}

/** The cluster of each attempt. Captures come after all attempts. */
async function* evidenceClusters(objects: Objects, startAfter?: string): AsyncGenerator<string> {
  for await (const key of objects.list(evidencePrefix, startAfter)) {
    if (key >= packetsPrefix) return
    const cluster = parseEvidenceKey(key)?.cluster
    if (cluster !== undefined) yield cluster
  }
}

async function hasResults(clusterId: string, objects: Objects): Promise<boolean> {
  for await (const _ of objects.list(windowPrefix(clusterId))) return true
  return false
}

/** Lists the evidence of all clusters once, for deriving many clusters: a list for each would be as long, and mostly about the others. */
import { createHash, type Hash } from 'node:crypto'
import { toTime } from '../time/windows.ts'
import { type Archive, dayOf } from './archive.ts'
import { evidenceBefore, evidencePrefix, parseEvidenceKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'

/** Listed evidence. A year of keys would not fit into memory, so older days have only digests. */
export type ListedEvidence = {
  /** The first listed day, such as `2026-11-24`. */
  readonly since: string
  /** By cluster; a cluster without evidence in that time has no entry. */
  readonly clusters: ReadonlyMap<string, ListedOfCluster>
}

type ListedOfCluster = {
  /** Digests by day, from `digestOfKeys`. */
  readonly digests: ReadonlyMap<string, string>
  /** Keys of the later days, in text order. */
  readonly keys: readonly string[]
}

const DAY_SECONDS = 24 * 60 * 60

/** How far back to list. Evidence may be 16 days older than a cluster's last window, which may itself be days old. */
const LISTED_SECONDS = 19 * DAY_SECONDS

/** Younger days are not archived yet if `compact` runs daily. */
const KEYS_SECONDS = 3 * DAY_SECONDS

/** Lists the evidence of all clusters that may be new. */
export async function listEvidence(now: Date, objects: Pick<Objects, 'list'>): Promise<ListedEvidence> {
  const at = Math.floor(now.getTime() / 1000)
  const [since, keysSince] = [dayOf(toTime(at - LISTED_SECONDS)), dayOf(toTime(at - KEYS_SECONDS))]
  const clusters = new Map<string, { readonly digests: Map<string, string>; readonly keys: string[] }>()
  /** Hashes of the day being listed, by cluster. */
  const hashes = new Map<string, Hash>()
  let today = since
  const endDay = (): void => {
    for (const [cluster, hash] of hashes) clusters.get(cluster)?.digests.set(today, hash.digest('hex'))
    hashes.clear()
  }
  for await (const key of objects.list(evidencePrefix, evidenceBefore(`${since}T00:00:00Z`))) {
    const id = parseEvidenceKey(key)
    if (id === undefined) continue
    const day = dayOf(id.window.start)
    if (day !== today) endDay()
    today = day
    const listed = clusters.get(id.cluster) ?? { digests: new Map<string, string>(), keys: [] }
    clusters.set(id.cluster, listed)
    if (day >= keysSince) listed.keys.push(key)
    else {
      const hash = hashes.get(id.cluster)
      if (hash === undefined) hashes.set(id.cluster, createHash('sha256').update(key))
      else hash.update(`\n${key}`)
    }
  }
  endDay()
  return { since, clusters }
}

/**
 * Returns the keys of a cluster's evidence for windows that begin on a day or later, except days that match the archive. Undefined if the list does not cover
 * them, so that the cluster's evidence must be listed again.
 *
 * @param since the day; if absent, all evidence
 */
export function newEvidence(
  cluster: string,
  { since, archive }: { readonly since: string | undefined; readonly archive: Archive | null },
  listed: ListedEvidence,
): readonly string[] | undefined {
  if (since === undefined || since < listed.since) return undefined
  const { digests, keys } = listed.clusters.get(cluster) ?? { digests: new Map<string, string>(), keys: [] }
  const archived = new Map(archive?.days.map((day) => [day.day, day.keys]))
  for (const [day, digest] of digests) if (day >= since && archived.get(day) !== digest) return undefined
  return keys
}

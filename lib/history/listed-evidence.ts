/** One list of the evidence of all clusters, for whoever derives many of them: a list for each would be as long, and tell mostly of the others. */
import { createHash, type Hash } from 'node:crypto'
import { toTime } from '../time/windows.ts'
import { type Archive, dayOf } from './archive.ts'
import { evidenceBefore, evidencePrefix, parseEvidenceKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'

/** What was listed. A year of keys would not fit into memory, so that of older days there are digests alone. */
export type ListedEvidence = {
  /** The first day that was listed, `2026-11-24`. */
  readonly since: string
  /** By cluster; of one without evidence in that time there is nothing. */
  readonly clusters: ReadonlyMap<string, ListedOfCluster>
}

type ListedOfCluster = {
  /** By day, as `digestOfKeys` has it. */
  readonly digests: ReadonlyMap<string, string>
  /** Of the days after these, in text order. */
  readonly keys: readonly string[]
}

const DAY_SECONDS = 24 * 60 * 60

/** Evidence is looked for that many days before the last window of a cluster, which may have been some days ago. */
const LISTED_SECONDS = 19 * DAY_SECONDS

/** What is younger is in no archive yet where `compact` runs daily. */
const KEYS_SECONDS = 3 * DAY_SECONDS

/** Lists the evidence of all clusters that may still be news. */
export async function listEvidence(now: Date, objects: Pick<Objects, 'list'>): Promise<ListedEvidence> {
  const at = Math.floor(now.getTime() / 1000)
  const [since, keysSince] = [dayOf(toTime(at - LISTED_SECONDS)), dayOf(toTime(at - KEYS_SECONDS))]
  const clusters = new Map<string, { readonly digests: Map<string, string>; readonly keys: string[] }>()
  /** Of the day that is being listed, by cluster. */
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
 * The keys of a cluster's evidence of windows that begin on a day or later, but for days that are as the archive has them. Undefined where what was listed
 * does not tell: the cluster's evidence has to be listed again.
 *
 * @param since the day; absent: all evidence
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

import { assessWindow } from '../../../lib/assess/window/window.ts'
import { toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Signer } from '../../../lib/seal/tlog/note.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { compactCluster } from '../../../lib/history/derive.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { addCluster, readClusters, removeCluster } from '../../../lib/store/registry/registry.ts'
import { type SyntheticCluster, evidenceOf } from '../mesh/synthetic-cluster.ts'
import { pod, WINDOW } from '../mesh/synthetic-pods.ts'
import { reportKey } from '../../../lib/store/report-keys.ts'

/** What stands in a synthetic snapshot and moves with its window: RFC 3339 text, and seconds since the epoch. */
const TIMES = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\b1795\d{6}\b/g

/** A synthetic snapshot of a cluster, so many windows of five minutes after {@link WINDOW}. */
export function snapshotOf(
  cluster: string,
  index: number,
  changes: Partial<Snapshot> = {},
  mesh: SyntheticCluster = { pods: [web, api] },
): Snapshot {
  const seconds = index * 300
  const text = JSON.stringify(evidenceOf(mesh).snapshot)
  const moved = text.replaceAll(TIMES, (time) =>
    time.includes('T') ? toTime(toSeconds(time) + seconds) : String(Number(time) + seconds),
  )
  return { ...(JSON.parse(moved) as Snapshot), cluster, ...changes }
}

const web = pod('deployment/web')
const api = pod('deployment/api', { meshed: false })

/** The moment so many minutes after the first window's start. */
export function minutesIn(minutes: number): Date {
  return new Date(toSeconds(WINDOW.start) * 1000 + minutes * 60_000)
}

/**
 * Fills a store as months of use would, in small: three clusters of which one was removed, attempts that failed, that came again and that came late,
 * gaps, reports, waivers, and runs of `seal` in between.
 */
export async function fillStore(objects: Objects, signer: Signer): Promise<void> {
  const sealAt = (minutes: number) =>
    seal({ now: minutesIn(minutes), retentionSeconds: 600, everything: true }, { objects, signer })
  const store = (...snapshot: Parameters<typeof snapshotOf>) => writeAttempt(snapshotOf(...snapshot), { objects })
  const deriveAll = async () => {
    for (const cluster of await readClusters({ objects }))
      await compactCluster(cluster, { objects, assess: assessWindow, unsettledSeconds: 600 })
  }
  const author = { now: minutesIn(0), by: 'tester' }
  for (const id of ['east', 'west', 'old']) await addCluster({ id, windowMinutes: 5 }, author, { objects })
  await sealAt(1)
  for (const id of ['east', 'west', 'old']) await store(id, 0)
  await store('east', 1, { complete: false })
  await store('east', 1)
  await deriveAll()
  await sealAt(12)
  // Before its second window was over, by the clock of whoever did it.
  await removeCluster('old', { ...author, now: minutesIn(9) }, { objects })
  await store('east', 2)
  await objects.putOnce(reportKey('2026-11-30T00:00:00Z', 'c'.repeat(64)), Buffer.from('<h1>A report</h1>'))
  await objects.putOnce('changes/waivers/000001.json', Buffer.from('{"format":"ciphertrail/change/1"}'))
  await deriveAll()
  await sealAt(27)
  await sealAt(28)
  // Late: its window was a gap before.
  await store('west', 2)
  await store('west', 5)
  await deriveAll()
  await sealAt(40)
}

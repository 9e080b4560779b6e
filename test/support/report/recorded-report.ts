import { assessWindow } from '../../../lib/assess/window/window.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { readReportInput } from '../../../lib/jobs/read-report-input.ts'
import type { ReportInput } from '../../../lib/report/report-input.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../../lib/store/registry/registry.ts'
import { recordedEvidence } from '../mesh/recorded-evidence.ts'
import { memoryObjects } from '../stored/memory-objects.ts'

/** The input of a report of a whole recording, from its evidence on. */
export async function recordedReport(folder: string): Promise<ReportInput> {
  return (await recordedStore(folder)).input
}

/** A store with the evidence and history of a whole recording just after it, and the input of its report. */
export async function recordedStore(
  folder: string,
): Promise<{ readonly input: ReportInput; readonly objects: Objects; readonly now: Date }> {
  const objects = memoryObjects()
  const snapshots = (await recordedEvidence(folder)).map(({ snapshot }) => snapshot)
  const [from, to] = [snapshots[0]?.window.start ?? '', snapshots.at(-1)?.window.end ?? '']
  const now = new Date(Date.parse(to) + 60_000)
  await addCluster({ id: 'mesh', windowMinutes: 5, replay: 'A replay' }, { now, by: 'test' }, { objects })
  for (const snapshot of snapshots) await writeAttempt(snapshot, { objects })
  const clusters = await readClusters({ objects })
  for (const cluster of clusters) await deriveCluster(cluster, { objects, assess: assessWindow, now })
  const period = { from, to, label: 'Recording', timeZone: 'UTC' }
  return { input: await readReportInput({ clusters, period, now, version: '' }, { objects }), objects, now }
}

/** The worker's side: does one job after another for its parent process, and ends with it. */
import { Worker } from 'node:worker_threads'
import { assessWindow } from '../../assess/window/window.ts'
import { concurrently } from '../../concurrently.ts'
import { deriveCluster } from '../../history/derive.ts'
import { listEvidence } from '../../history/listed-evidence.ts'
import { listAttempts } from '../../store/evidence/evidence.ts'
import { forgetReading, setReadingListener } from '../../store/evidence/reading.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { foldLines } from '../../text/fold-lines.ts'
import { readClusters } from '../../store/registry/registry.ts'
import type { CollectInput } from '../attempt-windows.ts'
import { type CollectDueDeps, type CollectedDue, collectDue } from '../collect-window.ts'
import { compactHistory } from '../compact-history.ts'
import type { Compacted, Job, WorkerMessage } from './job.ts'

/** The store, how to open a cluster, and the collector. */
export type JobDeps = CollectDueDeps & CollectInput

/**
 * Does a job in this process. Throws as the called functions do, except for a cluster that cannot be compacted, which is reported.
 *
 * @param onCompacted receives each cluster after it was compacted
 */
export async function doJob(
  job: Job,
  { objects, open, ...input }: JobDeps,
  onCompacted: (outcome: Compacted) => void,
): Promise<CollectedDue | null> {
  if (job.kind === 'collect') return collectDue(job.message, input, { objects, open })
  const all = await readClusters({ objects })
  if (job.kind === 'derive') {
    const cluster = all.find(({ id }) => id === job.cluster)
    if (cluster === undefined) return null
    const stored = await listAttempts(job.window, cluster.id, { objects })
    await deriveCluster(cluster, { objects, assess: assessWindow, now: input.now() }, stored)
    return null
  }
  await compact(job, all, objects, onCompacted)
  return null
}

async function compact(
  { clusters: ids, now, atOnce }: Extract<Job, { kind: 'compact' }>,
  all: Awaited<ReturnType<typeof readClusters>>,
  objects: Objects,
  onCompacted: (outcome: Compacted) => void,
): Promise<void> {
  const at = new Date(now)
  const clusters = ids.flatMap((id) => all.find((one) => one.id === id) ?? [])
  const listed = await listEvidence(at, objects)
  await concurrently(clusters, atOnce, async (cluster) => {
    forgetReading()
    try {
      const { windows, errors } = await compactHistory(cluster, at, { objects, listed })
      onCompacted({ cluster: cluster.id, windows: windows.length, errors: foldLines(errors), problem: null })
    } catch (error) {
      // One cluster must not hold up the others.
      if (!(error instanceof Error)) throw error
      onCompacted({ cluster: cluster.id, windows: 0, errors: [], problem: error.message })
    }
  })
}

/** Ends this process with its parent, even while evidence blocks its event loop: a separate thread checks each second. */
function endWithParent(): void {
  const watch = `setInterval(() => { if (process.ppid !== ${process.ppid}) process.kill(process.pid, 'SIGKILL') }, 1000)`
  new Worker(watch, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } }).unref()
}

/** Does the jobs that the parent process sends, one after another, until the parent is gone. */
export async function serveJobs(deps: JobDeps): Promise<void> {
  endWithParent()
  const tell = (message: WorkerMessage): void => void process.send?.(message)
  setReadingListener({
    begin: (key) => tell({ told: 'begin', key }),
    end: () => tell({ told: 'end' }),
    forget: () => tell({ told: 'forget' }),
  })
  // The parent decides when it ends: a terminal and a supervisor signal all processes at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
  process.on('message', (job: Job) => {
    doJob(job, deps, (outcome) => tell({ told: 'compacted', outcome })).then(
      (result) => tell({ told: 'done', result, rss: process.memoryUsage.rss() }),
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error)
        tell({ told: 'failed', message, rss: process.memoryUsage.rss() })
      },
    )
  })
  await new Promise<void>((resolve) => process.once('disconnect', resolve))
}

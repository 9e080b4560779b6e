import { type JobDeps, doJob } from '../../../lib/jobs/workers/worker.ts'
import type { ServiceDeps } from '../../../lib/jobs/service.ts'

/** What workers do, done in this process: where time is told, or the store is in memory. */
export function workersHere(deps: JobDeps): ServiceDeps['workers'] {
  return {
    async collect(message) {
      const collected = await doJob({ kind: 'collect', message }, deps, () => undefined)
      if (collected === null) throw new TypeError('nothing was collected')
      return collected
    },
    async compact(clusters, { now, atOnce }, onCompacted) {
      await doJob({ kind: 'compact', clusters, now: now.toISOString(), atOnce }, deps, onCompacted)
    },
  }
}

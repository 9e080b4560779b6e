/** Collects one window of one cluster, for each message of the queue. That a cluster does not answer is evidence and no failure; `plan` asks again. */
import { collectDue } from '../lib/run/collect.ts'
import { dueWindowSchema } from '../lib/run/due.ts'
import { onQueue } from './lambda.ts'

export const handler = onQueue(dueWindowSchema, async (message, { config, objects, version }) => {
  const collected = await collectDue(
    message,
    { collector: { name: 'ciphertrail', version }, now: () => new Date() },
    {
      objects,
      // What asks clusters is half of the bundle, and a message that comes again asks none.
      open: async (cluster) => {
        const { openCluster } = await import('../lib/collect/cluster.ts')
        return openCluster(cluster, { environment: config })
      },
    },
  )
  const isNew = collected.outcome === 'collected'
  // Of an agent's cluster nobody else says so.
  const isIncomplete = collected.outcome !== 'refused' && collected.complete === false
  return {
    said: { ...message, ...collected },
    counts: {
      Windows: isNew ? 1 : 0,
      IncompleteWindows: isIncomplete ? 1 : 0,
      RefusedWindows: collected.outcome === 'refused' ? 1 : 0,
    },
  }
})

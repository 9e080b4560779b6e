/** Brings what is derived of every cluster up to all evidence, once a day: collectors may have died before they derived. */
import { compactHistory } from '../lib/jobs/compact-history.ts'
import { concurrently } from '../lib/concurrently.ts'
import { listEvidence } from '../lib/history/listed-evidence.ts'
import { readClusters } from '../lib/store/registry/registry.ts'
import { onSchedule } from './lambda.ts'

/** So many clusters are brought up at once. */
const MAX_AT_ONCE = 8

const DAY_MS = 24 * 60 * 60 * 1000

export const handler = onSchedule(async (now, { objects }) => {
  const clusters = await readClusters({ objects })
  // Begins with another one each day: if the time were ever over before the end, it would not always be the same that wait.
  const begin = clusters.length === 0 ? 0 : Math.floor(now.getTime() / DAY_MS) % clusters.length
  const inTurn = [...clusters.slice(begin), ...clusters.slice(0, begin)]
  const listed = await listEvidence(now, objects)
  const errors = await concurrently(inTurn, MAX_AT_ONCE, async (cluster): Promise<readonly string[]> => {
    try {
      return (await compactHistory(cluster, now, { objects, listed })).errors
    } catch (error) {
      // One cluster must not keep the others from being brought up.
      if (!(error instanceof Error)) throw error
      return [error.message]
    }
  })
  return {
    logFields: { clusters: clusters.length, errors: errors.flat() },
    counts: { CompactProblems: errors.flat().length },
  }
})

/** Brings what is derived of every cluster up to all evidence, once a day: collectors may have died before they derived. */
import { updateNotEncrypted } from '../lib/history/not-encrypted.ts'
import { readClusters } from '../lib/store/registry/registry.ts'
import { withWorkers } from './lambda-workers.ts'
import { onSchedule } from './lambda.ts'

/** Number of clusters that are brought up to date at once. */
const MAX_AT_ONCE = 8

const DAY_MS = 24 * 60 * 60 * 1000

export const handler = onSchedule(async (now, { objects }, leftMs) => {
  const clusters = (await readClusters({ objects })).map(({ id }) => id)
  // Begins with another one each day: if the time were ever over before the end, it would not always be the same that wait.
  const begin = clusters.length === 0 ? 0 : Math.floor(now.getTime() / DAY_MS) % clusters.length
  const inTurn = [...clusters.slice(begin), ...clusters.slice(0, begin)]
  const errors: string[] = []
  await withWorkers(objects, leftMs, (workers) =>
    workers.compact(inTurn, { now, atOnce: MAX_AT_ONCE }, (outcome) => {
      errors.push(...outcome.errors, ...(outcome.problem === null ? [] : [outcome.problem]))
    }),
  )
  await updateNotEncrypted(clusters, objects)
  return {
    logFields: { clusters: clusters.length, errors },
    counts: { CompactProblems: errors.length },
  }
})

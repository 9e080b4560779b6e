/** Brings the derived data of every cluster up to date, once a day: collectors may have crashed before they derived. */
import { updateNotEncrypted } from '../lib/history/not-encrypted.ts'
import { readClusters } from '../lib/store/registry/registry.ts'
import { foldLines } from '../lib/text/fold-lines.ts'
import { withWorkers } from './lambda-workers.ts'
import { onSchedule } from './lambda.ts'

/** Number of clusters that are brought up to date at once. */
const MAX_AT_ONCE = 8

const DAY_MS = 24 * 60 * 60 * 1000

export const handler = onSchedule(async (now, { objects }, leftMs) => {
  const clusters = (await readClusters({ objects })).map(({ id }) => id)
  // Begins with another cluster each day: if the time ran out, it would not always be the same ones that wait.
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
    logFields: { clusters: clusters.length, errors: foldLines(errors) },
    counts: { CompactProblems: errors.length },
  }
})

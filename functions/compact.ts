/** Brings what is derived of every cluster up to all evidence, once a day: collectors may have died before they derived. */
import { compact } from '../lib/run/compact.ts'
import { readClusters } from '../lib/store/registry.ts'
import { onSchedule } from './lambda.ts'

export const handler = onSchedule(async (_, { objects }) => {
  const clusters = await readClusters({ objects })
  const errors: string[] = []
  for (const cluster of clusters) {
    try {
      errors.push(...(await compact(cluster, { objects })).errors)
    } catch (error) {
      // One cluster must not keep the others from being brought up.
      if (!(error instanceof Error)) throw error
      errors.push(error.message)
    }
  }
  return { said: { clusters: clusters.length, errors }, counts: { CompactProblems: errors.length } }
})

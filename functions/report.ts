/**
 * Stores the missing reports of ended weeks, oldest first, as far back as `endedWeeks` goes. Started every day, so that the next day makes up for a failed one.
 */
import { reportWeek } from '../lib/jobs/make-report.ts'
import { endedWeeks } from '../lib/jobs/schedule.ts'
import { readClusters } from '../lib/store/registry/registry.ts'
import { onSchedule } from './lambda.ts'

/** With less time than this left no further report is begun. */
const MIN_MS = 5 * 60_000

export const handler = onSchedule(async (now, { config, objects, version }, leftMs) => {
  const timeZone = config.timeZone ?? 'UTC'
  const made: { readonly week: string; readonly key: string | null; readonly verdict: string | null }[] = []
  const problems: string[] = []
  let error: unknown = null
  let left = 0
  for (const { week, at } of endedWeeks(await readClusters({ objects }), now, timeZone)) {
    if (made.length > 0 && leftMs() < MIN_MS) {
      left += 1
      continue
    }
    try {
      const { key, isNew, verdict } = await reportWeek({ now: at, timeZone, version }, { objects })
      if (isNew) made.push({ week, key, verdict })
    } catch (thrown) {
      // One failed week must not hold up the others.
      error ??= thrown
      problems.push(`${week}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
  }
  return { logFields: { made, left, problems }, counts: { Reports: made.length }, error }
})

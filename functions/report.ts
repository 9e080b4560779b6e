/** Keeps the report of the last week. Started every day, so that a day on which it failed is made good by the next. */
import { reportWeek } from '../lib/run/report.ts'
import { onSchedule } from './lambda.ts'

export const handler = onSchedule(async (now, { config, objects, version }) => {
  const { week, key, isNew, verdict } = await reportWeek(
    { now, timeZone: config.timeZone ?? 'UTC', version },
    { objects },
  )
  return { said: { week, key, isNew, verdict }, counts: { Reports: isNew ? 1 : 0 } }
})

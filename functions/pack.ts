/** Makes the audit pack of a report and keeps it in the bucket, for each message of the queue. One that cannot be made is recorded for whoever asked for it. */
import * as z from 'zod'
import { keepPack } from '../lib/jobs/packs/make-kept-pack.ts'
import { byHand } from '../lib/pack/make-pack.ts'
import { PackError } from '../lib/pack/select-report.ts'
import { isReportKey } from '../lib/store/report-keys.ts'
import { onQueue } from './lambda.ts'

/** So much of the time is left to give up what was uploaded and to record that. */
const END_MS = 15_000

/** More would hardly be packed in a quarter of an hour: docs/aws.md has what was measured. */
const MOST_BYTES = 20e9

const askedSchema = z.object({ report: z.string().refine(isReportKey) })

export const handler = onQueue(askedSchema, async ({ report }, { objects, version }, leftMs) => {
  const end = new AbortController()
  const timer = setTimeout(
    () =>
      end.abort(new PackError(`Cannot pack "${report}" here: it takes longer than a function may, ${byHand(report)}`)),
    Math.max(0, leftMs() - END_MS),
  )
  try {
    const instructions = { version, now: () => new Date(), mostBytes: MOST_BYTES, signal: end.signal }
    const outcome = await keepPack(report, instructions, { objects })
    return { logFields: { report, ...outcome } }
  } finally {
    clearTimeout(timer)
  }
})

import { keepHeapSmall } from '../lib/small-heap.ts'

// As bin/ciphertrail.js starts.
keepHeapSmall()
const { keepPack } = await import('../lib/jobs/packs/make-kept-pack.ts')
const { openStore } = await import('../test/store/objects/open-s3.ts')
const { reportsPrefix } = await import('../lib/store/report-keys.ts')
const { costOfProcess } = await import('./processes.ts')

// The job that makes and keeps the pack of the only report of a store in S3, and what it cost, as the last line on standard error.
const objects = openStore(process.argv[2] ?? '')
for await (const report of objects.list(reportsPrefix)) {
  const outcome = await keepPack(report, { version: '0.0.0', now: () => new Date() }, { objects })
  if (outcome.outcome !== 'made' || !outcome.isNew) throw new Error(`Cannot measure: ${JSON.stringify(outcome)}`)
}
process.stderr.write(`${JSON.stringify(costOfProcess())}\n`)

/** The process that a function starts: it derives, and queries no cluster. Beside the function in its zip. */
import manifest from '../package.json' with { type: 'json' }
import { readConfig } from '../lib/config.ts'
import { serveJobs } from '../lib/jobs/workers/worker.ts'
import { useBudget } from '../lib/observed/budget.ts'
import { parseAddress } from '../lib/store/objects/s3/address.ts'
import { s3Objects } from '../lib/store/objects/s3/s3-objects.ts'

const config = readConfig()
useBudget(config.budget)
const address = parseAddress(config.store ?? '')
if (address === undefined) throw new Error('Cannot use CIPHERTRAIL_STORE: it names a directory')
const now = (): Date => new Date()
await serveJobs({
  objects: s3Objects(address, { now, isPathStyle: config.s3Endpoint !== undefined }),
  open: () => Promise.reject(new Error('Cannot collect here: this process only derives')),
  collector: { name: 'ciphertrail', version: manifest.version },
  now,
})
// Open connections would keep the process alive.
process.exit(0)

/** Folds the latest windows of a store that {@link benchFleet} made into months, as the daily job does, in a process of its own. What it cost is the last line on standard error. */
import { keepHeapSmall } from '../../lib/small-heap.ts'

// As bin/ciphertrail.js starts.
keepHeapSmall()
const { updateNotEncrypted } = await import('../../lib/history/not-encrypted.ts')
const { compactHistory } = await import('../../lib/jobs/compact-history.ts')
const { directoryObjects } = await import('../../lib/store/objects/directory.ts')
const { readClusters } = await import('../../lib/store/registry/registry.ts')
const { costOfProcess } = await import('../processes.ts')

const [folder = '', now = ''] = process.argv.slice(2)
const objects = directoryObjects(folder)
const clusters = await readClusters({ objects })
for (const cluster of clusters) await compactHistory(cluster, new Date(now), { objects })
await updateNotEncrypted(
  clusters.map(({ id }) => id),
  objects,
)
process.on('exit', () => process.stderr.write(`${JSON.stringify(costOfProcess())}\n`))

import { enableCompileCache } from 'node:module'
import { keepHeapSmall } from '../lib/small-heap.ts'

// The collector alone: what is asked, checked and stored as evidence, without deriving. Arguments: store, window's start and end, now.
enableCompileCache()
keepHeapSmall()
const [{ openCluster }, { collectWindow }, { directoryObjects }, { readClusters }, { writeAttempt }, { readConfig }] =
  await Promise.all([
    import('../lib/collect/cluster/open-cluster.ts'),
    import('../lib/collect/snapshot.ts'),
    import('../lib/store/objects/directory.ts'),
    import('../lib/store/registry/registry.ts'),
    import('../lib/store/evidence/evidence.ts'),
    import('../lib/config.ts'),
  ])
const [store = '', start = '', end = '', at = ''] = process.argv.slice(2)
const objects = directoryObjects(store)
const [cluster] = await readClusters({ objects })
if (cluster === undefined) throw new Error(`Cannot collect from "${store}": no cluster is registered`)
const access = openCluster(cluster, { environment: readConfig() })
const options = { collector: { name: 'ciphertrail', version: 'bench' }, isReplay: true }
const snapshot = await collectWindow(cluster, { start, end }, options, { access, now: () => new Date(at) })
if (!snapshot.complete)
  throw new Error(
    `Cannot collect ${start} to ${end}: ${[...snapshot.metrics.errors, ...snapshot.kubernetes.errors].join('; ')}`,
  )
await writeAttempt(snapshot, { objects })
await access.close()
const { costOfProcess } = await import('./processes.ts')
process.stderr.write(`${JSON.stringify(costOfProcess())}\n`)

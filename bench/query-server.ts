/** Serves the API of a store until it is ended: a process of its own, so that whoever asks takes none of its core. Tells its address on standard output. */
import { loopbackAccess } from '../lib/query/access/access.ts'
import { createApi } from '../lib/query/api.ts'
import { listen } from '../lib/query/listen.ts'
import { directoryObjects } from '../lib/store/objects/directory.ts'

const [store = '', now = ''] = process.argv.slice(2)
const app = createApi('bench', {
  objects: directoryObjects(store),
  now: () => new Date(now),
  access: loopbackAccess,
  isHealthy: async () => true,
  log: () => undefined,
})
const { url } = await listen(app.fetch, { host: '127.0.0.1', port: 0 })
process.stdout.write(`${url}\n`)
process.on('message', () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  process.send?.({ cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, residentBytes: process.memoryUsage.rss() })
})

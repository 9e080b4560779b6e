/** Asks a store that {@link benchFleet} made, in a process of its own: what it takes at most is what the questions take. */
import { DuckDBInstance } from '@duckdb/node-api'
import { readNotEncrypted } from '../../lib/history/not-encrypted.ts'
import { createApi } from '../../lib/query/api.ts'
import { parseRecentKey } from '../../lib/store/keys.ts'
import { keepHeapSmall } from '../../lib/small-heap.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import { peakMegabytes } from '../../test/support/process/peak-memory.ts'
import { median } from '../processes.ts'
import { type Extent, clusterIds, endOf } from '../synthetic-store.ts'

// As bin/ciphertrail.js starts.
keepHeapSmall()

const RUNS = 40
const PAGE = 100
const QUESTION_DAYS = 90

/** How many objects the first page may read, and how much more ten times the clusters may cost. */
const WANTED = { reads: 6, growth: 2, megabytes: 300 }

const [folder = '', given = '{}'] = process.argv.slice(2)
const extent = JSON.parse(given) as Extent
const end = endOf(extent)
const period = { from: toTime(toSeconds(end) - QUESTION_DAYS * 86_400), to: end }
let reads = 0
const stored = directoryObjects(folder)
const objects: Objects = { ...stored, get: (key, version) => (reads++, stored.get(key, version)) }

/** The middle of what runs took, in milliseconds, once they are warm. */
async function timesOf(run: () => Promise<void>): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < RUNS; index++) {
    const begun = performance.now()
    await run()
    times.push(performance.now() - begun)
  }
  return median(times.slice(RUNS / 2))
}

async function firstPage(): Promise<void> {
  const shown: unknown[] = []
  for (const month of await readNotEncrypted(period, objects))
    for await (const one of month.intervals()) if (shown.push(one) === PAGE) return
}

// Asked before DuckDB is loaded, whose memory is not ours.
await firstPage()
const pageReads = reads
const ours = await timesOf(firstPage)

let minute = 3
const apiOf = (asked: Objects) =>
  createApi('bench', {
    objects: asked,
    now: () => new Date(Date.parse(end) + minute * 60_000),
    access: async () => ({ subject: 'bench', clusters: 'all' }),
    isHealthy: async () => true,
    log: () => undefined,
  })
const api = apiOf(objects)

async function ask(clusters: readonly string[], asked = api): Promise<number> {
  const search = new URLSearchParams({ state: 'not-encrypted', from: period.from })
  for (const cluster of clusters) search.append('cluster', cluster)
  const begun = performance.now()
  const response = await asked.fetch(new Request(`http://127.0.0.1/v1/paths?${search.toString()}`))
  const answer = await response.text()
  if (response.status !== 200) throw new Error(`Cannot measure: ${response.status} ${answer}`)
  return performance.now() - begun
}

const all = clusterIds(extent)
const tenth = all.slice(0, Math.max(1, Math.floor(all.length / 10)))

/** The first question of a process, as text: how long it takes, and how many objects it reads. */
async function firstTime(clusters: readonly string[], asked: Objects): Promise<string> {
  const [readsBefore, before] = [reads, process.cpuUsage()]
  await ask(clusters, apiOf(asked))
  const { user, system } = process.cpuUsage(before)
  return `${((user + system) / 1e6).toFixed(2)} s of CPU, ${reads - readsBefore} objects`
}

const first = await firstTime(all, objects)
const firstTenth = await firstTime(tenth, objects)
const resultsAlone: Objects = {
  ...objects,
  get: async (key, version) => (parseRecentKey(key) === undefined ? objects.get(key, version) : undefined),
}
await ask(all)
await ask(tenth)
const kept = await timesOf(async () => void (await ask(all)))
const keptTenth = await timesOf(async () => void (await ask(tenth)))
const minutes: number[] = []
for (let index = 0; index < 5; index++) {
  minute++
  minutes.push(await ask(all))
}
const megabytes = peakMegabytes()
const byResults = await firstTime(all, resultsAlone)

const duckdb = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect()
await duckdb.run(`set timezone = 'UTC'`)
const query = `select * from read_parquet('${folder}/not-encrypted/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)
  where month >= '${period.from.slice(0, 7)}' and ends_at > timestamp '${period.from.slice(0, 19)}'
  order by ends_at desc, starts_at desc, cluster, path_id limit ${PAGE}`
const theirs = await timesOf(async () => void (await duckdb.runAndReadAll(query)).getRowsJson())

console.log(
  `fleet: first page of ${QUESTION_DAYS} days ${ours.toFixed(1)} ms, ${pageReads} objects (wanted ${WANTED.reads}); DuckDB ${theirs.toFixed(1)} ms: ${(ours / theirs).toFixed(2)} of it (wanted 1)`,
)
console.log(
  `fleet: /v1/paths for the first time: of ${all.length} clusters ${first}; of ${tenth.length} ${firstTenth}; of ${all.length} from the results of windows ${byResults}`,
)
console.log(
  `fleet: /v1/paths of ${all.length} clusters ${median(minutes).toFixed(0)} ms in a new minute, ${kept.toFixed(1)} ms again; of ${tenth.length} clusters ${keptTenth.toFixed(1)} ms: ${(kept / keptTenth).toFixed(2)} (wanted ${WANTED.growth})`,
)
console.log(`fleet: ${megabytes.toFixed(0)} MB resident at most (wanted ${WANTED.megabytes})`)
if (pageReads > WANTED.reads || ours > theirs || megabytes > WANTED.megabytes) process.exitCode = 1
process.exit()

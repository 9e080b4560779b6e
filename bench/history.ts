/**
 * What the history of many clusters takes: how large it is, how fast it is made from window results, how much memory that and a question need, and how
 * many objects the question that is asked most reads. All of it is drawn by a seed.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parseArgs } from 'node:util'
import { emptyTimeline } from '../lib/history/fold-state.ts'
import { encodeState, readState } from '../lib/history/cluster-state.ts'
import { writeRecent } from '../lib/history/recent/write-recent.ts'
import { foldWindows, hotMonths } from '../lib/history/timeline.ts'
import { encodeMonth, coverageIn, decodeMonth } from '../lib/history/tables/timeline-table.ts'
import { readNotEncrypted, updateNotEncrypted } from '../lib/history/not-encrypted.ts'
import { DERIVATION } from '../lib/model/window.ts'
import type { WindowResult } from '../lib/model/window.ts'
import { coverageKey, recentKey, stateKey, timelineKey, windowKey } from '../lib/store/keys.ts'
import { encodeDerived, sha256Of } from '../lib/store/objects/derived-object.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { parseJson } from '../lib/text/parse-json.ts'
import { toTime } from '../lib/time/windows.ts'
import { memoryObjects } from '../test/support/stored/memory-objects.ts'
import { syntheticWindows } from './synthetic-cluster.ts'

const FROM = '2026-01-01T00:00:00Z'
/** As many windows are folded at once as `compact` folds. */
const CHUNK = 16
const PAGE = 100

/** Sizes in bytes, times in milliseconds. */
type Made = { windows: number; folding: number; encoding: number; intervals: number; months: number; heap: number }

/** Runs `npm run bench -- history --clusters 10 --days 30 --paths 500`. */
export async function benchHistory(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      clusters: { type: 'string', default: '10' },
      days: { type: 'string', default: '30' },
      paths: { type: 'string', default: '500' },
    },
  })
  const [clusters, days, paths] = [Number(values.clusters), Number(values.days), Number(values.paths)]
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const ids = Array.from({ length: clusters }, (_, index) => `cluster-${String(index).padStart(4, '0')}`)
  const made: Made = { windows: 0, folding: 0, encoding: 0, intervals: 0, months: 0, heap: 0 }
  for (const [index, id] of ids.entries()) await makeCluster(id, { seed: index + 1, days, paths }, made, objects)

  const began = performance.now()
  await updateNotEncrypted(ids, objects)
  const updating = performance.now() - began
  const megabytes = (prefix: string): number =>
    [...held].reduce((sum, [key, body]) => sum + (key.startsWith(prefix) ? body.length : 0), 0) / 1e6
  console.log(`${clusters} clusters, ${paths} paths, ${days} days of hourly windows`)
  console.log(
    `timeline       ${megabytes('timeline/').toFixed(2)} MB, ${((megabytes('timeline/') * 1e6) / made.intervals).toFixed(1)} bytes an interval (${made.intervals})`,
  )
  console.log(`coverage       ${megabytes('coverage/').toFixed(2)} MB`)
  console.log(`not-encrypted  ${megabytes('not-encrypted/').toFixed(2)} MB, made in ${updating.toFixed(0)} ms`)
  console.log(
    `rebuilt        ${(made.windows / 1e6 / ((made.folding + made.encoding) / 1000)).toFixed(1)} MB/s of window results (${(made.windows / 1e6).toFixed(0)} MB), of which writing months ${((100 * made.encoding) / (made.folding + made.encoding)).toFixed(0)} %`,
  )
  console.log(`heap at most   ${(made.heap / 1e6).toFixed(0)} MB while a cluster was made`)
  await ask(objects, days)
  const [first] = ids
  if (first === undefined) return
  await readOne(first, held)
  await addWindows(first, { days, paths }, { objects, held })
}

/** Makes what a cluster's windows come to, from their stored bytes, as `rebuild` does once they are assessed. */
async function makeCluster(
  id: string,
  { seed, days, paths }: { readonly seed: number; readonly days: number; readonly paths: number },
  made: Made,
  objects: Objects,
): Promise<void> {
  let timeline = emptyTimeline(id)
  let bodies: Buffer[] = []
  const months: { month: string; sha256: string }[] = []
  const settle = async (settled: typeof timeline.months): Promise<void> => {
    for (const month of settled) {
      const began = performance.now()
      const body = encodeMonth(month)
      made.encoding += performance.now() - began
      made.intervals += month.intervals.length
      made.months++
      months.push({ month: month.month, sha256: sha256Of(body) })
      await objects.putIf(timelineKey(id, month.month), body, null)
      await objects.putIf(coverageKey(id, month.month), coverageIn(body), null)
    }
  }
  const fold = async (): Promise<void> => {
    const began = performance.now()
    const expected = bodies.map((body) => {
      const result = parseJson(body) as WindowResult
      return { window: result.window, result }
    })
    timeline = foldWindows(timeline, expected)
    made.folding += performance.now() - began
    bodies = []
    const hot = new Set(hotMonths(timeline))
    await settle(timeline.months.filter(({ month }) => !hot.has(month)))
    timeline = { ...timeline, months: timeline.months.filter(({ month }) => hot.has(month)) }
    made.heap = Math.max(made.heap, process.memoryUsage().heapUsed)
  }
  for (const { result } of syntheticWindows(id, { seed, from: FROM, hours: days * 24, paths })) {
    const body = encodeDerived(result)
    made.windows += body.length
    if (bodies.push(body) === CHUNK) await fold()
  }
  await fold()
  await settle(timeline.months)
  const { months: _, ...rest } = timeline
  const none = { evidence: [], windows: [], replacing: [], unwritten: [], archive: null }
  await objects.putIf(
    stateKey(id),
    encodeState({ derivation: DERIVATION, cluster: id, ...none, timeline: rest, months }),
    null,
  )
}

/** Not encrypted in the last 90 days, all clusters, newest first, first page. */
async function ask(objects: Objects, days: number): Promise<void> {
  let reads = 0
  const counting: Objects = { ...objects, get: (key) => (reads++, objects.get(key)) }
  const end = Date.parse(FROM) / 1000 + days * 86_400
  const period = { from: toTime(end - 90 * 86_400), to: toTime(end) }
  const times: number[] = []
  for (let run = 0; run < 20; run++) {
    const began = performance.now()
    const shown: unknown[] = []
    pages: for (const month of await readNotEncrypted(period, counting))
      for await (const one of month.intervals()) if (shown.push(one) === PAGE) break pages
    times.push(performance.now() - began)
    if (run === 0)
      console.log(`first page     ${shown.length} rows, ${reads} objects, ${times[0]?.toFixed(1)} ms the first time`)
  }
  console.log(`               ${times.toSorted((a, b) => a - b)[10]?.toFixed(1)} ms in a warm process`)
}

/** A month of one cluster, as JSON and as it is. */
async function readOne(id: string, held: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const body = held.get(timelineKey(id, FROM.slice(0, 7)))
  if (body === undefined) return
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  const began = performance.now()
  const month = await decodeMonth(body)
  const reading = performance.now() - began
  collect()
  const kept = process.memoryUsage().heapUsed - before
  console.log(
    `a month        ${(body.length / 1e3).toFixed(0)} kB (as JSON ${(encodeDerived(month).length / 1e3).toFixed(0)} kB), read in ${reading.toFixed(0)} ms, ${(kept / 1e6).toFixed(1)} MB in memory`,
  )
}

/** A day of windows after the months of the first cluster: what each costs that comes, beside its result and the state. */
async function addWindows(
  id: string,
  { days, paths }: { readonly days: number; readonly paths: number },
  { objects, held }: { readonly objects: Objects; readonly held: ReadonlyMap<string, Uint8Array> },
): Promise<void> {
  let [gets, bytes, written] = [0, 0, 0]
  const counting: Objects = { ...objects, get: (key) => (gets++, objects.get(key)) }
  let { state } = await readState(id, objects)
  if (state === undefined) return
  let cpu = 0
  const begun = days * 24
  let hour = 0
  for (const { window, result } of syntheticWindows(id, { seed: 1, from: FROM, hours: begun + 24, paths })) {
    if (hour++ < begun) continue
    const body = encodeDerived(result)
    await objects.putIf(windowKey(id, window), body, null)
    state = { ...state, windows: [...state.windows, { ...window, sha256: sha256Of(body) }] }
    // The first ones are folded onto the months.
    if (hour === begun + 5) {
      cpu = 0
      gets = 0
      written = 0
    }
    const before = process.cpuUsage()
    await writeRecent(state, false, { objects: counting, bodies: new Map() })
    const { user, system } = process.cpuUsage(before)
    cpu += user + system
    written++
    bytes = held.get(recentKey(id))?.length ?? 0
  }
  console.log(
    `a window more  ${(bytes / 1e3).toFixed(0)} kB written of what came after the months, ${(cpu / 1000 / written).toFixed(0)} ms of CPU, ${(gets / written).toFixed(1)} objects read`,
  )
}

import { hash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { closing } from '../lib/store/objects/closing.ts'
import { toSeconds, toTime } from '../lib/time/windows.ts'
import { newPrivateKey, signerOf } from '../lib/seal/key/key.ts'
import { concurrently } from '../lib/concurrently.ts'
import { fileLastHead } from '../lib/seal/write/last-head.ts'
import { seal } from '../lib/seal/write/seal.ts'
import { directoryObjects } from '../lib/store/objects/directory.ts'
import { diskEffects } from '../lib/store/objects/directory-effects.ts'
import { evidenceKey, evidencePrefix, windowText } from '../lib/store/keys.ts'
import { indexKey } from '../lib/store/log-keys.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { addCluster } from '../lib/store/registry/registry.ts'
import { median, run, secondsOf } from './processes.ts'

const CLUSTERS = 100
const FIRST = toSeconds('2026-01-01T00:00:00Z')
/** A day of these is more than all measured runs: once a day a run looks at every window, which is another measurement. */
const MINUTES = 15
const EVIDENCE = Buffer.alloc(1000, 'evidence ')

/** So many of the latest windows of the log are there with all their objects; of older ones only the folders, which is what a run meets of them. */
const WHOLE_WINDOWS = 96

/**
 * Measures a run of `seal` that adds a thousand leaves to a log of a million, of a hundred clusters with windows of a quarter of an hour: its seconds, against those
 * of writing as many small files to the disk; and the bytes that it reads and writes, counted where it asks the store.
 * Prints one line of JSON for each run and the medians. `npm run bench -- sealing --leaves 1000000 --runs 3`
 */
export async function benchSealing(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { leaves: { type: 'string', default: '1000000' }, runs: { type: 'string', default: '3' } },
  })
  const windows = Math.ceil(Number(values.leaves) / CLUSTERS)
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  try {
    const store = join(folder, 'store')
    const signer = signerOf(newPrivateKey('bench.example/log'))
    const last = fileLastHead(join(folder, 'key.head'), store)
    await build(store, windows, (now, objects) => seal({ now }, { objects, signer, last }))
    // What was built is brought to the disk first, or the measured runs would wait for that.
    await run('sync', [])

    const runs: { seconds: number; yardstickSeconds: number; megabytes: number }[] = []
    for (let at = 0; at < Number(values.runs); at++) {
      const until = windows + (at + 1) * 10
      const objects = directoryObjects(store)
      for (let window = until - 10; window < until; window++) await putWindow(window, objects)
      const yardstickSeconds = await secondsOf(() => writeFiles(join(folder, `yardstick-${at}`), 1000))
      const { counted, bytes } = counting(objects)
      const before = process.cpuUsage()
      const seconds = await secondsOf(async () => {
        const { leaves } = await seal({ now: endOf(until) }, { objects: counted, signer, last })
        if (leaves.snapshot !== 1000) throw new Error(`Cannot measure: ${JSON.stringify(leaves)} was sealed`)
      })
      const { user, system } = process.cpuUsage(before)
      const cpuSeconds = Math.round((user + system) / 1e4) / 100
      const megabytes = Math.round((bytes.read + bytes.written + bytes.listed) / 1e4) / 100
      runs.push({ seconds, yardstickSeconds, megabytes })
      console.log(JSON.stringify({ scenario: 'sealing', run: at, seconds, cpuSeconds, yardstickSeconds, ...bytes }))
    }
    console.log(
      JSON.stringify({
        scenario: 'sealing',
        leaves: windows * CLUSTERS,
        seconds: median(runs.map(({ seconds }) => seconds)),
        timesYardstick:
          Math.round(median(runs.map(({ seconds, yardstickSeconds }) => seconds / yardstickSeconds)) * 100) / 100,
        megabytes: median(runs.map(({ megabytes }) => megabytes)),
        wanted: { seconds: 5, megabytes: 30 },
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function windowOf(number: number): { start: string; end: string } {
  const start = FIRST + number * MINUTES * 60
  return { start: toTime(start), end: toTime(start + MINUTES * 60) }
}

/** Five minutes after so many windows. */
function endOf(windows: number): Date {
  return new Date((FIRST + windows * MINUTES * 60 + 300) * 1000)
}

function keyOf(window: number, cluster: number): string {
  return evidenceKey({ window: windowOf(window), cluster: `cluster-${String(cluster).padStart(3, '0')}`, attempt: 1 })
}

async function putWindow(window: number, objects: Objects): Promise<void> {
  const keys = Array.from({ length: CLUSTERS }, (_, cluster) => keyOf(window, cluster))
  await concurrently(keys, 32, (key) => objects.putOnce(key, EVIDENCE))
}

/** Makes a log of so many windows by one run of `seal`, whose evidence is only listed where no later run looks at it. */
async function build(
  store: string,
  windows: number,
  sealAt: (now: Date, objects: Objects) => Promise<unknown>,
): Promise<void> {
  const disk = directoryObjects(store, {
    ...diskEffects,
    writeFile: (path, body) => writeFile(path, body, { flag: 'wx' }),
    syncDirectory: () => Promise.resolve(),
  })
  for (let window = 0; window < windows; window++)
    for (const folder of [evidencePrefix, indexKey(evidencePrefix)])
      mkdirSync(join(store, folder, windowText(windowOf(window))), { recursive: true })
  for (let window = windows - WHOLE_WINDOWS; window < windows; window++) await putWindow(window, disk)
  const author = { now: new Date(FIRST * 1000), by: 'bench' }
  for (let cluster = 0; cluster < CLUSTERS; cluster++)
    await addCluster({ id: `cluster-${String(cluster).padStart(3, '0')}`, windowMinutes: MINUTES }, author, {
      objects: disk,
    })
  const whole = indexKey(`${evidencePrefix}${windowText(windowOf(windows - WHOLE_WINDOWS))}`)
  const sha256 = hash('sha256', EVIDENCE, 'hex')
  await sealAt(endOf(windows), {
    ...disk,
    digest: (key) =>
      key.startsWith(evidencePrefix)
        ? Promise.resolve({ sha256, size: EVIDENCE.length, version: null })
        : disk.digest(key),
    putOnce: async (key, body) => {
      if (!key.startsWith(indexKey(evidencePrefix)) || key >= whole) await disk.putOnce(key, body)
    },
    async *list(prefix, startAfter) {
      if (prefix !== evidencePrefix) return yield* disk.list(prefix, startAfter)
      for (let window = 0; window < windows; window++)
        for (let cluster = 0; cluster < CLUSTERS; cluster++) yield keyOf(window, cluster)
    },
  })
}

/** The store, and what is read from it and written to it; of a list the bytes of its keys. */
function counting(objects: Objects): {
  readonly counted: Objects
  readonly bytes: { read: number; written: number; listed: number }
} {
  const bytes = { read: 0, written: 0, listed: 0 }
  const counted: Objects = {
    ...objects,
    async get(key) {
      const stored = await objects.get(key)
      bytes.read += stored?.body.length ?? 0
      return stored
    },
    async digest(key) {
      const stored = await objects.digest(key)
      bytes.read += stored?.size ?? 0
      return stored
    },
    async putOnce(key, body) {
      bytes.written += body.length
      await objects.putOnce(key, body)
    },
    async putIf(key, body, etag) {
      bytes.written += body.length
      return objects.putIf(key, body, etag)
    },
    async *list(prefix, startAfter) {
      for await (const key of objects.list(prefix, startAfter)) {
        bytes.listed += key.length
        yield key
      }
    },
  }
  return { counted, bytes }
}

/** Writes files that are on the disk afterwards, as many at once as `seal` does. */
async function writeFiles(folder: string, count: number): Promise<void> {
  mkdirSync(folder)
  await concurrently([...Array(count).keys()], 32, async (number) => {
    await closing(await open(join(folder, String(number)), 'wx'), async (file) => {
      await file.writeFile(String(number))
      await file.sync()
    })
  })
}

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import { type Cost, measured } from '../processes.ts'
import { type Extent, endOf, writeSyntheticStore } from '../synthetic-store.ts'

/** Megabytes that the tables of a year of 100 clusters of 500 paths may take. */
const WANTED_MEGABYTES = 60
const WANTED_CLUSTER_DAYS = 100 * 365

/** What a question may take at most, resident, at any number of clusters. */
const WANTED_RESIDENT_MEGABYTES = 300

/** Of how many of the last days there are window results: what `status` reads, and the period before. */
const RESULT_DAYS = 15

/**
 * What a fleet's history takes, and what the common question costs: beside DuckDB asking the same of the same table, and beside the same question to a tenth of
 * the clusters. Then what the commands take that read the history, and the daily job that writes it. `--store` is a folder that is made if it is not there and
 * kept: a year of 100 clusters takes an hour to make, `npm run bench -- fleet --clusters 100 --days 365 --store /var/tmp/fleet`.
 */
export async function benchFleet(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      clusters: { type: 'string', default: '10' },
      days: { type: 'string', default: '30' },
      paths: { type: 'string', default: '500' },
      store: { type: 'string' },
    },
  })
  const extent: Extent = {
    clusters: Number(values.clusters),
    days: Number(values.days),
    paths: Number(values.paths),
    resultDays: Math.min(RESULT_DAYS, Number(values.days)),
  }
  const folder = values.store ?? mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  try {
    if (!existsSync(join(folder, 'registry'))) await writeSyntheticStore(extent, directoryObjects(folder))
    const sizes = ['timeline', 'coverage', 'not-encrypted'].map(
      (table) => [table, bytesIn(join(folder, table))] as const,
    )
    const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0) / 1e6
    const ofYear = (total * WANTED_CLUSTER_DAYS) / (extent.clusters * extent.days)
    console.log(
      `fleet: ${sizes.map(([table, bytes]) => `${table} ${(bytes / 1e6).toFixed(1)} MB`).join(', ')}; ${ofYear.toFixed(1)} MB for a year of 100 clusters (wanted ${WANTED_MEGABYTES})`,
    )
    if (ofYear > WANTED_MEGABYTES) process.exitCode = 1
    const asks = fork(new URL('questions.ts', import.meta.url), [folder, JSON.stringify(extent)])
    const [code] = (await once(asks, 'exit')) as [number]
    if (code !== 0) process.exitCode = 1
    const now = toTime(toSeconds(endOf(extent)) + 180)
    for (const command of commandsAt(endOf(extent)))
      tell(command.join(' '), await measured('measured.ts', [...command, '--store', folder, '--now', now]))
    // Of a copy: the store may be kept.
    const copy = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
    try {
      cpSync(folder, copy, { recursive: true })
      const later = toTime(toSeconds(endOf(extent)) + 2 * 86_400)
      tell('compact', await measured('fleet/compacting.ts', [copy, later]))
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  } finally {
    if (values.store === undefined) rmSync(folder, { recursive: true, force: true })
  }
}

function tell(what: string, { cpuSeconds, peakMegabytes }: Cost): void {
  console.log(
    `fleet: ${what}: ${peakMegabytes.toFixed(0)} MB resident at most (wanted ${WANTED_RESIDENT_MEGABYTES}), ${cpuSeconds.toFixed(1)} s of CPU`,
  )
  if (peakMegabytes > WANTED_RESIDENT_MEGABYTES) process.exitCode = 1
}

/** Commands over all of the history, and a comparison of its last two weeks. */
function commandsAt(end: string): readonly (readonly string[])[] {
  const [first, middle] = [14, 7].map((days) => toTime(toSeconds(end) - days * 86_400))
  return [
    ['status'],
    ['paths'],
    ['paths', '--history'],
    ['paths', '--history', '--json'],
    ['episodes', '--json'],
    ['diff', `${first}/${middle}`, `${middle}/${end}`],
  ]
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).reduce(
    (sum, entry) => sum + (entry.isFile() ? statSync(join(entry.parentPath, entry.name)).size : 0),
    0,
  )
}

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { toTime, toSeconds } from '../lib/time/windows.ts'
import type { Window } from '../lib/model/time.ts'

/** What `npm run record` made of a recording: the answers to everything that the collector asks for some windows. */
export type Fixture = {
  /** Lists of the Kubernetes API, reduced: `<stamp>/<resource>.json.gz`. */
  readonly kubernetes: string
  /** Answers of Prometheus: one file for each window, in the order of `windows`. */
  readonly prometheus: readonly string[]
  /** Oldest first; they join. */
  readonly windows: readonly Window[]
}

const FILE = /^(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)\.ndjson\.gz$/

/** The fixture that the demo replays. */
export const DEMO_FIXTURE = join(import.meta.dirname, 'fixtures')

/** Where a fixture has its Kubernetes lists. */
export function kubernetesFolder(folder: string): string {
  return join(folder, 'kubernetes')
}

/** The file for the answers of a window. */
export function prometheusFile(folder: string, { start, end }: Window): string {
  return join(folder, 'prometheus', `${toStamp(start)}-${toStamp(end)}.ndjson.gz`)
}

/** Finds the windows of a fixture by its files. Throws where the folder is none. */
export function openFixture(folder: string): Fixture {
  const windows = readdirSync(join(folder, 'prometheus'))
    .toSorted()
    .flatMap((name) => {
      const [, start, end] = FILE.exec(name) ?? []
      return start === undefined || end === undefined ? [] : [{ start: fromStamp(start), end: fromStamp(end) }]
    })
  return {
    kubernetes: kubernetesFolder(folder),
    prometheus: windows.map((window) => prometheusFile(folder, window)),
    windows,
  }
}

/** `20261124T130123Z`, so that text order is time order. */
export function toStamp(time: string): string {
  return toTime(Math.floor(toSeconds(time))).replaceAll(/[-:]/g, '')
}

/** `20261124T130123Z` as RFC 3339. */
export function fromStamp(stamp: string): string {
  return stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
}

import type { Activity, CountedRow, PathRow } from '../model/history.ts'
import type { WindowResult } from '../model/window.ts'
import { NOTHING_SEEN, activityOf, addActivity } from './path-readings.ts'

/** Adds up what moved in rows from window results, which are read one at a time. */
export type RowCounter = {
  /** Adds a window that may lie in some of the rows. */
  readonly add: (result: Pick<WindowResult, 'window' | 'paths'>) => void
  /** The rows, as the windows added so far tell them; those of which everything was known are as they were. */
  readonly rows: () => readonly CountedRow[]
}

/** Counts rows of one cluster, of which months may keep no more than the sums of longer stretches. */
export function rowCounter(rows: readonly PathRow[]): RowCounter {
  const sums = new Map<PathRow, Activity>()
  const open = Map.groupBy(rows.filter(isUncounted), ({ pathId }) => pathId)
  return {
    add({ window, paths }) {
      for (const path of paths) {
        const row = open.get(path.pathId)?.find(({ from, to }) => from <= window.start && window.end <= to)
        if (row !== undefined) sums.set(row, addActivity(sums.get(row) ?? NOTHING_SEEN, activityOf(path)))
      }
    },
    rows: () => rows.map((row) => (isUncounted(row) ? { ...row, ...countsOf(sums.get(row)) } : row) as CountedRow),
  }
}

function isUncounted({ opens, openAtScrape, bytes }: PathRow): boolean {
  return opens === null || openAtScrape === null || bytes === null
}

function countsOf({ opens, openAtScrape, bytes, clearBytes } = NOTHING_SEEN): Partial<CountedRow> {
  return { opens, openAtScrape, bytes, clearShare: bytes === 0 ? null : clearBytes / bytes }
}

import type { Activity, CountedRow, PathRow } from '../../model/history.ts'
import type { WindowResult } from '../../model/window.ts'
import { NOTHING_SEEN, activityOf, addActivity } from './path-readings.ts'

/** Adds up the traffic of rows from window results, which are read one at a time. */
export type RowCounter = {
  /** Adds a window that may be in some of the rows. */
  readonly add: (result: Pick<WindowResult, 'window' | 'paths'>) => void
  /** Returns the rows with the counts of the windows added so far; rows with known counts are unchanged. */
  readonly rows: () => readonly CountedRow[]
}

/** Counts the traffic of one cluster's rows, because months may store only the sums of longer stretches. */
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

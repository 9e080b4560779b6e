/** The heat strip: one cell per window, time left to right, gaps visible as gaps. What to draw, not how. */
import { MARKS } from './state-looks.ts'
import type { Mark } from './state-looks.ts'

/** The most cells in a strip: a week of hours. */
export const MAX_CELLS = 168

/** The width of a full strip, in units of the drawing. */
export const FULL_WIDTH = 672

/** The widest that one cell gets, so that a strip of a few windows stays a strip. */
const WIDEST_CELL = 28

/** Cells at least this wide are drawn apart from each other; narrower ones run together where they are alike. */
const APART_FROM = 8

/** What a cell stands for; null before the path was first seen. */
export type Cell = Mark | null

/** A cell of a strip: the windows from `first` to `last` (indexes, both included), and where it is drawn. */
type Bin = { readonly first: number; readonly last: number; readonly x: number; readonly width: number }

/** The time axis that all strips of a cluster share. */
export type Axis = {
  readonly width: number
  readonly bins: readonly Bin[]
  /** 1 where each window has a cell of its own. */
  readonly windowsPerCell: number
  readonly isApart: boolean
  /** Where a time is drawn, in units of the drawing. */
  readonly xOf: (time: string) => number
}

/** Neighbouring cells that are alike. */
export type Run = { readonly mark: Mark; readonly x: number; readonly width: number }

type Windows = readonly { readonly start: string; readonly end: string }[]

/**
 * Lays windows out over a period, in proportion to time, so that what was not expected (before a cluster was registered) stays
 * blank. Windows are oldest first. More than {@link MAX_CELLS} of them share cells, the same number in each but the last.
 */
export function axisOf(windows: Windows, period: { readonly from: string; readonly to: string }): Axis {
  const seconds = windows.map(({ start, end }) => ({ start: Date.parse(start), end: Date.parse(end) }))
  const from = Math.min(Date.parse(period.from), ...seconds.slice(0, 1).map(({ start }) => start))
  const to = Math.max(Date.parse(period.to), ...seconds.slice(-1).map(({ end }) => end))
  const windowsPerCell = Math.max(1, Math.ceil(windows.length / MAX_CELLS))
  const shortest = seconds.reduce((least, { start, end }) => Math.min(least, end - start), to - from)
  const width = Math.min(FULL_WIDTH, Math.round((WIDEST_CELL * (to - from)) / (shortest * windowsPerCell)))
  const place = (at: number): number => round(((at - from) / (to - from)) * width)

  const bins: Bin[] = []
  for (let first = 0; first < windows.length; first += windowsPerCell) {
    const last = Math.min(first + windowsPerCell, windows.length) - 1
    const x = place(seconds[first]?.start ?? from)
    bins.push({ first, last, x, width: round(place(seconds[last]?.end ?? to) - x) })
  }
  return {
    width,
    bins,
    windowsPerCell,
    isApart: bins.every((bin) => bin.width >= APART_FROM),
    xOf: (time) => place(Date.parse(time)),
  }
}

/**
 * The runs to draw for a path: each cell takes the worst of its windows, where a window that was not collected is worse than any
 * that was encrypted, since a bin must not hide a gap.
 */
export function runsOf(cells: readonly Cell[], axis: Axis): readonly Run[] {
  const runs: Run[] = []
  for (const bin of axis.bins) {
    const mark = worstOf(cells.slice(bin.first, bin.last + 1))
    if (mark === undefined) continue
    const before = runs.at(-1)
    const isContinued = !axis.isApart && before?.mark === mark && Math.abs(before.x + before.width - bin.x) < 0.02
    if (before !== undefined && isContinued)
      runs[runs.length - 1] = { mark, x: before.x, width: round(bin.x + bin.width - before.x) }
    else runs.push({ mark, x: bin.x, width: axis.isApart ? round(bin.width - 1) : bin.width })
  }
  return runs
}

/** How much of its pod time was seen in the windows of a cell: the least of them; null where that is not known. */
export type CoverageRun = {
  readonly seen: number | null | 'not-collected'
  readonly x: number
  readonly width: number
}

/** The coverage of a cluster as runs, in eighths. A cell with a window that was not collected is shown as that. */
export function coverageRunsOf(
  windows: readonly { readonly collected: boolean; readonly ratio: number | null }[],
  axis: Axis,
): readonly CoverageRun[] {
  const runs: CoverageRun[] = []
  for (const bin of axis.bins) {
    const seen = leastSeen(windows.slice(bin.first, bin.last + 1))
    const before = runs.at(-1)
    if (before !== undefined && before.seen === seen && !axis.isApart)
      runs[runs.length - 1] = { seen, x: before.x, width: round(bin.x + bin.width - before.x) }
    else runs.push({ seen, x: bin.x, width: axis.isApart ? round(bin.width - 1) : bin.width })
  }
  return runs
}

function leastSeen(
  windows: readonly { readonly collected: boolean; readonly ratio: number | null }[],
): CoverageRun['seen'] {
  if (windows.some(({ collected }) => !collected)) return 'not-collected'
  const ratios = windows.flatMap(({ ratio }) => (ratio === null ? [] : [ratio]))
  if (ratios.length < windows.length) return null
  return Math.floor(Math.min(...ratios) * 8) / 8
}

/** The worst mark among cells; undefined where the path was not known in any of them. */
function worstOf(cells: readonly Cell[]): Mark | undefined {
  return MARKS.find((mark) => cells.includes(mark))
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

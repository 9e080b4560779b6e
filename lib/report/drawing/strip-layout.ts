/** The heat strip: one cell per window, time left to right, gaps visible as gaps. What to draw, not how. */
import { MARKS } from './state-looks.ts'
import type { Mark } from './state-looks.ts'

/** The most cells in a strip: a week of hours. */
export const MAX_CELLS = 168

/** The width of a full strip, in units of the drawing. */
export const FULL_WIDTH = 672

/** Cells at least this wide are drawn apart from each other; narrower ones run together where they are alike. */
const APART_FROM = 6

/** Windows that share a cell: of hours these make parts of a day, days and weeks. */
const SHARED = [1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336]

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
 * blank. Windows are oldest first. More than {@link MAX_CELLS} of them share cells, the same number in each but the last. Every strip has the same
 * width, so that a few windows are as easy to read as many.
 */
export function axisOf(windows: Windows, period: { readonly from: string; readonly to: string }): Axis {
  const seconds = windows.map(({ start, end }) => ({ start: Date.parse(start), end: Date.parse(end) }))
  const from = Math.min(Date.parse(period.from), ...seconds.slice(0, 1).map(({ start }) => start))
  const to = Math.max(Date.parse(period.to), ...seconds.slice(-1).map(({ end }) => end))
  const least = Math.ceil(windows.length / MAX_CELLS)
  const windowsPerCell = SHARED.find((count) => count >= least) ?? least
  const place = (at: number): number => round(((at - from) / (to - from)) * FULL_WIDTH)

  const bins: Bin[] = []
  for (let first = 0; first < windows.length; first += windowsPerCell) {
    const last = Math.min(first + windowsPerCell, windows.length) - 1
    const x = place(seconds[first]?.start ?? from)
    bins.push({ first, last, x, width: round(place(seconds[last]?.end ?? to) - x) })
  }
  return {
    width: FULL_WIDTH,
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

/** How much was seen in the windows of a cell, of its whole time: 0 to 1. */
export type CoverageRun = {
  /** Part of pod time that was observed, in the windows that were collected; null where that is not known. */
  readonly seen: number | null
  /** Part of the windows that was collected. */
  readonly collected: number
  readonly x: number
  readonly width: number
}

/** The coverage of a cluster as runs, in eighths. What is less than whole never looks whole, and what is more than nothing never like nothing. */
export function coverageRunsOf(
  windows: readonly { readonly collected: boolean; readonly ratio: number | null }[],
  axis: Axis,
): readonly CoverageRun[] {
  const runs: CoverageRun[] = []
  for (const bin of axis.bins) {
    const own = windows.slice(bin.first, bin.last + 1)
    const ratios = own.flatMap(({ collected, ratio }) => (collected && ratio !== null ? [ratio] : []))
    const read = own.filter(({ collected }) => collected).length
    const seen = ratios.length < read || read === 0 ? null : eighths(ratios.reduce((sum, one) => sum + one, 0) / read)
    const collected = eighths(read / own.length)
    const before = runs.at(-1)
    if (before !== undefined && before.seen === seen && before.collected === collected && !axis.isApart)
      runs[runs.length - 1] = { seen, collected, x: before.x, width: round(bin.x + bin.width - before.x) }
    else runs.push({ seen, collected, x: bin.x, width: axis.isApart ? round(bin.width - 1) : bin.width })
  }
  return runs
}

/** Cut to an eighth, and at least one where there is anything. */
function eighths(part: number): number {
  return part <= 0 ? 0 : Math.max(1, Math.floor(part * 8)) / 8
}

/** The worst mark among cells; undefined where the path was not known in any of them. */
export function worstOf(cells: readonly Cell[]): Mark | undefined {
  return MARKS.find((mark) => cells.includes(mark))
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

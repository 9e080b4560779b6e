/** How the strips of the report are drawn and told: what every one of them shows, also says it in words. */
import type { Dates } from './dates.ts'
import { LOOKS, MARKS } from './states.ts'
import type { Mark } from './states.ts'
import { coverageRunsOf, runsOf } from './strip.ts'
import type { Axis, CoverageRun } from './strip.ts'
import type { ClusterSummary, PathSummary, Summary } from './summary.ts'
import { capital, countWords, periodWord, plural } from './words.ts'

/** A rectangle of a strip; `look` is a mark, or `seen` for a bar of coverage. */
type RunView = {
  readonly look: Mark | 'seen'
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A strip: what is drawn, and what it says. */
export type StripView = {
  readonly width: number
  readonly runs: readonly RunView[]
  /** Where a line marks the calendar. */
  readonly ticks: readonly number[]
  /** What is written under the strip, from its left end and from each line on; empty where strips stand in a table. */
  readonly labels: readonly { readonly text: string; readonly x: number; readonly width: number }[]
  /** The strip in words, for those who do not see it. */
  readonly words: string
}

/** The height of a strip, in the units of its width. */
const STRIP_HEIGHT = 16

/** Where the cells of each pattern begin and how high they are: a shape of its own in black and white, too. */
const CELL_HEIGHTS: Readonly<Record<(typeof LOOKS)[Mark]['pattern'], { readonly y: number; readonly height: number }>> =
  {
    tall: { y: 0, height: 16 },
    solid: { y: 4, height: 12 },
    outlined: { y: 4, height: 12 },
    hatched: { y: 4, height: 12 },
    dotted: { y: 4, height: 12 },
    crossed: { y: 4, height: 12 },
    barred: { y: 8, height: 8 },
    thin: { y: 9, height: 2 },
    empty: { y: 4, height: 12 },
  }

/** What every part of the report needs to word itself. */
export type Wording = {
  readonly dates: Dates
  readonly summary: Summary
  readonly axes: ReadonlyMap<string, ClusterAxis>
}
type ClusterAxis = { readonly axis: Axis; readonly marks: readonly { readonly x: number; readonly label: string }[] }

/** The strip of a path. Throws an Error where its cluster is not in the report. */
export function pathStrip({ axes, summary }: Wording, path: PathSummary, isLabelled: boolean): StripView {
  const cluster = axes.get(path.cluster)
  if (cluster === undefined)
    throw new Error(`Cannot draw path "${path.pathId}": cluster "${path.cluster}" is not in the report`)
  return {
    ...frameOf(cluster, isLabelled),
    runs: runsOf(path.cells, cluster.axis).map(({ mark, x, width }) => ({
      look: mark,
      x,
      width,
      ...CELL_HEIGHTS[LOOKS[mark].pattern],
    })),
    words: `${capital(periodWord(summary))}, window by window: ${stripWords(path)}`,
  }
}

/** The strip of what was observed of a cluster. Throws an Error where it is not in the report. */
export function coverageStrip({ axes, dates }: Wording, cluster: ClusterSummary): StripView {
  const own = axes.get(cluster.id)
  if (own === undefined) throw new Error(`Cannot draw cluster "${cluster.id}": it is not in the report`)
  const longest = cluster.missingRuns.map(({ from, to }) => dates.range(from, to))
  return {
    ...frameOf(own, true),
    runs: coverageRunsOf(cluster.windows, own.axis).map(coverageBar),
    words:
      longest.length === 0
        ? 'Every expected window was collected'
        : `Not collected: ${longest.slice(0, 5).join('; ')}${longest.length > 5 ? `; and ${longest.length - 5} more` : ''}`,
  }
}

function coverageBar({ seen, x, width }: CoverageRun): RunView {
  if (seen === 'not-collected') return { look: 'not-collected', x, width, ...CELL_HEIGHTS.crossed }
  if (seen === null) return { look: 'unknown', x, width, ...CELL_HEIGHTS.dotted }
  const height = Math.max(1, seen * 12)
  return { look: 'seen', x, width, y: STRIP_HEIGHT - height, height }
}

/** What a character of a label takes, in units of the drawing. */
const CHARACTER_WIDTH = 6

function frameOf({ axis, marks }: ClusterAxis, isLabelled: boolean): Omit<StripView, 'runs' | 'words'> {
  return {
    width: axis.width,
    ticks: marks.map(({ x }) => x),
    labels: isLabelled
      ? [{ x: 0, label: '' }, ...marks].map(({ x, label }, index) => {
          const width = Math.round(((marks[index]?.x ?? axis.width) - x) * 100) / 100
          // A label that has no room until the next mark would be cut, or written over the next one.
          return { text: label.length * CHARACTER_WIDTH <= width ? label : '', x, width }
        })
      : [],
  }
}

/** How a mark looks in a strip. */
export function swatch(mark: Mark): StripView {
  return {
    width: 48,
    ticks: [],
    labels: [],
    runs: [{ look: mark, x: 0, width: 48, ...CELL_HEIGHTS[LOOKS[mark].pattern] }],
    words: `How ${mark} looks in a strip`,
  }
}

/** The windows of a path by state, worst first. */
export function stripWords({ windows, cells }: PathSummary): string {
  const before = cells.filter((cell) => cell === null).length
  const parts = MARKS.filter((mark) => windows[mark] > 0).map((mark) => `${countWords(windows[mark])} ${mark}`)
  if (before > 0) parts.push(`${countWords(before)} before it was first seen`)
  return `${parts.join(', ')}, of ${plural(cells.length, 'window')}`
}

/** What a cell that stands for several windows shows; empty where each stands for one. */
export function binWords({ axes }: Wording): string {
  const most = Math.max(1, ...[...axes.values()].map(({ axis }) => axis.windowsPerCell))
  return most === 1
    ? ''
    : ` A cell stands for up to ${countWords(most)} windows and shows the worst of them; one that was not collected is shown before any that was encrypted.`
}

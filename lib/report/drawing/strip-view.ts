/** How the strips of the report are drawn and told: what every one of them shows, also says it in words. */
import { LOOKS, MARKS } from './state-looks.ts'
import type { Mark } from './state-looks.ts'
import { coverageRunsOf, runsOf } from './strip.ts'
import type { CoverageRun } from './strip.ts'
import type { ClusterSummary } from '../summary/coverage-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import type { ClusterAxis, Wording } from '../words/report-context.ts'
import { capital, countWords, periodWord, plural } from '../words/vocabulary.ts'

/** Rectangles of a strip that look alike; `look` is a mark, or `seen` for bars of coverage. Thousands of single ones would cost dearly. */
type PartView = { readonly look: Mark | 'seen'; readonly runs: readonly RunView[] }
type RunView = {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A strip: what is drawn, and what it says. */
export type StripView = {
  readonly width: number
  readonly parts: readonly PartView[]
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

/** The strip of a path. Throws an Error where its cluster is not in the report. */
export function pathStrip({ axes, summary }: Wording, path: PathSummary, isLabelled: boolean): StripView {
  const cluster = axes.get(path.cluster)
  if (cluster === undefined)
    throw new Error(`Cannot draw path "${path.pathId}": cluster "${path.cluster}" is not in the report`)
  return {
    ...frameOf(cluster, isLabelled),
    parts: partsOf(
      runsOf(path.cells, cluster.axis).map(({ mark, x, width }) => ({
        look: mark,
        x,
        width,
        ...CELL_HEIGHTS[LOOKS[mark].pattern],
      })),
    ),
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
    parts: partsOf(coverageRunsOf(cluster.windows, own.axis).map(coverageBar)),
    words:
      longest.length === 0
        ? 'Every expected window was collected'
        : `Not collected: ${longest.slice(0, 5).join('; ')}${longest.length > 5 ? `; and ${longest.length - 5} more` : ''}`,
  }
}

type LookedRun = RunView & { readonly look: PartView['look'] }

function partsOf(runs: readonly LookedRun[]): readonly PartView[] {
  return [...Map.groupBy(runs, ({ look }) => look)].map(([look, own]) => ({
    look,
    runs: own.map(({ x, y, width, height }) => ({ x, y, width, height })),
  }))
}

function coverageBar({ seen, x, width }: CoverageRun): LookedRun {
  if (seen === 'not-collected') return { look: 'not-collected', x, width, ...CELL_HEIGHTS.crossed }
  if (seen === null) return { look: 'unknown', x, width, ...CELL_HEIGHTS.dotted }
  const height = Math.max(1, seen * 12)
  return { look: 'seen', x, width, y: STRIP_HEIGHT - height, height }
}

/** What a character of a label takes, in units of the drawing. */
const CHARACTER_WIDTH = 6

function frameOf({ axis, marks }: ClusterAxis, isLabelled: boolean): Omit<StripView, 'parts' | 'words'> {
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
    parts: [{ look: mark, runs: [{ x: 0, width: 48, ...CELL_HEIGHTS[LOOKS[mark].pattern] }] }],
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

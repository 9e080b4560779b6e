/** How the strips of the report are drawn and told: what every one of them shows, also says it in words. */
import { LOOKS, MARKS } from './state-looks.ts'
import type { Mark } from './state-looks.ts'
import { coverageRunsOf, FULL_WIDTH, runsOf, worstOf } from './strip-layout.ts'
import type { CoverageRun } from './strip-layout.ts'
import type { ClusterSummary } from '../summary/coverage-summary.ts'
import { countMarks } from '../summary/path-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import { durationWords } from '../../time/dates.ts'
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
  readonly labels: readonly {
    readonly text: string
    readonly x: number
    readonly width: number
    /** `x` and `width` as parts of a hundred, for a line of labels that keeps its size where the strip is stretched. */
    readonly percent: number
    readonly percentWidth: number
  }[]
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
export function coverageStrip({ axes, dates }: Wording, cluster: ClusterSummary, isLabelled: boolean): StripView {
  const own = axes.get(cluster.id)
  if (own === undefined) throw new Error(`Cannot draw cluster "${cluster.id}": it is not in the report`)
  const longest = cluster.missingRuns.map(({ from, to }) => dates.range(from, to))
  return {
    ...frameOf(own, isLabelled),
    parts: partsOf(coverageRunsOf(cluster.windows, own.axis).flatMap(coverageBars)),
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

/** A bar stands on the ground and is as high as what was observed; what was not collected hangs crossed above it. */
function coverageBars({ seen, collected, x, width }: CoverageRun): readonly LookedRun[] {
  const lost = collected >= 1 ? 0 : STRIP_HEIGHT * (1 - collected)
  const room = STRIP_HEIGHT - lost
  const crossed: readonly LookedRun[] = lost === 0 ? [] : [{ look: 'not-collected', x, width, y: 0, height: lost }]
  if (room <= 0) return crossed
  if (seen === null) return [{ look: 'unknown', x, width, y: lost, height: room }, ...crossed]
  const height = Math.max(1, seen * room)
  return [{ look: 'seen', x, width, y: STRIP_HEIGHT - height, height }, ...crossed]
}

/** What stands for a cell of a strip, in words: `a cell is 5 minutes`; empty where there is none. */
export function cellWords({ axes }: Wording): string {
  const lengths = new Set(
    [...axes.values()].flatMap(({ axis, windowSeconds }) =>
      axis.bins.length === 0 ? [] : [durationWords(axis.windowsPerCell * windowSeconds)],
    ),
  )
  return lengths.size === 0 ? '' : `a cell is ${[...lengths].join(' or ')}`
}

/** A bar of paths by state, drawn to scale: so wide in all, and none so thin that it cannot be seen. */
export function shareBar(counts: Readonly<Partial<Record<Mark, number>>>, words: string): StripView {
  const marks = MARKS.filter((mark) => (counts[mark] ?? 0) > 0)
  const total = marks.reduce((sum, mark) => sum + (counts[mark] ?? 0), 0)
  const free = FULL_WIDTH - marks.length * THINNEST
  let x = 0
  const parts = marks.map((mark) => {
    const width = THINNEST + Math.round(((counts[mark] ?? 0) / total) * free * 100) / 100
    const run = {
      x: Math.round(x * 100) / 100,
      width: Math.round((width - 1) * 100) / 100,
      ...CELL_HEIGHTS[LOOKS[mark].pattern],
    }
    x += width
    return { look: mark, runs: [run] }
  })
  return { width: FULL_WIDTH, ticks: [], labels: [], parts, words }
}

/** The least that a part of a bar takes. */
const THINNEST = 4

/** The strip of several paths of a cluster: in each window the worst of them. */
export function worstStrip(wording: Wording, paths: readonly PathSummary[]): StripView {
  const [first] = paths
  if (first === undefined) return { width: FULL_WIDTH, ticks: [], labels: [], parts: [], words: '' }
  const cells = first.cells.map((_, index) => worstOf(paths.map((path) => path.cells[index] ?? null)) ?? null)
  return pathStrip(wording, { ...first, cells, windows: countMarks(cells) }, true)
}

/** What a character of a label takes, in units of the drawing. */
const CHARACTER_WIDTH = 7

function frameOf({ axis, marks }: ClusterAxis, isLabelled: boolean): Omit<StripView, 'parts' | 'words'> {
  return {
    width: axis.width,
    ticks: marks.map(({ x }) => x),
    labels: isLabelled
      ? [{ x: 0, label: '' }, ...marks].map(({ x, label }, index) => {
          const width = Math.round(((marks[index]?.x ?? axis.width) - x) * 100) / 100
          // A label that has no room until the next mark would be cut, or written over the next one.
          const text = label.length * CHARACTER_WIDTH <= width ? label : ''
          return { text, x, width, percent: percentOf(x, axis.width), percentWidth: percentOf(width, axis.width) }
        })
      : [],
  }
}

function percentOf(part: number, whole: number): number {
  return Math.round((part / whole) * 10_000) / 100
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
    : ` A cell holds up to ${countWords(most)} windows and shows the worst of them; a window that was not collected comes before one that was encrypted.`
}

/** The last eight periods, in numbers and drawn. */
import { layer } from '../drawing/drawing.ts'
import type { DrawingView } from '../drawing/drawing.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { TrendPoint } from '../summary/trend-summary.ts'
import { number, table, textCell } from '../table-cells.ts'
import { capital, countWords, knownShareWords, plural } from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import type { Wording } from '../words/report-context.ts'

/** The periods before, beside this one. */
export function trendSection(wording: Wording): SectionView {
  const { trend } = wording.summary
  const known = trend.filter(({ paths }) => paths !== null)
  const gaps = trend.length - known.length
  if (known.length < 2) return section('trend', 'Trend', { paragraphs: [loneWords(wording, known[0])] })
  return section('trend', 'Trend', {
    paragraphs: [
      `${plural(trend.length, 'period')} of equal length, oldest first; the last is this one.${gaps === 0 ? '' : ` ${capital(plural(gaps, 'period'))} without data: unknown, not zero.`} Fewer paths with a smaller observed share are no improvement.`,
    ],
    // Zeros in a row, of which all is known, are no drawing.
    drawings: trend.every(({ paths, unknownClusters }) => paths?.atSomeTime === 0 && unknownClusters === 0)
      ? []
      : [drawTrend(wording, trend)],
    tables: [
      table(
        'Paths of judged classes in each period.',
        [
          ['From', 22],
          ['Windows collected', 18, 'numbers'],
          ['Observed', 14, 'numbers'],
          ['Known paths', 15, 'numbers'],
          ['Unencrypted at some time', 20, 'numbers'],
        ],
        trend.map((point) => [
          textCell(wording.dates.full(point.from)),
          number(
            point.expectedWindows === 0
              ? 'none expected'
              : `${countWords(point.collectedWindows)} of ${countWords(point.expectedWindows)}`,
          ),
          number(knownShareWords(point)),
          number(point.paths === null ? 'no data' : countWords(point.paths.known)),
          number(point.paths === null ? 'no data' : countWords(point.paths.atSomeTime)),
        ]),
      ),
    ],
  })
}

/** One known period is no trend: a sentence says what it holds. */
function loneWords({ dates }: Wording, point: TrendPoint | undefined): string {
  if (point === undefined) return 'No period has data, so there is no trend.'
  return `Only one period has data, so there is no trend. ${pointWords(`Period from ${dates.full(point.from)}`, point)}.`
}

// All in units of the drawing.
const WIDTH = 720
const LEFT = 96
const BARS = { bottom: 90, height: 72 }
const SHARES = { bottom: 138, height: 26 }
const HEIGHT = 158
const BAR = 20

type Slot = { readonly point: TrendPoint; readonly middle: number }
type Box = DrawingView['layers'][number]['boxes'][number]
type Label = DrawingView['layers'][number]['labels'][number]

function drawTrend({ dates }: Wording, trend: readonly TrendPoint[]): DrawingView {
  const width = (WIDTH - LEFT) / Math.max(trend.length, 1)
  const slots = trend.map((point, index) => ({ point, middle: round(LEFT + width * (index + 0.5)) }))
  const most = Math.max(1, ...trend.flatMap(({ paths }) => (paths === null ? [] : [paths.atSomeTime])))
  return {
    width: WIDTH,
    height: HEIGHT,
    caption: 'Paths unencrypted at some time of each period, with the observed share below. Crossed: no data.',
    words: `Trend: ${slots.map(({ point }) => pointWords(dates.short(point.from), point)).join('; ')}`,
    layers: [
      layer({
        boxes: [
          ...[BARS.bottom, SHARES.bottom].map((y): Box => ({
            x: LEFT,
            y,
            width: WIDTH - LEFT,
            height: 0.6,
            paint: 'rule',
          })),
          ...slots.flatMap((slot) => [...pathBars(slot, most), ...shareBars(slot)]),
        ],
        labels: [
          { ...label(0, BARS.bottom - 13, '▲ unencrypted'), anchor: 'start' },
          { ...label(0, BARS.bottom, 'paths'), anchor: 'start' },
          { ...label(0, SHARES.bottom, 'observed'), anchor: 'start' },
          ...slots.flatMap((slot) => [
            ...pathLabels(slot, most),
            shareLabel(slot),
            label(slot.middle, HEIGHT - 4, dates.short(slot.point.from)),
          ]),
        ],
      }),
    ],
  }
}

const label = (x: number, y: number, words: string): Label => ({
  x: round(x),
  y: round(y),
  text: words,
  anchor: 'middle',
  size: 9,
  paint: 'quiet',
})

function pathBars({ point: { paths }, middle }: Slot, most: number): readonly Box[] {
  if (paths === null)
    return [{ x: middle - BAR, y: BARS.bottom - 24, width: 2 * BAR, height: 24, paint: 'not-collected' }]
  return [{ ...column(BARS, paths.atSomeTime / most), x: middle - BAR / 2, width: BAR, paint: 'plaintext' }]
}

function pathLabels({ point: { paths }, middle }: Slot, most: number): readonly Label[] {
  if (paths === null) return [label(middle, BARS.bottom - 28, 'no data')]
  return [label(middle, column(BARS, paths.atSomeTime / most).y - 3, countWords(paths.atSomeTime))]
}

/** A bar that is full beside a dark cluster would say that all was seen. */
function shareBars({ point: { share, unknownClusters }, middle }: Slot): readonly Box[] {
  if (share === null || unknownClusters > 0) return []
  return [{ ...column(SHARES, share), x: middle - BAR, width: 2 * BAR, paint: 'quiet' }]
}

function shareLabel({ point: { share, unknownClusters }, middle }: Slot): Label {
  return share === null || unknownClusters > 0
    ? label(middle, SHARES.bottom - 4, share === null ? 'unknown' : 'partly known')
    : label(middle, column(SHARES, share).y - 3, shareWords(share))
}

/** A bar that stands on the ground of its band. */
function column({ bottom, height }: typeof BARS, part: number): Pick<Box, 'y' | 'height'> {
  return { y: round(bottom - part * height), height: round(part * height) }
}

function pointWords(when: string, { paths, share, unknownClusters }: TrendPoint): string {
  if (paths === null) return `${when}: no data`
  return `${when}: ${countWords(paths.atSomeTime)} of ${plural(paths.known, 'known path')} unencrypted at some time, ${share === null ? 'observed share unknown' : `${shareWords(share)} of pod time observed${unknownClusters === 0 ? '' : ' where known'}`}`
}

const round = (value: number): number => Math.round(value * 100) / 100

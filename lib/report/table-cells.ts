/** The cells and tables of the report, and how names stand in them. All names go through `printable` here. */
import type { Endpoint, Source } from '../model/path.ts'
import type { PathRow } from '../model/history.ts'
import type { Verdict } from '../model/judgement.ts'
import { breakable, printable } from '../text/printable.ts'
import { LOOKS, VERDICT_LOOKS } from './drawing/state-looks.ts'
import type { Mark } from './drawing/state-looks.ts'
import type { StripView } from './drawing/strip-drawing.ts'
import type { FixStep } from './words/split-fix.ts'

/** A state as word and shape; `mark` names its colour. */
export type StateView = { readonly mark: Mark | `verdict-${Verdict}`; readonly word: string; readonly shape: string }

/** A name in pieces between which a line may end. `kind` is empty where there is nothing to say. */
export type NameView = { readonly kind: string; readonly pieces: readonly string[] }

/** A cell of a table: whatever of this it has, in this order. */
export type CellView = {
  /** The title of its column, for narrow screens. */
  readonly label: string
  readonly state: StateView | null
  /** Each on a line of its own. */
  readonly names: readonly NameView[]
  readonly lines: readonly string[]
  /** Lines of lesser weight. */
  readonly notes: readonly string[]
  readonly strip: StripView | null
  readonly isNumber: boolean
}

/** What stands under the cells of a row, over their whole width. */
export type DetailView = {
  readonly strip: StripView | null
  readonly lines: readonly string[]
  /** The change, its commands to be copied. */
  readonly fix: readonly FixStep[]
}

/** A row: its first cell heads it. */
export type RowView = {
  /** What links point to; empty where nothing does. */
  readonly id: string
  readonly head: CellView
  readonly cells: readonly CellView[]
  readonly detail: DetailView | null
}

/** A table as it is set. */
export type TableView = {
  /** Empty where the caption is enough. */
  readonly title: string
  readonly caption: string
  /** Small and all numbers: it stays a table on a narrow screen. */
  readonly isMatrix: boolean
  /** How long it is, such as `12 rows`, where the page shows it only when it is opened; empty where it always does. */
  readonly fold: string
  /** `share` is the width in percent. */
  readonly columns: readonly { readonly title: string; readonly isNumber: boolean; readonly share: number }[]
  readonly rows: readonly RowView[]
}

/** A cell with nothing in it. */
export const EMPTY_CELL: CellView = {
  label: '',
  state: null,
  names: [],
  lines: [],
  notes: [],
  strip: null,
  isNumber: false,
}

/** A cell with a line of our own words. */
export const textCell = (line: string): CellView => ({ ...EMPTY_CELL, lines: [line] })
/** A cell with a number, or the words that stand for one. */
export const number = (line: string): CellView => ({ ...EMPTY_CELL, lines: [line], isNumber: true })
/** A name, or a text from a cluster that may be as long as one. */
export const plain = (name: string): CellView => nameCell({ kind: '', pieces: breakable(printable(name)) })
/** A cell with a name whose pieces are printable. */
export const nameCell = (name: NameView): CellView => ({ ...EMPTY_CELL, names: [name] })

/** A column: its title, its part of the width, and whether it holds numbers. */
export type Column = readonly [title: string, share: number, numbers?: 'numbers']

/** A row with something under its cells. */
export type DetailedRow = {
  readonly id: string
  readonly cells: readonly CellView[]
  readonly detail: DetailView
}

/** A table; the first cell of each row heads it. `share` of a column counts against those of the others. */
export function table(
  caption: string,
  titles: readonly Column[],
  rows: readonly (readonly CellView[] | DetailedRow)[],
): TableView {
  const whole = titles.reduce((sum, [, share]) => sum + share, 0)
  const columns = titles.map(([title, share, numbers]) => ({
    title,
    isNumber: numbers !== undefined,
    share: Math.round((share / whole) * 1000) / 10,
  }))
  return {
    title: '',
    caption,
    isMatrix: false,
    fold: '',
    columns,
    rows: rows.map((row) => {
      const { id, cells: all, detail } = 'cells' in row ? row : { id: '', cells: row, detail: null }
      const [head = EMPTY_CELL, ...cells] = all
      return {
        id,
        head,
        cells: cells.map((cell, index) => ({ ...cell, label: columns[index + 1]?.title ?? '' })),
        detail,
      }
    }),
  }
}

/** A state as word and shape. */
export function stateView(mark: Mark): StateView {
  return { mark, word: mark, shape: LOOKS[mark].shape }
}

/** A verdict as word and shape. */
export function verdictView(
  verdict: Verdict,
  word: string = verdict === 'not-applicable' ? 'nothing to judge' : verdict.replaceAll('-', ' '),
): StateView {
  return { mark: `verdict-${verdict}`, word, shape: VERDICT_LOOKS[verdict].shape }
}

/** A cell with a verdict or a state. */
export const stateCell = (state: StateView): CellView => ({ ...EMPTY_CELL, state })

/** A cell with several lines of our own words. */
export const lines = (several: readonly string[], notes: readonly string[] = []): CellView => ({
  ...EMPTY_CELL,
  lines: several,
  notes,
})

/** A workload, or `(unmeshed)` for who has no name. */
export function endpointName(endpoint: Endpoint): NameView {
  const { kind, namespace, name } = endpoint
  if (namespace === '' && name === '') return { kind: '', pieces: [`(${printable(kind)})`] }
  return {
    kind: printable(kind),
    pieces: breakable(printable(namespace === '' ? name : `${namespace}/${name}`)),
  }
}

/** A destination with its port, and its cluster where that is another. */
export function destinationName({
  destination,
  port,
}: {
  destination: PathRow['destination']
  port: number
}): NameView {
  const { kind, pieces } = endpointName(destination)
  return {
    kind: destination.cluster === null ? kind : `${kind} on cluster ${printable(destination.cluster)}`,
    pieces: pieces.with(-1, `${pieces.at(-1) ?? ''}:${port}`),
  }
}

/** A source in one line of text. */
export function plainName(source: Source): string {
  const { kind, pieces } = endpointName(source)
  return `${kind} ${pieces.join('')}`.trim()
}

/** Suites and groups come as one text with commas; lines may end after each. */
export function listPieces(list: string): readonly string[] {
  return printable(list)
    .split(/(?<=,)/u)
    .flatMap((item) => breakable(item))
}

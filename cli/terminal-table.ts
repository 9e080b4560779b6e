import stringWidth from 'fast-string-width'
import { printable } from '../lib/text/printable.ts'

/** One column of a table for people: a heading and what stands under it. */
export type TerminalColumn<T> = {
  readonly heading: string
  readonly text: (row: T) => string
  readonly color?: (text: string, row: T) => string
  /** What a row is about: it stands before all else where a row is folded. */
  readonly isMain?: true
}

/** As many characters as a row takes where the terminal has more: longer ones are hard to read. */
const MAX_WIDTH = 100

/** How wide a table may be on this terminal; null where the answer goes to none, so that each row is one line. */
export function tableWidth({ width }: { readonly width: number | null }): number | null {
  return width === null ? null : Math.min(width, MAX_WIDTH)
}

/** Between two columns, and before what goes on on the next line. */
const GAP = '  '

/**
 * Lines of a table in the manner of kubectl: headings, two spaces between columns, no rules. Names are made printable.
 *
 * Where a line would be longer than `width`, each row is folded: it goes on on lines below that are indented, with the same columns in the same places
 * in each row, and headings likewise; lines at its end that hold nothing are left out. A sentence that is longer than the terminal is wide goes on on
 * lines that are indented further. So nothing is cut, and no line breaks but one with a single word that is longer than that.
 *
 * @param width columns of the terminal; null or absent: none, so that each row is one line
 */
export function tableLines<T>(
  rows: readonly T[],
  columns: readonly TerminalColumn<T>[],
  width: number | null = null,
): string[] {
  const folds = width === null ? [columns] : foldedColumns(rows, columns, width)
  const all = folds.map((some, index) => {
    const indent = index === 0 ? '' : GAP
    const isPlain = some.length === 1 && some.every(({ color }) => color === undefined)
    return linesOf(rows, some).map((line) =>
      (isPlain && width !== null ? wrapped(line, width - indent.length) : [line]).map((part) => `${indent}${part}`),
    )
  })
  const [first = []] = all
  return first.flatMap((_, index) => {
    const row = rows[index - 1]
    const isTold = (some: readonly TerminalColumn<T>[]) =>
      row === undefined || some.some(({ text }) => !NOTHING.has(text(row)))
    const last = folds.findLastIndex(isTold)
    return all.slice(0, Math.max(0, last) + 1).flatMap((lines) => lines[index] ?? [])
  })
}

/** A sentence on lines of at most `width`, broken at spaces, each after the first indented further than the sentence is. */
export function wrapped(sentence: string, width: number): string[] {
  const words = sentence.trimStart()
  const indent = ' '.repeat(sentence.length - words.length)
  const lines: string[] = []
  let line = ''
  for (const word of words.split(' ')) {
    const next = line === '' ? `${indent}${word}` : `${line} ${word}`
    if (line.trim() === '' || stringWidth(next) <= width) line = next
    else {
      lines.push(line)
      line = `${indent}${GAP}${word}`
    }
  }
  return [...lines, line]
}

/** What stands where there is nothing to say. */
const NOTHING: ReadonlySet<string> = new Set(['', '-'])

/** The columns of each line of a row, the main ones first: all in one where they fit. */
function foldedColumns<T>(
  rows: readonly T[],
  columns: readonly TerminalColumn<T>[],
  width: number,
): TerminalColumn<T>[][] {
  const widthOf = ({ heading, text }: TerminalColumn<T>): number =>
    rows.reduce((most, row) => Math.max(most, stringWidth(printable(text(row)))), stringWidth(heading))
  const widths = new Map(columns.map((column) => [column, widthOf(column)]))
  const lengthOf = (some: readonly TerminalColumn<T>[]): number =>
    some.reduce((sum, column) => sum + (widths.get(column) ?? 0), (some.length - 1) * GAP.length)
  if (lengthOf(columns) <= width) return [[...columns]]
  const packed = (some: readonly TerminalColumn<T>[], begun: TerminalColumn<T>[][] = []): TerminalColumn<T>[][] => {
    const lines = [...begun]
    let line: TerminalColumn<T>[] = []
    for (const column of some) {
      const indent = lines.length <= 1 ? 0 : GAP.length
      if (line.length === 0 || indent + lengthOf([...line, column]) > width) {
        line = []
        lines.push(line)
      }
      line.push(column)
    }
    return lines
  }
  const main = columns.filter(({ isMain }) => isMain === true)
  const others = columns.filter(({ isMain }) => isMain !== true)
  // What is not main begins on a line of its own, unless that costs one.
  const [apart, together] = [packed(others, packed(main)), packed([...main, ...others])]
  return together.length < apart.length ? together : apart
}

/** The headings and each row, each one line. */
function linesOf<T>(rows: readonly T[], columns: readonly TerminalColumn<T>[]): string[] {
  const shown = rows.map((row) => columns.map(({ text }) => printable(text(row))))
  const widths = columns.map(({ heading }, index) =>
    shown.reduce((most, cells) => Math.max(most, stringWidth(cells[index] ?? '')), stringWidth(heading)),
  )
  const padded = (text: string, index: number) => text + ' '.repeat((widths[index] ?? 0) - stringWidth(text))
  const lineOf = (cells: readonly string[]) => cells.join(GAP).trimEnd()
  return [
    lineOf(columns.map(({ heading }, index) => padded(heading, index))),
    ...rows.map((row, at) =>
      lineOf(
        columns.map(({ color }, index) => {
          const cell = shown[at]?.[index] ?? ''
          const rest = padded(cell, index).slice(cell.length)
          return `${color === undefined ? cell : color(cell, row)}${rest}`
        }),
      ),
    ),
  ]
}
